//! What speaks with registries, and what is asked about one repository.

use std::sync::{Arc, Mutex, OnceLock};

use http_exchange::{Attempts, Gate, HttpError, HttpUrl};
use ureq::Agent;
use ureq::http::{HeaderMap, Method, StatusCode, header};

use super::RegistryOptions;
use super::call::{Answer, Call, Fault, Payload};
use super::error::RegistryError;
use crate::{Digest, media_type};

/// The header by which registries name what they have.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// The kinds of manifests that are asked for.
const MANIFESTS: [&str; 4] = [
    media_type::INDEX,
    media_type::MANIFEST,
    media_type::DOCKER_MANIFEST_LIST,
    media_type::DOCKER_MANIFEST,
];

/// What speaks with registries. Cloning it is cheap; the clones share connections and limits, and many threads may use it at
/// the same time.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: RegistryOptions,
    agent: OnceLock<Agent>,
    gate: Gate,
}

/// What somebody wants to do with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Pull,
    /// Read and write.
    Push,
}

/// A repository of a registry.
#[derive(Debug)]
pub struct Repository {
    pub(super) client: RegistryClient,
    pub(super) registry: String,
    pub(super) name: String,
    pub(super) access: Access,
    /// Other repositories that blobs may be taken over from.
    pub(super) sources: Vec<String>,
    /// The URL that all others are below of, `https://ghcr.io/v2/`.
    pub(super) base: HttpUrl,
    /// The value of `Authorization`, once the registry has asked for one.
    pub(super) authorization: Mutex<Option<String>>,
}

impl RegistryClient {
    /// A client. It does nothing yet: certificates are read with the first request.
    pub fn new(options: RegistryOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                gate: Gate::new(options.http.parallel),
                agent: OnceLock::new(),
                options,
            }),
        }
    }

    /// How it behaves.
    pub fn options(&self) -> &RegistryOptions {
        &self.shared.options
    }

    /// Finds a repository of a registry, such as `team/web` of `ghcr.io`. `sources` are other repositories of the registry
    /// that blobs may be taken over from. It need not be there yet.
    ///
    /// # Errors
    /// When the registry does not answer, or does not let the user in.
    pub fn repository(
        &self,
        registry: &str,
        name: &str,
        access: Access,
        sources: &[String],
    ) -> Result<Repository, RegistryError> {
        let url = |scheme: &str| {
            HttpUrl::parse(&format!("{scheme}://{registry}/v2/")).map_err(|source| RegistryError::Name {
                registry: registry.to_owned(),
                source,
            })
        };
        let (https, http) = (url("https")?, url("http")?);
        let has_port = https.port() != 443;
        let bases = match self.shared.options.allow_http || https.is_on_this_machine() {
            false => vec![https],
            // A port speaks one of the two, and a server that speaks TLS answers at once to what is none.
            true if has_port || https.is_on_this_machine() => vec![http, https],
            true => vec![https, http],
        };
        let last = bases.len() - 1;
        let mut repository = Repository {
            client: self.clone(),
            registry: registry.to_owned(),
            name: name.to_owned(),
            access,
            sources: sources.to_vec(),
            base: bases[last].clone(),
            authorization: Mutex::new(None),
        };
        for (number, base) in bases.into_iter().enumerate() {
            repository.base = base;
            if repository.knock(number == last)? {
                break;
            }
        }
        Ok(repository)
    }

    pub(super) fn agent(&self) -> Result<&Agent, HttpError> {
        if let Some(agent) = self.shared.agent.get() {
            return Ok(agent);
        }
        let agent = http_exchange::agent(&self.shared.options.http)?;
        Ok(self.shared.agent.get_or_init(|| agent))
    }
}

