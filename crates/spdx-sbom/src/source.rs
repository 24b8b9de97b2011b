//! Where a package's sources come from: the steps of a pipeline that fetch something.

use crate::{Purl, PurlError};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A step that brings sources of others into a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, as the pipeline `fetch` gets it.
    Fetch {
        /// The step's place in its pipeline, from 0.
        step: usize,
        /// Where the file comes from.
        uri: String,
        /// The file's SHA-256, hexadecimal, or empty.
        sha256: String,
        /// The file's SHA-512, hexadecimal, or empty. It goes before SHA-256 in the package URL.
        sha512: String,
        /// The name of what the file contains.
        name: String,
        /// Its version.
        version: String,
    },
    /// A repository, as the pipeline `git-checkout` gets it. Without tag and commit, nothing is said about it.
    Git {
        /// The step's place in its pipeline, from 0.
        step: usize,
        /// The repository's URL.
        repository: String,
        /// The branch, or empty.
        branch: String,
        /// The tag, or empty.
        tag: String,
        /// The commit, or empty.
        commit: String,
    },
}

/// Says why nothing can be said about a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// No package URL can be made.
    #[error("cannot make a package URL for {location:?}")]
    Purl {
        /// The URL of the source.
        location: String,
        /// What is wrong.
        source: PurlError,
    },
    /// The repository is not a URL, or has no path.
    #[error("{url:?} is not the URL of a repository")]
    Repository {
        /// The repository.
        url: String,
    },
}

/// What there is to say about a source.
pub(crate) struct Upstream {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) license: String,
    pub(crate) checksums: BTreeMap<&'static str, String>,
    pub(crate) purl: Purl,
    pub(crate) download_location: String,
}

impl Source {
    /// Describes the source. `namespace` and `license` are those of the package built from it.
    pub(crate) fn describe(&self, namespace: &str, license: &str) -> Result<Option<Upstream>, SourceError> {
        match self {
            Self::Fetch {
                step,
                uri,
                sha256,
                sha512,
                name,
                version,
            } => {
                let mut purl = Purl::new("generic", "", name, version).qualify("download_url", uri);
                let mut checksums = BTreeMap::new();
                for (kind, prefix, value) in [("SHA256", "sha256", sha256), ("SHA512", "sha512", sha512)] {
                    if !value.is_empty() {
                        purl = purl.qualify("checksum", &format!("{prefix}:{value}"));
                        checksums.insert(kind, value.clone());
                    }
                }
                Ok(Some(Upstream {
                    id: format!("SPDXRef-Package-Source-{name}-{version}-{step}"),
                    name: name.clone(),
                    version: version.clone(),
                    namespace: namespace.to_owned(),
                    license: String::new(),
                    checksums,
                    purl: normalize(purl, uri)?,
                    download_location: uri.clone(),
                }))
            }
            Self::Git {
                repository,
                tag,
                commit,
                ..
            } => {
                let version = if tag.is_empty() { commit } else { tag };
                if version.is_empty() {
                    return Ok(None);
                }
                let mut upstream = git(repository, tag, commit, namespace)?;
                upstream.id = self.git_id();
                license.clone_into(&mut upstream.license);
                Ok(Some(upstream))
            }
        }
    }

    /// Returns an identifier made of all that is known, since one repository may be checked out twice.
    fn git_id(&self) -> String {
        let Self::Git {
            step,
            repository,
            branch,
            tag,
            commit,
        } = self
        else {
            return String::new();
        };
        let address = repository.strip_prefix("https://").unwrap_or(repository);
        let address = address.strip_prefix("http://").unwrap_or(address);
        let step = step.to_string();
        ["SPDXRef-Package", "Source", address, branch, tag, commit, &step]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("-")
    }
}

