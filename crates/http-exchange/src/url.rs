//! URLs as they are asked for, and as they are shown.

use std::fmt;
use std::net::IpAddr;

use fluent_uri::pct_enc::encoder::Path as PathEncoder;
use fluent_uri::pct_enc::{EStr, EString};
use fluent_uri::{Uri, UriRef};

use crate::credentials::Login;

/// An `http://` or `https://` URL. The user name and password it came with are kept apart, and nothing that shows it
/// shows them, nor what stands behind a `?`.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    uri: Uri<String>,
    login: Option<Login>,
}

/// Why a text is not such a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum UrlError {
    #[error("it is not a URL")]
    Syntax,
    #[error("only http:// and https:// are supported")]
    Scheme,
    #[error("it has no host")]
    NoHost,
}

impl HttpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is none of the two.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let uri = Uri::parse(text).map_err(|_| UrlError::Syntax)?;
        Self::of(uri.to_owned())
    }

    fn of(uri: Uri<String>) -> Result<Self, UrlError> {
        let scheme = uri.scheme().as_str().to_ascii_lowercase();
        if scheme != "https" && scheme != "http" {
            return Err(UrlError::Scheme);
        }
        let authority = uri.authority().ok_or(UrlError::NoHost)?;
        if authority.host().is_empty() {
            return Err(UrlError::NoHost);
        }
        let port = authority.port_to_u16().map_err(|_| UrlError::Syntax)?;
        let login = authority
            .userinfo()
            .map(|info| Login::from_userinfo(info.as_str()));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let host = authority.host().to_ascii_lowercase();
        let path = match uri.path().as_str() {
            "" => "/",
            path => path,
        };
        let query = uri
            .query()
            .map(|query| format!("?{}", query.as_str()))
            .unwrap_or_default();
        let plain = format!("{scheme}://{host}{port}{path}{query}");
        let uri = Uri::parse(plain).map_err(|_| UrlError::Syntax)?;
        Ok(Self { uri, login })
    }

    /// The URL of something below this one. What a name contains cannot lead elsewhere.
    pub fn child(&self, names: &[&str]) -> Self {
        let mut path = EString::<PathEncoder>::new();
        path.push_estr(self.uri.path());
        for name in names {
            if !path.as_str().ends_with('/') {
                path.push('/');
            }
            path.encode_str::<Segment>(name);
        }
        let text = self.uri.as_str();
        let end = text.find('?').unwrap_or(text.len());
        let start = end - self.uri.path().as_str().len();
        let plain = format!("{}{path}{}", &text[..start], &text[end..]);
        let uri = Uri::parse(plain).unwrap_or_else(|_| self.uri.clone());
        Self {
            uri,
            login: self.login.clone(),
        }
    }

    /// Where a `Location` leads from here, or whatever else refers to another URL.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let reference = UriRef::parse(reference).map_err(|_| UrlError::Syntax)?;
        let uri = reference
            .resolve_against(&self.uri)
            .map_err(|_| UrlError::Syntax)?;
        let mut joined = Self::of(uri)?;
        if joined.login.is_none() && joined.is_of_same_server(self) {
            joined.login.clone_from(&self.login);
        }
        Ok(joined)
    }

    /// What to ask for. It has no user name and no password.
    pub fn as_str(&self) -> &str {
        self.uri.as_str()
    }

    /// The user name and password that stood in it.
    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whether it is an `https://` URL.
    pub fn is_secure(&self) -> bool {
        self.uri.scheme().as_str() == "https"
    }

    /// The host in lower case, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.uri.authority().map_or("", |authority| authority.host());
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The host, and the port where one is written.
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// The port, written or not.
    pub fn port(&self) -> u16 {
        let written = self
            .uri
            .authority()
            .and_then(|authority| authority.port_to_u16().ok().flatten());
        written.unwrap_or(if self.is_secure() { 443 } else { 80 })
    }

    /// Whether scheme, host and port are the same.
    pub fn is_of_same_server(&self, other: &Self) -> bool {
        (self.is_secure(), self.host(), self.port()) == (other.is_secure(), other.host(), other.port())
    }

    /// Whether the host is the loopback interface.
    pub fn is_on_this_machine(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The last part of the path, decoded.
    pub fn file_name(&self) -> String {
        let path = self.uri.path().as_str();
        let last = path.rsplit('/').next().unwrap_or(path);
        match EStr::<PathEncoder>::new(last) {
            Some(name) => name.decode().to_string_lossy().into_owned(),
            None => last.to_owned(),
        }
    }
}

