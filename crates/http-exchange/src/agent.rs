//! The connection to `ureq`: its settings, and its errors in our terms.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Error, Proxy, RequestBuilder, Timeout};

use crate::error::HttpError;
use crate::exchange::Trouble;
use crate::options::{Identity, Options, Roots, Timeouts};
use crate::proxy::{Proxies, shown};
use crate::url::HttpUrl;

/// An agent that follows no redirect, retries nothing, and reads no environment.
///
/// # Errors
/// When a certificate or a key cannot be read.
pub fn agent(options: &Options) -> Result<Agent, HttpError> {
    let Timeouts { connect, read, .. } = options.timeouts;
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(options.user_agent.as_str())
        .timeout_resolve(Some(connect))
        .timeout_connect(Some(connect))
        .timeout_send_request(Some(read))
        .timeout_recv_response(Some(read))
        .timeout_per_read(Some(read))
        .max_idle_connections_per_host(options.parallel)
        .tls_config(
            TlsConfig::builder()
                .root_certs(root_certs(&options.roots)?)
                .client_cert(options.identity.as_ref().map(client_cert).transpose()?)
                .disable_verification(options.skip_verification)
                .build(),
        );
    Ok(config.build().new_agent())
}

fn root_certs(roots: &Roots) -> Result<RootCerts, HttpError> {
    if roots.bundles.is_empty() && roots.files.is_empty() && !roots.no_built_in {
        return Ok(RootCerts::WebPki);
    }
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    if !roots.no_built_in {
        let built_in = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        certificates.extend(
            built_in
                .iter()
                .map(|certificate| Certificate::from_der(certificate)),
        );
    }
    let mut bundles = roots.bundles.clone();
    for file in &roots.files {
        let name = file.display().to_string();
        match fs::read_to_string(file) {
            Ok(pem) => bundles.push((name, pem.into())),
            Err(_) => {
                let reason = "it cannot be read";
                return Err(HttpError::Roots { name, reason });
            }
        }
    }
    for (name, pem) in &bundles {
        let failed = |reason| HttpError::Roots {
            name: name.clone(),
            reason,
        };
        let before = certificates.len();
        for item in ureq::tls::parse_pem(pem.as_bytes()) {
            if let PemItem::Certificate(certificate) = item.map_err(|_| failed("it is not PEM"))? {
                certificates.push(certificate);
            }
        }
        if certificates.len() == before {
            return Err(failed("it contains no certificate"));
        }
    }
    Ok(certificates.into())
}

fn client_cert(identity: &Identity) -> Result<ClientCert, HttpError> {
    let failed = |path: &Path, reason| HttpError::Identity {
        path: path.to_owned(),
        reason,
    };
    let read = |path: &Path| fs::read(path).map_err(|error| failed(path, error.to_string()));
    let not_pem = "it is not PEM";
    let mut chain: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(&read(&identity.certificate)?) {
        let item = item.map_err(|_| failed(&identity.certificate, not_pem.to_owned()))?;
        if let PemItem::Certificate(certificate) = item {
            chain.push(certificate);
        }
    }
    if chain.is_empty() {
        let reason = "it contains no certificate".to_owned();
        return Err(failed(&identity.certificate, reason));
    }
    let key = PrivateKey::from_pem(&read(&identity.key)?)
        .map_err(|_| failed(&identity.key, "it contains no private key".to_owned()))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// The proxy for a URL, if there is one.
///
/// # Errors
/// When it has no URL of a kind that can be used.
pub fn proxy_for(url: &HttpUrl, proxies: &Proxies) -> Result<Option<Proxy>, HttpError> {
    let proxy = proxies
        .find(url)
        .map(|proxy| Proxy::new(proxy).map_err(|_| HttpError::Proxy { proxy: shown(proxy) }));
    proxy.transpose()
}

/// The same request by way of the proxy for its URL, if there is one.
///
/// # Errors
/// As of [`proxy_for`].
pub fn by_proxy<B>(
    request: RequestBuilder<B>,
    url: &HttpUrl,
    proxies: &Proxies,
) -> Result<RequestBuilder<B>, HttpError> {
    Ok(match proxy_for(url, proxies)? {
        Some(proxy) => request.config().proxy(Some(proxy)).build(),
        None => request,
    })
}

/// When an error came.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// Until the head of the answer was here.
    Answer,
    /// In its body.
    Body {
        /// How many bytes of it were here.
        received: u64,
        /// How many there should be.
        size: Option<u64>,
    },
}

/// An error of `ureq` in our terms. `url` is what it is called.
pub fn trouble(error: Error, url: &str, phase: Phase, timeouts: &Timeouts) -> Trouble {
    let url = url.to_owned();
    let (received, size, in_body) = match phase {
        Phase::Answer => (0, None, false),
        Phase::Body { received, size } => (received, size, true),
    };
    let connect = |reason: String| HttpError::Connect {
        url: url.clone(),
        reason,
    };
    match error {
        Error::Io(error) if is_break(error.kind()) => {
            Trouble::passing(HttpError::Broken { url, received, size })
        }
        Error::Timeout(_) if in_body => {
            let what = "nothing more came";
            Trouble::passing(timeout(url, what, timeouts.read))
        }
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            timeout(url, "no connection", timeouts.connect).into()
        }
        Error::Timeout(_) => timeout(url, "no answer", timeouts.read).into(),
        Error::Io(error) => connect(error.to_string()).into(),
        Error::HostNotFound => connect("nobody knows that host".to_owned()).into(),
        Error::Rustls(error) => connect(format!("TLS: {error}")).into(),
        Error::Tls(error) => connect(format!("TLS: {error}")).into(),
        Error::ConnectProxyFailed(reason) => connect(format!("the proxy: {reason}")).into(),
        error => HttpError::Protocol {
            url,
            reason: error.to_string(),
        }
        .into(),
    }
}

fn timeout(url: String, what: &'static str, limit: Duration) -> HttpError {
    HttpError::Timeout { url, what, limit }
}

fn is_break(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(
        kind,
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
    )
}
