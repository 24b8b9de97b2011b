//! Versions as the Go apko reads and orders them.
//!
//! The picks have to be the Go apko's, and its versions are not apk's (those are `apk_types::Version`): at most
//! one pre-release and one post-release suffix, every component compared by value, an absent release equal to
//! `-r0`, and no commit hash. A text outside this grammar is passed over as a candidate. One rule is for
//! sonames alone: in `so:NAME=VERSION` a version without a release gets `0.` in front, so that it sorts below
//! those that carry the release of their package.

use std::cmp::Ordering;

use apk_types::{Comparator, Dependency};

/// The version of a package, of a provided name or of a constraint, not yet read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionText<'a> {
    text: &'a str,
    soname: bool,
}

impl<'a> VersionText<'a> {
    /// The version of a package itself.
    pub(crate) fn plain(text: &'a str) -> Self {
        Self { text, soname: false }
    }

    /// The version in an expression, `None` where it has none.
    pub(crate) fn of(dependency: &'a Dependency) -> Option<Self> {
        let text = dependency.version()?;
        let with_equals = !matches!(
            dependency.constraint(),
            Some((Comparator::Less | Comparator::Greater, _))
        ) && dependency.as_str().contains('=');
        let released = dependency.pin().is_none() && ends_with_release(text);
        let soname = dependency.as_str().starts_with("so:") && with_equals && !released;
        Some(Self { text, soname })
    }

    /// Reads it, `None` where the Go apko could not.
    pub(crate) fn read(self) -> Option<GoVersion<'a>> {
        GoVersion::read(self)
    }
}

fn ends_with_release(text: &str) -> bool {
    let rest = text.trim_end_matches(|c: char| c.is_ascii_digit());
    rest.len() < text.len() && rest.ends_with("-r")
}

/// A version in the Go apko's grammar: `DIGITS{.DIGITS}[LETTER][_PRE[DIGITS]][_POST[DIGITS]][-rDIGITS]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GoVersion<'a> {
    soname: bool,
    numbers: &'a str,
    rest: Rest,
}

/// All that follows the numbers, compared field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rest {
    letter: Option<u8>,
    /// Rank from 1; none ranks above all.
    pre: u8,
    pre_number: i64,
    /// Rank from 1; none is 0.
    post: u8,
    post_number: i64,
    release: i64,
}

const NO_PRE: u8 = u8::MAX;
const PRE: [(&str, u8); 4] = [("_alpha", 1), ("_beta", 2), ("_pre", 3), ("_rc", 4)];
const POST: [(&str, u8); 5] = [("_cvs", 1), ("_svn", 2), ("_git", 3), ("_hg", 4), ("_p", 5)];

/// Splits the digits off the front and reads them; an empty run is 0, one beyond 63 bits is no number.
fn digits(text: &str) -> Option<(&str, i64)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let value = if end == 0 { 0 } else { text[..end].parse().ok()? };
    Some((&text[end..], value))
}

fn suffix<'a>(text: &'a str, table: &[(&str, u8)]) -> Option<(&'a str, u8, i64)> {
    for (name, rank) in table {
        if let Some(after) = text.strip_prefix(name) {
            let (rest, number) = digits(after)?;
            return Some((rest, *rank, number));
        }
    }
    Some((text, 0, 0))
}

