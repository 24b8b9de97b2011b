//! What a plain scalar means, by the rules of `gopkg.in/yaml.v3` (YAML 1.2's core schema plus
//! leading-zero octals, underscores in numbers and timestamps).

use crate::node::{Scalar, Style};

/// The type a scalar has by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resolved {
    /// Empty, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer between `i64::MIN` and `u64::MAX`.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A date or a point in time.
    Timestamp,
    /// Everything else.
    String,
}

pub(crate) fn resolve(scalar: &Scalar) -> Resolved {
    match scalar.tag.as_deref() {
        None | Some("!") if scalar.style == Style::Plain => resolve_plain(&scalar.text),
        Some("!!bool" | "!!int" | "!!null" | "!!timestamp") => resolve_plain(&scalar.text),
        Some("!!float") => match resolve_plain(&scalar.text) {
            Resolved::Int(value) => Resolved::Float(value as f64),
            other => other,
        },
        _ => Resolved::String,
    }
}

/// Resolves the text of a plain scalar without a tag.
#[must_use]
pub fn resolve_plain(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => float(text).map_or(Resolved::String, Resolved::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => number(text),
        _ => Resolved::String,
    }
}

fn number(text: &str) -> Resolved {
    if is_timestamp(text) {
        return Resolved::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(value) = integer(&plain) {
        return Resolved::Int(value);
    }
    float(&plain).map_or(Resolved::String, Resolved::Float)
}

fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let prefix = digits.as_bytes().get(..2).map(|p| (p[0], p[1] | 0x20));
    let (digits, radix) = match prefix {
        Some((b'0', b'x')) => (&digits[2..], 16),
        Some((b'0', b'o')) => (&digits[2..], 8),
        Some((b'0', b'b')) => (&digits[2..], 2),
        Some((b'0', _)) => (&digits[1..], 8),
        _ => (digits, 10),
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    // An explicit plus is read as signed only, as Go's ParseInt and ParseUint have it.
    let most = if text.starts_with('+') {
        i128::from(i64::MAX)
    } else {
        i128::from(u64::MAX)
    };
    (i128::from(i64::MIN)..=most).contains(&value).then_some(value)
}

/// Matches `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let shape = digits(whole)
        && fraction.is_none_or(digits)
        && (!whole.is_empty() || fraction.is_some_and(|f| !f.is_empty()));
    let exponent_shape = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    if !shape || !exponent_shape {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Recognises `2006-1-2` and `2006-1-2` with a time behind `T`, `t` or one space.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let (date, time) = match text[5..].find(['T', 't', ' ']) {
        Some(at) => (&text[5..5 + at], Some(&text[5 + at..])),
        None => (&text[5..], None),
    };
    let Some((month, day)) = date.split_once('-') else {
        return false;
    };
    let year: u32 = text[..4].parse().unwrap_or(0);
    if !in_range(month, 1, 12) || !in_range(day, 1, days_in(year, month.parse().unwrap_or(0))) {
        return false;
    }
    match time {
        None => true,
        Some(time) if time.starts_with(' ') => is_clock(&time[1..]),
        Some(time) => {
            let time = &time[1..];
            match time.strip_suffix('Z') {
                Some(clock) => is_clock(clock),
                None => time
                    .rfind(['+', '-'])
                    .is_some_and(|at| is_clock(&time[..at]) && is_offset(&time[at + 1..])),
            }
        }
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

fn in_range(digits: &str, least: u32, most: u32) -> bool {
    (1..=2).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && digits
            .parse()
            .is_ok_and(|value: u32| (least..=most).contains(&value))
}

fn is_clock(text: &str) -> bool {
    let (clock, fraction) = match text.split_once(['.', ',']) {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let (Some(hour), Some(minute), Some(second), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    in_range(hour, 0, 23)
        && in_range(minute, 0, 59)
        && in_range(second, 0, 59)
        && fraction.is_none_or(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_digit()))
}

fn is_offset(text: &str) -> bool {
    text.len() == 5
        && text
            .split_once(':')
            .is_some_and(|(hour, minute)| in_range(hour, 0, 24) && in_range(minute, 0, 60))
}

#[cfg(test)]
mod tests {
    use super::{Resolved, resolve_plain};

    #[test]
    fn plain_scalars_resolve_as_in_yaml_v3() {
        let table = [
            ("0755", Resolved::Int(493)),
            ("0o755", Resolved::Int(493)),
            ("-0x1f", Resolved::Int(-31)),
            ("0b101", Resolved::Int(5)),
            ("1_000", Resolved::Int(1000)),
            ("+12", Resolved::Int(12)),
            ("0", Resolved::Int(0)),
            ("18446744073709551615", Resolved::Int(u64::MAX.into())),
            ("1.10", Resolved::Float(1.1)),
            ("1.", Resolved::Float(1.0)),
            ("0899", Resolved::Float(899.0)),
            ("1e3", Resolved::Float(1000.0)),
            (".5", Resolved::Float(0.5)),
            (".", Resolved::String),
            ("1.2.3", Resolved::String),
            ("-", Resolved::String),
            ("0x", Resolved::String),
            ("yes", Resolved::String),
            ("<<", Resolved::String),
            ("2024-01-31", Resolved::Timestamp),
            ("2024-1-2 3:4:5", Resolved::Timestamp),
            ("2024-02-30", Resolved::String),
            ("2024-01-02T03:04:05Z", Resolved::Timestamp),
            ("2024-01-02T03:04:05.5+01:00", Resolved::Timestamp),
            ("20240102", Resolved::Int(20_240_102)),
            ("True", Resolved::Bool(true)),
            ("~", Resolved::Null),
        ];
        for (text, want) in table {
            assert_eq!(resolve_plain(text), want, "{text}");
        }
    }
}
