//! An HTTP server for tests, which misbehaves where it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufReader, Read as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;

use crate::connection::{Listener, Stream, accept, read_head, reset, tls};

/// Serves a directory on a port of its own, until it is dropped.
///
/// It knows `GET`, `HEAD`, `PUT` where it is told to [take files](Self::take_files), `If-None-Match`, `Range: bytes=N-` with `If-Range`, and basic authentication, keeps
/// connections open, and stands in for a proxy too: what is asked for as a whole URL, or behind a `CONNECT`, it serves
/// out of its own directory.
///
/// ```
/// use testkit::{Fault, Package, Repository, Server};
///
/// let repository = Repository::new("x86_64");
/// repository.publish(&[Package::new("hello", "1.0-r0")]);
/// let server = Server::start(repository.path());
/// server.fail("/x86_64/APKINDEX.tar.gz", [Fault::status(500)]);
/// // The first request of `{server.url()}/x86_64/APKINDEX.tar.gz` gets the status 500, the next ones the file.
/// assert!(server.requests().is_empty());
/// ```
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listener: Listener,
    certificate: Option<String>,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// The path, or whatever stood in its place.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What was sent with it.
    pub body: Vec<u8>,
    /// The status that it was answered with.
    pub status: u16,
}

impl Request {
    /// The size of the body in bytes, as the head states it.
    pub(crate) fn length(&self) -> u64 {
        let length = self.headers.get("content-length");
        length.and_then(|length| length.parse().ok()).unwrap_or(0)
    }
}

/// A way to answer that a client must withstand.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error, with headers of its own.
    Status(u16, Vec<(&'static str, String)>),
    /// Closes the connection after so many bytes of the body.
    Truncate(usize),
    /// Resets the connection after so many bytes of the body.
    Reset(usize),
    /// Sends nothing more after so many bytes of the body, and keeps the connection open.
    Stall(usize),
    /// Sends the body byte by byte, with a pause before each.
    Drip(Duration),
    /// States another length than the body has.
    Length(u64),
    /// Sends another content in place of the file's.
    Body(Vec<u8>),
    /// States another `ETag` than the content has.
    ETag(String),
    /// Sends the file with further headers.
    Headers(Vec<(&'static str, String)>),
    /// Says that nothing has changed, whatever was asked.
    NotModified,
    /// Sends the whole file where a part was asked for.
    IgnoreRange,
    /// Sends the beginning of the file where another part was asked for, and says so.
    WrongRange,
}

impl Fault {
    /// An error without headers of its own.
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new())
    }

    /// A redirect to a URL or path.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::Status(302, vec![("Location", to.into())])
    }

    /// An error after which the client is to wait so many seconds.
    pub fn retry_after(status: u16, seconds: u32) -> Self {
        Self::Status(status, vec![("Retry-After", seconds.to_string())])
    }
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    tls: Option<Arc<ServerConfig>>,
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    requests: Vec<Request>,
    once: BTreeMap<String, VecDeque<Fault>>,
    always: BTreeMap<String, Fault>,
    /// What `Authorization` must be.
    authorization: Option<String>,
    /// Whether files can be put into the directory.
    takes_files: bool,
    /// How many requests are being answered, and the most that ever were.
    busy: usize,
    most_busy: usize,
    /// How long each answer takes.
    delay: Duration,
}

impl Server {
    /// Serves a directory over HTTP.
    pub fn start(root: &Path) -> Self {
        Self::listen(root, None)
    }

    /// Serves a directory over HTTPS for `localhost`, with a certificate of its own.
    pub fn start_tls(root: &Path) -> Self {
        Self::listen(root, Some(tls()))
    }

    fn listen(root: &Path, tls: Option<(Arc<ServerConfig>, String)>) -> Self {
        let (tls, certificate) = tls.unzip();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            tls,
            state: Mutex::default(),
            stopped: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        Self {
            listener: Listener::start(move |stream| serving.serve(stream)),
            shared,
            certificate,
        }
    }

    /// The URL of the directory, without a slash at its end.
    pub fn url(&self) -> String {
        match self.shared.tls {
            Some(_) => format!("https://localhost:{}", self.listener.address().port()),
            None => format!("http://{}", self.listener.address()),
        }
    }

    /// The URL of the directory with another name for the host.
    pub fn url_at(&self, host: &str) -> String {
        format!("http://{host}:{}", self.listener.address().port())
    }

