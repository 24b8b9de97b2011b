//! HTTP(S) as the crates of this workspace speak it, over `ureq`: who is reached how ([`Proxies`], [`Roots`], [`Identity`]),
//! who learns which password ([`Credentials`]), what is sent again ([`retrying`]) and to where ([`following`]), and errors
//! that say what was asked for without a password in them.
//!
//! What is asked, and what an answer means, is for the crates above: repositories of packages and registries of
//! images. It reads no environment variable, keeps nothing, and blocks its thread.
//!
//! ```
//! use http_exchange::{HttpUrl, Options, Trouble, agent, by_proxy, following, number, refused, retrying};
//!
//! # let directory = tempfile::tempdir()?;
//! # std::fs::write(directory.path().join("hello"), "hello")?;
//! # let server = testkit::Server::start(directory.path());
//! # server.fail("/hello", [testkit::Fault::status(503)]);
//! // `server` is such as https://example.org
//! let url = HttpUrl::parse(&format!("{}/hello", server.url()))?;
//! let mut options = Options::default();
//! options.retry.first_wait = std::time::Duration::ZERO;
//! let agent = agent(&options)?;
//! let login = options.credentials.authorization(&url);
//! // The first answer is 503.
//! let size = retrying(&options, &url.to_string(), || {
//!     let head = |url: &HttpUrl, login: Option<&str>| {
//!         let mut request = by_proxy(agent.head(url.as_str()), url, &options.proxies)?;
//!         if let Some(login) = login {
//!             request = request.header("authorization", login);
//!         }
//!         Ok(request.call())
//!     };
//!     let (answer, with_login) = following(&options, &url.to_string(), &url, login.as_deref(), head)?;
//!     match answer.status() {
//!         status if status.is_success() => Ok::<_, Trouble>(number(answer.headers(), ureq::http::header::CONTENT_LENGTH)),
//!         status => Err(refused(status, answer.headers(), &url.to_string(), with_login)),
//!     }
//! })?;
//! assert_eq!(size, Some(5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod credentials;
mod error;
mod exchange;
mod gate;
mod options;
mod proxy;
mod url;

pub use agent::{Phase, agent, by_proxy, proxy_for, trouble};
pub use credentials::{Credentials, CredentialsError, Login};
pub use error::HttpError;
pub use exchange::{Attempts, Trouble, following, number, refused, retrying, text};
pub use gate::{Gate, Inside, each};
pub use options::{Event, Identity, Options, Retry, Roots, Timeouts, Watch};
pub use proxy::Proxies;
pub use url::{HttpUrl, UrlError, without_login};
