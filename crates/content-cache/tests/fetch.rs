//! Entries that are verified as bytes: what is given out, gone on with, told and refused.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use content_cache::{Cache, CacheError, Clean, Event, Key, Kind, Partial};
use proptest::prelude::*;

const THINGS: Kind = Kind::durable("things");

fn key(name: &str) -> Key {
    Key::of(&[name.as_bytes()])
}

/// A cache and what it tells.
fn listening(root: &Path) -> (Cache, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let cache = Cache::at(root).with_listener(move |event| {
        listener.lock().unwrap().push(match event {
            Event::Damaged { reason, .. } => format!("damaged: {}", reason.unwrap_or("?")),
            Event::Waiting { .. } => "waiting".to_owned(),
            event => format!("{event:?}"),
        });
    });
    (cache, told)
}

fn verify(wanted: &str) -> impl Fn(&Bytes) -> io::Result<usize> {
    move |bytes| match bytes == wanted {
        true => Ok(bytes.len()),
        false => Err(io::Error::other(format!(
            "{} bytes of something else",
            bytes.len()
        ))),
    }
}

fn fetch(
    cache: &Cache,
    name: &str,
    wanted: &str,
    make: impl FnMut(&mut Partial) -> io::Result<()>,
) -> Result<Bytes, CacheError<io::Error>> {
    let (bytes, length) = cache.fetch(THINGS, &key(name), verify(wanted), make)?;
    assert_eq!(bytes.len(), length);
    Ok(bytes)
}

/// The files below a directory, but for the tag.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false if entry.file_name() == "CACHEDIR.TAG" => {}
            false => found.push(entry.file_name().into_string().unwrap()),
        }
    }
    found.sort();
    found
}

#[test]
fn a_damaged_entry_is_told_and_made_again() {
    let root = tempfile::tempdir().unwrap();
    let (cache, told) = listening(root.path());
    let mut made = 0;
    for damage in [None, Some("tex"), Some(""), None, Some("texture")] {
        if let Some(damage) = damage {
            fs::write(cache.path(THINGS, &key("a")), damage).unwrap();
        }
        let bytes = fetch(&cache, "a", "text", |partial| {
            made += 1;
            partial.write_all(b"text")
        });
        assert_eq!(bytes.unwrap(), "text");
    }
    assert_eq!(made, 4);
    let reasons = [3, 0, 7].map(|length| format!("damaged: {length} bytes of something else"));
    assert_eq!(*told.lock().unwrap(), reasons);
}

#[test]
fn what_is_found_is_verified_and_nothing_is_made() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    assert_eq!(cache.find(THINGS, &key("a"), verify("text")), None);
    assert!(files(root.path()).is_empty());
    fetch(&cache, "a", "text", |partial| partial.write_all(b"text")).unwrap();
    assert_eq!(
        cache.find(THINGS, &key("a"), verify("text")),
        Some(("text".into(), 4))
    );
    assert_eq!(cache.find(THINGS, &key("a"), verify("other")), None);
    assert!(files(root.path()).is_empty());
}

#[test]
fn a_beginning_is_gone_on_with_or_thrown_away() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let broken_off = |beginning: &str| {
        let error = fetch(&cache, "a", "first, second", |partial| {
            partial.write_all(beginning.as_bytes())?;
            Err(io::ErrorKind::ConnectionReset.into())
        });
        assert_eq!(error.unwrap_err().to_string(), "connection reset");
    };
    // The right beginning: the rest is enough.
    broken_off("first, ");
    let mut there = Vec::new();
    let bytes = fetch(&cache, "a", "first, second", |partial| {
        there.push(partial.length()?);
        partial.write_all(b"second")
    });
    assert_eq!((bytes.unwrap().len(), there), (13, vec![7]));
    // Another one: all is made again.
    cache.remove(THINGS, &key("a"));
    broken_off("FIRST, ");
    let mut there = Vec::new();
    let bytes = fetch(&cache, "a", "first, second", |partial| {
        there.push(partial.length()?);
        let rest = &b"first, second"[there[there.len() - 1] as usize..];
        partial.write_all(rest)
    });
    assert_eq!((bytes.unwrap().len(), there), (13, vec![7, 0]));
    assert_eq!(files(root.path()), [key("a").to_string()]);
}

#[test]
fn what_is_made_wrong_is_an_error_and_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let error = fetch(&cache, "a", "text", |partial| partial.write_all(b"wrong"));
    assert_eq!(error.unwrap_err().to_string(), "5 bytes of something else");
    let error = fetch(&cache, "a", "text", |_| Err(io::Error::other("not there")));
    assert_eq!(error.unwrap_err().to_string(), "not there");
    assert!(files(root.path()).is_empty());
}

#[test]
fn who_waits_is_told_so_and_then_reads() {
    let root = tempfile::tempdir().unwrap();
    let (cache, told) = listening(root.path());
    let lock = cache.lock(THINGS, &key("a")).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| fetch(&cache, "a", "text", |partial| partial.write_all(b"text")));
        while told.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(lock);
        assert_eq!(waiting.join().unwrap().unwrap(), "text");
    });
    assert_eq!(*told.lock().unwrap(), ["waiting"]);
}