    /// Where it listens, `HOST:PORT`.
    pub fn authority(&self) -> String {
        self.listener.address().to_string()
    }

    /// The certificate that it shows, in PEM; `None` without TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Answers the next requests of a path so, one after the other.
    pub fn fail(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut state = self.shared.state.lock().unwrap();
        state.once.entry(path.to_owned()).or_default().extend(faults);
    }

    /// Answers all requests of a path so, after those of [`Server::fail`].
    pub fn always(&self, path: &str, fault: Fault) {
        let mut state = self.shared.state.lock().unwrap();
        state.always.insert(path.to_owned(), fault);
    }

    /// Answers all requests with the status 401 that have not this value of `Authorization`.
    pub fn require(&self, authorization: &str) {
        self.shared.state.lock().unwrap().authorization = Some(authorization.to_owned());
    }

    /// Takes files by `PUT` from now on, into its directory.
    pub fn take_files(&self) {
        self.shared.state.lock().unwrap().takes_files = true;
    }

    /// Waits before each answer.
    pub fn delay(&self, delay: Duration) {
        self.shared.state.lock().unwrap().delay = delay;
    }

    /// The requests that were answered since the last call, in order of their answers.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.state.lock().unwrap().requests)
    }

    /// The most requests that it was answering at a time.
    pub fn most_at_once(&self) -> usize {
        self.shared.state.lock().unwrap().most_busy
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut state) = self.shared.state.lock() {
            state.stop = true;
        }
        self.shared.stopped.notify_all();
    }
}

/// What is sent, and in which way.
#[derive(Default)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    length: Option<u64>,
    end: End,
    /// What follows is another connection, inside of this one.
    is_tunnel: bool,
}

#[derive(Default)]
enum End {
    #[default]
    Whole,
    Truncate(usize),
    Reset(usize),
    Stall(usize),
    Drip(Duration),
}

impl Shared {
    fn serve(&self, tcp: TcpStream) -> io::Result<()> {
        let below = tcp.try_clone()?;
        let mut stream = accept(tcp, self.tls.as_ref())?;
        while let Some(mut request) = read_request(&mut stream)? {
            let answer = self.answer(&request);
            request.status = answer.status;
            let is_head = request.method == "HEAD";
            {
                let mut state = self.state.lock().unwrap();
                state.requests.push(request);
                state.busy += 1;
                state.most_busy = state.most_busy.max(state.busy);
                let delay = state.delay;
                drop(state);
                thread::sleep(delay);
            }
            let sent = self.send(stream.get_mut(), &below, &answer, is_head);
            self.state.lock().unwrap().busy -= 1;
            if !sent? {
                break;
            }
        }
        Ok(())
    }

    fn answer(&self, request: &Request) -> Answer {
        if request.method == "CONNECT" {
            return Answer {
                status: 200,
                is_tunnel: true,
                ..Answer::default()
            };
        }
        let path = path_of(&request.target);
        let (fault, takes_files) = {
            let mut state = self.state.lock().unwrap();
            if let Some(wanted) = &state.authorization
                && request.headers.get("authorization") != Some(wanted)
            {
                return Answer {
                    status: 401,
                    body: b"who are you?".to_vec(),
                    ..Answer::default()
                };
            }
            let next = state.once.get_mut(path).and_then(VecDeque::pop_front);
            (
                next.or_else(|| state.always.get(path).cloned()),
                state.takes_files,
            )
        };
        if let Some(Fault::Status(status, headers)) = fault {
            return Answer {
                status,
                headers,
                body: b"an error".to_vec(),
                ..Answer::default()
            };
        }
        if request.method == "PUT" {
            let status = match takes_files {
                true => self.put(path, &request.body),
                false => 405,
            };
            return Answer {
                status,
                ..Answer::default()
            };
        }
        let body = match &fault {
            Some(Fault::Body(body)) => Some(body.clone()),
            _ => fs::read(self.root.join(path.trim_start_matches('/'))).ok(),
        };
        match body {
            Some(body) => file(request, body, fault),
            None => Answer {
                status: 404,
                body: b"not here".to_vec(),
                ..Answer::default()
            },
        }
    }

    /// Puts a file into the directory; the status of the answer.
    fn put(&self, path: &str, content: &[u8]) -> u16 {
        let path = self.root.join(path.trim_start_matches('/'));
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        match made.and_then(|()| fs::write(path, content)) {
            Ok(()) => 201,
            Err(_) => 500,
        }
    }

