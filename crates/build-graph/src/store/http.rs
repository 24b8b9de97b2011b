//! A store behind HTTP(S).

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use apk_repository::{Client, HttpError, RepositoryError, without_login};

use super::Store;
use crate::error::StoreError;
use crate::{Blob, Key, MAX_RECORD};

/// A store behind HTTP(S): records are the files `ac/KEY` below a URL, blobs the files `cas/HASH`, had by `GET` and `HEAD` and
/// put by `PUT`. Caches of builds commonly speak so, and so does any WebDAV server; one that merely serves a
/// [`DirectoryStore`](crate::DirectoryStore) can be read.
///
/// How often is tried again, how long is waited, proxies and passwords are the [`Client`]'s.
#[derive(Clone, Debug)]
pub struct HttpStore {
    client: Client,
    url: String,
}

impl HttpStore {
    /// A store below a URL, which may have a user name and a password in it.
    pub fn new(client: Client, url: &str) -> Self {
        Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
        }
    }

    fn record_url(&self, key: &Key) -> String {
        format!("{}/ac/{key}", self.url)
    }

    fn blob_url(&self, blob: &Blob) -> String {
        format!("{}/cas/{}", self.url, blob.hash)
    }
}

impl Store for HttpStore {
    fn name(&self) -> String {
        without_login(&self.url)
    }

    fn record(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let mut file = temporary()?;
        if !self
            .client
            .get_file(&self.record_url(key), MAX_RECORD, &mut file)?
        {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
        read.map_err(in_temporary)?;
        Ok(Some(bytes))
    }

    fn has_record(&self, key: &Key) -> Result<bool, StoreError> {
        Ok(self.client.head(&self.record_url(key))?.is_some())
    }

    fn put_record(&self, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = temporary()?;
        file.write_all(bytes).map_err(in_temporary)?;
        Ok(self.client.put_file(&self.record_url(key), &mut file)?)
    }

    fn has_blob(&self, blob: &Blob) -> Result<bool, StoreError> {
        let head = self.client.head(&self.blob_url(blob))?;
        Ok(head.is_some_and(|head| head.size.is_none_or(|size| size == blob.size)))
    }

    fn read_blob(&self, blob: &Blob, out: &mut File) -> Result<bool, StoreError> {
        let got = self.client.get_file(&self.blob_url(blob), blob.size, out);
        got.map_err(of_entry(&format!("cas/{}", blob.hash)))
    }

    fn put_blob(&self, blob: &Blob, content: &mut File) -> Result<(), StoreError> {
        Ok(self.client.put_file(&self.blob_url(blob), content)?)
    }
}

/// Tells answers that are wrong for one entry from a server that does not work.
fn of_entry(entry: &str) -> impl Fn(RepositoryError) -> StoreError + '_ {
    use HttpError::{Protocol, Redirect, Redirects, TooLarge};
    move |error| match &error {
        RepositoryError::Http(Protocol { .. } | Redirect { .. } | Redirects { .. } | TooLarge { .. }) => {
            StoreError::Entry {
                entry: entry.to_owned(),
                reason: error.to_string(),
            }
        }
        _ => error.into(),
    }
}

fn temporary() -> Result<File, StoreError> {
    tempfile::tempfile().map_err(in_temporary)
}

fn in_temporary(source: std::io::Error) -> StoreError {
    StoreError::Io {
        path: "a temporary file".into(),
        source,
    }
}

impl From<RepositoryError> for StoreError {
    fn from(error: RepositoryError) -> Self {
        Self::Remote(Box::new(error))
    }
}
