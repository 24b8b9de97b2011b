//! Single files behind HTTP(S), for whoever keeps other things there than packages.

use std::fs::File;
use std::io::Seek as _;
use std::time::Duration;

use http_exchange::{HttpError, Timeouts, Trouble, by_proxy, following, number, refused, retrying};
use ureq::http::header;

use crate::client::{Client, parse_url};
use crate::error::RepositoryError;
use crate::transfer::Wanted;

const SEE_OTHER: u16 = 303;

/// What a server says of a file without sending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its size in bytes, if the server says so.
    pub size: Option<u64>,
}

impl Client {
    /// Fetches a file of at most `limit` bytes into an empty one; false if the server has none. What comes is not verified:
    /// parts of two answers may have been joined, which a checksum over the whole must tell.
    ///
    /// # Errors
    /// When it cannot be had, or is larger.
    pub fn get_file(&self, url: &str, limit: u64, out: &mut File) -> Result<bool, RepositoryError> {
        let url = parse_url(url)?;
        let most = self.options().max_response_size;
        let wanted = Wanted {
            url: &url,
            limit: match limit <= most {
                true => (limit, "the size that it should have at most"),
                false => (most, "--max-http-response-size"),
            },
            size: None,
            known: None,
            is_checked: true,
        };
        match self.download(&wanted, out) {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for what a server says of a file; `None` if it has none.
    ///
    /// # Errors
    /// When it does not answer, or not so.
    pub fn head(&self, url: &str) -> Result<Option<Head>, RepositoryError> {
        let url = parse_url(url)?;
        let (name, options, agent) = (
            url.to_string(),
            &self.options().http,
            self.online(&url.to_string())?,
        );
        let login = options.credentials.authorization(&url);
        let head = retrying(options, &name, || {
            let _place = self.shared.gate.enter();
            let (response, with_login) = following(options, &name, &url, login.as_deref(), |url, login| {
                let mut request = by_proxy(agent.head(url.as_str()), url, &options.proxies)?;
                if let Some(login) = login {
                    request = request.header(header::AUTHORIZATION, login);
                }
                Ok(request.header(header::ACCEPT_ENCODING, "identity").call())
            })?;
            match response.status() {
                status if status.is_success() => Ok(Head {
                    size: number(response.headers(), header::CONTENT_LENGTH),
                }),
                status => Err(refused(status, response.headers(), &name, with_login)),
            }
        });
        match head {
            Ok(head) => Ok(Some(head)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a file under a URL (`PUT`), in place of what is there.
    ///
    /// # Errors
    /// When the server does not take it, or the file cannot be read.
    pub fn put_file(&self, url: &str, content: &mut File) -> Result<(), RepositoryError> {
        let url = parse_url(url)?;
        let (name, options, agent) = (
            url.to_string(),
            &self.options().http,
            self.online(&url.to_string())?,
        );
        let login = options.credentials.authorization(&url);
        let keep = |source| HttpError::Keep {
            url: name.clone(),
            source,
        };
        let size = content.metadata().map_err(keep)?.len();
        // As long as the slowest server that anything is fetched from.
        let time = options.timeouts.stall + Duration::from_secs(size / Timeouts::SLOWEST);
        Ok(retrying(options, &name, || {
            let _place = self.shared.gate.enter();
            let (response, with_login) = following(options, &name, &url, login.as_deref(), |url, login| {
                content.rewind().map_err(keep)?;
                let mut request = by_proxy(agent.put(url.as_str()), url, &options.proxies)?;
                if let Some(login) = login {
                    request = request.header(header::AUTHORIZATION, login);
                }
                let request = request.config().timeout_send_body(Some(time)).build();
                let answer = request.content_type("application/octet-stream").send(&*content);
                Ok(answer.map(|mut response| {
                    // The server has what it was sent, and leads to what it says of it.
                    if response.status() == SEE_OTHER {
                        response.headers_mut().remove(header::LOCATION);
                    }
                    response
                }))
            })?;
            match response.status() {
                status if status.is_success() || status == SEE_OTHER => Ok::<(), Trouble>(()),
                status => Err(refused(status, response.headers(), &name, with_login)),
            }
        })?)
    }

    fn online(&self, url: &str) -> Result<&ureq::Agent, HttpError> {
        match self.options().offline {
            true => Err(HttpError::Offline { url: url.to_owned() }),
            false => self.agent(),
        }
    }
}

/// Whether a server says that there is no such file.
fn is_missing(error: &HttpError) -> bool {
    matches!(error.status(), Some(404 | 410))
}