    /// Sends an answer, and returns whether the connection can be used further.
    fn send(
        &self,
        stream: &mut dyn Stream,
        below: &TcpStream,
        answer: &Answer,
        is_head: bool,
    ) -> io::Result<bool> {
        let mut head = format!("HTTP/1.1 {} Whatever\r\n", answer.status);
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let length = answer.length.unwrap_or(answer.body.len() as u64);
        if answer.status != 304 && !answer.is_tunnel {
            head += &format!("Content-Length: {length}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes())?;
        let body = match is_head || answer.status == 304 {
            true => &[][..],
            false => &answer.body,
        };
        let first = |count: usize| &body[..count.min(body.len())];
        match answer.end {
            End::Whole => stream.write_all(body)?,
            End::Truncate(count) | End::Reset(count) | End::Stall(count) => stream.write_all(first(count))?,
            End::Drip(pause) => {
                for byte in body {
                    stream.flush()?;
                    if self.is_stopped_after(pause) {
                        return Ok(false);
                    }
                    stream.write_all(&[*byte])?;
                }
            }
        }
        stream.flush()?;
        match answer.end {
            End::Stall(_) => while !self.is_stopped_after(Duration::from_secs(3600)) {},
            End::Reset(_) => reset(below)?,
            End::Whole | End::Drip(_) => return Ok(length == answer.body.len() as u64),
            End::Truncate(_) => {}
        }
        Ok(false)
    }

    fn is_stopped_after(&self, pause: Duration) -> bool {
        let state = self.state.lock().unwrap();
        let wait = self.stopped.wait_timeout_while(state, pause, |state| !state.stop);
        wait.unwrap().0.stop
    }
}

/// The answer to the request of a file.
fn file(request: &Request, mut body: Vec<u8>, fault: Option<Fault>) -> Answer {
    let mut answer = Answer {
        status: 200,
        ..Answer::default()
    };
    let mut etag = etag(&body);
    let whole = body.len();
    let mut start = range_start(request, &etag);
    match fault {
        Some(Fault::ETag(other)) => etag = other,
        Some(Fault::Headers(headers)) => answer.headers = headers,
        Some(Fault::Length(length)) => answer.length = Some(length),
        Some(Fault::Truncate(count)) => answer.end = End::Truncate(count),
        Some(Fault::Reset(count)) => answer.end = End::Reset(count),
        Some(Fault::Stall(count)) => answer.end = End::Stall(count),
        Some(Fault::Drip(pause)) => answer.end = End::Drip(pause),
        Some(Fault::IgnoreRange) => start = None,
        Some(Fault::WrongRange) => start = start.map(|_| 0),
        Some(Fault::NotModified) => answer.status = 304,
        Some(Fault::Status(..) | Fault::Body(_)) | None => {}
    }
    if request.headers.get("if-none-match") == Some(&etag) {
        answer.status = 304;
    }
    match start {
        Some(start) if start >= whole => {
            answer.status = 416;
            answer.headers.push(("Content-Range", format!("bytes */{whole}")));
            body.clear();
        }
        Some(start) => {
            answer.status = 206;
            let last = whole - 1;
            let range = format!("bytes {start}-{last}/{whole}");
            answer.headers.push(("Content-Range", range));
            body.drain(..start);
        }
        None => {}
    }
    answer.headers.push(("Accept-Ranges", "bytes".to_owned()));
    if !answer.headers.iter().any(|(name, _)| *name == "ETag") {
        answer.headers.push(("ETag", etag));
    }
    answer.body = body;
    answer
}

/// Where the part begins that is asked for, unless the file has changed since.
fn range_start(request: &Request, etag: &str) -> Option<usize> {
    let start = request.headers.get("range")?.strip_prefix("bytes=")?;
    let start = start.strip_suffix('-')?.parse().ok()?;
    let is_current = request.headers.get("if-range").is_none_or(|known| known == etag);
    is_current.then_some(start)
}

fn etag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// The path of a target, which is a whole URL when a proxy is asked.
fn path_of(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// The next request of a connection, `None` at its end.
fn read_request(stream: &mut BufReader<Box<dyn Stream>>) -> io::Result<Option<Request>> {
    let Some(mut request) = read_head(stream)? else {
        return Ok(None);
    };
    stream.take(request.length()).read_to_end(&mut request.body)?;
    Ok(Some(request))
}
