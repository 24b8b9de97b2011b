//! Requests: with redirects, retries, resumption and limits.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, StatusCode, header};
use ureq::{Agent, Body, http::Response};

use http_exchange::{
    Event, Gate, HttpError, HttpUrl, Phase, Timeouts, Trouble, by_proxy, following, number, refused,
    retrying, text, trouble,
};

/// What to fetch, and what is known of it.
pub(crate) struct Wanted<'a> {
    pub(crate) url: &'a HttpUrl,
    /// The largest answer in bytes, and the flag that raises it.
    pub(crate) limit: (u64, &'static str),
    /// The size in bytes, if another document says so.
    pub(crate) size: Option<u64>,
    /// What is here already.
    pub(crate) known: Option<&'a Validators>,
    /// Whether a checksum will tell that parts do not fit together.
    pub(crate) is_checked: bool,
}

/// By what a server tells whether something is still the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// What a server says of what it sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) validators: Validators,
    /// How long nobody needs to ask again.
    pub(crate) fresh_for: Duration,
    /// It must not be kept.
    pub(crate) no_store: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// All of it is in the sink.
    Complete(Meta),
    /// What is known is still right.
    Unchanged(Meta),
}

/// Where an answer goes. It may hold the beginning already.
pub(crate) trait Sink {
    fn length(&self) -> io::Result<u64>;
    fn restart(&mut self) -> io::Result<()>;
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Sink for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn restart(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.try_reserve(bytes.len())?;
        self.extend_from_slice(bytes);
        Ok(())
    }
}

impl Sink for content_cache::Partial {
    fn length(&self) -> io::Result<u64> {
        self.length()
    }

    fn restart(&mut self) -> io::Result<()> {
        self.restart()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(self, bytes)
    }
}

/// Fetches one thing, again and again if need be.
pub(crate) struct Transfer<'a> {
    pub(crate) options: &'a http_exchange::Options,
    pub(crate) agent: &'a Agent,
    pub(crate) gate: &'a Gate,
    pub(crate) wanted: &'a Wanted<'a>,
    /// How errors and events call it.
    pub(crate) name: String,
    /// What the parts that are here belong to.
    pub(crate) part_of: Option<Validators>,
}

