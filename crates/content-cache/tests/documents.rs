//! Documents that change at their source.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use content_cache::{Cache, Document, Key, Kind};
use proptest::prelude::*;

const INDEXES: Kind = Kind::durable("indexes");

fn key() -> Key {
    Key::of(&[b"https://packages.example/x86_64/APKINDEX.tar.gz"])
}

#[test]
fn a_document_keeps_its_validators() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let first = Document::new("first").with("etag", "\"1\"");
    let stored = cache.revise(INDEXES, &key(), |current| {
        assert_eq!(current, None);
        Ok::<_, std::fmt::Error>(Some(first.clone()))
    });
    assert_eq!(stored.unwrap(), Some(first.clone()));
    // As it is: the source says that it did not change.
    let kept = cache.revise(INDEXES, &key(), |current| {
        assert_eq!(current.and_then(|current| current.field("etag")), Some("\"1\""));
        Ok::<_, std::fmt::Error>(None)
    });
    assert_eq!(kept.unwrap(), Some(first.clone()));
    // An error leaves it as it is.
    let failed = cache.revise(INDEXES, &key(), |_| Err(std::fmt::Error));
    assert_eq!(failed.unwrap_err().to_string(), std::fmt::Error.to_string());
    assert_eq!(cache.document(INDEXES, &key()), Some(first.clone()));
    let second = Document::new("second").with("etag", "\"2\"");
    cache
        .revise(INDEXES, &key(), |_| {
            Ok::<_, std::fmt::Error>(Some(second.clone()))
        })
        .unwrap();
    assert_eq!(cache.document(INDEXES, &key()), Some(second));
}

#[test]
fn a_damaged_document_is_none() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let path = cache.path(INDEXES, &key());
    let store = |current: Option<&Document>| {
        assert_eq!(current, None);
        Ok::<_, std::fmt::Error>(Some(Document::new("body").with("etag", "1")))
    };
    cache.revise(INDEXES, &key(), store).unwrap();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        fs::write(&path, bytes).unwrap();
        assert_eq!(cache.document(INDEXES, &key()), None, "byte {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(cache.document(INDEXES, &key()), None, "cut at {at}");
    }
    cache.revise(INDEXES, &key(), store).unwrap();
    assert_eq!(cache.document(INDEXES, &key()).unwrap().body, "body");
}

#[test]
fn one_asks_and_the_others_take_its_answer() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let asked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let document = cache.revise(INDEXES, &key(), |current| {
                    if current.is_some_and(|current| current.field("at") == Some("now")) {
                        return Ok::<_, std::fmt::Error>(None);
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    Ok(Some(Document::new("body").with("at", "now")))
                });
                assert_eq!(document.unwrap().unwrap().body, "body");
            });
        }
    });
    assert_eq!(asked.into_inner(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_document_comes_back(
        fields in proptest::collection::btree_map(".{0,8}", ".{0,40}", 0..5),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path());
        let document = Document { fields, body: body.into() };
        cache.revise(INDEXES, &key(), |_| Ok::<_, std::fmt::Error>(Some(document.clone()))).unwrap();
        prop_assert_eq!(cache.document(INDEXES, &key()), Some(document));
    }

    /// What another program put there is no document, and no harm.
    #[test]
    fn no_content_does_harm(content in proptest::collection::vec(prop_oneof![Just(0u8), 0..9u8, any::<u8>()], 0..64)) {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path());
        cache.put(INDEXES, &key(), &content).unwrap();
        if let Some(document) = cache.document(INDEXES, &key()) {
            prop_assert!(document.body.len() + 8 <= content.len());
        }
    }
}
