//! What a cache gives out, and what it forgets.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use content_cache::{Cache, CacheError, Clean, Key, Kind};
use proptest::prelude::*;

const THINGS: Kind = Kind::new("things");

fn key(name: &str) -> Key {
    Key::of(&[name.as_bytes()])
}

/// An entry that must read `content`, made as `made` if it is not there.
fn entry(cache: &Cache, name: &str, content: &str, made: &str) -> Result<String, CacheError<io::Error>> {
    let read = |path: &Path| fs::read_to_string(path).ok().filter(|text| text == content);
    cache.file(THINGS, &key(name), read, |partial| {
        partial.restart()?;
        partial.write_all(made.as_bytes())
    })
}

#[test]
fn a_damaged_entry_is_made_again() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    for damage in ["", "tex", "another", "texture"] {
        entry(&cache, "a", "text", "text").unwrap();
        fs::write(cache.path(THINGS, &key("a")), damage).unwrap();
        assert_eq!(entry(&cache, "a", "text", "text").unwrap(), "text");
    }
}

#[test]
fn an_entry_that_is_made_wrong_is_an_error_and_not_kept() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let path = cache.path(THINGS, &key("a"));
    let error = entry(&cache, "a", "text", "wrong").unwrap_err();
    let text = format!(
        "the cache: {} is not what it should be although it was made a moment ago",
        path.display()
    );
    assert_eq!(error.to_string(), text);
    assert!(!path.exists());
}

#[test]
fn what_a_failed_attempt_left_is_gone_on_with() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    let read = |path: &Path| fs::read_to_string(path).ok();
    let failed = cache.file(THINGS, &key("a"), read, |partial| {
        partial.write_all(b"first half, ")?;
        Err(io::Error::other("broken off"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "broken off");
    let made = cache.file(THINGS, &key("a"), read, |partial| {
        assert_eq!(partial.length()?, 12);
        partial.write_all(b"second half")
    });
    assert_eq!(made.unwrap(), "first half, second half");
}

#[test]
fn small_contents_are_behind_their_hash() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    assert_eq!(cache.get(THINGS, &key("a")), None);
    cache.put(THINGS, &key("a"), b"first").unwrap();
    cache.put(THINGS, &key("a"), b"second").unwrap();
    assert_eq!(cache.get(THINGS, &key("a")).unwrap(), "second");
    let path = cache.path(THINGS, &key("a"));
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(cache.get(THINGS, &key("a")), None);
}

#[test]
fn a_file_that_is_complete_is_taken_over() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path().join("cache"));
    let file = root.path().join("file");
    for content in ["first", "second"] {
        fs::write(root.path().join("new"), content).unwrap();
        fs::rename(root.path().join("new"), &file).unwrap();
        cache.adopt(THINGS, &key("a"), &file).unwrap();
        assert_eq!(
            fs::read_to_string(cache.path(THINGS, &key("a"))).unwrap(),
            content
        );
    }
    assert!(file.exists());
}

#[test]
fn opening_a_file_is_use() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    assert!(cache.open(THINGS, &key("a")).is_none());
    entry(&cache, "a", "text", "text").unwrap();
    let path = cache.path(THINGS, &key("a"));
    let long_ago = SystemTime::now() - Duration::from_secs(100_000);
    let times = FileTimes::new().set_accessed(long_ago).set_modified(long_ago);
    File::open(&path).unwrap().set_times(times).unwrap();
    let file = cache.open(THINGS, &key("a")).unwrap();
    let metadata = file.metadata().unwrap();
    assert!(metadata.accessed().unwrap() > long_ago + Duration::from_secs(90_000));
    assert_eq!(metadata.modified().unwrap(), long_ago);
}

#[test]
fn the_longest_unused_go_first() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    for (name, hours) in [("old", 30), ("older", 40), ("new", 0), ("oldest", 50)] {
        entry(&cache, name, "0123456789", "0123456789").unwrap();
        let time = SystemTime::now() - Duration::from_secs(hours * 3600);
        let times = FileTimes::new().set_accessed(time).set_modified(time);
        File::open(cache.path(THINGS, &key(name)))
            .unwrap()
            .set_times(times)
            .unwrap();
    }
    // Reading is use.
    entry(&cache, "older", "0123456789", "0123456789").unwrap();
    let removed = |clean: Clean| -> Vec<String> {
        let report = cache.clean(&clean).unwrap();
        let names = ["old", "older", "new", "oldest"];
        let name = |path: &Path| names.iter().find(|name| cache.path(THINGS, &key(name)) == path);
        assert_eq!(
            report.removed_size() + report.kept_size,
            (report.removed.len() + report.kept) as u64 * 10
        );
        report
            .removed
            .iter()
            .map(|one| (*name(&one.path).unwrap()).to_owned())
            .collect()
    };
    let dry = |clean| Clean {
        dry_run: true,
        ..clean
    };
    let to_size = Clean {
        max_size: Some(25),
        ..Clean::default()
    };
    let by_age = Clean {
        older_than: Some(Duration::from_secs(24 * 3600)),
        ..Clean::default()
    };
    assert_eq!(removed(dry(Clean::default())), ["oldest", "old", "new", "older"]);
    assert_eq!(removed(dry(by_age)), ["oldest", "old"]);
    assert_eq!(removed(to_size), ["oldest", "old"]);
    assert_eq!(removed(to_size), [""; 0]);
    assert_eq!(removed(Clean::default()), ["new", "older"]);
}

