//! Versions and their order, as apk-tools has them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A valid version: `DIGITS{.DIGITS}[LETTER]{_SUFFIX[DIGITS]}[~HEX][-rDIGITS]`.
///
/// The order is apk-tools': numbers by value, but a component after the first that has a leading zero compares
/// as text; `alpha`, `beta`, `pre` and `rc` come before the plain version, `cvs`, `svn`, `git`, `hg` and `p`
/// after it; then the commit hash and the release. Comparing two versions allocates nothing.
///
/// Two versions can be equal without the same text (`1` and `01`); equality is the order's.
#[derive(Clone)]
pub struct Version(Box<str>);

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a version: unexpected `{rest}` at column {column}")]
pub struct VersionError {
    /// The text in question.
    pub text: String,
    /// What could not be read.
    pub rest: String,
    /// Where it begins, counted from 1, in bytes.
    pub column: usize,
}

/// Pre-release suffixes have negative ranks, the others positive ones.
const SUFFIXES: [(&str, i8); 9] = [
    ("alpha", -4),
    ("beta", -3),
    ("pre", -2),
    ("rc", -1),
    ("cvs", 1),
    ("svn", 2),
    ("git", 3),
    ("hg", 4),
    ("p", 5),
];

/// The parts of a version, taken off its text one by one.
#[derive(Clone, Copy)]
struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes the digits at the front, which may be none.
    fn digits(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits
    }

    /// Takes `.` and the digits that must follow it.
    fn component(&mut self) -> Option<&'a str> {
        let mut after = Self {
            rest: self.rest.strip_prefix('.')?,
        };
        let digits = after.digits();
        (!digits.is_empty()).then(|| {
            *self = after;
            digits
        })
    }

    fn letter(&mut self) -> Option<u8> {
        let letter = *self
            .rest
            .as_bytes()
            .first()
            .filter(|byte| byte.is_ascii_lowercase())?;
        self.rest = &self.rest[1..];
        Some(letter)
    }

    /// Takes `_name` and its optional number.
    fn suffix(&mut self) -> Option<(i8, &'a str)> {
        let after = self.rest.strip_prefix('_')?;
        let end = after
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(after.len());
        let (_, rank) = SUFFIXES.iter().find(|(name, _)| *name == &after[..end])?;
        self.rest = &after[end..];
        Some((*rank, self.digits()))
    }

    fn commit(&mut self) -> Option<&'a str> {
        let after = self.rest.strip_prefix('~')?;
        let end = after
            .find(|c: char| !matches!(c, '0'..='9' | 'a'..='f'))
            .unwrap_or(after.len());
        (end > 0).then(|| {
            self.rest = &after[end..];
            &after[..end]
        })
    }

    fn release(&mut self) -> Option<&'a str> {
        let mut after = Self {
            rest: self.rest.strip_prefix("-r")?,
        };
        let digits = after.digits();
        (!digits.is_empty()).then(|| {
            *self = after;
            digits
        })
    }
}

impl Version {
    /// Reads a version.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let mut parts = Parts { rest: text };
        if !parts.digits().is_empty() {
            while parts.component().is_some() {}
            parts.letter();
            while parts.suffix().is_some() {}
            parts.commit();
            parts.release();
            if parts.rest.is_empty() {
                return Ok(Self(text.into()));
            }
        }
        let column = text.len() - parts.rest.len() + 1;
        Err(VersionError {
            text: text.to_owned(),
            rest: parts.rest.to_owned(),
            column,
        })
    }

    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True where this is `prefix` itself or continues it at the border of a part: `1.2.3` and `1.2-r4` match
    /// `1.2`, `1.20` does not. This is apk's `~`.
    pub fn matches_fuzzily(&self, prefix: &Self) -> bool {
        match self.0.strip_prefix(&*prefix.0) {
            None => self == prefix,
            Some(rest) => !rest.starts_with(|c: char| c.is_ascii_alphanumeric()),
        }
    }

    fn parts(&self) -> Parts<'_> {
        Parts { rest: &self.0 }
    }
}

