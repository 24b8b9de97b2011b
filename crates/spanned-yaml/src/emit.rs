//! YAML output as Go's `gopkg.in/yaml.v3` encoder lays it out.

use crate::resolve::{Resolved, resolve_plain};

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmitValue {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A decimal integer.
    Int(i128),
    /// Text, quoted wherever it would read back as something else.
    String(String),
    /// A list.
    Seq(Vec<EmitValue>),
    /// A mapping, written in this order.
    Map(Vec<(String, EmitValue)>),
}

impl From<bool> for EmitValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for EmitValue {
    fn from(value: u64) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for EmitValue {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for EmitValue {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl<T: Into<EmitValue>> From<Vec<T>> for EmitValue {
    fn from(items: Vec<T>) -> Self {
        Self::Seq(items.into_iter().map(Into::into).collect())
    }
}

/// Writes a document with `indent` spaces a level (2 to 9), ending in a newline.
///
/// Layout and quoting are those of `yaml.v3`: lists inside mappings are indented, text of several
/// lines becomes a literal block, empty collections are `[]` and `{}`, lines are never folded.
///
/// ```
/// use spanned_yaml::{EmitValue, emit};
///
/// let value = EmitValue::Map(vec![
///     ("version".into(), "1.10".into()),
///     ("packages".into(), vec!["busybox", "no"].into()),
///     ("runs".into(), "make\nmake install\n".into()),
/// ]);
/// assert_eq!(
///     emit(&value, 2),
///     "version: \"1.10\"\npackages:\n  - busybox\n  - \"no\"\nruns: |\n  make\n  make install\n"
/// );
/// ```
#[must_use]
pub fn emit(value: &EmitValue, indent: usize) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        step: indent.clamp(2, 9),
    };
    match value {
        EmitValue::Seq(items) if !items.is_empty() => emitter.sequence(items, 0, true),
        EmitValue::Map(entries) if !entries.is_empty() => emitter.mapping(entries, 0, true),
        scalar => {
            let step = emitter.step;
            emitter.flat(scalar, 0, step);
        }
    }
    if !emitter.out.ends_with('\n') {
        emitter.out.push('\n');
    }
    emitter.out
}

struct Emitter {
    out: String,
    step: usize,
}

impl Emitter {
    /// Starts a line at a column, or goes on in the line where a `- ` has been written.
    fn line(&mut self, indent: usize, inline: &mut bool) {
        if std::mem::take(inline) {
            return;
        }
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.pad(indent);
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    /// `inline` says that the first item goes on in the current line.
    fn sequence(&mut self, items: &[EmitValue], indent: usize, mut inline: bool) {
        for item in items {
            self.line(indent, &mut inline);
            self.out.push('-');
            match item {
                EmitValue::Seq(items) if !items.is_empty() => {
                    self.out.push(' ');
                    self.sequence(items, indent + 2, true);
                }
                EmitValue::Map(entries) if !entries.is_empty() => {
                    self.out.push(' ');
                    self.mapping(entries, indent + 2, true);
                }
                flat => {
                    self.out.push(' ');
                    self.flat(flat, indent, indent + 2);
                }
            }
        }
    }

    fn mapping(&mut self, entries: &[(String, EmitValue)], indent: usize, mut inline: bool) {
        // Levels line up with multiples of the step, whatever a `- ` has shifted them to.
        let deeper = self.step * ((indent + self.step) / self.step);
        for (key, value) in entries {
            self.line(indent, &mut inline);
            self.key(key, indent);
            self.out.push(':');
            match value {
                EmitValue::Seq(items) if !items.is_empty() => self.sequence(items, deeper, false),
                EmitValue::Map(entries) if !entries.is_empty() => {
                    self.mapping(entries, deeper, false);
                }
                flat => {
                    self.out.push(' ');
                    self.flat(flat, indent, deeper);
                }
            }
        }
    }

    fn key(&mut self, key: &str, indent: usize) {
        let facts = Facts::of(key);
        if facts.breaks || key.len() > 128 {
            // Too long or too odd for `key: value`.
            self.out.push_str("? ");
            self.double_quoted(key);
            self.out.push('\n');
            self.pad(indent);
        } else if !reads_as_string(key) {
            self.double_quoted(key);
        } else {
            self.plain_or_quoted(key, &facts);
        }
    }

    /// Writes a scalar or an empty collection; blocks are indented to `deeper`.
    fn flat(&mut self, value: &EmitValue, indent: usize, deeper: usize) {
        match value {
            EmitValue::Null => self.out.push_str("null"),
            EmitValue::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            EmitValue::Int(value) => self.out.push_str(&value.to_string()),
            EmitValue::Seq(_) => self.out.push_str("[]"),
            EmitValue::Map(_) => self.out.push_str("{}"),
            EmitValue::String(text) => self.string(text, indent, deeper),
        }
    }

    fn string(&mut self, text: &str, indent: usize, deeper: usize) {
        let facts = Facts::of(text);
        if text.contains('\n') {
            if facts.block_allowed {
                self.literal(text, indent, deeper);
            } else {
                self.double_quoted(text);
            }
        } else if reads_as_string(text) {
            self.plain_or_quoted(text, &facts);
        } else {
            self.double_quoted(text);
        }
    }

    fn plain_or_quoted(&mut self, text: &str, facts: &Facts) {
        if facts.plain_allowed {
            self.out.push_str(text);
        } else if facts.single_quoted_allowed {
            self.out.push('\'');
            self.out.push_str(&text.replace('\'', "''"));
            self.out.push('\'');
        } else {
            self.double_quoted(text);
        }
    }

    fn literal(&mut self, text: &str, indent: usize, deeper: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push_str(&(deeper - indent).to_string());
        }
        if !text.ends_with('\n') {
            self.out.push('-');
        } else if text.ends_with("\n\n") || text == "\n" {
            self.out.push('+');
        }
        self.out.push('\n');
        for line in text.split_inclusive('\n') {
            if line != "\n" {
                self.pad(deeper);
            }
            self.out.push_str(line);
        }
        if !text.ends_with('\n') {
            self.out.push('\n');
        }
    }

