//! Single requests, and their answers.

use std::io::{self, Read};
use std::time::Duration;

use http_exchange::{HttpError, HttpUrl, Timeouts, Trouble, following, proxy_for, refused, text};
use serde::Deserialize;
use ureq::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use ureq::{AsSendBody, Body, SendBody};

use super::client::RegistryClient;
use super::error::RegistryError;
use crate::BlobSource;

/// The largest document that is read: a manifest, a token, an error.
const MAX_DOCUMENT: u64 = 4 << 20;

/// How much of an error's text is shown.
const MAX_DETAIL: usize = 300;

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
    pub(super) with_login: bool,
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
    /// Sends a request, to where the server sends to too.
    pub(super) fn send(&self, call: &Call<'_>, login: Option<&str>, name: &str) -> Result<Answer, Fault> {
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
