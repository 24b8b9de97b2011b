//! PEM blocks, and as much of DER as tells a certificate from a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A decoded block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands behind `BEGIN`.
    pub(crate) label: String,
    /// What it encodes.
    pub(crate) der: Vec<u8>,
}

/// The blocks of a text. What stands between them, malformed ones and headers inside are passed over.
pub(crate) fn decode(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = marker(line, "BEGIN") else {
            continue;
        };
        let mut encoded = String::new();
        let ended = lines.by_ref().find(|line| {
            let is_end = line.starts_with("-----");
            if !is_end && !line.contains(':') {
                encoded.push_str(line);
            }
            is_end
        });
        if ended.and_then(|line| marker(line, "END")) == Some(label)
            && let Ok(der) = STANDARD.decode(encoded)
        {
            let label = label.to_owned();
            blocks.push(Block { label, der });
        }
    }
    blocks
}

fn marker<'l>(line: &'l str, word: &str) -> Option<&'l str> {
    line.strip_prefix("-----")?
        .strip_prefix(word)?
        .strip_prefix(' ')?
        .strip_suffix("-----")
}

impl Block {
    /// The block as text, 64 characters a line.
    pub(crate) fn encode(&self) -> String {
        let Self { label, der } = self;
        let encoded = STANDARD.encode(der);
        let mut out = format!("-----BEGIN {label}-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            out += line;
            out.push('\n');
            rest = after;
        }
        out + &format!("-----END {label}-----\n")
    }
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// 1.2.840.113549.1.1.1, `rsaEncryption`
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// Splits a value with that tag off the front: what is in it, and what follows.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        let fold = |sum: usize, byte: &u8| Some(sum.checked_mul(256)? + usize::from(*byte));
        (bytes.iter().try_fold(0, fold)?, rest)
    };
    (found == tag).then(|| rest.split_at_checked(length))?
}

/// Whether it has the outer form of an X.509 certificate: a sequence of two sequences and a signature.
pub(crate) fn is_certificate(der: &[u8]) -> bool {
    let parts = || {
        let (certificate, rest) = value(der, SEQUENCE)?;
        let (_, after) = value(certificate, SEQUENCE)?;
        let (_, signature) = value(after, SEQUENCE)?;
        Some(rest.is_empty() && signature.first() == Some(&0x03))
    };
    parts().unwrap_or(false)
}

/// Whether it is the public key of an RSA pair in its usual wrapping (`SubjectPublicKeyInfo`).
pub(crate) fn is_rsa_public_key(der: &[u8]) -> bool {
    let algorithm = || {
        let (key, rest) = value(der, SEQUENCE)?;
        let (algorithm, _) = value(key, SEQUENCE)?;
        let (identifier, _) = value(algorithm, OBJECT_IDENTIFIER)?;
        Some(rest.is_empty() && identifier == RSA)
    };
    algorithm().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_in_text() {
        let block = Block {
            label: "CERTIFICATE".to_owned(),
            der: vec![7; 100],
        };
        let text = format!(
            "subject: x\n{}and\r\n-----BEGIN X-----\n*\n-----END X-----\n",
            block.encode()
        );
        assert_eq!(decode(&text), std::slice::from_ref(&block));
        assert!(block.encode().lines().all(|line| line.len() <= 64));
        assert_eq!(decode("-----BEGIN CERTIFICATE-----\nAAAA\n"), []);
        assert_eq!(decode("-----BEGIN A-----\nAAAA\n-----END B-----\n"), []);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for der in [
            &[][..],
            &[0x30],
            &[0x30, 0x05, 0x30],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0xff],
        ] {
            assert!(!is_certificate(der) && !is_rsa_public_key(der), "{der:x?}");
        }
    }
}
