//! How repositories are reached: flags, environment, and what is shown meanwhile.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apk_repository::{ClientOptions, Credentials, CredentialsError, Proxies};
use clap::Args;
use content_cache::Cache;

use crate::{Progress, Steps, parse_size};

/// Where systems keep the certificate authorities that they trust; the first one that is there.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How servers are spoken to, and how much is kept of what they answer.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Network and cache")]
pub struct Network {
    /// How long to wait for a server that says nothing
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub http_timeout: u32,
    /// How often to try again what may work the next time
    #[arg(long, default_value_t = 4, value_name = "TIMES")]
    pub http_retries: u32,
    /// How many requests may be under way at the same time
    #[arg(long, default_value_t = 8, value_name = "REQUESTS", value_parser = clap::value_parser!(u16).range(1..))]
    pub http_parallel: u16,
    /// Further certificate authorities that servers may have their certificates from, in PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Vec<PathBuf>,
    /// How large the cache may become, such as 20GB: what was not used for longest is removed then
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub cache_max_size: Option<u64>,
}

/// Why what the environment says of the network cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not written as a netrc file.
    #[error("{}: {source}", path.display())]
    Netrc {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CredentialsError,
    },
}

impl Network {
    /// The cache that is asked for, or else that of the user; `None` where there is no home directory. Of entries that turn
    /// out to be damaged, `steps` warns.
    pub fn cache(&self, asked: Option<&Path>, steps: &Steps) -> Option<Cache> {
        let steps = *steps;
        let cache = Cache::at(cache_directory(asked)?).with_listener(move |event| {
            if let content_cache::Event::Damaged { path, reason } = event {
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                steps.warn(&format!("{} is damaged{reason}; it is made anew", path.display()));
            }
        });
        Some(match self.cache_max_size {
            Some(bytes) => cache.with_max_size(bytes),
            None => cache,
        })
    }

    /// How a client is to behave; cache and limits are left to the caller. `variable` gives the environment: `HTTP_AUTH`, `NETRC`, `HOME`, `HTTP_PROXY`,
    /// `HTTPS_PROXY`, `NO_PROXY` (each in lower case too) and `SSL_CERT_FILE`. What it does is shown by `steps`.
    ///
    /// # Errors
    /// When a file that a flag or the environment names cannot be read.
    pub fn options(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
        steps: &Steps,
    ) -> Result<(ClientOptions, Progress), NetworkError> {
        let progress = Progress::new(*steps);
        let mut options = ClientOptions::default();
        options.http.parallel = self.http_parallel.into();
        options.http.proxies = proxies(variable);
        options.http.credentials = credentials(variable, steps)?;
        options.http.watch = Some(progress.watcher());
        let timeout = Duration::from_secs(self.http_timeout.into());
        options.http.timeouts.connect = options.http.timeouts.connect.min(timeout);
        options.http.timeouts.read = timeout;
        options.http.timeouts.stall = timeout;
        options.http.retry.times = self.http_retries;
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let system = match set("SSL_CERT_FILE") {
            Some(path) => Some(PathBuf::from(path)),
            None => SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file()),
        };
        options.http.roots.no_built_in = system.is_some();
        for path in system.iter().chain(&self.ca_file) {
            // It is read when it is needed; that it is not there should be said at once.
            fs::metadata(path).map_err(|source| NetworkError::Read {
                path: path.clone(),
                source,
            })?;
            options.http.roots.files.push(path.clone());
        }
        Ok((options, progress))
    }
}

/// The cache that is asked for, or else that of the user, which both tools share: `apko` in `XDG_CACHE_HOME` or `~/.cache`.
/// `None` where there is no home directory.
pub fn cache_directory(asked: Option<&Path>) -> Option<PathBuf> {
    let of_user = || {
        let variable = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        caches.map(|caches| caches.join("apko"))
    };
    asked.map(Path::to_owned).or_else(of_user)
}

/// The proxies as Go programs and curl read them.
fn proxies(variable: &dyn Fn(&str) -> Option<String>) -> Proxies {
    let either = |name: &str| {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        set(name).or_else(|| set(&name.to_ascii_lowercase()))
    };
    // A CGI program gets `HTTP_PROXY` from a header that anybody can send.
    let is_cgi = variable("REQUEST_METHOD").is_some();
    Proxies {
        http: either("HTTP_PROXY").filter(|_| !is_cgi),
        https: either("HTTPS_PROXY"),
        none_for: either("NO_PROXY").unwrap_or_default(),
    }
}

fn credentials(
    variable: &dyn Fn(&str) -> Option<String>,
    steps: &Steps,
) -> Result<Credentials, NetworkError> {
    let mut credentials = Credentials::default();
    if let Some(value) = variable("HTTP_AUTH").filter(|value| !value.is_empty())
        && let Err(error) = credentials.add_http_auth(&value)
    {
        steps.warn(&format!("{error}: it is ignored"));
    }
    let named = variable("NETRC").map(PathBuf::from);
    let path = match (&named, variable("HOME")) {
        (Some(path), _) => path.clone(),
        (None, Some(home)) => Path::new(&home).join(".netrc"),
        (None, None) => return Ok(credentials),
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => return Ok(credentials),
        Err(source) => return Err(NetworkError::Read { path, source }),
    };
    match credentials.add_netrc(&text) {
        Ok(()) => Ok(credentials),
        Err(source) => Err(NetworkError::Netrc { path, source }),
    }
}
