//! How a client behaves.

use content_cache::Cache;

/// How a [`Client`](crate::Client) behaves: plain data, nothing of it out of the environment.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How requests are made.
    pub http: http_exchange::Options,
    /// The size in bytes of the largest answer; 8 GiB by default, as in the Go apko (`--max-http-response-size`).
    pub max_response_size: u64,
    /// The size in bytes of the largest index, key or other document, which is held in memory; 300 MiB by default, the
    /// size that an index may inflate to (`--max-apkindex-decompressed-size`).
    pub max_document_size: u64,
    /// Where indexes, keys and packages are kept; nowhere by default.
    pub cache: Option<Cache>,
    /// Asks nobody: what is not in the cache cannot be had.
    pub offline: bool,
    /// Where Alpine Linux announces its keys.
    pub alpine_releases: String,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            http: http_exchange::Options {
                user_agent: concat!("apk-repository/", env!("CARGO_PKG_VERSION")).to_owned(),
                ..http_exchange::Options::default()
            },
            max_response_size: 8 << 30,
            max_document_size: 300 << 20,
            cache: None,
            offline: false,
            alpine_releases: "https://alpinelinux.org/releases.json".to_owned(),
        }
    }
}
