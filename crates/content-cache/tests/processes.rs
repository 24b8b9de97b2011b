//! Many processes share a cache, and some of them are killed.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use bytes::Bytes;
use content_cache::{Cache, Clean, Key, Kind, Partial};

const THINGS: Kind = Kind::durable("things");

/// Names the cache to a process that this one starts.
const CACHE: &str = "CONTENT_CACHE_TEST";

fn key(thing: usize) -> Key {
    Key::of(&[&thing.to_le_bytes()])
}

fn content(thing: usize) -> Vec<u8> {
    (0..100_000 + thing * 1000)
        .map(|at| (at * (thing + 3) % 251) as u8)
        .collect()
}

/// Gets an entry, one way or the other, and notes in a file beside the cache when it had to be made. Making goes on where
/// another process was killed.
fn get(root: &Path, thing: usize) -> Bytes {
    let wanted = content(thing);
    let cache = Cache::at(root.join("cache"));
    let make = |partial: &mut Partial| {
        let mut log = File::options().append(true).create(true).open(root.join("log"))?;
        writeln!(log, "{thing}")?;
        let there = usize::try_from(partial.length()?).unwrap();
        for part in wanted[there..].chunks(10_000) {
            partial.write_all(part)?;
            thread::sleep(Duration::from_micros(200));
        }
        Ok::<_, io::Error>(())
    };
    if thing.is_multiple_of(2) {
        let read = |path: &Path| fs::read(path).ok().filter(|bytes| *bytes == wanted);
        return cache.file(THINGS, &key(thing), read, make).unwrap().into();
    }
    let verify = |bytes: &Bytes| match *bytes == wanted {
        true => Ok(()),
        false => Err(io::Error::other("is something else")),
    };
    cache.fetch(THINGS, &key(thing), verify, make).unwrap().0
}

fn start(root: &Path, worker: &str) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", worker, "--ignored", "--test-threads=1"])
        .env(CACHE, root);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "is run by another test, in processes of its own"]
fn worker_gets_all() {
    let Some(root) = env::var_os(CACHE) else { return };
    for thing in 0..20 {
        assert!(get(Path::new(&root), thing) == content(thing));
    }
}

#[test]
#[ignore = "is run by another test, in processes of its own"]
fn worker_gets_and_forgets() {
    let Some(root) = env::var_os(CACHE) else { return };
    let root = Path::new(&root);
    for round in 0.. {
        let thing = round % 4;
        assert!(get(root, thing) == content(thing));
        Cache::at(root.join("cache")).remove(THINGS, &key(thing));
    }
}

#[test]
fn fifty_processes_make_each_entry_once() {
    let root = tempfile::tempdir().unwrap();
    let processes: Vec<Child> = (0..50).map(|_| start(root.path(), "worker_gets_all")).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let log = fs::read_to_string(root.path().join("log")).unwrap();
    let mut made: Vec<usize> = log.lines().map(|line| line.parse().unwrap()).collect();
    made.sort_unstable();
    assert_eq!(made, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_kill_at_any_moment_costs_nothing_but_time() {
    let root = tempfile::tempdir().unwrap();
    // Moments spread over several entries, always the same ones.
    for moment in 0..200u64 {
        let mut process = start(root.path(), "worker_gets_and_forgets");
        thread::sleep(Duration::from_micros(2_000 + moment * 7919 % 20_000));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    for thing in 0..4 {
        assert!(get(root.path(), thing) == content(thing));
    }
    let cache = Cache::at(root.path().join("cache"));
    let report = cache
        .clean(&Clean {
            older_than: Some(Duration::ZERO),
            ..Clean::default()
        })
        .unwrap();
    assert!(report.removed.len() >= 4);
    assert_eq!(files(&root.path().join("cache")), ["CACHEDIR.TAG"]);
}

/// The names of all files below a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}
