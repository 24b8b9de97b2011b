//! Documents that change, such as indexes and keys: kept, and asked for again as HTTP has it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use content_cache::{CacheError, Document, Key, Kind};
use http_exchange::{HttpError, HttpUrl};

use crate::client::Client;
use crate::error::RepositoryError;
use crate::transfer::{Meta, Reply, Validators, Wanted};

/// Indexes, keys and what leads to keys, by their URL.
const DOCUMENTS: Kind = Kind::new("documents");

/// How long nobody asks again for what was not there: a repository that announces no keys seldom begins to.
const MISSING_FOR: Duration = Duration::from_secs(600);

/// The fields of a document that is kept. Times are in microseconds since 1970.
const URL: &str = "url";
const CHECKED: &str = "checked";
const FRESH_UNTIL: &str = "fresh-until";
const MISSING: &str = "missing";
const ETAG: &str = "etag";
const LAST_MODIFIED: &str = "last-modified";

/// A document as a caller wants it, `None` where there is none, and as it is to be kept from now on.
type Asked<T> = (Option<T>, Option<Document>);

impl Client {
    /// Fetches a document, `None` where the server has none. What `read` does not accept is not kept, and is asked for
    /// anew if it was.
    pub(crate) fn document<T>(
        &self,
        url: &HttpUrl,
        read: impl Fn(&Bytes) -> Result<T, RepositoryError>,
    ) -> Result<Option<T>, RepositoryError> {
        let Some(cache) = &self.options().cache else {
            return Ok(self.ask(url, None, &read)?.0);
        };
        let key = Key::of(&[url.as_str().as_bytes()]);
        let began = now();
        let kept = cache
            .document(DOCUMENTS, &key)
            .filter(|kept| kept.field(URL) == Some(url.as_str()));
        if self.options().offline {
            let url = url.to_string();
            let kept = kept.ok_or(HttpError::Offline { url })?;
            return kept
                .field(MISSING)
                .is_none()
                .then(|| read(&kept.body))
                .transpose();
        }
        let is_fresh = |kept: &Document| time(kept, CHECKED) <= began && began < time(kept, FRESH_UNTIL);
        if let Some(value) = kept
            .as_ref()
            .filter(|kept| is_fresh(kept))
            .and_then(|kept| accept(kept, &read))
        {
            return Ok(value);
        }
        let mut value = None;
        let revised = cache.revise(DOCUMENTS, &key, |kept| {
            // Another process may have asked while this one waited.
            let kept = kept.filter(|kept| kept.field(URL) == Some(url.as_str()));
            let is_new = |kept: &&Document| time(kept, CHECKED) > began;
            value = kept.filter(is_new).and_then(|kept| accept(kept, &read));
            if value.is_some() {
                return Ok(None);
            }
            let (found, document) = self.ask(url, kept, &read)?;
            value = Some(found);
            Ok(document)
        });
        match (value, revised) {
            (_, Err(CacheError::Make(error))) => Err(error),
            (Some(value), _) => Ok(value),
            // The cache cannot even be locked.
            (None, _) => Ok(self.ask(url, None, &read)?.0),
        }
    }

    fn ask<T>(
        &self,
        url: &HttpUrl,
        kept: Option<&Document>,
        read: &impl Fn(&Bytes) -> Result<T, RepositoryError>,
    ) -> Result<Asked<T>, RepositoryError> {
        let most = self.options().max_response_size;
        let limit = match self.options().max_document_size {
            limit if limit <= most => (limit, "--max-apkindex-decompressed-size"),
            _ => (most, "--max-http-response-size"),
        };
        let wanted = |known| Wanted {
            url,
            limit,
            size: None,
            known,
            is_checked: false,
        };
        let known = kept.map(|kept| Validators {
            etag: kept.field(ETAG).map(str::to_owned),
            last_modified: kept.field(LAST_MODIFIED).map(str::to_owned),
        });
        let known = known.filter(|known| *known != Validators::default());
        let mut body = Vec::new();
        let mut reply = self.download(&wanted(known.as_ref()), &mut body);
        if let (Ok(Reply::Unchanged(meta)), Some(kept)) = (&reply, kept) {
            if let Ok(value) = read(&kept.body) {
                let is_longer_fresh = meta.fresh_for > Duration::ZERO && !meta.no_store;
                return Ok((
                    Some(value),
                    is_longer_fresh.then(|| document(url, meta, kept.body.clone())),
                ));
            }
            // What is kept is acceptable to others alone.
            reply = self.download(&wanted(None), &mut body);
        }
        match reply {
            Ok(Reply::Complete(meta) | Reply::Unchanged(meta)) => {
                let body = Bytes::from(body);
                let value = read(&body)?;
                Ok((Some(value), (!meta.no_store).then(|| document(url, &meta, body))))
            }
            Err(error) if matches!(error.status(), Some(404 | 410)) => {
                let meta = Meta {
                    fresh_for: MISSING_FOR,
                    ..Meta::default()
                };
                Ok((None, Some(document(url, &meta, Bytes::new()).with(MISSING, ""))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What is kept, if it is acceptable.
fn accept<T>(kept: &Document, read: impl Fn(&Bytes) -> Result<T, RepositoryError>) -> Option<Option<T>> {
    match kept.field(MISSING) {
        None => read(&kept.body).ok().map(Some),
        Some(_) => Some(None),
    }
}

fn document(url: &HttpUrl, meta: &Meta, body: Bytes) -> Document {
    let checked = now();
    let fresh_for = u64::try_from(meta.fresh_for.as_micros()).unwrap_or(u64::MAX);
    let mut document = Document::new(body)
        .with(URL, url.as_str())
        .with(CHECKED, checked.to_string())
        .with(FRESH_UNTIL, checked.saturating_add(fresh_for).to_string());
    let Validators { etag, last_modified } = &meta.validators;
    for (name, value) in [(ETAG, etag), (LAST_MODIFIED, last_modified)] {
        if let Some(value) = value {
            document = document.with(name, value);
        }
    }
    document
}

/// A time that a document has as a field; without it 1970.
fn time(document: &Document, name: &str) -> u64 {
    document
        .field(name)
        .and_then(|time| time.parse().ok())
        .unwrap_or_default()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
