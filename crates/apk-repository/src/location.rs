//! Where a repository is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use apk_types::{Arch, PackageRecord};
use http_exchange::without_login;

use crate::client::{Place, place};
use crate::error::RepositoryError;

/// A repository as `/etc/apk/repositories` and image configurations name it: a directory or URL, with an optional
/// `@tag` in front that packages are pinned to.
///
/// A URL may have a user name and password in it. They are used to fetch, and shown nowhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    tag: Option<String>,
    base: String,
}

/// A text that names no repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a repository: write `PATH`, `URL` or `@TAG PATH-OR-URL`")]
pub struct LocationError(pub String);

impl Location {
    /// The tag, without `@`.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The file name of an index.
    pub const INDEX: &str = "APKINDEX.tar.gz";

    /// The directory or URL that holds one directory for each architecture, without user name and password.
    pub fn base(&self) -> String {
        without_login(&self.base)
    }

    /// The directory or URL of an architecture's packages.
    pub fn directory(&self, arch: Arch) -> String {
        format!("{}/{arch}", self.base())
    }

    /// The file or URL of an architecture's index.
    pub fn index(&self, arch: Arch) -> String {
        format!("{}/{}", self.directory(arch), Self::INDEX)
    }

    /// The file or URL of a package.
    pub fn package(&self, arch: Arch, record: &PackageRecord) -> String {
        format!("{}/{}", self.directory(arch), record.file_name())
    }

    /// The directory on disk, `None` for a URL. `file://` URLs are directories.
    pub fn local(&self) -> Option<PathBuf> {
        match self.place() {
            Ok(Place::File(path)) => Some(path),
            _ => None,
        }
    }

    /// The directory or URL.
    pub(crate) fn place(&self) -> Result<Place, RepositoryError> {
        place(&self.base)
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let error = || LocationError(without_login(text));
        let (tag, base) = match text.trim().strip_prefix('@') {
            None => (None, text.trim()),
            Some(rest) => {
                let (tag, base) = rest.split_once(char::is_whitespace).ok_or_else(error)?;
                (
                    Some(tag.to_owned())
                        .filter(|tag| !tag.is_empty())
                        .ok_or_else(error)?
                        .into(),
                    base.trim(),
                )
            }
        };
        let base = base.trim_end_matches('/');
        if base.is_empty() || base.contains(char::is_whitespace) {
            return Err(error());
        }
        Ok(Self {
            tag,
            base: base.to_owned(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            Some(tag) => write!(f, "@{tag} {}", self.base()),
            None => f.write_str(&self.base()),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_apart_and_read_back() {
        let rows = [
            ("repos/alpine", None, "repos/alpine", "repos/alpine"),
            ("repos/alpine//", None, "repos/alpine", "repos/alpine"),
            (
                "@edge  https://example.org/edge/ ",
                Some("edge"),
                "https://example.org/edge",
                "@edge https://example.org/edge",
            ),
        ];
        for (text, tag, base, shown) in rows {
            let location: Location = text.parse().unwrap();
            assert_eq!(
                (
                    location.tag(),
                    location.base().as_str(),
                    location.to_string().as_str()
                ),
                (tag, base, shown)
            );
        }
        let location: Location = "@edge https://me:s3cret@example.org/edge".parse().unwrap();
        for shown in [
            location.to_string(),
            format!("{location:?}"),
            location.index(Arch::X86_64),
        ] {
            assert!(shown.contains("https://example.org/edge"), "{shown}");
        }
        for text in ["", "/", "@edge", "@ https://example.org", "two words"] {
            assert_eq!(text.parse::<Location>(), Err(LocationError(without_login(text))));
        }
    }

    #[test]
    fn files_and_urls_are_told_apart() {
        let local = |text: &str| text.parse::<Location>().unwrap().local();
        assert_eq!(local("./packages"), Some("./packages".into()));
        assert_eq!(local("file:///srv/packages"), Some("/srv/packages".into()));
        assert_eq!(local("https://example.org/packages"), None);
    }
}
