//! Checksums as indexes and installed databases spell them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The checksum of a package's control section, or of a file: `Q1` + base64 of a SHA-1, `Q2` + base64 of a
/// SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// A SHA-1, the only kind that apk v2 indexes use.
    Sha1([u8; 20]),
    /// A SHA-256.
    Sha256([u8; 32]),
}

/// A text that is no checksum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a checksum (`Q1` + base64 of a SHA-1, or `Q2` + base64 of a SHA-256)")]
pub struct ChecksumError(pub String);

impl Checksum {
    /// The raw digest: 20 or 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(digest) => digest,
            Self::Sha256(digest) => digest,
        }
    }

    /// The digest in lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        use fmt::Write as _;
        self.as_bytes()
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        let error = || ChecksumError(text.to_owned());
        let (kind, encoded) = text.split_at_checked(2).ok_or_else(error)?;
        let digest = STANDARD.decode(encoded).map_err(|_| error())?;
        match kind {
            "Q1" => digest.try_into().map(Self::Sha1).map_err(|_| error()),
            "Q2" => digest.try_into().map(Self::Sha256).map_err(|_| error()),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Sha1(_) => "Q1",
            Self::Sha256(_) => "Q2",
        };
        write!(f, "{kind}{}", STANDARD.encode(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_read_back_as_written() {
        for checksum in [Checksum::Sha1([7; 20]), Checksum::Sha256([255; 32])] {
            assert_eq!(checksum.to_string().parse(), Ok(checksum));
        }
        assert_eq!(Checksum::Sha1([0xab; 20]).to_hex(), "ab".repeat(20));
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        let too_long = format!("Q1{}", STANDARD.encode([0; 32]));
        for text in ["", "Q", "Q1", "Q1AAAA", "X1AAAA", "Q1*", "Q1é", &too_long] {
            assert_eq!(
                text.parse::<Checksum>(),
                Err(ChecksumError(text.to_owned())),
                "{text}"
            );
        }
    }
}