fn git(repository: &str, tag: &str, commit: &str, namespace: &str) -> Result<Upstream, SourceError> {
    let bad = || SourceError::Repository {
        url: repository.to_owned(),
    };
    let url = Url::parse(repository).ok_or_else(bad)?;
    let path = url.path.strip_prefix('/').unwrap_or(&url.path);
    let version = if tag.is_empty() { commit } else { tag };
    let reference = if commit.is_empty() { tag } else { commit };
    let (purl, name, owner, download_location) = if url.host == "github.com" {
        let (owner, name) = path.split_once('/').unwrap_or((path, ""));
        let name = name.strip_suffix(".git").unwrap_or(name);
        let archive = format!(
            "{}://github.com/{owner}/{name}/archive/{reference}.tar.gz",
            url.scheme
        );
        (Purl::new("github", owner, name, version), name, owner, archive)
    } else {
        let name = path.strip_suffix(".git").unwrap_or(path);
        let first = name.chars().next().ok_or_else(bad)?;
        let hash: String = Sha256::digest(name)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let archive = format!("https://tarballs.cgr.dev/{first}/{hash}-{reference}.tar.gz");
        let vcs = if repository.starts_with("git") { "" } else { "git+" };
        let at = if commit.is_empty() { "" } else { "@" };
        let vcs_url = format!("{vcs}{repository}{at}{commit}");
        (
            Purl::new("generic", "", name, version).qualify("vcs_url", &vcs_url),
            name,
            namespace,
            archive,
        )
    };
    Ok(Upstream {
        id: String::new(),
        name: name.to_owned(),
        version: version.to_owned(),
        namespace: owner.to_owned(),
        license: String::new(),
        checksums: BTreeMap::new(),
        purl: normalize(purl, repository)?,
        download_location,
    })
}

fn normalize(purl: Purl, location: &str) -> Result<Purl, SourceError> {
    purl.normalize().map_err(|source| SourceError::Purl {
        location: location.to_owned(),
        source,
    })
}

/// The parts of a URL that matter here.
struct Url<'a> {
    scheme: &'a str,
    host: &'a str,
    path: String,
}

impl<'a> Url<'a> {
    /// Takes a URL apart as Go's `url.Parse` does; `None` for what it refuses, for example `git@host:path`.
    fn parse(url: &'a str) -> Option<Self> {
        if url.bytes().any(|c| c < b' ' || c == 0x7f) {
            return None;
        }
        let url = url.split('#').next()?;
        let url = url.split('?').next()?;
        let is_scheme = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_alphabetic())
                && s.chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        };
        let (scheme, rest) = match url.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            // A colon in the first segment is neither a scheme nor part of a path.
            Some((before, _)) if !before.contains('/') => return None,
            _ => ("", url),
        };
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (authority.rsplit('@').next()?, path)
            }
            None => ("", rest),
        };
        Some(Self {
            scheme,
            host,
            path: percent_decode(path)?,
        })
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(repository: &str, tag: &str, commit: &str) -> Result<Option<Upstream>, SourceError> {
        let source = Source::Git {
            step: 2,
            repository: repository.to_owned(),
            branch: String::new(),
            tag: tag.to_owned(),
            commit: commit.to_owned(),
        };
        source.describe("wolfi", "MIT")
    }

    #[test]
    fn github_repositories_have_their_own_package_urls() {
        let upstream = checkout("https://github.com/Org/Repo.git", "v1", "abc")
            .unwrap()
            .unwrap();
        assert_eq!(
            upstream.id,
            "SPDXRef-Package-Source-github.com/Org/Repo.git-v1-abc-2"
        );
        assert_eq!(upstream.purl.to_string(), "pkg:github/org/repo@v1");
        assert_eq!(
            upstream.download_location,
            "https://github.com/Org/Repo/archive/abc.tar.gz"
        );
        assert_eq!(
            (upstream.name.as_str(), upstream.namespace.as_str()),
            ("Repo", "Org")
        );
    }

    #[test]
    fn other_repositories_are_generic() {
        let upstream = checkout("https://gitlab.com/a/b.git", "", "abc")
            .unwrap()
            .unwrap();
        assert_eq!(
            upstream.purl.to_string(),
            "pkg:generic/a%2Fb@abc?vcs_url=git%2Bhttps:%2F%2Fgitlab.com%2Fa%2Fb.git%40abc"
        );
        let hash = "c14cddc033f64b9dea80ea675cf280a015e672516090a5626781153dc68fea11";
        assert_eq!(
            upstream.download_location,
            format!("https://tarballs.cgr.dev/a/{hash}-abc.tar.gz")
        );
        assert_eq!(upstream.namespace, "wolfi");
    }

    #[test]
    fn a_branch_alone_says_nothing() {
        assert!(checkout("https://github.com/a/b", "", "").unwrap().is_none());
    }

    #[test]
    fn what_is_no_url_is_named() {
        for url in [
            "git@github.com:a/b.git",
            "",
            "https://gitlab.com/",
            "https://github.com/only-owner",
        ] {
            let Err(error) = checkout(url, "v1", "") else {
                panic!("{url:?} was accepted")
            };
            assert!(error.to_string().contains(&format!("{url:?}")), "{error}");
        }
    }
}
