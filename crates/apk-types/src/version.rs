//! Versions and their order, as apk-tools has them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A valid version: `DIGITS{.DIGITS}[LETTER]{_SUFFIX[DIGITS]}[~HEX][-rDIGITS]`.
///
/// The order is that of apk-tools 3: part by part, numbers by value, but a component after the first that has a leading
/// zero as text; `alpha`, `beta`, `pre` and `rc` come before the plain version, `cvs`, `svn`, `git`, `hg` and `p`
/// after it. Numbers may be of any length, where apk-tools' overflow. Comparing two versions allocates nothing.
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

/// A part of a version. Where two versions have different kinds of parts in the same place, the kind decides: the
/// variants stand in the order of apk-tools. The same kinds compare by what they hold.
#[derive(Clone, Copy)]
enum Part<'a> {
    /// `_alpha` to `_rc`.
    Before(i8),
    End,
    Release(&'a str),
    Commit(&'a str),
    SuffixNumber(&'a str),
    /// `_cvs` to `_p`.
    After(i8),
    Letter(u8),
    Component(&'a str),
    /// The digits at the front, which compare by value even with a leading zero.
    First(&'a str),
}

impl Part<'_> {
    /// The place among the kinds.
    fn kind(self) -> u8 {
        match self {
            Self::Before(_) => 0,
            Self::End => 1,
            Self::Release(_) => 2,
            Self::Commit(_) => 3,
            Self::SuffixNumber(_) => 4,
            Self::After(_) => 5,
            Self::Letter(_) => 6,
            Self::Component(_) => 7,
            Self::First(_) => 8,
        }
    }

    fn order(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Component(a), Self::Component(b)) if a.starts_with('0') || b.starts_with('0') => a.cmp(b),
            (Self::First(a), Self::First(b))
            | (Self::Component(a), Self::Component(b))
            | (Self::SuffixNumber(a), Self::SuffixNumber(b))
            | (Self::Release(a), Self::Release(b)) => by_value(a, b),
            (Self::Before(a), Self::Before(b)) | (Self::After(a), Self::After(b)) => a.cmp(&b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(&b),
            (Self::Commit(a), Self::Commit(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

/// Takes the parts of a version off its text one by one.
#[derive(Clone, Copy)]
struct Parts<'a> {
    rest: &'a str,
    /// What came last; `End` before the first part.
    last: Part<'a>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            rest: text,
            last: Part::End,
        }
    }

    /// The next part, which is [`Part::End`] where the text ends; `None` where the text is not that of a version.
    fn next(&mut self) -> Option<Part<'a>> {
        use Part::{After, Before, Commit, Component, End, First, Letter, Release, SuffixNumber};
        let is_suffix = matches!(self.last, Before(_) | After(_));
        let may_have_suffix =
            is_suffix || matches!(self.last, First(_) | Component(_) | Letter(_) | SuffixNumber(_));
        let is_number = matches!(self.last, First(_) | Component(_));
        let (part, rest) = match *self.rest.as_bytes() {
            [] if !matches!(self.last, End) => (End, ""),
            [b'0'..=b'9', ..] if matches!(self.last, End) => taken(self.rest, 0, is_digit, First)?,
            [b'0'..=b'9', ..] if is_suffix => taken(self.rest, 0, is_digit, SuffixNumber)?,
            [b'.', ..] if is_number => taken(self.rest, 1, is_digit, Component)?,
            [letter @ b'a'..=b'z', ..] if is_number => (Letter(letter), &self.rest[1..]),
            [b'_', ..] if may_have_suffix => {
                let (name, rest) = taken(self.rest, 1, |byte| byte.is_ascii_lowercase(), |name| name)?;
                let (_, rank) = SUFFIXES.iter().find(|(suffix, _)| *suffix == name)?;
                (if *rank < 0 { Before(*rank) } else { After(*rank) }, rest)
            }
            [b'~', ..] if may_have_suffix => taken(
                self.rest,
                1,
                |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                Commit,
            )?,
            [b'-', b'r', ..] if may_have_suffix || matches!(self.last, Commit(_)) => {
                taken(self.rest, 2, is_digit, Release)?
            }
            _ => return None,
        };
        (self.rest, self.last) = (rest, part);
        Some(part)
    }

    /// The next part of a text that is known to be a version's.
    fn next_or_end(&mut self) -> Part<'a> {
        self.next().unwrap_or(Part::End)
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Makes something of the bytes of a kind from `start` on, of which there must be one, and gives what follows them.
fn taken<'a, T>(
    text: &'a str,
    start: usize,
    is_taken: impl Fn(u8) -> bool,
    make: impl Fn(&'a str) -> T,
) -> Option<(T, &'a str)> {
    let bytes = text.as_bytes()[start..].iter();
    let end = start + bytes.take_while(|byte| is_taken(**byte)).count();
    (end > start).then(|| (make(&text[start..end]), &text[end..]))
}

impl Version {
    /// Reads a version.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let mut parts = Parts::of(text);
        loop {
            match parts.next() {
                Some(Part::End) => return Ok(Self(text.into())),
                Some(_) => {}
                None => {
                    return Err(VersionError {
                        text: text.to_owned(),
                        rest: parts.rest.to_owned(),
                        column: text.len() - parts.rest.len() + 1,
                    });
                }
            }
        }
    }

    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True where the parts of `prefix` are the first parts of this version: `1.2.3`, `1.2a` and `1.2-r4` match
    /// `1.2`, `1.20` does not. This is apk's `~`.
    pub fn matches_fuzzily(&self, prefix: &Self) -> bool {
        let (mut parts, mut wanted) = (self.parts(), prefix.parts());
        loop {
            match (parts.next_or_end(), wanted.next_or_end()) {
                (_, Part::End) => return true,
                (part, wanted) if part.order(wanted).is_ne() => return false,
                _ => {}
            }
        }
    }

    fn parts(&self) -> Parts<'_> {
        Parts::of(&self.0)
    }
}

/// Compares digits by value, of any length.
fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (self.parts(), other.parts());
        loop {
            let (a, b) = (a.next_or_end(), b.next_or_end());
            let order = a.order(b);
            if order.is_ne() || matches!(a, Part::End) {
                return order;
            }
        }
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
            "1_rc",
            "1_rc0",
            "1_rc1",
            "1_rc1_p1",
            "1_rc_p1",
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

    #[test]
    fn a_version_matches_its_first_parts() {
        let rows = [
            ("1.2.3-r0", "1.2", true),
            ("1.2-r4", "1.2", true),
            ("1.2a", "1.2", true),
            ("1.2_rc2", "1.2_rc", true),
            ("01.2", "1", true),
            ("1.2", "1.2", true),
            ("1.20", "1.2", false),
            ("1.2", "1.2.3", false),
            ("1.2-r10", "1.2-r1", false),
        ];
        for (version, prefix, matches) in rows {
            let [version, prefix] = [version, prefix].map(|text| Version::parse(text).unwrap());
            assert_eq!(version.matches_fuzzily(&prefix), matches, "{version} {prefix}");
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
