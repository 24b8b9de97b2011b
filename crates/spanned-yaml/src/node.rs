//! The tree itself.

use crate::Diagnostic;
use crate::resolve::{Resolved, resolve};

/// Says where in the source something was written.
///
/// `start..end` are byte offsets; line and column are those of `start`, counted from 1, the
/// column in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The byte offset of the first byte.
    pub start: usize,
    /// The byte offset behind the last byte.
    pub end: usize,
    /// The line of `start`, counted from 1.
    pub line: u32,
    /// The column of `start` in characters, counted from 1.
    pub column: u32,
}

/// A value of a document and where it was written.
///
/// What an alias or a merge key brings in carries the span of the anchored text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it was written.
    pub span: Span,
    /// What was written.
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `~` or `null`, written plainly.
    Null,
    /// Text; what it means depends on the type wanted.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order written; scalar keys are unique.
    Mapping(Vec<(Node, Node)>),
}

/// A scalar as written, with quotes and folding undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// An explicit tag, in its short form where it has one (`!!str`).
    pub tag: Option<String>,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In `'...'`.
    SingleQuoted,
    /// In `"..."`.
    DoubleQuoted,
    /// As a block behind `|`.
    Literal,
    /// As a block behind `>`.
    Folded,
}

impl Scalar {
    /// Resolves the scalar as `yaml.v3` does: quoted or tagged `!!str` it is a string.
    #[must_use]
    pub fn resolved(&self) -> Resolved {
        resolve(self)
    }
}

impl Node {
    /// Names the kind of the value for a message, with its article: "a mapping", "an integer".
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.resolved() {
                Resolved::Null => "nothing",
                Resolved::Bool(_) => "a boolean",
                Resolved::Int(_) => "an integer",
                Resolved::Float(_) => "a number",
                Resolved::Timestamp => "a date",
                Resolved::String => "a string",
            },
        }
    }

    /// Tells whether the value is absent: empty, `~` or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Returns the text of a scalar, whatever it would resolve to; `None` for null and collections.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Returns a boolean: `true` and `false`, and the older `yes`, `no`, `on`, `off`, `y`, `n`,
    /// which `yaml.v3` accepts where a boolean is wanted, quoted or not.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        let Value::Scalar(scalar) = &self.value else {
            return None;
        };
        match scalar.resolved() {
            Resolved::Bool(value) => Some(value),
            Resolved::String => match scalar.text.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns an integer: decimal, `0x`, `0o`, `0b` or a leading `0` for octal, `_` between
    /// digits. A float without a fraction counts, as it does for `yaml.v3`.
    #[must_use]
    pub fn as_int(&self) -> Option<i128> {
        let Value::Scalar(scalar) = &self.value else {
            return None;
        };
        match scalar.resolved() {
            Resolved::Int(value) => Some(value),
            Resolved::Float(value) if value.fract() == 0.0 && value.abs() < 9.0e15 => Some(value as i128),
            _ => None,
        }
    }

    /// Returns a number, integer or float.
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        let Value::Scalar(scalar) = &self.value else {
            return None;
        };
        match scalar.resolved() {
            Resolved::Int(value) => Some(value as f64),
            Resolved::Float(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the items of a list.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the entries of a mapping in the order written.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// Looks a key of a mapping up; `None` for a missing key and for anything but a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?
            .iter()
            .find_map(|(k, v)| (k.as_str() == Some(key)).then_some(v))
    }

    /// Says that this node is not of the kind wanted: ``"`epoch` must be an integer, not a list"``.
    #[must_use]
    pub fn mismatch(&self, key: &str, wanted: &str) -> Diagnostic {
        let found = self.kind_name();
        Diagnostic::new(format!("`{key}` must be {wanted}, not {found}"))
            .at(self.span)
            .label(format!("this is {found}"))
    }
}
