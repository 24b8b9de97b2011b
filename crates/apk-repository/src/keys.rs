//! Keys that repositories announce.

use std::collections::{BTreeMap, BTreeSet};

use apk_types::Arch;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_exchange::{Event, HttpError, HttpUrl, each};
use rsa::BoxedUint;
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use serde::Deserialize;

use crate::client::{Client, Place, key, not_found, place};
use crate::error::RepositoryError;
use crate::location::Location;

/// A key that a repository announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnouncedKey {
    /// Its file name, by which signatures name it.
    pub name: String,
    /// Where it is, or what lock files say that it is.
    pub url: String,
    /// The key in PEM.
    pub pem: String,
}

/// The beginning of a chain of documents: where a repository's key set is.
#[derive(Deserialize)]
struct Configuration {
    jwks_uri: String,
}

/// A JSON web key set, RFC 7517.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<WebKey>,
}

#[derive(Deserialize)]
struct WebKey {
    #[serde(default)]
    kid: String,
    #[serde(default)]
    kty: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

/// What Alpine Linux says of its releases.
#[derive(Deserialize)]
struct Releases {
    release_branches: Vec<Branch>,
}

#[derive(Deserialize)]
struct Branch {
    rel_branch: String,
    #[serde(default)]
    keys: BTreeMap<String, Vec<BranchKey>>,
}

#[derive(Deserialize)]
struct BranchKey {
    url: String,
    deprecated_since: Option<String>,
}

impl Client {
    /// The keys that a repository announces for an architecture: [`Client::announced_keys_of`] one.
    ///
    /// # Errors
    /// As there.
    pub fn announced_keys(
        &self,
        location: &Location,
        arch: Arch,
    ) -> Result<Vec<AnnouncedKey>, RepositoryError> {
        let mut keys = self.announced_keys_of(std::slice::from_ref(location), &[arch])?;
        Ok(keys.remove(&arch).unwrap_or_default())
    }

    /// The keys that repositories announce, for each architecture, as the Go apko finds them: those of Alpine Linux's
    /// releases for its repositories, and those of the key set that a repository's own `apk-configuration` leads to.
    /// Directories announce none, nor do repositories with a tag.
    ///
    /// # Errors
    /// When Alpine's keys cannot be had, or a connection fails. A repository whose own announcement cannot be had or
    /// understood counts as one that announces no keys, with a [warning](Event::Warning). [Offline](crate::ClientOptions),
    /// what was never asked for counts as not announced.
    pub fn announced_keys_of(
        &self,
        locations: &[Location],
        archs: &[Arch],
    ) -> Result<BTreeMap<Arch, Vec<AnnouncedKey>>, RepositoryError> {
        let locations: Vec<&Location> = locations.iter().filter(|one| one.tag().is_none()).collect();
        let branches: BTreeSet<String> = locations
            .iter()
            .filter_map(|one| alpine_branch(&one.base()))
            .collect();
        let mut alpine = match branches.is_empty() {
            true => BTreeMap::new(),
            false => or_nothing_offline(self.alpine_keys(&branches, archs))?,
        };
        let own = each(&locations, self.options().http.parallel, |location| {
            self.own_keys(location)
        });
        let own = own.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        let all = archs.iter().map(|arch| {
            let mut keys = alpine.remove(arch).unwrap_or_default();
            keys.extend(own.iter().cloned());
            (*arch, keys)
        });
        Ok(all.collect())
    }

    /// The keys of the key set that the repository's own `apk-configuration` leads to; of [`Client::announced_keys_of`] those
    /// that do not depend on an architecture.
    ///
    /// # Errors
    /// When a connection fails.
    pub fn own_keys(&self, location: &Location) -> Result<Vec<AnnouncedKey>, RepositoryError> {
        let Place::Url(repository) = location.place()? else {
            return Ok(Vec::new());
        };
        match or_nothing_offline(self.key_set(&repository)) {
            Ok(keys) => Ok(keys),
            Err(RepositoryError::Http(error)) if error.status().is_none() => Err(error.into()),
            Err(error) => {
                let text = format!("the keys that {location} announces are passed over: {error}");
                self.options().http.tell(&Event::Warning(text));
                Ok(Vec::new())
            }
        }
    }

    fn key_set(&self, repository: &HttpUrl) -> Result<Vec<AnnouncedKey>, RepositoryError> {
        let at = repository.child(&["apk-configuration"]);
        let read = |bytes: &Bytes| json::<Configuration>(bytes, &at);
        let Some(Configuration { jwks_uri }) = self.document(&at, read)? else {
            return Ok(Vec::new());
        };
        let set = at.join(&jwks_uri).map_err(|source| RepositoryError::Url {
            at: http_exchange::without_login(&jwks_uri),
            source,
        })?;
        self.warn_of_plain_http(&set);
        let read = |bytes: &Bytes| {
            let KeySet { keys } = json(bytes, &set)?;
            keys.iter().map(|key| web_key(key, &set, repository)).collect()
        };
        self.document(&set, read)?.ok_or_else(|| not_found(&set))
    }