/// Compares digits by value, of any length.
fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn compare_components(a: &mut Parts<'_>, b: &mut Parts<'_>) -> Ordering {
    let first = by_value(a.digits(), b.digits());
    if first.is_ne() {
        return first;
    }
    loop {
        let order = match (a.component(), b.component()) {
            (None, None) => return Ordering::Equal,
            (Some(_), None) => return Ordering::Greater,
            (None, Some(_)) => return Ordering::Less,
            (Some(a), Some(b)) if a.starts_with('0') || b.starts_with('0') => a.cmp(b),
            (Some(a), Some(b)) => by_value(a, b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn compare_suffixes(a: &mut Parts<'_>, b: &mut Parts<'_>) -> Ordering {
    loop {
        let order = match (a.suffix(), b.suffix()) {
            (None, None) => return Ordering::Equal,
            (Some((rank, _)), None) => return rank.cmp(&0),
            (None, Some((rank, _))) => return 0.cmp(&rank),
            (Some((rank_a, a)), Some((rank_b, b))) => rank_a.cmp(&rank_b).then_with(|| by_value(a, b)),
        };
        if order.is_ne() {
            return order;
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (self.parts(), other.parts());
        compare_components(&mut a, &mut b)
            .then_with(|| a.letter().cmp(&b.letter()))
            .then_with(|| compare_suffixes(&mut a, &mut b))
            .then_with(|| a.commit().cmp(&b.commit()))
            .then_with(|| match (a.release(), b.release()) {
                (Some(a), Some(b)) => by_value(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::parse(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_stand_in_ascending_order() {
        let ascending = [
            "0.9",
            "1_alpha",
            "1_alpha2",
            "1_beta",
            "1_pre",
            "1_rc1",
            "1_rc1_p1",
            "1",
            "1-r0",
            "1-r2",
            "1-r10",
            "1~ab",
            "1_cvs",
            "1_svn",
            "1_git20240101",
            "1_hg",
            "1_p1",
            "1a",
            "1b",
            "1.0",
            "1.01",
            "1.1",
            "1.9",
            "1.10",
            "2",
            "10",
            "99999999999999999999999",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                let (x, y) = (Version::parse(a).unwrap(), Version::parse(b).unwrap());
                assert_eq!(x.cmp(&y), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_no_version_is_refused_with_its_place() {
        let rows = [
            ("", "", 1),
            ("a", "a", 1),
            ("1.", ".", 2),
            ("1_foo1", "_foo1", 2),
            ("1-r", "-r", 2),
            ("1ab", "b", 3),
            ("1~g", "~g", 2),
        ];
        for (text, rest, column) in rows {
            let error = Version::parse(text).unwrap_err();
            assert_eq!((error.rest.as_str(), error.column), (rest, column), "{text}");
        }
    }

    /// The order of apk-tools on real and mutated versions, where the conformance sets are at hand.
    #[test]
    fn agrees_with_apk_tools() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/conformance/version/versions.jsonl"
        );
        let Ok(rows) = std::fs::read_to_string(path) else {
            println!("skipped: the conformance sets are not here");
            return;
        };
        for line in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let [a, b] = ["a", "b"].map(|key| Version::parse(row[key].as_str().unwrap()));
            assert_eq!(a.is_ok(), row["a_valid"], "{line}");
            assert_eq!(b.is_ok(), row["b_valid"], "{line}");
            if let (Ok(a), Ok(b)) = (a, b) {
                let order = match a.cmp(&b) {
                    Ordering::Less => "<",
                    Ordering::Equal => "=",
                    Ordering::Greater => ">",
                };
                assert!(
                    [order, "?", ""].contains(&row["cmp"].as_str().unwrap()),
                    "{order} in {line}"
                );
            }
        }
    }

    const ANY: &str = "[0-9]{1,3}(\\.[0-9]{1,3}){0,2}[a-c]?(_(alpha|rc|git|p)[0-9]{0,2}){0,2}(~[0-9a-f]{1,4})?(-r[0-9]{1,2})?";

    proptest! {
        #[test]
        fn the_order_is_total(a in ANY, b in ANY, c in ANY) {
            let [a, b, c] = [a, b, c].map(|text| Version::parse(&text).unwrap());
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            prop_assert_eq!(a.cmp(&a.clone()), Ordering::Equal);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,16}") {
            let _ = Version::parse(&text);
        }
    }
}