    fn double_quoted(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\0' => self.out.push_str("\\0"),
                '\x07' => self.out.push_str("\\a"),
                '\x08' => self.out.push_str("\\b"),
                '\t' => self.out.push_str("\\t"),
                '\n' => self.out.push_str("\\n"),
                '\x0b' => self.out.push_str("\\v"),
                '\x0c' => self.out.push_str("\\f"),
                '\r' => self.out.push_str("\\r"),
                '\x1b' => self.out.push_str("\\e"),
                '\u{85}' => self.out.push_str("\\N"),
                '\u{2028}' => self.out.push_str("\\L"),
                '\u{2029}' => self.out.push_str("\\P"),
                c if is_printable(c) => self.out.push(c),
                c => {
                    let code = u32::from(c);
                    self.out.push_str(&match code {
                        0..=0xff => format!("\\x{code:02X}"),
                        0x100..=0xffff => format!("\\u{code:04X}"),
                        _ => format!("\\U{code:08X}"),
                    });
                }
            }
        }
        self.out.push('"');
    }
}

/// Writes a text in double quotes.
pub(crate) fn double_quoted(text: &str) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        step: 2,
    };
    emitter.double_quoted(text);
    emitter.out
}

/// Tells whether a plain scalar of this text is a string to YAML 1.2 and to YAML 1.1.
fn reads_as_string(text: &str) -> bool {
    resolve_plain(text) == Resolved::String
        && text != "<<"
        && !is_base60(text)
        && !matches!(
            text,
            "y" | "Y"
                | "yes"
                | "Yes"
                | "YES"
                | "on"
                | "On"
                | "ON"
                | "n"
                | "N"
                | "no"
                | "No"
                | "NO"
                | "off"
                | "Off"
                | "OFF"
        )
}

/// Matches `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`, a number to YAML 1.1.
fn is_base60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (places, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut places = places.split(':');
    let first = places.next().unwrap_or_default();
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let mut count = 0;
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && places.all(|place| {
            count += 1;
            match place.as_bytes() {
                [b] => b.is_ascii_digit(),
                [a, b] => (b'0'..=b'5').contains(a) && b.is_ascii_digit(),
                _ => false,
            }
        })
        && count > 0
}

/// What the characters of a scalar allow.
struct Facts {
    breaks: bool,
    plain_allowed: bool,
    single_quoted_allowed: bool,
    block_allowed: bool,
}

impl Facts {
    fn of(text: &str) -> Self {
        let is_break = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let is_blank = |c: char| matches!(c, ' ' | '\t') || is_break(c);
        let breaks = text.contains(is_break);
        let special = text
            .chars()
            .any(|c| c != '\t' && !is_printable(c) || matches!(c, '\u{2028}' | '\u{2029}'));
        let tabs = text.contains('\t');
        let mut space_break = false;
        let mut break_space = false;
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let mut previous = None;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let blank_next = chars.peek().is_none_or(|c| is_blank(*c));
            indicators |= match (previous, c) {
                (None, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>') => true,
                (None, '\'' | '"' | '%' | '@' | '`') => true,
                (None, '?' | '-') | (_, ':') => blank_next,
                (Some(before), '#') => is_blank(before),
                _ => false,
            };
            space_break |= is_break(c) && previous == Some(' ');
            break_space |= c == ' ' && previous.is_some_and(is_break);
            previous = Some(c);
        }
        let edge = |c: char| c == ' ' || is_break(c);
        let edges = text.starts_with(edge) || text.ends_with(edge);
        let unquotable = space_break || break_space || tabs || special;
        Self {
            breaks,
            plain_allowed: !text.is_empty() && !breaks && !indicators && !edges && !unquotable,
            single_quoted_allowed: !unquotable,
            block_allowed: !text.ends_with(' ') && !space_break && !special,
        }
    }
}

/// What `yaml.v3` writes as it is: no controls, no byte order mark, nothing beyond the basic plane.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}
