//! A blob's way into a registry.

use http_exchange::{Attempts, HttpUrl, text};
use ureq::http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::RegistryEvent;
use super::call::{Answer, Call, Fault, Payload, location};
use super::client::Repository;
use super::error::RegistryError;
use crate::{BlobSource, Descriptor};

/// A blob of this size and less goes in one request, which is as good as gone on with when it breaks.
const SMALL: u64 = 1 << 20;

/// How often an upload is begun anew because the registry lost it.
const MAX_LOST: u32 = 3;

/// The least size of a part that a registry asks for.
const LEAST_PART: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// How a blob came to be in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Sent,
    /// Taken over from another repository.
    Mounted(String),
}

/// Sends a blob that the registry has not got, or has it taken over from one of `sources`.
pub(super) fn upload(
    repository: &Repository,
    blob: &Descriptor,
    source: &BlobSource,
    sources: &[String],
) -> Result<Arrival, RegistryError> {
    let mut upload = Upload {
        repository,
        blob,
        source,
        name: format!("{}/{}@{}", repository.registry(), repository.name(), blob.digest),
        session: None,
        offset: 0,
        part_size: repository.options().part_size.max(1),
        in_parts: blob.size > SMALL,
        lost: 0,
    };
    let http = &repository.options().http;
    let name = upload.name.clone();
    let mut attempts = Attempts::new(http, &name);
    let mut sources = sources.iter();
    let mut is_in_doubt = false;
    loop {
        let before = upload.offset;
        // After an error, where to go on is for the registry to say.
        let step = match is_in_doubt {
            true => upload.ask(),
            false => upload.step(&mut sources),
        };
        match step {
            Ok(Step::Done(arrival)) => return Ok(arrival),
            Ok(Step::On) => is_in_doubt = false,
            Ok(Step::InDoubt) => is_in_doubt = true,
            Err(Fault::Other(error)) => return Err(error),
            Err(Fault::Http(trouble)) => {
                attempts
                    .wait(trouble)
                    .map_err(|error| repository.failed("upload", Some(blob.digest), error))?;
                is_in_doubt = upload.session.is_some();
            }
        }
        if upload.offset > before {
            attempts.succeeded();
        }
    }
}

struct Upload<'a> {
    repository: &'a Repository,
    blob: &'a Descriptor,
    source: &'a BlobSource,
    /// What errors call it.
    name: String,
    /// Where the next part goes.
    session: Option<HttpUrl>,
    /// How much the registry has.
    offset: u64,
    part_size: u64,
    /// Else in one request, because it is small, or because the registry takes no parts.
    in_parts: bool,
    /// How often the registry lost it.
    lost: u32,
}

enum Step {
    Done(Arrival),
    On,
    /// The registry is to say how much it has.
    InDoubt,
}

