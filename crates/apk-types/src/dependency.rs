//! Dependency expressions: `name`, `name>=1.2`, `!name`, `so:libc.so=1`, `name@pin`.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::Version;

/// One entry of a world, of `depend`, `provides`, `replaces` or `install_if`, kept as it was written.
///
/// An index has many of these: they are kept small, and their text is limited to what 16 bits can count.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Dependency {
    text: Box<str>,
    /// `None` for a text that was read leniently and is a name as a whole.
    parts: Option<Parts>,
}

/// Where the parts lie in the text, in bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Parts {
    name: Range<u16>,
    constraint: Option<(Comparator, Range<u16>)>,
    pin: Option<Range<u16>>,
}

/// How a version must compare with the one in the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `~`, `=~` or `~=`: the version itself or any that begins with its parts.
    Fuzzy,
    /// `<~`: less, or as [`Comparator::Fuzzy`].
    LessOrFuzzy,
    /// `>~`: greater, or as [`Comparator::Fuzzy`].
    GreaterOrFuzzy,
    /// `><`, which apk-tools uses for checksums of local files; no version satisfies it.
    Checksum,
}

/// A text that is no dependency expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a dependency: {reason}")]
pub struct DependencyError {
    /// The text in question.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Dependency {
    /// Reads an expression; the pin is what follows `@`, which may stand after the name, as apk-tools has it, or at the
    /// end, as the Go apko has it.
    pub fn parse(text: &str) -> Result<Self, DependencyError> {
        let fail = |reason| {
            Err(DependencyError {
                text: text.to_owned(),
                reason,
            })
        };
        if text.len() > u16::MAX as usize {
            return fail("it is longer than 65535 bytes");
        }
        let bytes = text.as_bytes();
        if bytes.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0) {
            return fail("it contains white space");
        }
        let is_operator = |byte: u8| matches!(byte, b'=' | b'<' | b'>' | b'~');
        let start = usize::from(bytes.first() == Some(&b'!'));
        let name_end = find(bytes, start, |byte| byte == b'@' || is_operator(byte));
        if name_end == start {
            return fail("it has no name");
        }
        let operator = find(bytes, name_end, is_operator);
        let version = find(bytes, operator, |byte| !is_operator(byte));
        let version_end = find(bytes, version, |byte| byte == b'@');
        let constraint = match &text[operator..version] {
            "" => None,
            operator => match Comparator::from_operator(operator) {
                None => return fail("its operator is not one of = < <= > >= ~ =~ <~ >~"),
                Some(_) if version_end == version => return fail("its operator has no version"),
                Some(comparator) => Some((comparator, version as u16..version_end as u16)),
            },
        };
        let pins = [name_end..operator, version_end..text.len()];
        let mut pins = pins.into_iter().filter(|pin| !pin.is_empty());
        let pin = pins.next().map(|pin| pin.start + 1..pin.end);
        if pin.as_ref().is_some_and(|pin| !is_pin(&text[pin.clone()])) {
            return fail("what follows `@` is not the name of a repository");
        }
        if pins.next().is_some() {
            return fail("it is pinned twice");
        }
        Ok(Self {
            text: text.into(),
            parts: Some(Parts {
                name: start as u16..name_end as u16,
                constraint,
                pin: pin.map(|pin| pin.start as u16..pin.end as u16),
            }),
        })
    }

    /// Reads an expression the way the Go apko does: a text it cannot take apart is a bare name.
    pub fn lenient(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| Self {
            text: text.into(),
            parts: None,
        })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name wanted or provided, without `!`, constraint and pin; `so:`, `cmd:` and `pc:` belong to it.
    pub fn name(&self) -> &str {
        match &self.parts {
            Some(parts) => &self.text[range(&parts.name)],
            None => &self.text,
        }
    }

    /// True for `!name`: the expression holds where nothing provides it.
    pub fn is_conflict(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.name.start == 1)
    }

    /// The comparator and the version text, if the expression has them.
    pub fn constraint(&self) -> Option<(Comparator, &str)> {
        let (comparator, version) = self.parts.as_ref()?.constraint.as_ref()?;
        Some((*comparator, &self.text[range(version)]))
    }

    /// The version text alone, which is how `provides` entries are read.
    pub fn version(&self) -> Option<&str> {
        self.constraint().map(|(_, version)| version)
    }

    /// The tag of the repository it is pinned to.
    pub fn pin(&self) -> Option<&str> {
        let pin = self.parts.as_ref()?.pin.as_ref()?;
        Some(&self.text[range(pin)])
    }

    /// True where `version` satisfies the constraint; the name, `!` and the pin are not looked at. A constraint
    /// whose own version is not valid is satisfied by none.
    pub fn accepts(&self, version: &Version) -> bool {
        match self.constraint() {
            None => true,
            Some((comparator, wanted)) => {
                Version::parse(wanted).is_ok_and(|wanted| comparator.holds(version, &wanted))
            }
        }
    }
}