impl Transfer<'_> {
    pub(crate) fn run(&mut self, sink: &mut dyn Sink) -> Result<Reply, HttpError> {
        let (options, name) = (self.options, self.name.clone());
        retrying(options, &name, || self.attempt(sink))
    }

    fn attempt(&mut self, sink: &mut dyn Sink) -> Result<Reply, Trouble> {
        let keep = keep_error(&self.name);
        let mut have = sink.length().map_err(keep)?;
        if have > 0 && self.part_of.is_none() && !self.wanted.is_checked {
            sink.restart().map_err(keep)?;
            have = 0;
        }
        let _place = self.gate.enter();
        self.check_cancel()?;
        let (response, with_login) = self.ask(have)?;
        let headers = response.headers();
        let meta = meta(headers);
        match response.status() {
            StatusCode::NOT_MODIFIED if self.wanted.known.is_some() => {
                self.options.tell(&Event::Unchanged { url: &self.name });
                Ok(Reply::Unchanged(meta))
            }
            StatusCode::OK => {
                sink.restart().map_err(keep)?;
                let size = number(headers, header::CONTENT_LENGTH);
                self.receive(response, sink, 0, size, &meta)
            }
            StatusCode::PARTIAL_CONTENT if have > 0 => {
                let range = text(headers, header::CONTENT_RANGE).and_then(content_range);
                let is_other = self.part_of.as_ref().is_some_and(|part_of| {
                    meta.validators.etag.is_some() && part_of.etag != meta.validators.etag
                });
                match range {
                    Some((start, size)) if start == have && !is_other => {
                        self.receive(response, sink, have, size, &meta)
                    }
                    _ => {
                        sink.restart().map_err(keep)?;
                        Err(Trouble::passing(self.protocol("another part than was asked for")))
                    }
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
                let size =
                    text(headers, header::CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes */"));
                if size.and_then(|size| size.trim().parse().ok()) == Some(have) {
                    // All of it is here: the length that was stated before was wrong.
                    let validators = self.part_of.clone().unwrap_or_default();
                    return Ok(Reply::Complete(Meta { validators, ..meta }));
                }
                sink.restart().map_err(keep)?;
                Err(Trouble::passing(
                    self.protocol("it has less than it had a moment ago"),
                ))
            }
            status => Err(refused(status, headers, &self.name, with_login)),
        }
    }

    /// Asks, and follows where the server sends to.
    fn ask(&self, have: u64) -> Result<(Response<Body>, bool), Trouble> {
        let conditions = self.conditions(have);
        let get = |url: &HttpUrl, login: Option<&str>| {
            let mut request = by_proxy(self.agent.get(url.as_str()), url, &self.options.proxies)?;
            if let Some(login) = login {
                request = request.header(header::AUTHORIZATION, login);
            }
            for (name, value) in &conditions {
                request = request.header(name, value);
            }
            Ok(request.call())
        };
        let login = self.options.credentials.authorization(self.wanted.url);
        following(self.options, &self.name, self.wanted.url, login.as_deref(), get)
    }

    fn conditions(&self, have: u64) -> Vec<(header::HeaderName, String)> {
        let mut headers = vec![(header::ACCEPT_ENCODING, "identity".to_owned())];
        if have > 0 {
            headers.push((header::RANGE, format!("bytes={have}-")));
            let part_of = self.part_of.clone().unwrap_or_default();
            // A weak validator says nothing of single bytes.
            let strong = part_of.etag.filter(|etag| !etag.starts_with("W/"));
            headers.extend(
                strong
                    .or(part_of.last_modified)
                    .map(|value| (header::IF_RANGE, value)),
            );
        } else if let Some(known) = self.wanted.known {
            let etag = known.etag.clone().map(|etag| (header::IF_NONE_MATCH, etag));
            let time = known.last_modified.clone();
            headers.extend(etag.or(time.map(|time| (header::IF_MODIFIED_SINCE, time))));
        }
        headers
    }

    fn receive(
        &mut self,
        response: Response<Body>,
        sink: &mut dyn Sink,
        mut received: u64,
        size: Option<u64>,
        meta: &Meta,
    ) -> Result<Reply, Trouble> {
        let (limit, flag) = self.wanted.limit;
        let too_large = |name: &str| HttpError::TooLarge {
            url: name.to_owned(),
            limit,
            flag,
        };
        if size.is_some_and(|size| size > limit) {
            return Err(too_large(&self.name).into());
        }
        // What is here of it may be gone on with if it is known to be of the same thing.
        self.part_of = Some(meta.validators.clone()).filter(|is| *is != Validators::default());
        self.options.tell(&Event::Started {
            url: &self.name,
            size,
        });
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 << 10];
        let mut pace = Pace::new(&self.options.timeouts);
        loop {
            let count = match body.read(&mut buffer) {
                Ok(count) => count,
                Err(error) => {
                    let phase = Phase::Body { received, size };
                    return Err(trouble(error.into(), &self.name, phase, &self.options.timeouts));
                }
            };
            if count == 0 {
                break;
            }
            self.check_cancel()?;
            received += count as u64;
            if received > limit {
                return Err(too_large(&self.name).into());
            }
            sink.append(&buffer[..count]).map_err(keep_error(&self.name))?;
            self.options.tell(&Event::Received {
                url: &self.name,
                bytes: received,
                size,
            });
            pace.check(count as u64, &self.name)?;
        }
        // Without a length the end of the answer and a broken connection look the same.
        let expected = size.or(self.wanted.size);
        if expected.is_some_and(|expected| received < expected) && size != Some(received) {
            return Err(Trouble::passing(HttpError::Broken {
                url: self.name.clone(),
                received,
                size: expected,
            }));
        }
        self.options.tell(&Event::Finished {
            url: &self.name,
            bytes: received,
        });
        Ok(Reply::Complete(meta.clone()))
    }

    fn check_cancel(&self) -> Result<(), HttpError> {
        match self.options.is_cancelled() {
            true => Err(HttpError::Cancelled {
                url: self.name.clone(),
            }),
            false => Ok(()),
        }
    }

    fn protocol(&self, reason: &str) -> HttpError {
        HttpError::Protocol {
            url: self.name.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn keep_error(name: &str) -> impl Fn(io::Error) -> HttpError + Copy + '_ {
    move |source| HttpError::Keep {
        url: name.to_owned(),
        source,
    }
}

/// Whether an answer comes fast enough to end some day.
struct Pace {
    window: Duration,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(timeouts: &Timeouts) -> Self {
        Self {
            window: timeouts.stall,
            since: Instant::now(),
            bytes: 0,
        }
    }

    fn check(&mut self, bytes: u64, name: &str) -> Result<(), Trouble> {
        self.bytes += bytes;
        if self.since.elapsed() < self.window {
            return Ok(());
        }
        let least = Timeouts::SLOWEST as f64 * self.window.as_secs_f64();
        if (self.bytes as f64) < least {
            return Err(Trouble::passing(HttpError::Stalled {
                url: name.to_owned(),
                received: self.bytes,
                limit: self.window,
                slowest: Timeouts::SLOWEST,
            }));
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}

fn meta(headers: &HeaderMap) -> Meta {
    let owned = |name| text(headers, name).map(str::to_owned);
    let control = text(headers, header::CACHE_CONTROL)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let mut directives = control.split(',').map(str::trim);
    let max_age = directives
        .clone()
        .find_map(|one| one.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    let age = number(headers, header::AGE).unwrap_or(0);
    let must_ask = directives
        .clone()
        .any(|one| one == "no-cache" || one.starts_with("no-cache="));
    Meta {
        validators: Validators {
            etag: owned(header::ETAG),
            last_modified: owned(header::LAST_MODIFIED),
        },
        fresh_for: match must_ask {
            true => Duration::ZERO,
            false => Duration::from_secs(max_age.unwrap_or(0_u64).saturating_sub(age)),
        },
        no_store: directives.any(|one| one == "no-store"),
    }
}

/// The start, and the size of the whole.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, size.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (header::HeaderName::from_static(name), value.parse().unwrap())
        };
        lines.iter().map(pair).collect()
    }

    #[test]
    fn how_long_an_answer_stays_fresh() {
        let rows = [
            ("max-age=60", 60, false),
            ("public, Max-Age=\"60\"", 60, false),
            ("no-cache, max-age=60", 0, false),
            ("no-store", 0, true),
            ("max-age=soon", 0, false),
            ("", 0, false),
        ];
        for (value, seconds, no_store) in rows {
            let meta = meta(&headers(&[("cache-control", value)]));
            assert_eq!(
                (meta.fresh_for.as_secs(), meta.no_store),
                (seconds, no_store),
                "{value}"
            );
        }
        let meta = meta(&headers(&[("cache-control", "max-age=60"), ("age", "50")]));
        assert_eq!(meta.fresh_for.as_secs(), 10);
    }

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(content_range("lines 5-9/10"), None);
    }
}
