//! Names of images: `registry/repository:tag`.

use std::fmt;
use std::str::FromStr;

/// The registry of names that mention none.
const DEFAULT_REGISTRY: &str = "index.docker.io";

/// The tag of names that mention none.
const DEFAULT_TAG: &str = "latest";

/// A tagged image name, complete: `alpine` is `index.docker.io/library/alpine:latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    registry: String,
    repository: String,
    tag: String,
}

/// Says what is wrong with an image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not an image name: {reason}")]
pub struct ParseTagError {
    name: String,
    reason: &'static str,
}

impl Tag {
    /// Returns the registry's host, with its port where there is one: `index.docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository in the registry: `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag alone: `latest`.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns the same image name with `suffix` after its tag, for example `-amd64`.
    ///
    /// # Errors
    /// When the tag becomes too long or the suffix has characters that tags cannot have.
    pub fn with_suffix(&self, suffix: &str) -> Result<Self, ParseTagError> {
        format!("{self}{suffix}").parse()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl FromStr for Tag {
    type Err = ParseTagError;

    /// Reads a name by the rules of Docker, as go-containerregistry's `name.NewTag` does when not strict.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        parse(name).map_err(|reason| ParseTagError {
            name: name.to_owned(),
            reason,
        })
    }
}

fn parse(name: &str) -> Result<Tag, &'static str> {
    // What follows the last colon is a port, not a tag, when a slash follows it.
    let (base, tag) = match name.rsplit_once(':') {
        Some((_, "")) => return Err("a tag must follow the colon"),
        Some((base, tag)) if !tag.contains('/') => (base, tag),
        _ => (name, DEFAULT_TAG),
    };
    let is_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if tag.len() > 128 || !tag.chars().all(is_tag) {
        return Err("a tag has at most 128 characters of a-z, A-Z, 0-9, '_', '-' and '.'");
    }
    let (registry, repository) = match base.split_once('/') {
        Some((host, rest)) if host == "localhost" || host.contains(['.', ':']) => (host, rest),
        _ => ("", base),
    };
    let is_repository = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '/');
    if !(2..=255).contains(&repository.len()) || !repository.chars().all(is_repository) {
        return Err("a repository has 2 to 255 characters of a-z, 0-9, '_', '-', '.' and '/'");
    }
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if !registry.chars().all(is_host) {
        return Err("a registry is a host name, with an optional port");
    }
    let registry = match registry {
        "" | "docker.io" => DEFAULT_REGISTRY,
        other => other,
    };
    let implicit = registry == DEFAULT_REGISTRY && !repository.contains('/');
    let library = if implicit { "library/" } else { "" };
    Ok(Tag {
        registry: registry.to_owned(),
        repository: format!("{library}{repository}"),
        tag: tag.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed() {
        for (name, want) in [
            ("alpine", "index.docker.io/library/alpine:latest"),
            ("alpine:3.20", "index.docker.io/library/alpine:3.20"),
            ("docker.io/a/b", "index.docker.io/a/b:latest"),
            ("a/b:c", "index.docker.io/a/b:c"),
            ("ghcr.io/a/b:c", "ghcr.io/a/b:c"),
            ("localhost/bb", "localhost/bb:latest"),
            ("localhost:5000/bb", "localhost:5000/bb:latest"),
            ("127.0.0.1:5000/bb:v1", "127.0.0.1:5000/bb:v1"),
        ] {
            let tag: Tag = name.parse().unwrap();
            assert_eq!(tag.to_string(), want);
            assert_eq!(want.parse(), Ok(tag), "the complete name stands for itself");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_a_reason() {
        for name in [
            "",
            "a",
            "UPPER/case",
            "alpine:",
            "alpine:a b",
            "gh cr.io/a/b",
            "a/b:ü",
            "name@sha256:00",
        ] {
            let error = name.parse::<Tag>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("{name:?} is not an image name: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn suffixes_go_to_the_tag() {
        let tag: Tag = "alpine".parse().unwrap();
        assert_eq!(
            tag.with_suffix("-arm64").unwrap().to_string(),
            "index.docker.io/library/alpine:latest-arm64"
        );
        assert_eq!(
            (tag.registry(), tag.repository(), tag.tag()),
            ("index.docker.io", "library/alpine", "latest")
        );
        assert!(tag.with_suffix("/arm").is_err());
        assert!(tag.with_suffix(&"x".repeat(128)).is_err());
    }
}