impl Comparator {
    fn from_operator(operator: &str) -> Option<Self> {
        Some(match operator.as_bytes() {
            b"=" => Self::Equal,
            b"<" => Self::Less,
            b"<=" => Self::LessOrEqual,
            b">" => Self::Greater,
            b">=" => Self::GreaterOrEqual,
            b"~" | b"=~" | b"~=" => Self::Fuzzy,
            b"<~" => Self::LessOrFuzzy,
            b">~" => Self::GreaterOrFuzzy,
            b"><" => Self::Checksum,
            _ => return None,
        })
    }

    /// True where `actual` stands in this relation to `wanted`.
    pub fn holds(self, actual: &Version, wanted: &Version) -> bool {
        match self {
            Self::Equal => actual == wanted,
            Self::Less => actual < wanted,
            Self::LessOrEqual => actual <= wanted,
            Self::Greater => actual > wanted,
            Self::GreaterOrEqual => actual >= wanted,
            Self::Fuzzy => actual.matches_fuzzily(wanted),
            Self::LessOrFuzzy => actual < wanted || actual.matches_fuzzily(wanted),
            Self::GreaterOrFuzzy => actual > wanted || actual.matches_fuzzily(wanted),
            Self::Checksum => false,
        }
    }
}

/// The place of the first byte from `start` on that is asked for, or the end.
fn find(bytes: &[u8], start: usize, is_wanted: impl Fn(u8) -> bool) -> usize {
    let offset = bytes[start..].iter().position(|byte| is_wanted(*byte));
    offset.map_or(bytes.len(), |offset| start + offset)
}

fn range(range: &Range<u16>) -> Range<usize> {
    range.start.into()..range.end.into()
}

fn is_pin(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl FromStr for Dependency {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        Self::parse(text)
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn expressions_come_apart() {
        use Comparator::*;
        type Row<'a> = (
            &'a str,
            &'a str,
            Option<(Comparator, &'a str)>,
            Option<&'a str>,
            bool,
        );
        let rows: [Row; 12] = [
            ("busybox", "busybox", None, None, false),
            (
                "busybox=1.36.1-r29",
                "busybox",
                Some((Equal, "1.36.1-r29")),
                None,
                false,
            ),
            ("a>=1@edge", "a", Some((GreaterOrEqual, "1")), Some("edge"), false),
            ("a@edge", "a", None, Some("edge"), false),
            ("!a<2", "a", Some((Less, "2")), None, true),
            (
                "so:libc.so.6=2.36",
                "so:libc.so.6",
                Some((Equal, "2.36")),
                None,
                false,
            ),
            ("a~1.2", "a", Some((Fuzzy, "1.2")), None, false),
            ("a=~1.2", "a", Some((Fuzzy, "1.2")), None, false),
            ("a~=1.2", "a", Some((Fuzzy, "1.2")), None, false),
            ("a<~1.2", "a", Some((LessOrFuzzy, "1.2")), None, false),
            ("a>~1.2", "a", Some((GreaterOrFuzzy, "1.2")), None, false),
            ("a@edge=1", "a", Some((Equal, "1")), Some("edge"), false),
        ];
        for (text, name, constraint, pin, conflict) in rows {
            let parsed = Dependency::parse(text).unwrap();
            assert_eq!(
                (
                    parsed.name(),
                    parsed.constraint(),
                    parsed.pin(),
                    parsed.is_conflict()
                ),
                (name, constraint, pin, conflict),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_and_read_leniently_as_a_name() {
        for text in [
            "", "!", "=1", "a=", "a==1", "a@", "a@b@c", "a b", "a@=1", "a@b=1@c",
        ] {
            assert!(Dependency::parse(text).is_err(), "{text}");
            assert_eq!(Dependency::lenient(text).name(), text);
        }
    }

    #[test]
    fn constraints_accept_versions() {
        let rows = [
            ("a", "1", true),
            ("a=1", "1", true),
            ("a=1", "1-r0", false),
            ("a<2", "1.9-r3", true),
            ("a>2", "1.9-r3", false),
            ("a~1.2", "1.2.3-r0", true),
            ("a~1.2", "1.20-r0", false),
            ("a<~1.2", "1.2.3", true),
            ("a<~1.2", "1.1", true),
            ("a<~1.2", "1.3", false),
            ("a>~1.2", "1.2_rc1", true),
            ("a>~1.2", "1.1", false),
            ("a>=1.2", "1.2", true),
            ("a<=1.2", "1.2-r1", false),
            ("a><Q1AAAA", "1", false),
            ("a=rubbish", "1", false),
        ];
        for (dependency, version, accepted) in rows {
            let version = version.parse().unwrap();
            assert_eq!(
                Dependency::lenient(dependency).accepts(&version),
                accepted,
                "{dependency} {version}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back_as_written(text in "\\PC{0,24}") {
            let dependency = Dependency::lenient(&text);
            prop_assert_eq!(dependency.as_str(), text.as_str());
        }
    }
}
