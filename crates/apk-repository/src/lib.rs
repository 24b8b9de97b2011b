//! Repositories of apk packages: where they are, what they hold, and their files.
//!
//! A [`Location`] names a repository: a directory, or a URL. A [`Client`] fetches its keys, indexes and packages,
//! and gives nothing out that it has not verified; it finds the keys that repositories announce. Over HTTP(S) it follows
//! redirects, tries again where that can help, goes on where a connection broke, and keeps what it fetched in a
//! [`content_cache`]. It blocks its thread, and any number of threads may share it. Source files, which are no packages, it
//! fetches in the same way, by their checksum ([`Client::read_source`]).
//!
//! Whoever keeps other things behind HTTP(S) can use the client for single files: [`Client::get_file`], [`Client::head`],
//! [`Client::put_file`].
//!
//! The crate chooses no packages (`apk-solver`) and lays nothing down (`apk-rootfs`). It reads no environment variable:
//! proxies, user names and certificates are [options](ClientOptions); how requests are made is up to [`http_exchange`].
//!
//! ```
//! use apk_package::Keyring;
//! use apk_repository::{Client, ClientOptions, Location, Trust};
//! use apk_types::Arch;
//! use content_cache::Cache;
//!
//! # let repository = testkit::Repository::new("x86_64");
//! # repository.publish(&[testkit::Package::new("hello", "1.0-r0")]);
//! # let server = testkit::Server::start(repository.path());
//! # let (url, directory) = (server.url(), tempfile::tempdir()?);
//! // `url` is such as https://packages.example.org/os
//! let client = Client::new(ClientOptions {
//!     cache: Some(Cache::at(directory.path())),
//!     ..ClientOptions::default()
//! });
//! let (name, pem) = client.read_key(&format!("{url}/test.rsa.pub"))?;
//! let mut keyring = Keyring::default();
//! keyring.insert_pem(name, &pem)?;
//! let trust = Trust { keyring: Some(keyring), ..Trust::default() };
//!
//! let location: Location = url.parse()?;
//! let index = client.read_index(&location, Arch::X86_64, &trust)?.ok_or("no index")?;
//! let (file, package) = client.read_package(&location, Arch::X86_64, &index.packages[0], &trust)?;
//! assert_eq!(package.info.name, "hello");
//! assert_eq!(file.len() as u64, index.packages[0].size);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod documents;
mod error;
mod exchange;
mod indexes;
mod keys;
mod location;
mod options;
mod packages;
mod sources;
mod transfer;

pub use client::{Client, Trust, resolve_url};
pub use error::RepositoryError;
pub use exchange::Head;
pub use http_exchange::{
    Credentials, CredentialsError, Event, HttpError, Proxies, Retry, Roots, Timeouts, UrlError, Watch,
    without_login,
};
pub use indexes::{KeptIndex, OpenIndex};
pub use keys::AnnouncedKey;
pub use location::{Location, LocationError};
pub use options::ClientOptions;
pub use packages::checksum;
pub use sources::{SourceHash, SourceHashError};
