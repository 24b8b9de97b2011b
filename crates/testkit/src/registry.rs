//! A registry of images for tests, which misbehaves where it is told to.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::connection::{Listener, Stream, accept, read_head, reset, tls};
use crate::server::Request;

/// A registry (OCI distribution 1.1) in memory, on a port of its own, until it is dropped.
///
/// It knows uploads in parts, as a whole and by mounting, `HEAD` and `GET` of blobs and manifests, tags, referrers, and
/// authentication. It takes a manifest only when it has all that the manifest names.
///
/// ```
/// use testkit::{RegistryFault, RegistryServer};
///
/// let registry = RegistryServer::start();
/// registry.fail("PATCH", "/blobs/uploads/", [RegistryFault::Reset(1000)]);
/// // The first part that is sent to it breaks off after 1000 bytes, which it keeps.
/// assert!(registry.requests().is_empty());
/// ```
#[derive(Debug)]
pub struct RegistryServer {
    shared: Arc<Shared>,
    listener: Listener,
    certificate: Option<String>,
}

/// Who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// Anybody anything.
    #[default]
    None,
    /// A user with a password.
    Basic(String, String),
    /// Who has a token; a user gets one for the password, or for the identity token `identity`.
    Bearer(String, String),
}

/// A way to answer that a client must withstand.
#[derive(Clone, Debug)]
pub enum RegistryFault {
    /// An error with headers and a message.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Takes so many bytes of the body, and resets the connection.
    Reset(u64),
    /// Does what it is asked to, and resets the connection in the place of an answer.
    ResetAfterwards,
    /// Forgets all uploads, and says so.
    LoseUploads,
    /// Says that it has something else than what it was sent.
    WrongDigest,
    /// Waits before it answers.
    Slow(Duration),
    /// Takes no token that it gave out so far.
    ExpireTokens,
}

impl RegistryFault {
    /// An error without headers of its own.
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), "on purpose".to_owned())
    }
}

#[derive(Debug, Default)]
struct Shared {
    tls: Option<Arc<ServerConfig>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    /// Method, part of the path, and what happens.
    faults: Vec<(String, String, RegistryFault)>,
    authentication: Authentication,
    /// The number in the tokens that are taken.
    token: usize,
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and digest: media type and content.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// By repository and tag.
    tags: BTreeMap<(String, String), String>,
    uploads: BTreeMap<String, Vec<u8>>,
    begun: usize,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({ "errors": [{ "code": code, "message": message }] });
        Self {
            body: body.to_string().into_bytes(),
            ..Self::new(status)
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl RegistryServer {
    /// A registry without anything in it, over HTTP.
    pub fn start() -> Self {
        Self::listen(None)
    }

    /// The same over HTTPS for `localhost`, with a certificate of its own.
    pub fn start_tls() -> Self {
        Self::listen(Some(tls()))
    }

    fn listen(tls: Option<(Arc<ServerConfig>, String)>) -> Self {
        let (tls, certificate) = tls.unzip();
        let shared = Arc::new(Shared {
            tls,
            ..Shared::default()
        });
        let serving = Arc::clone(&shared);
        Self {
            listener: Listener::start(move |stream| serving.serve(stream)),
            shared,
            certificate,
        }
    }

    /// The registry as image names have it, `HOST:PORT`.
    pub fn authority(&self) -> String {
        match self.shared.tls {
            Some(_) => format!("localhost:{}", self.listener.address().port()),
            None => self.listener.address().to_string(),
        }
    }

    /// The certificate that it shows, in PEM; `None` without TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Wants this of whoever asks from now on.
    pub fn authenticate(&self, authentication: Authentication) {
        self.shared.state.lock().unwrap().authentication = authentication;
    }

    /// Answers the next requests of a method so whose path contains `path`, one after the other.
    pub fn fail(&self, method: &str, path: &str, faults: impl IntoIterator<Item = RegistryFault>) {
        let mut state = self.shared.state.lock().unwrap();
        for fault in faults {
            state.faults.push((method.to_owned(), path.to_owned(), fault));
        }
    }

    /// The requests that came since the last call, without their bodies.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.state.lock().unwrap().requests)
    }

    /// The same in short: method, path and status.
    pub fn log(&self) -> Vec<String> {
        let line = |request: &Request| format!("{} {} {}", request.method, request.target, request.status);
        self.requests().iter().map(line).collect()
    }

    /// What a tag or a digest names: its digest, media type and content.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<(String, String, Vec<u8>)> {
        let state = self.shared.state.lock().unwrap();
        let (digest, media_type, content) = state.manifest(repository, reference)?;
        Some((digest, media_type.clone(), content.clone()))
    }

