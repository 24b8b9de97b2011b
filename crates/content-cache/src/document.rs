//! Documents that change at their source.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::error::CacheError;
use crate::{Cache, Key, Kind};

/// A document and what is to be remembered of it, as the validators by which its source tells whether it has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What is remembered, by names of the caller's choice.
    pub fields: BTreeMap<String, String>,
    /// The document.
    pub body: Bytes,
}

impl Document {
    /// One with nothing remembered.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self {
            fields: BTreeMap::new(),
            body: body.into(),
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// A field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The number of fields, the fields, then the body; texts behind their lengths.
    fn encode(&self) -> Vec<u8> {
        let texts = self.fields.iter().flat_map(|(name, value)| [name, value]);
        let mut bytes = (self.fields.len() as u64).to_le_bytes().to_vec();
        for text in texts {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(&self.body);
        bytes
    }

    fn decode(mut bytes: Bytes) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for _ in 0..take_number(&mut bytes)? {
            let (name, value) = (take_text(&mut bytes)?, take_text(&mut bytes)?);
            fields.insert(name, value);
        }
        Some(Self { fields, body: bytes })
    }
}

fn take_number(bytes: &mut Bytes) -> Option<usize> {
    let number = u64::from_le_bytes(*bytes.first_chunk()?);
    drop(bytes.split_to(8));
    usize::try_from(number).ok()
}

fn take_text(bytes: &mut Bytes) -> Option<String> {
    let length = take_number(bytes)?;
    let text = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    String::from_utf8(text.into()).ok()
}

impl Cache {
    /// A document as it was stored last; `None` if it is not there, or damaged.
    pub fn document(&self, kind: Kind, key: &Key) -> Option<Document> {
        Document::decode(self.get(kind, key)?)
    }

    /// Brings a document up to date and gives it. `ask` gets the one that is there and gives the one to be stored, or
    /// `None` to leave it as it is, which is the answer for one that another process has brought up to date a moment
    /// ago: of all processes, one at a time asks. `None` comes out if there was nothing and `ask` gave nothing.
    ///
    /// In a cache that cannot be written, nothing is stored.
    ///
    /// # Errors
    /// The error of `ask`, which leaves the document as it is, and when a lock cannot be had.
    pub fn revise<E>(
        &self,
        kind: Kind,
        key: &Key,
        ask: impl FnOnce(Option<&Document>) -> Result<Option<Document>, E>,
    ) -> Result<Option<Document>, CacheError<E>> {
        let lock = self.lock_or_nothing(kind, key)?;
        let current = self.document(kind, key);
        let Some(new) = ask(current.as_ref()).map_err(CacheError::Make)? else {
            return Ok(current);
        };
        if lock.is_some()
            && let Err(trouble) = self.write(kind, key, &new.encode())
        {
            self.not_kept(&trouble);
        }
        Ok(Some(new))
    }
}
