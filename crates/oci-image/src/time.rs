//! Times as image configs write them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A point in time as text: RFC 3339, with `Z` for UTC and no trailing zeros in a fraction of a second.
///
/// It stays text because its bytes are part of what image digests cover: an offset other than UTC
/// is kept as it was given. The default is the zero time of Go, `0001-01-01T00:00:00Z`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Timestamp(String);

impl Timestamp {
    /// Returns the time `seconds` after 1970-01-01T00:00:00Z, or `None` outside the years 0 to 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        jiff::Timestamp::from_second(seconds)
            .ok()?
            .to_string()
            .parse()
            .ok()
    }

    /// Returns the time as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Timestamp {
    /// Returns the seconds since 1970-01-01T00:00:00Z, rounded down; 0 for a year that cannot be counted.
    pub fn unix_seconds(&self) -> i64 {
        self.0
            .parse::<jiff::Timestamp>()
            .map_or(0, |time| time.as_second())
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self("0001-01-01T00:00:00Z".to_owned())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says that a text is not a time in the form of RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time like 2024-06-10T07:11:47Z")]
pub struct ParseTimestampError(String);

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads RFC 3339 as Go's `time.Parse` does and keeps what its `time.MarshalJSON` would write.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        normalize(text)
            .map(Self)
            .ok_or_else(|| ParseTimestampError(text.to_owned()))
    }
}

fn normalize(text: &str) -> Option<String> {
    // jiff reads more than RFC 3339 (a space for the T, no minutes in the offset): the shape first.
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let (seconds, rest) = text.split_at_checked(SHAPE.len())?;
    let fits = |(c, shape): (u8, &u8)| {
        if *shape == b'0' {
            c.is_ascii_digit()
        } else {
            c == *shape
        }
    };
    if !seconds.bytes().zip(SHAPE).all(fits) {
        return None;
    }
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|c| c.is_ascii_digit());
    let at = rest.find(['Z', '+', '-'])?;
    let (fraction, offset) = rest.split_at(at);
    let fraction = match fraction.strip_prefix('.') {
        Some(fraction) if digits(fraction) && fraction.len() <= 9 => fraction.trim_end_matches('0'),
        None if fraction.is_empty() => "",
        _ => return None,
    };
    let offset = match offset {
        "Z" | "+00:00" | "-00:00" => "Z",
        _ => {
            let (hours, minutes) = offset[1..].split_once(':')?;
            let whole = hours.len() == 2 && minutes.len() == 2 && digits(hours) && digits(minutes);
            whole.then_some(offset)?
        }
    };
    let dot = if fraction.is_empty() { "" } else { "." };
    let text = format!("{seconds}{dot}{fraction}{offset}");
    text.parse::<jiff::Timestamp>().is_ok().then_some(text)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (text, want) in [
            ("2024-06-10T07:11:47Z", "2024-06-10T07:11:47Z"),
            ("2024-06-10T07:11:47+00:00", "2024-06-10T07:11:47Z"),
            ("2024-06-10T07:11:47.120000Z", "2024-06-10T07:11:47.12Z"),
            ("2024-06-10T07:11:47.000Z", "2024-06-10T07:11:47Z"),
            ("2024-06-10T07:11:47+02:00", "2024-06-10T07:11:47+02:00"),
            ("0001-01-01T00:00:00Z", Timestamp::default().as_str()),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().as_str(), want);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2024-06-10",
            "2024-06-10 07:11:47Z",
            "2024-13-10T07:11:47Z",
            "2024-06-10T07:11:47",
            "2024-06-10T07:11:47.Z",
            "2024-06-10T07:11:47+02",
            "2024-06-10T07:11:47Zulu",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn seconds_of_the_epoch() {
        assert_eq!(Timestamp::from_unix(0).unwrap().as_str(), "1970-01-01T00:00:00Z");
        assert_eq!(
            Timestamp::from_unix(1_700_000_000).unwrap().as_str(),
            "2023-11-14T22:13:20Z"
        );
        assert_eq!(Timestamp::from_unix(i64::MAX), None);
    }
}
