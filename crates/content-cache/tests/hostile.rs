//! Caches that cannot be written, belong to somebody else, or hold links and pipes.

#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{env, str};

use bytes::Bytes;
use content_cache::{Cache, CacheError, Clean, Document, Event, Key, Kind};
use rustix::fs::{CWD, FileType, Mode};

const THINGS: Kind = Kind::new("things");

/// Names the cache to a process that this one starts.
const CACHE: &str = "CONTENT_CACHE_TEST";

fn key(name: &str) -> Key {
    Key::of(&[name.as_bytes()])
}

fn fetch(cache: &Cache, name: &str) -> Result<Bytes, CacheError<io::Error>> {
    let verify = |bytes: &Bytes| match bytes == "text" {
        true => Ok(()),
        false => Err(io::Error::other("is something else")),
    };
    let fetched = cache.fetch(THINGS, &key(name), verify, |partial| partial.write_all(b"text"));
    fetched.map(|(bytes, ())| bytes)
}

#[test]
fn nothing_is_written_or_removed_through_a_link() {
    let root = tempfile::tempdir().unwrap();
    let outside = root.path().join("outside");
    fs::create_dir_all(outside.join("ab")).unwrap();
    fs::write(outside.join("ab/file"), "mine").unwrap();
    let name = format!("things-{}", key("a"));
    let places = [
        ("CACHEDIR.TAG", &outside.join("ab/file")),
        ("v2", &outside),
        ("v2/partial", &outside),
        ("v2/locks", &outside),
        ("v2/things", &outside),
        (&format!("v2/things/{}", &key("a").as_str()[..1]), &outside),
        (&format!("v2/partial/{name}"), &outside.join("ab/file")),
        (&format!("v2/locks/{name}"), &outside.join("ab/file")),
    ];
    for (number, (place, target)) in places.into_iter().enumerate() {
        let cache = Cache::at(root.path().join(number.to_string()));
        let link = cache.root().join(place);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, &link).unwrap();
        match fetch(&cache, "a") {
            // The entry cannot be kept there.
            Ok(bytes) => assert_eq!(bytes, "text"),
            Err(error) => assert!(error.to_string().contains(place), "{place}: {error}"),
        }
        cache.remove(THINGS, &key("a"));
        // It may well be told that a directory is none.
        let _ = cache.clean(&Clean::default());
        let there =
            fs::read_dir(outside.join("ab")).unwrap().count() + fs::read_dir(&outside).unwrap().count();
        assert_eq!(there, 2, "{place}");
        assert_eq!(
            fs::read_to_string(outside.join("ab/file")).unwrap(),
            "mine",
            "{place}"
        );
    }
}

#[test]
fn a_link_or_a_pipe_in_the_place_of_an_entry_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let cache = Cache::at(root.path().join("cache"));
    let secret = root.path().join("secret");
    fs::write(&secret, "text").unwrap();
    let path = cache.path(THINGS, &key("a"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(&secret, &path).unwrap();
    let not_read = cache.find(THINGS, &key("a"), |_| Ok::<_, io::Error>(()));
    assert_eq!(not_read, None);
    assert_eq!(fetch(&cache, "a").unwrap(), "text");
    assert!(fs::symlink_metadata(&path).unwrap().is_file() && secret.exists());
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(fetch(&cache, "a").unwrap(), "text");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
}

#[test]
fn a_file_in_the_place_of_the_cache_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let cache = Cache::at(&file);
    let start = format!("the cache: {}: ", file.display());
    let error = fetch(&cache, "a").unwrap_err().to_string();
    assert!(error.starts_with(&start), "{error}");
    let error = cache.put(THINGS, &key("a"), b"").unwrap_err().to_string();
    assert!(error.starts_with(&file.display().to_string()), "{error}");
}

#[test]
#[ignore = "is run by another test, by a user who owns nothing"]
fn worker_uses_the_cache_of_another_user() {
    let Some(root) = env::var_os(CACHE) else { return };
    let told = std::sync::Mutex::new(Vec::new());
    let told: &'static _ = Box::leak(Box::new(told));
    let cache = Cache::at(&root).with_listener(|event| {
        if let Event::NotKept { path, reason } = event {
            told.lock().unwrap().push(format!("{}: {reason}", path.display()));
        }
    });
    // What is there is given out, what is not is made and not kept.
    let never = cache.fetch(
        THINGS,
        &key("there"),
        |bytes| Ok(bytes.len()),
        |_| Err(io::Error::other("made")),
    );
    assert_eq!(never.unwrap(), ("text".into(), 4));
    assert_eq!(*told.lock().unwrap(), [""; 0]);
    assert_eq!(fetch(&cache, "new").unwrap(), "text");
    assert_eq!(fetch(&cache, "unreadable").unwrap(), "text");
    let locks = Path::new(&root).join("v2/locks");
    for told in told.lock().unwrap().drain(..) {
        assert!(told.starts_with(locks.to_str().unwrap()), "{told}");
        assert!(told.ends_with("Permission denied (os error 13)"), "{told}");
    }
    let revise = |text: &'static str| {
        cache.revise(THINGS, &key("document"), move |_| {
            Ok::<_, io::Error>(Some(Document::new(text)))
        })
    };
    assert_eq!(revise("new").unwrap().unwrap().body, "new");
    assert_eq!(cache.document(THINGS, &key("document")).unwrap().body, "old");
    // What must be written says where it cannot be.
    let error = cache.put(THINGS, &key("put"), b"").unwrap_err();
    assert!(
        error.to_string().ends_with(": Permission denied (os error 13)"),
        "{error}"
    );
    let report = cache.clean(&Clean::default()).unwrap();
    assert_eq!(
        (report.removed.len(), report.kept, report.failed.len()),
        (0, 3, 3)
    );
    assert_eq!(report.failed[0].1, "Permission denied (os error 13)");
}

#[test]
fn the_cache_of_another_user_gives_what_it_has() {
    let root = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let cache = Cache::at(root.path());
    for name in ["there", "unreadable"] {
        fetch(&cache, name).unwrap();
    }
    let old = |_: Option<&Document>| Ok::<_, io::Error>(Some(Document::new("old")));
    cache.revise(THINGS, &key("document"), old).unwrap();
    let unreadable = cache.path(THINGS, &key("unreadable"));
    fs::set_permissions(unreadable, Permissions::from_mode(0o600)).unwrap();
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can start a process of another user");
        return;
    }
    let mut worker = Command::new(env::current_exe().unwrap());
    worker.args(["--exact", "worker_uses_the_cache_of_another_user", "--ignored"]);
    worker
        .env(CACHE, root.path())
        .current_dir("/")
        .uid(65534)
        .gid(65534);
    match worker.output() {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            str::from_utf8(&output.stdout).unwrap()
        ),
        Err(error) => eprintln!("skipped: nobody else can run the test: {error}"),
    }
}
