//! Documents that change, such as indexes and keys: kept, and asked for again as HTTP has it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use content_cache::{Key, Kind};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::{HttpError, RepositoryError};
use crate::options::{ClientOptions, Event};
use crate::transfer::{Meta, Reply, Validators, Wanted};
use crate::url::HttpUrl;

const DOCUMENTS: Kind = Kind::new("documents");

/// Locks for those who ask for a document; there are no such entries.
const UPDATES: Kind = Kind::new("document-updates");

/// How long nobody asks again for what was not there: a repository that announces no keys seldom begins to.
const MISSING_FOR: Duration = Duration::from_secs(600);

/// What is known of a document without its body. Times are in microseconds since 1970.
#[derive(Serialize, Deserialize)]
struct Known {
    url: String,
    checked: u64,
    fresh_until: u64,
    is_there: bool,
    #[serde(flatten)]
    validators: Validators,
}

struct Kept {
    known: Known,
    body: Bytes,
}

impl Kept {
    /// What [`Kept::to_bytes`] wrote.
    fn parse(entry: Bytes) -> Option<Self> {
        let end = entry.iter().position(|byte| *byte == b'\n')?;
        Some(Self {
            known: serde_json::from_slice(&entry[..end]).ok()?,
            body: entry.slice(end + 1..),
        })
    }

    fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut entry = serde_json::to_vec(&self.known)?;
        entry.push(b'\n');
        entry.extend_from_slice(&self.body);
        Ok(entry)
    }
}

impl Client {
    /// Fetches a document, `None` where the server has none. What `read` does not accept is not kept, and is asked for
    /// anew if it was.
    pub(crate) fn document<T>(
        &self,
        url: &HttpUrl,
        read: impl Fn(&Bytes) -> Result<T, RepositoryError>,
    ) -> Result<Option<T>, RepositoryError> {
        let key = Key::of(&[url.as_str().as_bytes()]);
        let began = now();
        let mut kept = self.kept(url, &key);
        if self.options().offline {
            let url = url.to_string();
            let kept = kept.ok_or(HttpError::Offline { url })?;
            return kept.known.is_there.then(|| read(&kept.body)).transpose();
        }
        let fresh = |kept: &Kept| kept.known.checked <= began && began < kept.known.fresh_until;
        if let Some(done) = kept
            .as_ref()
            .filter(|kept| fresh(kept))
            .and_then(|kept| use_kept(kept, &read))
        {
            return Ok(done);
        }
        // Of the processes that want the same document at the same time, one asks for it.
        let lock = self
            .options()
            .cache
            .as_ref()
            .map(|cache| cache.lock(UPDATES, &key));
        if matches!(lock, Some(Ok(_))) {
            kept = self.kept(url, &key);
            let asked_meanwhile = kept.as_ref().filter(|kept| kept.known.checked > began);
            if let Some(done) = asked_meanwhile.and_then(|kept| use_kept(kept, &read)) {
                return Ok(done);
            }
        }
        self.ask(url, &key, kept, &read)
    }

    fn ask<T>(
        &self,
        url: &HttpUrl,
        key: &Key,
        kept: Option<Kept>,
        read: &impl Fn(&Bytes) -> Result<T, RepositoryError>,
    ) -> Result<Option<T>, RepositoryError> {
        let kept = kept.filter(|kept| kept.known.is_there && kept.known.validators != Validators::default());
        let limit = self
            .options()
            .max_document_size
            .min(self.options().max_response_size);
        let flag = match limit == self.options().max_document_size {
            true => "--max-apkindex-decompressed-size",
            false => "--max-http-response-size",
        };
        let wanted = |known| Wanted {
            url,
            limit: (limit, flag),
            size: None,
            known,
            is_checked: false,
        };
        let mut body = Vec::new();
        let known = kept.as_ref().map(|kept| &kept.known.validators);
        let mut reply = self.download(&wanted(known), &mut body);
        if let (Ok(Reply::Unchanged(meta)), Some(kept)) = (&reply, &kept) {
            if let Ok(value) = read(&kept.body) {
                if meta.fresh_for > Duration::ZERO {
                    self.keep(url, key, meta, Some(kept.body.clone()));
                }
                return Ok(Some(value));
            }
            // What is kept is damaged, or was acceptable to others alone.
            reply = self.download(&wanted(None), &mut body);
        }
        match reply {
            Ok(Reply::Complete(meta) | Reply::Unchanged(meta)) => {
                let body = Bytes::from(body);
                let value = read(&body)?;
                self.keep(url, key, &meta, Some(body));
                Ok(Some(value))
            }
            Err(error) if matches!(error.status(), Some(404 | 410)) => {
                self.keep(url, key, &Meta::default(), None);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn kept(&self, url: &HttpUrl, key: &Key) -> Option<Kept> {
        let entry = self.options().cache.as_ref()?.get(DOCUMENTS, key)?;
        Kept::parse(entry).filter(|kept| kept.known.url == url.as_str())
    }

    /// That it cannot be kept is no error.
    fn keep(&self, url: &HttpUrl, key: &Key, meta: &Meta, body: Option<Bytes>) {
        let Some(cache) = self.options().cache.as_ref().filter(|_| !meta.no_store) else {
            return;
        };
        let checked = now();
        let fresh_for = match body {
            Some(_) => meta.fresh_for,
            None => MISSING_FOR,
        };
        let fresh_for = u64::try_from(fresh_for.as_micros()).unwrap_or(u64::MAX);
        let kept = Kept {
            known: Known {
                url: url.as_str().to_owned(),
                checked,
                fresh_until: checked.saturating_add(fresh_for),
                is_there: body.is_some(),
                validators: meta.validators.clone(),
            },
            body: body.unwrap_or_default(),
        };
        let put = kept.to_bytes().map_err(Into::into);
        if let Err(error) = put.and_then(|entry| cache.put(DOCUMENTS, key, &entry)) {
            warn_of_cache(self.options(), &error);
        }
    }
}

/// What is kept, if it is acceptable.
fn use_kept<T>(kept: &Kept, read: impl Fn(&Bytes) -> Result<T, RepositoryError>) -> Option<Option<T>> {
    match kept.known.is_there {
        true => read(&kept.body).ok().map(Some),
        false => Some(None),
    }
}

pub(crate) fn warn_of_cache(options: &ClientOptions, error: &std::io::Error) {
    options.tell(&Event::Warning(format!("the cache cannot be written: {error}")));
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
