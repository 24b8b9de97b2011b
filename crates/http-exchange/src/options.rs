//! How requests are made.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::credentials::Credentials;
use crate::proxy::Proxies;

/// Is told what happens.
pub type Watch = dyn Fn(&Event<'_>) + Send + Sync;

/// How requests are made: plain data, nothing of it out of the environment.
#[derive(Clone)]
pub struct Options {
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// When to try again.
    pub retry: Retry,
    /// How many requests are under way at the same time; 8 by default.
    pub parallel: usize,
    /// How many redirects are followed; 10 by default.
    pub redirects: u32,
    /// The proxies; none by default.
    pub proxies: Proxies,
    /// User names and passwords; none by default, beside those in URLs.
    pub credentials: Credentials,
    /// Whose certificates servers may have.
    pub roots: Roots,
    /// Takes any certificate, whoever it is from.
    pub skip_verification: bool,
    /// How the client shows who it is; not at all by default.
    pub identity: Option<Identity>,
    /// What requests say who they are from.
    pub user_agent: String,
    /// Who is told what happens.
    pub watch: Option<Arc<Watch>>,
    /// Set to true, it ends what is under way and all that would be begun later, each with an error.
    pub cancel: Arc<AtomicBool>,
    /// How to wait before a further attempt; a test need not wait at all.
    pub sleep: Arc<dyn Fn(Duration) + Send + Sync>,
}

/// A client certificate, in PEM. The files are read with the first request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The file with the certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// The file with its private key; the same file may have both.
    pub key: PathBuf,
}

/// How long to wait for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included; 30 s by default (`--http-timeout`).
    pub connect: Duration,
    /// For the head of an answer, and for each further part of its body; 60 s by default (`--http-timeout`).
    pub read: Duration,
    /// An answer must bring [`SLOWEST`](Self::SLOWEST) bytes a second over this time; 60 s by default
    /// (`--http-timeout`).
    pub stall: Duration,
}

impl Timeouts {
    /// The least number of bytes a second.
    pub const SLOWEST: u64 = 1024;
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            read: Duration::from_secs(60),
            stall: Duration::from_secs(60),
        }
    }
}

/// When to try again: after 429 and 5xx, and when a connection breaks. What was received already is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often, for each request; 4 by default, as in the Go apko (`--http-retries`).
    pub times: u32,
    /// How long to wait first; each further time twice as long. 1 s by default.
    pub first_wait: Duration,
    /// The longest wait, also when the server asks for more (`Retry-After`), which is then not waited for; 30 s by
    /// default.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: 4,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// Whose certificates servers may have.
#[derive(Clone, Default)]
pub struct Roots {
    /// Certificate authorities in PEM, one bundle after the other, each with the name that errors give it.
    pub bundles: Vec<(String, Arc<str>)>,
    /// Files with more of them, which are read with the first request over TLS.
    pub files: Vec<PathBuf>,
    /// Leaves out the authorities that Mozilla trusts, which are built in.
    pub no_built_in: bool,
}

/// What a client does, for those who watch. No URL here has a password in it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A server sends something.
    Started {
        /// What.
        url: &'a str,
        /// Its size in bytes, if the server says so.
        size: Option<u64>,
    },
    /// A part of it is here.
    Received {
        /// What.
        url: &'a str,
        /// How many bytes are here in all.
        bytes: u64,
        /// Its size in bytes, if the server says so.
        size: Option<u64>,
    },
    /// All of it is here.
    Finished {
        /// What.
        url: &'a str,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The server says that what is in the cache is still right.
    Unchanged {
        /// What.
        url: &'a str,
    },
    /// It did not work, and will be tried again.
    Retrying {
        /// What.
        url: &'a str,
        /// What went wrong.
        reason: &'a str,
        /// How long the client waits.
        wait: Duration,
    },
    /// Something is not as it should be, but does not stop the work.
    Warning(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            parallel: 8,
            redirects: 10,
            proxies: Proxies::default(),
            credentials: Credentials::default(),
            roots: Roots::default(),
            skip_verification: false,
            identity: None,
            user_agent: concat!("http-exchange/", env!("CARGO_PKG_VERSION")).to_owned(),
            watch: None,
            cancel: Arc::default(),
            sleep: Arc::new(thread::sleep),
        }
    }
}

impl Options {
    /// Whether somebody ended the work.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Tells whoever watches.
    pub fn tell(&self, event: &Event<'_>) {
        if let Some(watch) = &self.watch {
            watch(event);
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("timeouts", &self.timeouts)
            .field("retry", &self.retry)
            .field("parallel", &self.parallel)
            .field("proxies", &self.proxies)
            .field("credentials", &self.credentials)
            .field("roots", &self.roots)
            .field("skip_verification", &self.skip_verification)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.bundles.iter().map(|(name, _)| name.as_str());
        let built_in = (!self.no_built_in).then_some("built in");
        let files = self.files.iter().filter_map(|file| file.to_str());
        f.debug_set()
            .entries(built_in.into_iter().chain(names).chain(files))
            .finish()
    }
}