#[test]
fn threads_make_an_entry_once() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let made = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let bytes = fetch(&cache, "a", "text", |partial| {
                    *made.lock().unwrap() += 1;
                    partial.write_all(b"text")
                });
                assert_eq!(bytes.unwrap(), "text");
            });
        }
    });
    assert_eq!(made.into_inner().unwrap(), 1);
}

#[test]
fn what_is_being_made_is_not_cleaned_away() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let left = |partial: &mut Partial| {
        partial.write_all(b"te")?;
        Err(io::Error::other("broken off"))
    };
    fetch(&cache, "left", "text", left).unwrap_err();
    let dry = Clean {
        dry_run: true,
        ..Clean::default()
    };
    let bytes = fetch(&cache, "a", "text", |partial| {
        partial.write_all(b"te")?;
        for clean in [dry, Clean::default()] {
            let removed = cache.clean(&clean)?.removed;
            let kinds: Vec<_> = removed.iter().map(|one| (one.kind.as_str(), one.size)).collect();
            assert_eq!(kinds, [("partial", 2)]);
        }
        partial.write_all(b"xt")
    });
    assert_eq!(bytes.unwrap(), "text");
    assert_eq!(files(root.path()), [key("a").to_string()]);
}

#[test]
fn a_limit_evicts_what_was_used_longest_ago() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path()).with_max_size(100);
    let put = |name: &str, size: usize| {
        let text = "x".repeat(size);
        fetch(&cache, name, &text, |partial| partial.write_all(text.as_bytes())).unwrap();
        // Times of files are coarse.
        std::thread::sleep(Duration::from_millis(15));
    };
    let has = |name: &str| cache.path(THINGS, &key(name)).exists();
    for name in ["a", "b", "c", "d"] {
        put(name, 25);
    }
    assert!(["a", "b", "c", "d"].into_iter().all(has));
    put("e", 25);
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(has),
        [false, false, true, true, true]
    );
    // What is larger than all that is allowed goes before the others.
    put("huge", 200);
    assert_eq!(["c", "d", "e", "huge"].map(has), [true, true, true, false]);
}

#[derive(Clone, Debug)]
enum Step {
    Fetch(u8),
    /// Breaks off after so many bytes, which are right or not.
    Break(u8, usize, bool),
    /// Gives something else.
    Wrong(u8),
    Damage(u8, usize),
    Clean(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..3u8;
    prop_oneof![
        name().prop_map(Step::Fetch),
        (name(), 0..60usize, any::<bool>()).prop_map(|(name, at, right)| Step::Break(name, at, right)),
        name().prop_map(Step::Wrong),
        (name(), 0..60usize).prop_map(|(name, at)| Step::Damage(name, at)),
        (0..150u64).prop_map(Step::Clean),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to entries and downloads, nothing that is not right comes out, and what is right comes out
    /// whenever its source gives it.
    #[test]
    fn nothing_unverified_comes_out(steps in proptest::collection::vec(step(), 1..40)) {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path()).with_max_size(120);
        let text = |name: u8| name.to_string().repeat(50 + usize::from(name));
        let get = |name: u8, make: &dyn Fn(&mut Partial) -> io::Result<()>| fetch(&cache, &name.to_string(), &text(name), make);
        for step in steps {
            match step {
                Step::Fetch(name) => {
                    let wanted = text(name);
                    let bytes = get(name, &|partial| partial.write_all(&wanted.as_bytes()[partial.length()? as usize..]));
                    prop_assert_eq!(bytes.unwrap(), wanted);
                }
                Step::Break(name, at, right) => {
                    let beginning = text(if right { name } else { name + 1 });
                    let result = get(name, &|partial| {
                        partial.restart()?;
                        partial.write_all(&beginning.as_bytes()[..at.min(50)])?;
                        Err(io::ErrorKind::ConnectionReset.into())
                    });
                    match result {
                        Ok(bytes) => prop_assert_eq!(bytes, text(name)),
                        Err(error) => prop_assert_eq!(error.to_string(), "connection reset"),
                    }
                }
                Step::Wrong(name) => match get(name, &|partial| partial.write_all(b"wrong")) {
                    Ok(bytes) => prop_assert_eq!(bytes, text(name)),
                    Err(error) => prop_assert!(error.to_string().ends_with("of something else")),
                },
                Step::Damage(name, at) => {
                    let path = cache.path(THINGS, &key(&name.to_string()));
                    if let Ok(mut bytes) = fs::read(&path) {
                        bytes.truncate(at + 1);
                        if let Some(last) = bytes.last_mut() {
                            *last ^= 1;
                        }
                        fs::write(path, bytes).unwrap();
                    }
                }
                Step::Clean(max_size) => {
                    let report = cache.clean(&Clean { max_size: Some(max_size), ..Clean::default() }).unwrap();
                    prop_assert!(report.kept_size <= max_size);
                }
            }
        }
        cache.clean(&Clean::default()).unwrap();
        prop_assert!(files(root.path()).is_empty());
    }
}
