//! Package URLs.

use std::collections::BTreeMap;
use std::fmt;

/// A package URL: `pkg:type/namespace/name@version?qualifiers#subpath`.
///
/// Its text is that of packageurl-go 0.1.6, escapes included, since package URLs are part of documents
/// that are hashed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purl {
    /// The scheme of the name: `apk`, `oci`, `github`, `generic`.
    pub kind: String,
    /// What stands before the name; slashes separate its parts.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The version, or empty.
    pub version: String,
    /// Further data.
    pub qualifiers: BTreeMap<String, String>,
    /// A path within the package, or empty.
    pub subpath: String,
}

/// Says why a package URL cannot be normalized.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurlError {
    /// There is no name.
    #[error("a package URL of type {kind:?} needs a name")]
    NoName {
        /// The type.
        kind: String,
    },
    /// The subpath has a part `.` or `..`.
    #[error("{subpath:?} cannot be the subpath of a package URL")]
    Subpath {
        /// The subpath.
        subpath: String,
    },
}

impl Purl {
    pub(crate) fn new(kind: &str, namespace: &str, name: &str, version: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn qualify(mut self, key: &str, value: &str) -> Self {
        self.qualifiers.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Brings the URL into the form that its type prescribes: names of `apk` and `github` are in lower case, empty
    /// qualifiers are left out, and slashes at the ends are removed.
    ///
    /// # Errors
    /// When there is no name, or the subpath has a part `.` or `..` other than the first.
    pub fn normalize(mut self) -> Result<Self, PurlError> {
        if self.name.is_empty() {
            return Err(PurlError::NoName { kind: self.kind });
        }
        if self
            .subpath
            .split('/')
            .skip(1)
            .any(|part| part == "." || part == "..")
        {
            return Err(PurlError::Subpath {
                subpath: self.subpath,
            });
        }
        if matches!(self.kind.as_str(), "apk" | "github") {
            self.namespace = self.namespace.to_lowercase();
            self.name = self.name.to_lowercase();
        }
        self.qualifiers.retain(|_, value| !value.is_empty());
        self.namespace = self.namespace.trim_matches('/').to_owned();
        self.subpath = self.subpath.trim_matches('/').to_owned();
        Ok(self)
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}", self.kind)?;
        for part in self.namespace.split('/').filter(|part| !part.is_empty()) {
            write!(f, "/{}", Escaped(part, PATH))?;
        }
        write!(f, "/{}", Escaped(&self.name, PATH))?;
        if !self.version.is_empty() {
            write!(f, "@{}", Escaped(&self.version, PATH))?;
        }
        let mut separator = '?';
        for (key, value) in &self.qualifiers {
            write!(
                f,
                "{separator}{}={}",
                Escaped(key, QUALIFIER),
                Escaped(value, QUALIFIER)
            )?;
            separator = '&';
        }
        if !self.subpath.is_empty() {
            write!(f, "#{}", Escaped(&self.subpath, SUBPATH))?;
        }
        Ok(())
    }
}

/// What stands unescaped, beside letters and digits.
const QUALIFIER: &[u8] = b"-._~:";
const PATH: &[u8] = b"-._~:!$&'()*,;=";
const SUBPATH: &[u8] = b"-._~:!$&'()*,;=/";

struct Escaped<'a>(&'a str, &'static [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for &byte in self.0.as_bytes() {
            if byte.is_ascii_alphanumeric() || self.1.contains(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_escaped_in_its_own_way() {
        let mut purl = Purl::new("apk", "a b/c", "libstdc++", "1.0~x@y+z").qualify("distro", "d");
        purl = purl.qualify("arch", "x+y:z/ä");
        purl.subpath = "/a+b/c d".to_owned();
        assert_eq!(
            purl.to_string(),
            "pkg:apk/a%20b/c/libstdc%2B%2B@1.0~x%40y%2Bz?arch=x%2By:z%2F%C3%A4&distro=d#/a%2Bb/c%20d"
        );
    }

    #[test]
    fn normal_form_is_the_types_own() {
        let mut purl = Purl::new("github", "https:", "/Example.org/Repo", "0123abc").qualify("empty", "");
        purl.subpath = "./a.yaml/".to_owned();
        let text = purl.clone().normalize().unwrap().to_string();
        assert_eq!(text, "pkg:github/https:/%2Fexample.org%2Frepo@0123abc#./a.yaml");
        purl.subpath = "a/../b".to_owned();
        assert!(purl.normalize().unwrap_err().to_string().contains("a/../b"));
        assert!(Purl::new("generic", "", "", "1").normalize().is_err());
        let generic = Purl::new("generic", "", "Upper", "1").normalize().unwrap();
        assert_eq!(generic.to_string(), "pkg:generic/Upper@1");
    }
}