impl<'a> GoVersion<'a> {
    fn read(version: VersionText<'a>) -> Option<Self> {
        let VersionText { text, soname } = version;
        let mut rest = text;
        loop {
            let (after, _) = digits(rest)?;
            if after.len() == rest.len() {
                return None;
            }
            rest = after;
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None => break,
            }
        }
        let numbers = &text[..text.len() - rest.len()];
        let letter = rest.bytes().next().filter(u8::is_ascii_lowercase);
        rest = &rest[usize::from(letter.is_some())..];
        let (rest, pre, pre_number) = suffix(rest, &PRE)?;
        let (mut rest, post, post_number) = suffix(rest, &POST)?;
        let mut release = 0;
        if let Some(after) = rest.strip_prefix("-r").filter(|after| !after.is_empty()) {
            (rest, release) = digits(after)?;
        }
        let pre = if pre == 0 { NO_PRE } else { pre };
        rest.is_empty().then_some(Self {
            soname,
            numbers,
            rest: Rest {
                letter,
                pre,
                pre_number,
                post,
                post_number,
                release,
            },
        })
    }

    fn numbers(&self) -> impl Iterator<Item = i64> + use<'a> {
        let own = self
            .numbers
            .split('.')
            .map(|digits| digits.parse().unwrap_or(i64::MAX));
        self.soname.then_some(0).into_iter().chain(own)
    }

    /// True where this version is `wanted` or lies within it: as many equal numbers as `wanted` has, and,
    /// where it has no more than those, everything else that `wanted` states.
    fn lies_within(&self, wanted: &Self) -> bool {
        let (mut mine, mut theirs) = (self.numbers(), wanted.numbers());
        loop {
            match (mine.next(), theirs.next()) {
                (Some(a), Some(b)) if a == b => {}
                (Some(_), None) => return true,
                (None, None) => break,
                _ => return false,
            }
        }
        let (a, b) = (&self.rest, &wanted.rest);
        (b.letter.is_none() || a.letter == b.letter)
            && (b.pre == NO_PRE || a.pre == b.pre)
            && (b.pre_number == 0 || a.pre_number == b.pre_number)
            && (b.post == 0 || a.post == b.post)
            && (b.post_number == 0 || a.post_number == b.post_number)
            && (b.release == 0 || a.release == b.release)
    }

    /// True where this version stands in the relation `comparator` to `wanted`.
    pub(crate) fn satisfies(&self, comparator: Comparator, wanted: &Self) -> bool {
        match comparator {
            Comparator::Equal => self.order(wanted).is_eq(),
            Comparator::Less => self.order(wanted).is_lt(),
            Comparator::LessOrEqual => self.order(wanted).is_le(),
            Comparator::Greater => self.order(wanted).is_gt(),
            Comparator::GreaterOrEqual => self.order(wanted).is_ge(),
            Comparator::Fuzzy => self.lies_within(wanted),
            Comparator::LessOrFuzzy => self.order(wanted).is_lt() || self.lies_within(wanted),
            Comparator::GreaterOrFuzzy => self.order(wanted).is_gt() || self.lies_within(wanted),
            Comparator::Checksum => true,
        }
    }

    /// The order of two versions.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.numbers()
            .cmp(other.numbers())
            .then_with(|| self.rest.cmp(&other.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> GoVersion<'_> {
        VersionText::plain(text).read().unwrap()
    }

    #[test]
    fn versions_stand_in_ascending_order() {
        let ascending = [
            "1_alpha",
            "1_alpha2",
            "1_beta",
            "1_pre",
            "1_rc1",
            "1_rc1_p1",
            "1",
            "1-r2",
            "1-r10",
            "1_cvs",
            "1_git20240101",
            "1_hg",
            "1_p1",
            "1a",
            "1b",
            "1.0",
            "1.1",
            "1.9",
            "1.10",
            "2",
            "10",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(read(a).order(&read(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn release_zero_is_no_release_and_leading_zeros_do_not_count() {
        assert!(read("1-r0").order(&read("1")).is_eq());
        assert!(read("1.01").order(&read("1.1")).is_eq());
    }

    #[test]
    fn what_go_cannot_read_is_none() {
        for text in [
            "",
            "a",
            "1.",
            "1..2",
            "1-r",
            "1_git1_p2",
            "1~ab",
            "1_foo",
            "1ab",
            "99999999999999999999",
        ] {
            assert!(VersionText::plain(text).read().is_none(), "{text}");
        }
    }

    #[test]
    fn fuzzy_takes_what_continues_the_version() {
        let rows = [
            ("1.2.3-r4", "1.2", true),
            ("1.2-r4", "1.2", true),
            ("1.20-r0", "1.2", false),
            ("1.2-r4", "1.2-r4", true),
            ("1.2-r5", "1.2-r4", false),
            ("1.2_rc1", "1.2", true),
            ("1", "1.2", false),
        ];
        for (version, wanted, expected) in rows {
            let holds = read(version).satisfies(Comparator::Fuzzy, &read(wanted));
            assert_eq!(holds, expected, "{version} ~ {wanted}");
        }
    }

    #[test]
    fn a_soname_without_release_sorts_below_one_with_it() {
        let [bare, released, plain] = ["so:a.so.1=1.2", "so:a.so.1=1-r0", "a=1.2"].map(Dependency::lenient);
        let [bare, released, plain] =
            [&bare, &released, &plain].map(|d| VersionText::of(d).unwrap().read().unwrap());
        assert!(bare.order(&released).is_lt());
        assert!(plain.order(&released).is_gt());
    }
}
