//! Which requests go by way of a proxy.

use std::fmt;
use std::net::IpAddr;

use crate::url::{HttpUrl, without_login};

/// The proxies to go by, as the environment variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` give them.
///
/// Debug output shows no passwords.
#[derive(Clone, Default)]
pub struct Proxies {
    /// The proxy for `http://`, such as `http://user:password@proxy:3128`. It is asked to connect (`CONNECT`).
    pub http: Option<String>,
    /// The proxy for `https://`.
    pub https: Option<String>,
    /// Who is reached without, separated by commas: `example.org` (with all below it), `.example.org` (what is below it
    /// alone), addresses, ranges of addresses (`10.0.0.0/8`), each with a port or without, or `*`.
    pub none_for: String,
}

impl Proxies {
    /// The proxy for a URL. The machine itself never needs one.
    pub(crate) fn find(&self, url: &HttpUrl) -> Option<&str> {
        let proxy = if url.is_secure() { &self.https } else { &self.http };
        let proxy = proxy.as_deref().filter(|proxy| !proxy.is_empty())?;
        let is_direct = url.is_on_this_machine()
            || self
                .none_for
                .split(',')
                .any(|entry| fits(entry.trim(), url.host(), url.port()));
        (!is_direct).then_some(proxy)
    }
}

fn fits(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if entry.is_empty() {
        return false;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return is_in_network(network, bits, host).unwrap_or(false);
    }
    let entry = entry.to_ascii_lowercase();
    // An IPv6 address has more than one colon, or brackets around it.
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, wanted)) if !name.contains(':') || name.ends_with(']') => (name, wanted.parse().ok()),
        _ => (entry.as_str(), None),
    };
    if wanted.is_some_and(|wanted: u16| wanted != port) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let (Ok(name), Ok(host)) = (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return name == host;
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn is_in_network(network: &str, bits: &str, host: &str) -> Option<bool> {
    let bits: u32 = bits.parse().ok()?;
    let starts_same = |a: &[u8], b: &[u8]| {
        let bit = |bytes: &[u8], at: u32| {
            let byte = bytes.get(at as usize / 8)?;
            Some((byte >> (7 - at % 8)) & 1)
        };
        (0..bits).all(|at| bit(a, at).is_some() && bit(a, at) == bit(b, at))
    };
    match (network.parse().ok()?, host.parse().ok()?) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Some(starts_same(&a.octets(), &b.octets())),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some(starts_same(&a.octets(), &b.octets())),
        _ => Some(false),
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |proxy: &Option<String>| proxy.as_deref().map(shown);
        f.debug_struct("Proxies")
            .field("http", &shown(&self.http))
            .field("https", &shown(&self.https))
            .field("none_for", &self.none_for)
            .finish()
    }
}

/// A proxy as it is shown. One without a scheme may have a password too.
pub(crate) fn shown(proxy: &str) -> String {
    match proxy.contains("://") {
        true => without_login(proxy),
        false => without_login(&format!("http://{proxy}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_by(none_for: &str, url: &str) -> bool {
        let proxies = Proxies {
            http: Some("http://me:s3cret@proxy:3128".to_owned()),
            https: Some("proxy:3129".to_owned()),
            none_for: none_for.to_owned(),
        };
        assert!(!format!("{proxies:?}").contains("s3cret"));
        proxies.find(&HttpUrl::parse(url).unwrap()).is_some()
    }

    #[test]
    fn who_is_reached_directly() {
        let rows = [
            ("", "https://example.org/", true),
            ("", "http://localhost:8080/", false),
            ("", "http://127.0.0.3/", false),
            ("", "http://[::1]/", false),
            ("*", "https://example.org/", false),
            ("example.org", "https://example.org/", false),
            ("example.org", "https://apk.example.org/", false),
            ("example.org", "https://myexample.org/", true),
            (".example.org", "https://example.org/", true),
            (".example.org", "https://apk.example.org/", false),
            ("*.example.org", "https://apk.example.org/", false),
            ("other, Example.org:443", "https://example.org/", false),
            ("example.org:80", "https://example.org/", true),
            ("10.0.0.0/8", "https://10.1.2.3/", false),
            ("10.0.0.0/8", "https://11.1.2.3/", true),
            ("10.0.0.0/33", "https://10.0.0.0/", true),
            ("fd00::/8", "https://[fd12::1]/", false),
            ("fd12::1", "https://[fd12::1]/", false),
            ("192.168.1.1", "https://192.168.1.1/", false),
        ];
        for (none_for, url, by_proxy) in rows {
            assert_eq!(goes_by(none_for, url), by_proxy, "{none_for} {url}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies = Proxies {
            https: Some("http://p".to_owned()),
            ..Proxies::default()
        };
        let find = |url| proxies.find(&HttpUrl::parse(url).unwrap());
        assert_eq!(find("https://h/"), Some("http://p"));
        assert_eq!(find("http://h/"), None);
    }
}
