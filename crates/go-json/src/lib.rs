//! JSON exactly as Go's `encoding/json` writes it.
//!
//! Image configs, manifests, lock files and SBOMs are addressed by the hash of their bytes, and the
//! bytes in the field come from Go. `serde_json` writes the same values with the same layout; what
//! differs is the escaping of strings: Go also escapes `<`, `>`, `&`, U+2028 and U+2029, so that the
//! text can stand inside HTML. This crate is that one difference, compact and indented.
//!
//! It does not order keys (use sorted maps; structs keep the order of their fields, as in Go), does
//! not know Go's `omitempty`, and does not reproduce Go's number formatting for floats.
//!
//! ```
//! let value = serde_json::json!({ "cmd": "a < b && c" });
//! assert_eq!(go_json::to_string(&value)?, r#"{"cmd":"a \u003c b \u0026\u0026 c"}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// Returns `value` as compact JSON, as Go's `json.Marshal`.
///
/// # Errors
/// When the value cannot be represented, for example a map whose keys are not strings.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    serialize(value, CompactFormatter)
}

/// Returns `value` as compact JSON text; see [`to_vec`].
///
/// # Errors
/// As [`to_vec`].
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    to_vec(value).map(text)
}

/// Returns `value` with one line per member, indented by `indent`, as Go's `json.MarshalIndent`
/// with an empty prefix. No newline follows the last line; Go's `Encoder` adds one.
///
/// # Errors
/// As [`to_vec`].
pub fn to_vec_indent<T: Serialize + ?Sized>(value: &T, indent: &str) -> serde_json::Result<Vec<u8>> {
    serialize(value, PrettyFormatter::with_indent(indent.as_bytes()))
}

/// Returns `value` as indented JSON text; see [`to_vec_indent`].
///
/// # Errors
/// As [`to_vec`].
pub fn to_string_indent<T: Serialize + ?Sized>(value: &T, indent: &str) -> serde_json::Result<String> {
    to_vec_indent(value, indent).map(text)
}

fn serialize<T: Serialize + ?Sized>(value: &T, layout: impl Formatter) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut out, HtmlSafe(layout)))?;
    Ok(out)
}

/// serde_json writes UTF-8 only, and the escapes added here are ASCII.
fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Lays out as the formatter inside, and escapes what Go escapes for HTML's sake.
struct HtmlSafe<F>(F);

/// Passes the layout hooks through to the formatter inside.
macro_rules! delegate {
    ($($name:ident($($arg:ident: $ty:ty),*);)*) => {
        $(
            fn $name<W: ?Sized + Write>(&mut self, w: &mut W, $($arg: $ty),*) -> io::Result<()> {
                self.0.$name(w, $($arg),*)
            }
        )*
    };
}

impl<F: Formatter> Formatter for HtmlSafe<F> {
    delegate! {
        begin_array(); end_array(); begin_array_value(first: bool); end_array_value();
        begin_object(); end_object(); begin_object_key(first: bool); end_object_key();
        begin_object_value(); end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, w: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment.as_bytes();
        while let Some((at, length, escape)) = first_escaped(rest) {
            w.write_all(&rest[..at])?;
            w.write_all(escape)?;
            rest = &rest[at + length..];
        }
        w.write_all(rest)
    }
}

/// Finds the first character of UTF-8 text that Go escapes for HTML's sake: where it is, its bytes, what is written for it.
fn first_escaped(text: &[u8]) -> Option<(usize, usize, &'static [u8])> {
    let mut from = 0;
    loop {
        let ahead = text[from..].iter();
        let at = from
            + ahead
                .copied()
                .position(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2))?;
        match text[at..] {
            [b'<', ..] => return Some((at, 1, b"\\u003c")),
            [b'>', ..] => return Some((at, 1, b"\\u003e")),
            [b'&', ..] => return Some((at, 1, b"\\u0026")),
            [_, 0x80, 0xa8, ..] => return Some((at, 3, b"\\u2028")),
            [_, 0x80, 0xa9, ..] => return Some((at, 3, b"\\u2029")),
            _ => from = at + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use std::collections::BTreeMap;

    /// Pairs of a string and what Go 1.26 makes of it.
    const STRINGS: &[(&str, &str)] = &[
        ("plain", r#""plain""#),
        ("", r#""""#),
        (
            "<a href=\"x\">&</a>",
            r#""\u003ca href=\"x\"\u003e\u0026\u003c/a\u003e""#,
        ),
        ("\u{2028}|\u{2029}", r#""\u2028|\u2029""#),
        ("\u{2027}\u{2028}\u{2030}<", "\"\u{2027}\\u2028\u{2030}\\u003c\""),
        ("\\ \n \r \t \u{8} \u{c}", r#""\\ \n \r \t \b \f""#),
        ("\u{0}\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
        ("Zoë 😀", "\"Zoë 😀\""),
    ];

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        for (text, want) in STRINGS {
            assert_eq!(super::to_string(text).unwrap(), *want, "{text:?}");
        }
    }

    #[test]
    fn keys_are_escaped_too() {
        let map = BTreeMap::from([("a&b", 1), ("c", 2)]);
        assert_eq!(super::to_string(&map).unwrap(), r#"{"a\u0026b":1,"c":2}"#);
    }

    #[test]
    fn indented_layout_keeps_empty_containers_on_one_line() {
        let value = json!({ "a": [], "b": {}, "c": [1, "<"] });
        let want = "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    \"\\u003c\"\n  ]\n}";
        assert_eq!(super::to_string_indent(&value, "  ").unwrap(), want);
    }
}
