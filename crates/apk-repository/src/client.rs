//! What fetches.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use apk_index::Index;
use apk_package::{Keyring, Limits, PublicKey};
use bytes::Bytes;
use http_exchange::{Event, Gate, HttpError, HttpUrl};
use ureq::Agent;

use crate::error::RepositoryError;
use crate::options::ClientOptions;
use crate::transfer::{Reply, Sink, Transfer, Wanted};

/// Fetches keys, indexes and packages, out of directories and over HTTP(S). Cloning it is cheap; the clones share
/// connections and limits, and many threads may use it at the same time.
#[derive(Clone, Default)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    options: ClientOptions,
    agent: OnceLock<Agent>,
    pub(crate) gate: Gate,
}

impl Default for Shared {
    fn default() -> Self {
        Self::new(ClientOptions::default())
    }
}

impl Shared {
    fn new(options: ClientOptions) -> Self {
        Self {
            gate: Gate::new(options.http.parallel),
            agent: OnceLock::new(),
            options,
        }
    }
}

/// Whom to trust, and how much to read.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The keys that indexes must be signed with; `None` takes any index, signed or not.
    pub keyring: Option<Keyring>,
    /// The size in bytes that an index may inflate to.
    pub index_limit: u64,
    /// What a package may hold.
    pub package_limits: Limits,
}

impl Default for Trust {
    /// No key at all, the Go apko's limits.
    fn default() -> Self {
        Self {
            keyring: Some(Keyring::default()),
            index_limit: Index::MAX_SIZE,
            package_limits: Limits::default(),
        }
    }
}

/// Where something is.
pub(crate) enum Place {
    File(PathBuf),
    Url(HttpUrl),
}

impl Client {
    /// A client. It does nothing yet: certificates and proxies are read with the first request.
    pub fn new(options: ClientOptions) -> Self {
        Self {
            shared: Arc::new(Shared::new(options)),
        }
    }

    /// How it behaves.
    pub fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    /// Reads a public key in PEM, from a file or URL. Returns its file name, by which signatures name it, and its content.
    ///
    /// # Errors
    /// When it is not there, or no key.
    pub fn read_key(&self, path_or_url: &str) -> Result<(String, String), RepositoryError> {
        match place(path_or_url)? {
            Place::File(path) => {
                let bytes = read_file(&path)?;
                let name = path.file_name().unwrap_or_default();
                let name = name.to_string_lossy().into_owned();
                Ok((name, key(&bytes, &path.display().to_string())?))
            }
            Place::Url(url) => {
                self.warn_of_plain_http(&url);
                let pem = self.document(&url, |bytes| key(bytes, &url.to_string()))?;
                Ok((url.file_name(), pem.ok_or_else(|| not_found(&url))?))
            }
        }
    }

    /// Reads a text over HTTP. It is kept and asked for again as an index is.
    ///
    /// # Errors
    /// When it is not there, or not UTF-8.
    pub fn read_text(&self, url: &str) -> Result<String, RepositoryError> {
        let url = parse_url(url)?;
        let text = self.document(&url, |bytes| {
            String::from_utf8(bytes.to_vec()).map_err(|_| RepositoryError::NotText { at: url.to_string() })
        })?;
        text.ok_or_else(|| not_found(&url))
    }

    /// Fetches one thing over HTTP.
    pub(crate) fn download(&self, wanted: &Wanted<'_>, sink: &mut dyn Sink) -> Result<Reply, HttpError> {
        if self.options().offline {
            let url = wanted.url.to_string();
            return Err(HttpError::Offline { url });
        }
        let mut transfer = Transfer {
            options: &self.options().http,
            agent: self.agent()?,
            gate: &self.shared.gate,
            wanted,
            name: wanted.url.to_string(),
            part_of: None,
        };
        transfer.run(sink)
    }

    pub(crate) fn agent(&self) -> Result<&Agent, HttpError> {
        if let Some(agent) = self.shared.agent.get() {
            return Ok(agent);
        }
        let agent = http_exchange::agent(&self.options().http)?;
        Ok(self.shared.agent.get_or_init(|| agent))
    }

    /// A key that anybody on the way may have exchanged proves nothing.
    pub(crate) fn warn_of_plain_http(&self, url: &HttpUrl) {
        if !url.is_secure() && !url.is_on_this_machine() {
            let text = format!("{url}: a key over http:// may be anybody's; use https://");
            self.options().http.tell(&Event::Warning(text));
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(self.options()).finish()
    }
}

/// Tells files from URLs, `file://` among them.
pub(crate) fn place(text: &str) -> Result<Place, RepositoryError> {
    match text.split_once("://") {
        None => Ok(Place::File(text.into())),
        Some(("file", path)) => Ok(Place::File(path.into())),
        Some(_) => parse_url(text).map(Place::Url),
    }
}

pub(crate) fn parse_url(text: &str) -> Result<HttpUrl, RepositoryError> {
    HttpUrl::parse(text).map_err(|source| RepositoryError::Url {
        at: http_exchange::without_login(text),
        source,
    })
}

/// The URL that `reference`, another URL or a path, means in a document at `base`.
///
/// It has no user name and password, not even those of `base`.
///
/// # Errors
/// When one of the two is no URL of a kind that can be fetched.
pub fn resolve_url(base: &str, reference: &str) -> Result<String, RepositoryError> {
    let joined = parse_url(base)?
        .join(reference)
        .map_err(|source| RepositoryError::Url {
            at: http_exchange::without_login(reference),
            source,
        })?;
    Ok(joined.to_string())
}

pub(crate) fn read_file(path: &Path) -> Result<Bytes, RepositoryError> {
    let read = fs::read(path).map(Bytes::from);
    read.map_err(|source| RepositoryError::Read {
        at: path.display().to_string(),
        source,
    })
}

/// A document as a key in PEM.
pub(crate) fn key(bytes: &[u8], at: &str) -> Result<String, RepositoryError> {
    let pem = String::from_utf8_lossy(bytes).into_owned();
    match PublicKey::from_pem(&pem) {
        Ok(_) => Ok(pem),
        Err(source) => Err(RepositoryError::Key {
            at: at.to_owned(),
            source,
        }),
    }
}

pub(crate) fn not_found(url: &HttpUrl) -> RepositoryError {
    let error = HttpError::Status {
        url: url.to_string(),
        status: 404,
        with_login: false,
        detail: String::new(),
    };
    error.into()
}