impl Repository {
    /// The registry.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository's name in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn sources(&self) -> &[String] {
        &self.sources
    }

    pub(super) fn options(&self) -> &RegistryOptions {
        &self.client.shared.options
    }

    /// Whether the registry has a blob.
    ///
    /// # Errors
    /// When it does not say.
    pub fn has_blob(&self, digest: Digest) -> Result<bool, RegistryError> {
        self.head("ask for", &format!("blobs/{digest}"), Some(digest))
            .map(|answer| answer.is_some())
    }

    /// Whether the registry has a manifest.
    ///
    /// # Errors
    /// When it does not say.
    pub fn has_manifest(&self, digest: Digest) -> Result<bool, RegistryError> {
        self.head("ask for", &format!("manifests/{digest}"), Some(digest))
            .map(|answer| answer.is_some())
    }

    /// The digest of what a tag names; `None` where there is no such tag, or the registry names no digest.
    ///
    /// # Errors
    /// When it does not say.
    pub fn digest_of_tag(&self, tag: &str) -> Result<Option<Digest>, RegistryError> {
        let headers = self.head("ask for", &format!("manifests/{tag}"), None)?;
        Ok(headers.and_then(|headers| headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()))
    }

    fn head(
        &self,
        action: &'static str,
        path: &str,
        digest: Option<Digest>,
    ) -> Result<Option<HeaderMap>, RegistryError> {
        let call = Call {
            headers: vec![(header::ACCEPT, MANIFESTS.join(", "))],
            ..self.request(Method::HEAD, path)?
        };
        let name = self.called(path);
        self.retrying(action, &name, digest, || {
            let answer = self.attempt(&call, &name)?;
            match answer.status() {
                StatusCode::NOT_FOUND => Ok(None),
                status if status.is_success() => Ok(Some(answer.headers().clone())),
                _ => Err(answer.refused(&name).into()),
            }
        })
    }

    /// Puts a manifest under a tag, or under its digest.
    ///
    /// # Errors
    /// When the registry does not take it, or takes something else.
    pub fn put_manifest(&self, reference: &str, media_type: &str, json: &[u8]) -> Result<(), RegistryError> {
        let path = format!("manifests/{reference}");
        let digest = Digest::of(json);
        let call = Call {
            headers: vec![(header::CONTENT_TYPE, media_type.to_owned())],
            payload: Payload::Bytes(json),
            ..self.request(Method::PUT, &path)?
        };
        let name = self.called(&path);
        self.retrying("write", &name, Some(digest), || {
            let answer = self.attempt(&call, &name)?;
            match answer.status().is_success() {
                true => {
                    self.check_digest(answer.headers(), digest)?;
                    answer.body();
                    Ok(())
                }
                false => Err(answer.refused(&name).into()),
            }
        })
    }

    /// Compares what the registry says it has with what was sent.
    pub(super) fn check_digest(&self, headers: &HeaderMap, digest: Digest) -> Result<(), RegistryError> {
        let found = headers.get(CONTENT_DIGEST).and_then(|value| value.to_str().ok());
        match found {
            Some(found) if found != digest.to_string() => Err(RegistryError::WrongDigest {
                registry: self.registry.clone(),
                repository: self.name.clone(),
                digest,
                found: found.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// A request of something below the repository.
    pub(super) fn request(&self, method: Method, path: &str) -> Result<Call<'static>, RegistryError> {
        let url = format!("{}{}/{path}", self.base.as_str(), self.name);
        Ok(Call {
            method,
            url: HttpUrl::parse(&url).map_err(|source| RegistryError::Name {
                registry: self.registry.clone(),
                source,
            })?,
            headers: Vec::new(),
            payload: Payload::None,
        })
    }

    /// What errors call a thing: as commands name it.
    fn called(&self, path: &str) -> String {
        let reference = path.rsplit('/').next().unwrap_or(path);
        let mark = if reference.contains(':') { '@' } else { ':' };
        format!("{}/{}{mark}{reference}", self.registry, self.name)
    }

    /// Does something again and again until it works, or there is no use in it.
    pub(super) fn retrying<T>(
        &self,
        action: &'static str,
        name: &str,
        digest: Option<Digest>,
        mut attempt: impl FnMut() -> Result<T, Fault>,
    ) -> Result<T, RegistryError> {
        let mut attempts = Attempts::new(&self.client.shared.options.http, name);
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(Fault::Other(error)) => return Err(error),
                Err(Fault::Http(trouble)) => attempts
                    .wait(trouble)
                    .map_err(|error| self.failed(action, digest, error))?,
            }
        }
    }

    pub(super) fn protocol(&self, reason: String) -> RegistryError {
        RegistryError::Protocol {
            registry: self.registry.clone(),
            repository: self.name.clone(),
            reason,
        }
    }

    pub(super) fn failed(
        &self,
        action: &'static str,
        digest: Option<Digest>,
        source: HttpError,
    ) -> RegistryError {
        let (registry, repository) = (self.registry.clone(), self.name.clone());
        match source {
            HttpError::Cancelled { .. } => RegistryError::Cancelled,
            HttpError::Status {
                status: status @ (401 | 403),
                with_login,
                detail,
                ..
            } => RegistryError::Denied {
                registry,
                repository,
                status,
                action: match self.access {
                    Access::Pull => "read",
                    Access::Push => "write to",
                },
                with_login,
                detail,
            },
            source => RegistryError::Http {
                registry,
                repository,
                digest,
                status: source.status(),
                action,
                source,
            },
        }
    }

    /// Sends a request once; where the registry wants another token, that is had, and it is sent once more.
    pub(super) fn attempt(&self, call: &Call<'_>, name: &str) -> Result<Answer, Fault> {
        if self.client.shared.options.http.is_cancelled() {
            return Err(RegistryError::Cancelled.into());
        }
        let _place = self.client.shared.gate.enter();
        // A registry may have blobs sent to another server, which gets no credentials.
        let is_own = call.url.is_of_same_server(&self.base);
        let used = self.authorization().filter(|_| is_own);
        let answer = self.client.send(call, used.as_deref(), name)?;
        if answer.status() != StatusCode::UNAUTHORIZED || !is_own {
            return Ok(answer);
        }
        match self.authorize(used.as_deref(), answer.headers())? {
            Some(new) => {
                answer.body();
                self.client.send(call, Some(&new), name)
            }
            None => Ok(answer),
        }
    }

    /// Asks whether a registry is there; false where this is no way to speak with it, and there is another one.
    fn knock(&self, is_last: bool) -> Result<bool, RegistryError> {
        let call = Call {
            method: Method::GET,
            url: self.base.clone(),
            headers: Vec::new(),
            payload: Payload::None,
        };
        let name = self.registry.clone();
        self.retrying("reach", &name, None, || {
            if self.client.shared.options.http.is_cancelled() {
                return Err(RegistryError::Cancelled.into());
            }
            let answer = match self.client.send(&call, None, &name) {
                Err(Fault::Http(_)) if !is_last => return Ok(false),
                answer => answer?,
            };
            match answer.status() {
                StatusCode::UNAUTHORIZED => {
                    self.authorize(None, answer.headers())?;
                    answer.body();
                    Ok(true)
                }
                status if status.is_success() => {
                    answer.body();
                    Ok(true)
                }
                status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    Err(answer.refused(&name).into())
                }
                // It may not answer here, and yet below.
                _ => Ok(is_last),
            }
        })
    }
}
