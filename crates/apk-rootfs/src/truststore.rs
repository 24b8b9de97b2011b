//! Java's truststores (JKS): read, extended, written.

use std::collections::BTreeMap;

use sha1::{Digest as _, Sha1};

const MAGIC: u32 = 0xfeed_feed;
const PRIVATE_KEY: u32 = 1;
const CERTIFICATE: u32 = 2;
/// What is hashed before the content: the usual password, two bytes a character, and a fixed text.
const PASSWORD: &str = "changeit";
const WHITENER: &str = "Mighty Aphrodite";

/// A truststore: aliases and entries, each as encoded in version 2 without tag and alias.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truststore {
    entries: BTreeMap<Vec<u8>, (u32, Vec<u8>)>,
}

impl Truststore {
    /// Reads a store of version 1 or 2 that has the password `changeit`.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, &'static str> {
        let mut reader = Reader { rest: data };
        if reader.number()? != MAGIC {
            return Err("it is not in the format JKS");
        }
        let version = reader.number()?;
        if !matches!(version, 1 | 2) {
            return Err("it has an unknown version");
        }
        let mut entries = BTreeMap::new();
        for _ in 0..reader.number()? {
            let tag = reader.number()?;
            let alias = reader.text()?.to_vec();
            let mut entry = reader.take(8)?.to_vec();
            let certificates = match tag {
                CERTIFICATE => 1,
                PRIVATE_KEY => {
                    let key = reader.block()?;
                    push_block(&mut entry, key);
                    let certificates = reader.number()?;
                    entry.extend(certificates.to_be_bytes());
                    certificates
                }
                _ => return Err("it has an entry of an unknown kind"),
            };
            for _ in 0..certificates {
                let kind = if version == 2 { reader.text()? } else { b"X509" };
                push_certificate(&mut entry, kind, reader.block()?);
            }
            entries.insert(alias, (tag, entry));
        }
        let content = &data[..data.len() - reader.rest.len()];
        if reader.rest.get(..20) != Some(&digest(content)[..]) {
            return Err("its digest does not match its content and the password `changeit`");
        }
        Ok(Self { entries })
    }

    /// Adds a certificate; `time` is in seconds since 1970.
    pub(crate) fn add(&mut self, alias: &str, der: &[u8], time: i64) {
        let mut entry = time.wrapping_mul(1000).to_be_bytes().to_vec();
        push_certificate(&mut entry, b"X.509", der);
        let alias = alias.to_lowercase().into_bytes();
        self.entries.insert(alias, (CERTIFICATE, entry));
    }

    /// Writes the store in version 2, aliases in byte order.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [MAGIC, 2, self.entries.len() as u32] {
            out.extend(number.to_be_bytes());
        }
        for (alias, (tag, entry)) in &self.entries {
            out.extend(tag.to_be_bytes());
            push_text(&mut out, alias);
            out.extend(entry);
        }
        out.extend(digest(&out));
        out
    }
}

fn digest(content: &[u8]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for byte in PASSWORD.bytes() {
        hash.update([0, byte]);
    }
    hash.update(WHITENER);
    hash.update(content);
    hash.finalize().into()
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text);
}

fn push_block(out: &mut Vec<u8>, block: &[u8]) {
    out.extend((block.len() as u32).to_be_bytes());
    out.extend(block);
}

fn push_certificate(out: &mut Vec<u8>, kind: &[u8], der: &[u8]) {
    push_text(out, kind);
    push_block(out, der);
}

struct Reader<'d> {
    rest: &'d [u8],
}

impl<'d> Reader<'d> {
    fn take(&mut self, length: usize) -> Result<&'d [u8], &'static str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn integer(&mut self, bytes: usize) -> Result<u32, &'static str> {
        Ok(self
            .take(bytes)?
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        self.integer(4)
    }

    fn text(&mut self) -> Result<&'d [u8], &'static str> {
        let length = self.integer(2)?;
        self.take(length as usize)
    }

    fn block(&mut self) -> Result<&'d [u8], &'static str> {
        let length = self.number()?;
        self.take(length as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_reads_back_as_written() {
        let mut store = Truststore::default();
        store.add("B-alias", b"der", 1_700_000_000);
        store.add("a", b"other", 0);
        let written = store.write();
        assert_eq!(Truststore::parse(&written), Ok(store));
    }

    #[test]
    fn version_1_becomes_version_2() {
        let mut old: Vec<u8> = Vec::new();
        for number in [MAGIC, 1, 1, CERTIFICATE] {
            old.extend(number.to_be_bytes());
        }
        push_text(&mut old, b"x");
        old.extend(5_i64.to_be_bytes());
        push_block(&mut old, b"der");
        old.extend(digest(&old));
        let store = Truststore::parse(&old).unwrap();
        let (tag, entry) = &store.entries[&b"x"[..]];
        assert_eq!(*tag, CERTIFICATE);
        assert_eq!(entry[8..], *b"\0\x04X509\0\0\0\x03der");
    }

    #[test]
    fn damage_is_refused() {
        let mut store = Truststore::default();
        store.add("a", b"der", 0);
        let written = store.write();
        for end in 0..written.len() {
            assert!(Truststore::parse(&written[..end]).is_err(), "cut at {end}");
        }
        let mut changed = written.clone();
        changed[20] ^= 1;
        assert!(Truststore::parse(&changed).is_err());
    }
}
