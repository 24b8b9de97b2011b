//! What speaks with a registry about one repository.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http_exchange::{
    Attempts, Gate, HttpError, HttpUrl, Timeouts, Trouble, following, proxy_for, refused, text,
};
use serde::Deserialize;
use ureq::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use ureq::{Agent, AsSendBody, Body, SendBody};

use super::RegistryOptions;
use super::auth::{Challenge, TokenAnswer, form};
use super::credentials::RegistryLogin;
use super::error::RegistryError;
use crate::{BlobSource, Digest, media_type};

/// The largest document that is read: a manifest, a token, an error.
const MAX_DOCUMENT: u64 = 4 << 20;

/// How much of an error's text is shown.
const MAX_DETAIL: usize = 300;

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
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: RegistryOptions,
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
    client: RegistryClient,
    registry: String,
    name: String,
    access: Access,
    /// Other repositories that blobs may be taken over from.
    sources: Vec<String>,
    /// The URL that all others are below of, `https://ghcr.io/v2/`.
    base: HttpUrl,
    /// The value of `Authorization`, once the registry has asked for one.
    authorization: Mutex<Option<String>>,
}

/// A request of a registry.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: HttpUrl,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) payload: Payload<'a>,
}

/// What goes with a request.
pub(super) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// A part of a blob, and who is told how many bytes of it were sent.
    Part {
        source: &'a BlobSource,
        start: u64,
        length: u64,
        sent: &'a dyn Fn(u64),
    },
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Fault {
    Http(Trouble),
    Other(RegistryError),
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        Self::Http(error.into())
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self::Http(trouble)
    }
}

impl From<RegistryError> for Fault {
    fn from(error: RegistryError) -> Self {
        Self::Other(error)
    }
}

/// The answer to a request, and whether credentials went with it.
pub(super) struct Answer {
    pub(super) response: Response<Body>,
    with_login: bool,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Reads all of the body, so that the connection can be used further.
    pub(super) fn body(self) -> Vec<u8> {
        let mut body = Vec::new();
        let reader = self.response.into_body().into_reader();
        // What matters was in the head; what is read otherwise is checked by its digest.
        let _ = reader.take(MAX_DOCUMENT).read_to_end(&mut body);
        body
    }

    /// The status as an error. `name` is what it is about.
    pub(super) fn refused(self, name: &str) -> Trouble {
        let with_login = self.with_login;
        let (status, headers) = (self.status(), self.headers().clone());
        let detail = detail(&self.body());
        refused(status, &headers, name, with_login).with_detail(detail)
    }
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

    fn agent(&self) -> Result<&Agent, HttpError> {
        if let Some(agent) = self.shared.agent.get() {
            return Ok(agent);
        }
        let agent = http_exchange::agent(&self.shared.options.http)?;
        Ok(self.shared.agent.get_or_init(|| agent))
    }

    /// Sends a request, to where the server sends to too.
    fn send(&self, call: &Call<'_>, login: Option<&str>, name: &str) -> Result<Answer, Fault> {
        let http = &self.shared.options.http;
        let send = |url: &HttpUrl, login: Option<&str>| {
            let mut request = Request::builder().method(call.method.clone()).uri(url.as_str());
            for (name, value) in &call.headers {
                request = request.header(name, value);
            }
            if let Some(login) = login {
                request = request.header(header::AUTHORIZATION, login);
            }
            let (mut part, length) = match &call.payload {
                Payload::None => return self.run(url, name, request.body(()), 0),
                Payload::Bytes(bytes) => (Part::new(Box::new(*bytes), &|_| {}), bytes.len() as u64),
                Payload::Part {
                    source,
                    start,
                    length,
                    sent,
                } => {
                    let reader = source.range(*start, *length).map_err(|source| HttpError::Keep {
                        url: name.to_owned(),
                        source,
                    })?;
                    (Part::new(reader, *sent), *length)
                }
            };
            let request = request.header(header::CONTENT_LENGTH, length);
            self.run(url, name, request.body(SendBody::from_reader(&mut part)), length)
        };
        let (response, with_login) = following(http, name, &call.url, login, send)?;
        Ok(Answer { response, with_login })
    }

    /// Sends a request with a body of so many bytes.
    fn run<S: AsSendBody>(
        &self,
        url: &HttpUrl,
        name: &str,
        request: Result<Request<S>, ureq::http::Error>,
        length: u64,
    ) -> Result<Result<Response<Body>, ureq::Error>, HttpError> {
        let http = &self.shared.options.http;
        let agent = self.agent()?;
        let request = request.map_err(|error| HttpError::Protocol {
            url: name.to_owned(),
            reason: error.to_string(),
        })?;
        let time = http.timeouts.stall + Duration::from_secs(length / Timeouts::SLOWEST);
        let request = agent
            .configure_request(request)
            .proxy(proxy_for(url, &http.proxies)?)
            .timeout_send_body(Some(time))
            .build();
        Ok(agent.run(request))
    }
}

/// A reader that says how much was read of it.
struct Part<'a> {
    reader: Box<dyn Read + 'a>,
    sent: &'a dyn Fn(u64),
    bytes: u64,
}

