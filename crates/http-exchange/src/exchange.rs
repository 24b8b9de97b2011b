//! Requests that are sent again where that can help, and to where a server sends to.

use std::time::Duration;

use ureq::Body;
use ureq::http::{HeaderMap, Response, StatusCode, header};

use crate::agent::{Phase, trouble};
use crate::error::HttpError;
use crate::options::{Event, Options};
use crate::url::HttpUrl;

/// An error, and whether it may go away.
#[derive(Debug)]
pub enum Trouble {
    /// It stays.
    Final(HttpError),
    /// It may be gone the next time.
    Passing {
        /// What went wrong.
        error: HttpError,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
}

impl From<HttpError> for Trouble {
    fn from(error: HttpError) -> Self {
        Self::Final(error)
    }
}

impl Trouble {
    /// It may be gone the next time, and nobody says when.
    pub fn passing(error: HttpError) -> Self {
        Self::Passing { error, wait: None }
    }

    /// The same with what the server says of it.
    #[must_use]
    pub fn with_detail(mut self, said: String) -> Self {
        let (Self::Final(error) | Self::Passing { error, .. }) = &mut self;
        if let HttpError::Status { detail, .. } = error {
            *detail = said;
        }
        self
    }
}

/// How often something was tried, and how long to wait before it is tried again.
#[derive(Debug)]
pub struct Attempts<'a> {
    options: &'a Options,
    name: &'a str,
    failed: u32,
    wait_next: Duration,
}

impl<'a> Attempts<'a> {
    /// None yet. `name` is what events call it.
    pub fn new(options: &'a Options, name: &'a str) -> Self {
        Self {
            options,
            name,
            failed: 0,
            wait_next: options.retry.first_wait,
        }
    }

    /// Something came of the last one: what goes wrong from here is counted anew.
    pub fn succeeded(&mut self) {
        *self = Self::new(self.options, self.name);
    }

    /// Waits until it may be tried again.
    ///
    /// # Errors
    /// The trouble, with the number of attempts, where there is no use in a further one.
    pub fn wait(&mut self, trouble: Trouble) -> Result<(), HttpError> {
        let retry = self.options.retry;
        let (error, asked) = match trouble {
            Trouble::Final(error) => return Err(error),
            Trouble::Passing { error, wait } => (error, wait),
        };
        self.failed += 1;
        if self.failed > retry.times {
            return Err(match self.failed {
                1 => error,
                attempts => HttpError::GaveUp {
                    attempts,
                    source: Box::new(error),
                },
            });
        }
        if let Some(wait) = asked.filter(|wait| *wait > retry.longest_wait) {
            return Err(HttpError::RetryLater {
                wait,
                longest: retry.longest_wait,
                source: Box::new(error),
            });
        }
        let wait = asked.unwrap_or(self.wait_next.min(retry.longest_wait));
        self.wait_next = self.wait_next.saturating_mul(2);
        self.options.tell(&Event::Retrying {
            url: self.name,
            reason: &error.to_string(),
            wait,
        });
        (self.options.sleep)(wait);
        Ok(())
    }
}

/// Does something again and again until it works, or there is no use in it. `name` is what events call it.
///
/// # Errors
/// The last one, and how often it was tried.
pub fn retrying<T>(
    options: &Options,
    name: &str,
    mut attempt: impl FnMut() -> Result<T, Trouble>,
) -> Result<T, HttpError> {
    let mut attempts = Attempts::new(options, name);
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(trouble) => attempts.wait(trouble)?,
        }
    }
}

/// Sends a request, and again to where the server sends to; whether `login`, the value of `Authorization`, went with the last
/// one. It goes to the first server alone. `name` is what errors call it; `send` gets the URL and that value.
///
/// # Errors
/// When there is no answer, or a redirect that is not followed. What the status means is for the caller to say.
pub fn following(
    options: &Options,
    name: &str,
    first: &HttpUrl,
    login: Option<&str>,
    mut send: impl FnMut(&HttpUrl, Option<&str>) -> Result<Result<Response<Body>, ureq::Error>, HttpError>,
) -> Result<(Response<Body>, bool), Trouble> {
    let mut url = first.clone();
    for _ in 0..=options.redirects {
        let login = login.filter(|_| url.is_of_same_server(first));
        let response =
            send(&url, login)?.map_err(|error| trouble(error, name, Phase::Answer, &options.timeouts))?;
        let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = text(response.headers(), header::LOCATION).filter(|_| is_redirect) else {
            return Ok((response, login.is_some()));
        };
        url = follow(name, &url, location)?;
    }
    Err(HttpError::Redirects {
        url: name.to_owned(),
        limit: options.redirects,
        last: url.to_string(),
    }
    .into())
}

fn follow(name: &str, from: &HttpUrl, location: &str) -> Result<HttpUrl, HttpError> {
    let refused = |to: String, reason| HttpError::Redirect {
        url: name.to_owned(),
        to,
        reason,
    };
    let to = from
        .join(location)
        .map_err(|_| refused("something else".to_owned(), "it is no http:// or https:// URL"))?;
    match from.is_secure() && !to.is_secure() {
        true => Err(refused(to.to_string(), "it leads from https:// to http://")),
        false => Ok(to),
    }
}

/// What a status that is no success means.
pub fn refused(status: StatusCode, headers: &HeaderMap, name: &str, with_login: bool) -> Trouble {
    let error = HttpError::Status {
        url: name.to_owned(),
        status: status.as_u16(),
        with_login,
        detail: String::new(),
    };
    match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        true => Trouble::Passing {
            error,
            wait: text(headers, header::RETRY_AFTER).and_then(retry_after),
        },
        false => error.into(),
    }
}

/// A header that is text.
pub fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// A header that is a number.
pub fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// Seconds, or the time when to come back.
fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(time.duration_since(jiff::Timestamp::now())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
