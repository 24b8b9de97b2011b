//! What can go wrong with a request.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why something could not be fetched. No URL here has a user name or password in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server does not give it.
    #[error("{url}: the server answers {status}{}{detail}", hint(*.status, *.with_login))]
    Status {
        /// What was asked for.
        url: String,
        /// The status code.
        status: u16,
        /// Whether a user name and password were sent.
        with_login: bool,
        /// What the server says of it, behind `: `; empty where it says nothing that a person can use.
        detail: String,
    },
    /// Nobody may be asked.
    #[error("{url} is not in the cache, and nobody may be asked for it (--offline)")]
    Offline {
        /// What was wanted.
        url: String,
    },
    /// Somebody ended the work.
    #[error("{url}: fetching it was cancelled")]
    Cancelled {
        /// What was asked for.
        url: String,
    },
    /// There is no connection to the server.
    #[error("{url}: no connection: {reason}")]
    Connect {
        /// What was to be asked for.
        url: String,
        /// Why.
        reason: String,
    },
    /// The connection broke in the middle.
    #[error("{url}: the connection broke after {received} bytes{}", of_all(.size))]
    Broken {
        /// What was asked for.
        url: String,
        /// How many bytes were here.
        received: u64,
        /// How many there should be, if the server or the index says so.
        size: Option<u64>,
    },
    /// The server let wait too long.
    #[error("{url}: {what} within {} (--http-timeout)", seconds(.limit))]
    Timeout {
        /// What was asked for.
        url: String,
        /// What did not come.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The server sends so slowly that it may never end.
    #[error(
        "{url}: only {received} bytes came within {}, less than {slowest} a second (--http-timeout)",
        seconds(.limit)
    )]
    Stalled {
        /// What was asked for.
        url: String,
        /// How many bytes came within the time.
        received: u64,
        /// The time.
        limit: Duration,
        /// The least number of bytes a second.
        slowest: u64,
    },
    /// The answer is too large.
    #[error("{url}: it has more than the limit of {limit} bytes ({flag})")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        limit: u64,
        /// The flag of the command lines that raises it.
        flag: &'static str,
    },
    /// The server sends on and on.
    #[error("{url}: more than {limit} redirects, the last one to {last}")]
    Redirects {
        /// What was asked for.
        url: String,
        /// The limit.
        limit: u32,
        /// Where the last one led.
        last: String,
    },
    /// The server sends to where nobody should go.
    #[error("{url}: a redirect to {to}, which is not followed: {reason}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Where it leads.
        to: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// What the server says is no HTTP, or makes no sense.
    #[error("{url}: the answer cannot be understood: {reason}")]
    Protocol {
        /// What was asked for.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Trying again did not help.
    #[error("{source} (the last of {attempts} attempts)")]
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// What went wrong the last time.
        source: Box<HttpError>,
    },
    /// The server wants to be left alone for longer than the client waits.
    #[error("{source}, and asks to wait {}, longer than the {} that are waited", seconds(.wait), seconds(.longest))]
    RetryLater {
        /// How long.
        wait: Duration,
        /// The limit.
        longest: Duration,
        /// What went wrong.
        source: Box<HttpError>,
    },
    /// A certificate authority cannot be read.
    #[error("{name}: {reason}")]
    Roots {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The client certificate or its key cannot be used.
    #[error("{}: {reason}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A proxy cannot be used.
    #[error("the proxy {proxy} cannot be used: write http://HOST:PORT")]
    Proxy {
        /// The proxy.
        proxy: String,
    },
    /// What was received could not be kept.
    #[error("{url}: it cannot be kept: {source}")]
    Keep {
        /// What was asked for.
        url: String,
        /// What the system said.
        source: io::Error,
    },
}

impl HttpError {
    /// The status code, if the server gave one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::GaveUp { source, .. } | Self::RetryLater { source, .. } => source.status(),
            _ => None,
        }
    }
}

fn hint(status: u16, with_login: bool) -> &'static str {
    match (status, with_login) {
        (401 | 403, false) => " (no user name and password were sent)",
        (401 | 403, true) => " (with the user name and password that were sent)",
        (404, _) => " (not found)",
        (429, _) => " (too many requests)",
        _ => "",
    }
}

fn of_all(size: &Option<u64>) -> String {
    size.map(|size| format!(" of {size}")).unwrap_or_default()
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