impl<'a> Part<'a> {
    fn new(reader: Box<dyn Read + 'a>, sent: &'a dyn Fn(u64)) -> Self {
        Self {
            reader,
            sent,
            bytes: 0,
        }
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bytes += count as u64;
        (self.sent)(self.bytes);
        Ok(count)
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

    fn authorization(&self) -> Option<String> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Meets the challenge of a registry; `None` where there is nothing to meet it with. `used` is what went with the
    /// request that it did not take: where another thread has something newer, that is it.
    fn authorize(&self, used: Option<&str>, headers: &HeaderMap) -> Result<Option<String>, RegistryError> {
        let mut authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        if authorization.as_deref() != used {
            return Ok(authorization.clone());
        }
        let values = headers.get_all(header::WWW_AUTHENTICATE);
        let challenge = Challenge::choose(values.iter().filter_map(|value| value.to_str().ok()));
        let credentials = &self.client.shared.options.credentials;
        let login =
            credentials
                .find(&self.registry, &self.name)
                .map_err(|source| RegistryError::Credentials {
                    registry: self.registry.clone(),
                    source,
                })?;
        let new = match (challenge, login) {
            (_, Some(RegistryLogin::RegistryToken(token))) => Some(format!("Bearer {token}")),
            (Some(Challenge::Basic), Some(RegistryLogin::Password(login))) => Some(login.header()),
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }),
                login,
            ) => Some(self.token(&realm, service.as_deref(), scope.as_deref(), login)?),
            _ => None,
        };
        // What it did not take a moment ago it will not take now.
        let new = new.filter(|new| used != Some(new.as_str()));
        authorization.clone_from(&new);
        Ok(new)
    }

    /// Gets a token. The one that is asked for is for all that will be done here.
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
        login: Option<RegistryLogin>,
    ) -> Result<String, RegistryError> {
        let protocol = |reason: String| RegistryError::Protocol {
            registry: self.registry.clone(),
            repository: self.name.clone(),
            reason,
        };
        let url =
            HttpUrl::parse(realm).map_err(|error| protocol(format!("tokens are at `{realm}`: {error}")))?;
        if self.base.is_secure() && !url.is_secure() {
            return Err(RegistryError::UnsafeRealm {
                registry: self.registry.clone(),
                realm: url.to_string(),
            });
        }
        let wanted = format!(
            "repository:{}:{}",
            self.name,
            match self.access {
                Access::Pull => "pull",
                Access::Push => "pull,push",
            }
        );
        let others: Vec<String> = self
            .sources
            .iter()
            .map(|name| format!("repository:{name}:pull"))
            .collect();
        let scopes: Vec<&str> = std::iter::once(wanted.as_str())
            .chain(others.iter().map(String::as_str))
            // Registries may know of scopes of their own.
            .chain(scope.filter(|scope| !scope.starts_with("repository:")))
            .collect();
        let mut fields = Vec::new();
        fields.extend(service.map(|service| ("service", service)));
        let name = format!("a token for {}/{} from {url}", self.registry, self.name);
        let posted;
        let (call, login) = match &login {
            Some(RegistryLogin::IdentityToken(token)) => {
                let scopes = scopes.join(" ");
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "apko"),
                    ("scope", scopes.as_str()),
                    ("refresh_token", token.as_str()),
                ]);
                posted = form(&fields);
                let content_type = "application/x-www-form-urlencoded".to_owned();
                let call = Call {
                    method: Method::POST,
                    url,
                    headers: vec![(header::CONTENT_TYPE, content_type)],
                    payload: Payload::Bytes(posted.as_bytes()),
                };
                (call, None)
            }
            login => {
                fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
                let mark = if realm.contains('?') { '&' } else { '?' };
                let url = HttpUrl::parse(&format!("{realm}{mark}{}", form(&fields)))
                    .map_err(|error| protocol(format!("tokens are at `{realm}`: {error}")))?;
                let call = Call {
                    method: Method::GET,
                    url,
                    headers: Vec::new(),
                    payload: Payload::None,
                };
                let login = match login {
                    Some(RegistryLogin::Password(login)) => Some(login.header()),
                    _ => None,
                };
                (call, login)
            }
        };
        let is_known = login.is_some() || call.method == Method::POST;
        let body = self.retrying("get", &name, None, || {
            let mut answer = self.client.send(&call, login.as_deref(), &name)?;
            answer.with_login = is_known;
            match answer.status().is_success() {
                true => Ok(answer.body()),
                false => Err(answer.refused(&name).into()),
            }
        })?;
        let answer: TokenAnswer = serde_json::from_slice(&body)
            .map_err(|_| protocol(format!("{name}: it is not JSON with a token")))?;
        let token = answer
            .token()
            .ok_or_else(|| protocol(format!("{name}: there is none in the answer")))?;
        Ok(format!("Bearer {token}"))
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

/// What a registry says of an error, behind `: `.
fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Document {
        errors: Vec<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(document) = serde_json::from_slice::<Document>(body) else {
        return String::new();
    };
    let said = document
        .errors
        .into_iter()
        .map(|error| match error.message.is_empty() {
            true => error.code,
            false => error.message,
        });
    let said: Vec<String> = said.filter(|said| !said.is_empty()).collect();
    let said: String = said
        .join("; ")
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_DETAIL)
        .collect();
    match said.as_str() {
        "" => said,
        _ => format!(": {said}"),
    }
}

/// Where an upload goes on, as an answer says it.
pub(super) fn location(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::LOCATION)
}