impl Upload<'_> {
    /// The next request.
    fn step<'s>(&mut self, sources: &mut impl Iterator<Item = &'s String>) -> Result<Step, Fault> {
        match self.session.clone() {
            None => self.begin(sources.next()),
            Some(_) if self.offset > self.blob.size => {
                let reason = format!(
                    "{} has only {} bytes, of which it got {}",
                    self.name, self.blob.size, self.offset
                );
                Err(self.repository.protocol(reason).into())
            }
            Some(session) if self.in_parts && self.offset < self.blob.size => self.part(session),
            Some(session) => self.finish(session),
        }
    }

    /// Begins an upload, or has the blob taken over from another repository.
    fn begin(&mut self, from: Option<&String>) -> Result<Step, Fault> {
        let mut path = "blobs/uploads/".to_owned();
        if let Some(from) = from {
            path += &format!("?mount={}&from={from}", self.digest());
        }
        let call = Call {
            // An empty body; without one some servers wait for it.
            payload: Payload::Bytes(&[]),
            ..self.repository.request(Method::POST, &path)?
        };
        let answer = self.repository.attempt(&call, &self.name)?;
        match (answer.status(), from) {
            (StatusCode::CREATED, Some(from)) => {
                self.repository.check_digest(answer.headers(), self.blob.digest)?;
                answer.body();
                Ok(Step::Done(Arrival::Mounted(from.clone())))
            }
            (StatusCode::ACCEPTED, _) => {
                let least = http_exchange::number(answer.headers(), LEAST_PART);
                self.part_size = self.part_size.max(least.unwrap_or(0));
                self.session = Some(self.next(&call.url, answer.headers())?);
                self.offset = 0;
                answer.body();
                Ok(Step::On)
            }
            // It does not take over, or not from there.
            (status, Some(_)) if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                answer.body();
                Ok(Step::On)
            }
            _ => Err(answer.refused(&self.name).into()),
        }
    }

    /// Sends a part.
    fn part(&mut self, session: HttpUrl) -> Result<Step, Fault> {
        let length = self.part_size.min(self.blob.size - self.offset);
        let end = self.offset + length;
        let sent = telling(self.repository, self.blob, self.offset);
        let call = Call {
            method: Method::PATCH,
            url: session,
            headers: vec![
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_RANGE, format!("{}-{}", self.offset, end - 1)),
            ],
            payload: Payload::Part {
                source: self.source,
                start: self.offset,
                length,
                sent: &sent,
            },
        };
        let answer = self.repository.attempt(&call, &self.name)?;
        match answer.status() {
            status if status.is_success() => {
                self.offset = received(answer.headers()).unwrap_or(end);
                self.session = Some(self.next(&call.url, answer.headers())?);
                answer.body();
                Ok(Step::On)
            }
            StatusCode::NOT_FOUND => self.is_lost(answer),
            StatusCode::RANGE_NOT_SATISFIABLE if self.lost < MAX_LOST => {
                self.lost += 1;
                answer.body();
                Ok(Step::InDoubt)
            }
            StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED
            | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                // It takes a blob as a whole alone.
                answer.body();
                (self.in_parts, self.session) = (false, None);
                Ok(Step::On)
            }
            _ => Err(answer.refused(&self.name).into()),
        }
    }

    /// Ends the upload, with what the registry has not got yet.
    fn finish(&mut self, session: HttpUrl) -> Result<Step, Fault> {
        let mark = if session.as_str().contains('?') { '&' } else { '?' };
        let url = HttpUrl::parse(&format!("{}{mark}digest={}", session.as_str(), self.digest()));
        let url = url.map_err(|error| self.repository.protocol(format!("{}: {error}", self.name)))?;
        let sent = telling(self.repository, self.blob, 0);
        let is_whole = !self.in_parts;
        let call = Call {
            method: Method::PUT,
            url,
            headers: vec![(header::CONTENT_TYPE, "application/octet-stream".to_owned())],
            payload: match is_whole {
                true => Payload::Part {
                    source: self.source,
                    start: 0,
                    length: self.blob.size,
                    sent: &sent,
                },
                false => Payload::Bytes(&[]),
            },
        };
        let answer = self.repository.attempt(&call, &self.name).inspect_err(|_| {
            // There is no going on with what is sent as a whole.
            if is_whole {
                self.session = None;
            }
        })?;
        match answer.status() {
            status if status.is_success() => {
                self.repository.check_digest(answer.headers(), self.blob.digest)?;
                answer.body();
                Ok(Step::Done(Arrival::Sent))
            }
            StatusCode::NOT_FOUND => self.is_lost(answer),
            StatusCode::RANGE_NOT_SATISFIABLE if self.lost < MAX_LOST => {
                self.lost += 1;
                answer.body();
                Ok(Step::InDoubt)
            }
            _ => {
                if is_whole {
                    self.session = None;
                }
                Err(answer.refused(&self.name).into())
            }
        }
    }

    /// Asks how much the registry has.
    fn ask(&mut self) -> Result<Step, Fault> {
        let Some(url) = self.session.clone() else {
            return Ok(Step::On);
        };
        let call = Call {
            method: Method::GET,
            url,
            headers: Vec::new(),
            payload: Payload::None,
        };
        let answer = self.repository.attempt(&call, &self.name)?;
        match answer.status() {
            status if status.is_success() => {
                self.offset = received(answer.headers()).unwrap_or(0);
                if answer.headers().contains_key(header::LOCATION) {
                    self.session = Some(self.next(&call.url, answer.headers())?);
                }
                answer.body();
                Ok(Step::On)
            }
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                self.is_lost(answer)
            }
            _ => Err(answer.refused(&self.name).into()),
        }
    }

    /// The registry knows nothing of the upload: it ended, and nobody heard of it, or it is begun anew.
    fn is_lost(&mut self, answer: Answer) -> Result<Step, Fault> {
        answer.body();
        if self.repository.has_blob(self.blob.digest)? {
            return Ok(Step::Done(Arrival::Sent));
        }
        if self.lost >= MAX_LOST {
            return Err(RegistryError::UploadLost {
                registry: self.repository.registry().to_owned(),
                repository: self.repository.name().to_owned(),
                digest: self.blob.digest,
                times: self.lost + 1,
            }
            .into());
        }
        self.lost += 1;
        self.session = None;
        self.offset = 0;
        Ok(Step::On)
    }

    /// Where the next request goes.
    fn next(&self, from: &HttpUrl, headers: &HeaderMap) -> Result<HttpUrl, RegistryError> {
        let location = location(headers)
            .ok_or_else(|| self.repository.protocol("an upload has no location".to_owned()))?;
        let next = from.join(location).map_err(|error| {
            self.repository
                .protocol(format!("an upload goes on at `{location}`: {error}"))
        })?;
        match from.is_secure() && !next.is_secure() {
            true => Err(self
                .repository
                .protocol(format!("an upload leads from https:// to {next}"))),
            false => Ok(next),
        }
    }

    fn digest(&self) -> String {
        self.blob.digest.to_string().replace(':', "%3A")
    }
}

/// Tells whoever watches how much was sent.
fn telling<'a>(repository: &'a Repository, blob: &Descriptor, before: u64) -> impl Fn(u64) + use<'a> {
    let (options, digest, size) = (repository.options(), blob.digest, blob.size);
    move |sent| {
        options.tell(&RegistryEvent::Sending {
            digest,
            sent: before + sent,
            size,
        });
    }
}

/// How many bytes a registry has, by `Range: 0-N`. That of none cannot be told from that of one, of which no upload
/// consists for long.
fn received(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, header::RANGE)?;
    let (_, last) = range.trim().trim_start_matches("bytes=").split_once('-')?;
    match last.parse().ok()? {
        0 => Some(0),
        last => Some(last + 1),
    }
}