#[test]
fn what_is_not_of_the_cache_stays() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path().join("cache"));
    let outside = root.path().join("outside");
    fs::create_dir_all(outside.join("ab")).unwrap();
    fs::write(outside.join("ab/file"), "mine").unwrap();
    entry(&cache, "a", "text", "text").unwrap();
    fs::write(cache.root().join("notes"), "mine").unwrap();
    std::os::unix::fs::symlink(&outside, cache.root().join("v2/things/link")).unwrap();
    std::os::unix::fs::symlink(&outside, cache.root().join("v2/link")).unwrap();
    cache.clean(&Clean::default()).unwrap();
    assert!(!cache.path(THINGS, &key("a")).exists());
    assert!(cache.root().join("notes").exists() && outside.join("ab/file").exists());
}

#[test]
fn layouts_of_earlier_releases_go_when_room_is_made() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    for name in ["earlier", "now"] {
        entry(&cache, name, "text", "text").unwrap();
        if name == "earlier" {
            fs::rename(root.path().join("v2"), root.path().join("v1")).unwrap();
        }
    }
    fs::write(root.path().join("v1/partial/things-begun"), "te").unwrap();
    let dry_run = Clean {
        dry_run: true,
        ..Clean::default()
    };
    for clean in [dry_run, Clean::default()] {
        let removed = cache.clean(&clean).unwrap().removed;
        let mut layouts: Vec<_> = removed
            .iter()
            .map(|one| one.path.strip_prefix(root.path()).unwrap().iter().next().unwrap())
            .collect();
        layouts.sort();
        assert_eq!(layouts, ["v1", "v1", "v2"]);
    }
    assert_eq!(cache.clean(&Clean::default()).unwrap().removed, []);
}

#[test]
fn a_cache_that_cannot_be_written_still_gives_what_it_has() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path());
    entry(&cache, "a", "text", "text").unwrap();
    let read_only = |mode| {
        for directory in ["v2/locks", "v2/partial"] {
            fs::set_permissions(root.path().join(directory), Permissions::from_mode(mode)).unwrap();
        }
    };
    read_only(0o555);
    assert_eq!(entry(&cache, "a", "text", "text").unwrap(), "text");
    if !rustix::process::geteuid().is_root() {
        assert!(matches!(
            entry(&cache, "b", "text", "text"),
            Err(CacheError::Io { .. })
        ));
    }
    read_only(0o755);
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = entry(&Cache::at(&file), "a", "text", "text").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("the cache: {}: ", file.display())),
        "{error}"
    );
}

#[test]
fn keys_are_hashes_and_nothing_else() {
    let hash = "0123456789abcdef".repeat(4);
    assert_eq!(hash.parse::<Key>().unwrap().as_str(), hash);
    for text in [
        "",
        "abc",
        "../../../../../../../../etc/passwd",
        &hash.to_uppercase(),
        &hash[..31],
    ] {
        assert!(text.parse::<Key>().is_err(), "{text}");
    }
    assert_ne!(Key::of(&[b"ab", b"c"]), Key::of(&[b"a", b"bc"]));
}

#[derive(Clone, Debug)]
enum Step {
    Get(u8),
    Damage(u8, u8),
    Truncate(u8),
    Remove(u8),
    Clean(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8).prop_map(Step::Get),
        (0..4u8, any::<u8>()).prop_map(|(name, at)| Step::Damage(name, at)),
        (0..4u8).prop_map(Step::Truncate),
        (0..4u8).prop_map(Step::Remove),
        (0..100u64).prop_map(Step::Clean),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to the files, nothing that is not right comes out.
    #[test]
    fn what_comes_out_is_right(steps in proptest::collection::vec(step(), 1..30)) {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path());
        let text = |name: u8| format!("{name}").repeat(20 + usize::from(name));
        for step in steps {
            match step {
                Step::Get(name) => {
                    let text = text(name);
                    prop_assert_eq!(entry(&cache, &name.to_string(), &text, &text).unwrap(), text);
                }
                Step::Damage(name, at) => {
                    let path = cache.path(THINGS, &key(&name.to_string()));
                    if let Ok(mut bytes) = fs::read(&path) && !bytes.is_empty() {
                        let at = usize::from(at) % bytes.len();
                        bytes[at] ^= 0x10;
                        fs::write(path, bytes).unwrap();
                    }
                }
                Step::Truncate(name) => {
                    let path = cache.path(THINGS, &key(&name.to_string()));
                    if path.exists() {
                        fs::write(path, "").unwrap();
                    }
                }
                Step::Remove(name) => cache.remove(THINGS, &key(&name.to_string())),
                Step::Clean(max_size) => {
                    let report = cache.clean(&Clean { max_size: Some(max_size), ..Clean::default() }).unwrap();
                    prop_assert!(report.kept_size <= max_size);
                }
            }
        }
    }
}