    /// A blob.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        let state = self.shared.state.lock().unwrap();
        state
            .blobs
            .get(&(repository.to_owned(), digest.to_owned()))
            .cloned()
    }

    /// The tags of a repository.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let state = self.shared.state.lock().unwrap();
        let tags = state.tags.keys().filter(|(name, _)| name == repository);
        tags.map(|(_, tag)| tag.clone()).collect()
    }
}

impl Shared {
    fn serve(&self, tcp: TcpStream) -> io::Result<()> {
        let below = tcp.try_clone()?;
        let mut stream = accept(tcp, self.tls.as_ref())?;
        while let Some(request) = read_head(&mut stream)? {
            if !self.one(request, &mut stream, &below)? {
                break;
            }
        }
        Ok(())
    }

    /// Answers a request, and returns whether the connection can be used further.
    fn one(
        &self,
        mut request: Request,
        stream: &mut BufReader<Box<dyn Stream>>,
        below: &TcpStream,
    ) -> io::Result<bool> {
        let fault = {
            let mut state = self.state.lock().unwrap();
            let fits = |(method, path, _): &(String, String, _)| {
                *method == request.method && request.target.contains(path.as_str())
            };
            let at = state.faults.iter().position(fits);
            at.map(|at| state.faults.remove(at).2)
        };
        let length = match fault {
            Some(RegistryFault::Reset(bytes)) => request.length().min(bytes),
            _ => request.length(),
        };
        stream.take(length).read_to_end(&mut request.body)?;
        if let Some(RegistryFault::Slow(pause)) = fault {
            thread::sleep(pause);
        }
        let mut answer = {
            let mut state = self.state.lock().unwrap();
            if let Some(RegistryFault::Status(status, ..)) = fault {
                request.status = status;
            }
            let answer = state.misbehave(&request, fault.as_ref());
            let answer = answer.unwrap_or_else(|| state.answer(&request, self.tls.is_some()));
            request.status = answer.status;
            request.body = Vec::new();
            state.requests.push(request.clone());
            answer
        };
        match fault {
            Some(RegistryFault::Reset(_) | RegistryFault::ResetAfterwards) => {
                reset(below)?;
                return Ok(false);
            }
            Some(RegistryFault::WrongDigest) => {
                answer
                    .headers
                    .retain(|(name, _)| *name != "Docker-Content-Digest");
                answer = answer.with("Docker-Content-Digest", digest(b"something else"));
            }
            _ => {}
        }
        let mut head = format!("HTTP/1.1 {} Whatever\r\n", answer.status);
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let has_length = answer.status != 204;
        if has_length {
            head += &format!("Content-Length: {}\r\n", answer.body.len());
        }
        let out = stream.get_mut();
        out.write_all(format!("{head}\r\n").as_bytes())?;
        if request.method != "HEAD" && has_length {
            out.write_all(&answer.body)?;
        }
        out.flush()?;
        Ok(true)
    }
}

impl State {
    fn misbehave(&mut self, request: &Request, fault: Option<&RegistryFault>) -> Option<Answer> {
        match fault? {
            RegistryFault::Status(status, headers, message) => {
                let mut answer = Answer::error(*status, "FAULT", message);
                answer.headers.clone_from(headers);
                Some(answer)
            }
            RegistryFault::Reset(_) => {
                let id = request
                    .target
                    .split('?')
                    .next()
                    .unwrap_or_default()
                    .rsplit('/')
                    .next();
                if let Some(upload) = id.and_then(|id| self.uploads.get_mut(id)) {
                    upload.extend_from_slice(&request.body);
                }
                Some(Answer::new(0))
            }
            RegistryFault::LoseUploads => {
                self.uploads.clear();
                Some(Answer::error(
                    404,
                    "BLOB_UPLOAD_UNKNOWN",
                    "blob upload unknown to registry",
                ))
            }
            RegistryFault::ExpireTokens => {
                self.token += 1;
                None
            }
            _ => None,
        }
    }