    fn alpine_keys(
        &self,
        branches: &BTreeSet<String>,
        archs: &[Arch],
    ) -> Result<BTreeMap<Arch, Vec<AnnouncedKey>>, RepositoryError> {
        let Place::Url(at) = place(&self.options().alpine_releases)? else {
            return Ok(BTreeMap::new());
        };
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        let releases = self.document(&at, |bytes: &Bytes| json::<Releases>(bytes, &at))?;
        let Releases { release_branches } = releases.ok_or_else(|| not_found(&at))?;
        let branches = release_branches
            .iter()
            .filter(|one| branches.contains(&one.rel_branch));
        let mut wanted: BTreeMap<String, BTreeSet<Arch>> = BTreeMap::new();
        for (branch, arch) in branches.flat_map(|branch| archs.iter().map(move |arch| (branch, arch))) {
            let keys = branch.keys.get(arch.apk_name()).map_or(&[][..], Vec::as_slice);
            for key in keys.iter().filter(|key| is_current(key, &today)) {
                // What is published has a space where an @ should be.
                wanted
                    .entry(key.url.replace("%20", "@"))
                    .or_default()
                    .insert(*arch);
            }
        }
        let wanted: Vec<(String, BTreeSet<Arch>)> = wanted.into_iter().collect();
        let fetched = each(&wanted, self.options().http.parallel, |(url, _)| {
            let (name, pem) = self.read_key(url)?;
            let name = file_name(name, &at)?;
            Ok::<_, RepositoryError>(AnnouncedKey {
                name,
                url: url.clone(),
                pem,
            })
        });
        let mut keys: BTreeMap<Arch, Vec<AnnouncedKey>> = BTreeMap::new();
        for ((_, archs), key) in wanted.iter().zip(fetched) {
            let key = key?;
            archs
                .iter()
                .for_each(|arch| keys.entry(*arch).or_default().push(key.clone()));
        }
        Ok(keys)
    }
}

/// Nobody may be asked, so nobody has announced anything.
fn or_nothing_offline<T: Default>(result: Result<T, RepositoryError>) -> Result<T, RepositoryError> {
    match result {
        Err(RepositoryError::Http(HttpError::Offline { .. })) => Ok(T::default()),
        result => result,
    }
}

/// The branch of a repository of Alpine Linux: `https://MIRROR/alpine/BRANCH/REPOSITORY`.
fn alpine_branch(base: &str) -> Option<String> {
    let (rest, repository) = base.rsplit_once('/')?;
    let (rest, branch) = rest.rsplit_once('/')?;
    let mirror = rest.strip_suffix("/alpine")?;
    let host = mirror
        .strip_prefix("https://")
        .or(mirror.strip_prefix("http://"))?;
    (!host.is_empty() && !branch.is_empty() && !repository.is_empty()).then(|| branch.to_owned())
}

fn is_current(key: &BranchKey, today: &str) -> bool {
    let deprecated = key.deprecated_since.as_deref().unwrap_or_default();
    deprecated.is_empty() || deprecated > today
}

fn json<T: for<'de> Deserialize<'de>>(bytes: &[u8], at: &HttpUrl) -> Result<T, RepositoryError> {
    serde_json::from_slice(bytes).map_err(|error| announcement(at, error.to_string()))
}

fn announcement(at: &HttpUrl, reason: String) -> RepositoryError {
    RepositoryError::Announcement {
        at: at.to_string(),
        reason,
    }
}

fn web_key(web: &WebKey, at: &HttpUrl, repository: &HttpUrl) -> Result<AnnouncedKey, RepositoryError> {
    let id = &web.kid;
    if id.is_empty() {
        return Err(announcement(at, "a key has no `kid`".to_owned()));
    }
    if web.kty != "RSA" {
        let reason = format!(
            "the key `{id}` is of the type `{}`; only RSA is supported",
            web.kty
        );
        return Err(announcement(at, reason));
    }
    let wrong = || announcement(at, format!("the key `{id}` is no RSA key"));
    let number = |digits: &str| {
        URL_SAFE_NO_PAD
            .decode(digits.trim_end_matches('='))
            .map_err(|_| wrong())
    };
    let (n, e) = (number(&web.n)?, number(&web.e)?);
    let (n, e) = (
        BoxedUint::from_be_slice_vartime(&n),
        BoxedUint::from_be_slice_vartime(&e),
    );
    let public = rsa::PublicKey::new(n, e).map_err(|_| wrong())?;
    let pem = public.to_public_key_pem(LineEnding::LF).map_err(|_| wrong())?;
    let name = file_name(format!("{id}.rsa.pub"), at)?;
    Ok(AnnouncedKey {
        url: repository.child(&[&name]).to_string(),
        name,
        pem: key(pem.as_bytes(), &at.to_string())?,
    })
}

/// A name that is no path.
fn file_name(name: String, at: &HttpUrl) -> Result<String, RepositoryError> {
    match name.contains(['/', '\0']) || name.starts_with('.') {
        true => Err(announcement(at, format!("`{name}` cannot be the name of a key"))),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_of_alpine_have_a_branch() {
        let rows = [
            ("https://dl-cdn.alpinelinux.org/alpine/v3.20/main", Some("v3.20")),
            ("http://mirror/pub/alpine/edge/testing", Some("edge")),
            ("https://dl-cdn.alpinelinux.org/alpine/v3.20", None),
            ("https://packages.wolfi.dev/os", None),
            ("https:///alpine/edge/main", None),
            ("/srv/alpine/edge/main", None),
        ];
        for (base, branch) in rows {
            assert_eq!(alpine_branch(base).as_deref(), branch, "{base}");
        }
    }

    #[test]
    fn a_deprecated_key_is_passed_over_from_that_day_on() {
        let rows = [
            (None, true),
            (Some(""), true),
            (Some("2026-01-02"), false),
            (Some("2026-01-03"), true),
        ];
        for (deprecated, current) in rows {
            let key = BranchKey {
                url: String::new(),
                deprecated_since: deprecated.map(str::to_owned),
            };
            assert_eq!(is_current(&key, "2026-01-02"), current, "{deprecated:?}");
        }
    }
}