/// A text that may be a URL, without the user name and password in it; such a text alone may be shown.
pub fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{}", &rest[end..])
}

/// What is not encoded in a name: what no URL gives a meaning to.
struct Segment;

impl fluent_uri::pct_enc::Encoder for Segment {
    const TABLE: &'static fluent_uri::pct_enc::Table = &fluent_uri::pct_enc::Table::new(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+@:",
    )
    .or_pct_encoded();
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str().split_once('?') {
            Some((url, _)) => write!(f, "{url}?…"),
            None => f.write_str(self.as_str()),
        }
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> HttpUrl {
        HttpUrl::parse(text).unwrap()
    }

    #[test]
    fn nothing_shows_a_password() {
        let url = url("https://me:s3cret@Example.org:8443/os/?sig=t0ken");
        assert_eq!(url.to_string(), "https://example.org:8443/os/?…");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert_eq!(url.as_str(), "https://example.org:8443/os/?sig=t0ken");
        assert_eq!(
            (url.host(), url.port(), url.authority()),
            ("example.org", 8443, "example.org:8443")
        );
        assert!(url.login().is_some());
    }

    #[test]
    fn names_stay_names() {
        let rows = [
            (
                "https://h/os",
                "libstdc++-1.0-r0.apk",
                "https://h/os/x86_64/libstdc++-1.0-r0.apk",
            ),
            ("https://h", "a~b-1_git.apk", "https://h/x86_64/a~b-1_git.apk"),
            (
                "https://h/os/",
                "../../k?x#y.apk",
                "https://h/os/x86_64/..%2F..%2Fk%3Fx%23y.apk",
            ),
            (
                "https://h/os?t=1",
                "100%.apk",
                "https://h/os/x86_64/100%25.apk?t=1",
            ),
        ];
        for (base, name, whole) in rows {
            let child = url(base).child(&["x86_64", name]);
            assert_eq!(child.as_str(), whole);
            assert_eq!(child.file_name(), name.to_owned());
        }
    }

    #[test]
    fn references_are_followed_from_where_they_stand() {
        let rows = [
            ("/new", "http://h/new"),
            ("other?x=1", "http://h/a/other?x=1"),
            ("//cdn/x", "http://cdn/x"),
            ("https://u:p@cdn/x#y", "https://cdn/x"),
        ];
        for (reference, whole) in rows {
            assert_eq!(url("http://h/a/b").join(reference).unwrap().as_str(), whole);
        }
        assert_eq!(url("http://h/a").join("ftp://h/b"), Err(UrlError::Scheme));
        assert_eq!(url("http://h/a").join("a b"), Err(UrlError::Syntax));
    }

    #[test]
    fn servers_are_told_apart_by_scheme_host_and_port() {
        let same = |a: &str, b: &str| url(a).is_of_same_server(&url(b));
        assert!(same("https://h/a", "https://H:443/b"));
        assert!(!same("https://h/a", "http://h/a"));
        assert!(!same("https://h/a", "https://h:444/a"));
        assert!(!same("https://h/a", "https://h.evil/a"));
        assert_eq!(url("http://[::1]:80/").host(), "::1");
    }

    #[test]
    fn what_is_no_url_is_told() {
        let rows = [
            ("s3://bucket/os", UrlError::Scheme),
            ("https:///os", UrlError::NoHost),
            ("https://h:99999/", UrlError::Syntax),
            ("https://h/a b", UrlError::Syntax),
        ];
        for (text, error) in rows {
            assert_eq!(HttpUrl::parse(text), Err(error), "{text}");
        }
    }
}