    fn answer(&mut self, request: &Request, is_tls: bool) -> Answer {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let query = parameters(query);
        if path == "/token" {
            return self.give_token(request);
        }
        if let Some(answer) = self.unauthorized(request, is_tls) {
            return answer;
        }
        let Some(path) = path.strip_prefix("/v2/") else {
            return Answer::error(404, "NOT_FOUND", "no such page");
        };
        if path.is_empty() {
            return Answer::new(200);
        }
        for (part, answer) in [
            (
                "/blobs/uploads/",
                Self::upload as fn(&mut Self, &str, &str, &Request, &Query) -> Answer,
            ),
            ("/blobs/", Self::get_blob),
            ("/manifests/", Self::manifests),
            ("/referrers/", Self::referrers),
        ] {
            if let Some((repository, rest)) = path.split_once(part) {
                return answer(self, repository, rest, request, &query);
            }
        }
        Answer::error(404, "NAME_UNKNOWN", "no such repository")
    }

    fn unauthorized(&self, request: &Request, is_tls: bool) -> Option<Answer> {
        let given = request.headers.get("authorization").map(String::as_str);
        let denied = || Answer::error(401, "UNAUTHORIZED", "authentication required");
        match &self.authentication {
            Authentication::None => None,
            Authentication::Basic(user, password) => (given != Some(&basic(user, password)))
                .then(|| denied().with("WWW-Authenticate", "Basic realm=\"testkit\"")),
            Authentication::Bearer(..) => {
                (given != Some(&format!("Bearer token-{}", self.token))).then(|| {
                    let host = request.headers.get("host").map_or("", String::as_str);
                    let scheme = if is_tls { "https" } else { "http" };
                    let challenge = format!("Bearer realm=\"{scheme}://{host}/token\",service=\"testkit\"");
                    denied().with("WWW-Authenticate", challenge)
                })
            }
        }
    }

    fn give_token(&self, request: &Request) -> Answer {
        let Authentication::Bearer(user, password) = &self.authentication else {
            return Answer::error(404, "NOT_FOUND", "no tokens here");
        };
        let is_known = match request.method.as_str() {
            "POST" => String::from_utf8_lossy(&request.body).contains("refresh_token=identity"),
            _ => request.headers.get("authorization") == Some(&basic(user, password)),
        };
        match is_known {
            true => Answer {
                body: json!({ "token": format!("token-{}", self.token) })
                    .to_string()
                    .into_bytes(),
                ..Answer::new(200)
            },
            false => Answer::error(401, "UNAUTHORIZED", "wrong user name or password"),
        }
    }

    fn upload(&mut self, repository: &str, id: &str, request: &Request, query: &Query) -> Answer {
        let place = |id: &str| format!("/v2/{repository}/blobs/uploads/{id}?state=x");
        match (request.method.as_str(), id) {
            ("POST", _) => {
                if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from"))
                    && let Some(blob) = self.blobs.get(&(from.clone(), digest.clone())).cloned()
                {
                    self.blobs.insert((repository.to_owned(), digest.clone()), blob);
                    return Answer::new(201).with("Docker-Content-Digest", digest);
                }
                self.begun += 1;
                let id = self.begun.to_string();
                self.uploads.insert(id.clone(), Vec::new());
                Answer::new(202).with("Location", place(&id)).with("Range", "0-0")
            }
            ("PUT", id) => {
                let Some(mut content) = self.uploads.remove(id) else {
                    return Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
                };
                content.extend_from_slice(&request.body);
                match query.get("digest") {
                    Some(wanted) if *wanted == digest(&content) => {
                        self.blobs
                            .insert((repository.to_owned(), wanted.clone()), content);
                        Answer::new(201).with("Docker-Content-Digest", wanted)
                    }
                    _ => Answer::error(
                        400,
                        "DIGEST_INVALID",
                        "provided digest did not match uploaded content",
                    ),
                }
            }
            (method, id) => {
                let Some(content) = self.uploads.get_mut(id) else {
                    return Answer::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
                };
                if method == "PATCH" {
                    let start = request
                        .headers
                        .get("content-range")
                        .and_then(|range| range.split('-').next());
                    if start.is_some_and(|start| start != content.len().to_string()) {
                        return Answer::error(416, "RANGE_INVALID", "invalid content range");
                    }
                    content.extend_from_slice(&request.body);
                }
                let status = if method == "PATCH" { 202 } else { 204 };
                let last = content.len().saturating_sub(1);
                Answer::new(status)
                    .with("Location", place(id))
                    .with("Range", format!("0-{last}"))
            }
        }
    }

    fn get_blob(&mut self, repository: &str, digest: &str, _: &Request, _: &Query) -> Answer {
        match self.blobs.get(&(repository.to_owned(), digest.to_owned())) {
            Some(blob) => Answer {
                body: blob.clone(),
                ..Answer::new(200).with("Docker-Content-Digest", digest)
            },
            None => Answer::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        }
    }

    fn manifests(&mut self, repository: &str, reference: &str, request: &Request, _: &Query) -> Answer {
        if request.method == "PUT" {
            return self.put_manifest(repository, reference, request);
        }
        match self.manifest(repository, reference) {
            Some((digest, media_type, content)) => Answer {
                body: content.clone(),
                ..Answer::new(200)
                    .with("Docker-Content-Digest", digest)
                    .with("Content-Type", media_type.clone())
            },
            None => Answer::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }

    fn manifest(&self, repository: &str, reference: &str) -> Option<(String, &String, &Vec<u8>)> {
        let key = (repository.to_owned(), reference.to_owned());
        let digest = self.tags.get(&key).cloned().unwrap_or(key.1);
        let (media_type, content) = self.manifests.get(&(key.0, digest.clone()))?;
        Some((digest, media_type, content))
    }

    fn put_manifest(&mut self, repository: &str, reference: &str, request: &Request) -> Answer {
        let Ok(document) = serde_json::from_slice::<Value>(&request.body) else {
            return Answer::error(400, "MANIFEST_INVALID", "it is not JSON");
        };
        let digest = digest(&request.body);
        let named = |value: &Value| Some((repository.to_owned(), value["digest"].as_str()?.to_owned()));
        let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
        let blobs = list("layers").into_iter().chain([document["config"].clone()]);
        let missing = blobs
            .filter_map(|blob| named(&blob))
            .any(|blob| !self.blobs.contains_key(&blob));
        let manifests = list("manifests");
        let is_orphan = manifests
            .iter()
            .filter_map(named)
            .any(|one| !self.manifests.contains_key(&one));
        if missing || is_orphan {
            return Answer::error(400, "MANIFEST_BLOB_UNKNOWN", "it names what is not here");
        }
        let media_type = request.headers.get("content-type").cloned().unwrap_or_default();
        let key = (repository.to_owned(), digest.clone());
        self.manifests.insert(key, (media_type, request.body.clone()));
        if reference.starts_with("sha256:") && reference != digest {
            return Answer::error(400, "DIGEST_INVALID", "another digest");
        }
        if !reference.starts_with("sha256:") {
            self.tags
                .insert((repository.to_owned(), reference.to_owned()), digest.clone());
        }
        Answer::new(201).with("Docker-Content-Digest", digest)
    }

    fn referrers(&mut self, repository: &str, subject: &str, _: &Request, _: &Query) -> Answer {
        let mut entries = Vec::new();
        for ((name, digest), (media_type, content)) in &self.manifests {
            let document: Value = serde_json::from_slice(content).unwrap_or_default();
            if name == repository && document["subject"]["digest"] == subject {
                entries.push(json!({
                    "mediaType": media_type,
                    "digest": digest,
                    "size": content.len(),
                    "artifactType": document["artifactType"],
                }));
            }
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
        });
        Answer {
            body: index.to_string().into_bytes(),
            ..Answer::new(200).with("Content-Type", "application/vnd.oci.image.index.v1+json")
        }
    }
}

type Query = BTreeMap<String, String>;

fn parameters(query: &str) -> Query {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.replace("%3A", ":")))
        .collect()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}
