//! Source files: by their checksum, from the first place that gives them.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use apk_repository::{Client, ClientOptions, RepositoryError, SourceHash};
use content_cache::Cache;
use testkit::{Fault, Server};

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const HELLO_512: &str = "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043";

struct Lab {
    files: tempfile::TempDir,
    cache: tempfile::TempDir,
    server: Server,
}

impl Lab {
    fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("hello.txt"), "hello").unwrap();
        fs::write(files.path().join("other.txt"), "other").unwrap();
        Self {
            server: Server::start(files.path()),
            cache: tempfile::tempdir().unwrap(),
            files,
        }
    }

    fn client(&self, change: impl FnOnce(&mut ClientOptions)) -> Client {
        let mut options = ClientOptions {
            cache: Some(Cache::at(self.cache.path())),
            ..ClientOptions::default()
        };
        options.http.sleep = Arc::new(|_| {});
        change(&mut options);
        Client::new(options)
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.server.url())
    }

    fn read(
        &self,
        client: &Client,
        names: &[&str],
        hash: Option<&SourceHash>,
    ) -> Result<String, RepositoryError> {
        let urls: Vec<String> = names.iter().map(|name| self.url(name)).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        client.read_source(&urls, hash, self.files.path()).map(text)
    }
}

fn text(mut file: File) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_file_is_fetched_once_and_kept_by_either_checksum() {
    let lab = Lab::new();
    for hash in [
        SourceHash::sha256(&HELLO.to_uppercase()).unwrap(),
        SourceHash::sha512(HELLO_512).unwrap(),
    ] {
        let before = lab.server.requests().len();
        for _ in 0..2 {
            assert_eq!(
                lab.read(&lab.client(|_| {}), &["hello.txt"], Some(&hash))
                    .unwrap(),
                "hello"
            );
        }
        assert_eq!(lab.server.requests().len(), before + 1);
        let offline = lab.client(|options| options.offline = true);
        assert_eq!(lab.read(&offline, &["gone.txt"], Some(&hash)).unwrap(), "hello");
    }
}

#[test]
fn another_content_is_refused_with_both_checksums_and_not_kept() {
    let lab = Lab::new();
    let hash = SourceHash::sha256(HELLO).unwrap();
    let error = lab
        .read(&lab.client(|_| {}), &["other.txt"], Some(&hash))
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RepositoryError::Hash { .. }), "{text}");
    assert!(
        text.contains(HELLO)
            && text.contains("sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"),
        "{text}"
    );
    assert_eq!(
        lab.read(&lab.client(|_| {}), &["hello.txt"], Some(&hash))
            .unwrap(),
        "hello"
    );
}

#[test]
fn mirrors_are_asked_in_order_and_all_of_them_are_named_where_none_has_it() {
    let lab = Lab::new();
    let hash = SourceHash::sha256(HELLO).unwrap();
    let names = ["gone.txt", "other.txt", "hello.txt"];
    assert_eq!(
        lab.read(&lab.client(|_| {}), &names, Some(&hash)).unwrap(),
        "hello"
    );
    let other = SourceHash::sha256(&HELLO.replace('2', "3")).unwrap();
    let error = lab
        .read(&lab.client(|_| {}), &names[..2], Some(&other))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("gone.txt: the server answers 404") && error.contains("other.txt: its checksum"),
        "{error}"
    );
}

#[test]
fn a_download_that_broke_off_is_gone_on_with() {
    let lab = Lab::new();
    let hash = SourceHash::sha256(HELLO).unwrap();
    lab.server.fail("/hello.txt", [Fault::Truncate(3)]);
    let once = lab.client(|options| options.http.retry.times = 0);
    lab.read(&once, &["hello.txt"], Some(&hash)).unwrap_err();
    assert_eq!(lab.read(&once, &["hello.txt"], Some(&hash)).unwrap(), "hello");
    let ranges: Vec<_> = lab
        .server
        .requests()
        .into_iter()
        .map(|request| request.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges, [None, Some("bytes=3-".to_owned())]);
}

#[test]
fn what_lies_half_there_of_another_file_is_thrown_away() {
    let lab = Lab::new();
    let hash = SourceHash::sha256(HELLO).unwrap();
    lab.server.fail("/other.txt", [Fault::Truncate(3)]);
    let once = lab.client(|options| options.http.retry.times = 0);
    lab.read(&once, &["other.txt"], Some(&hash)).unwrap_err();
    assert_eq!(lab.read(&once, &["hello.txt"], Some(&hash)).unwrap(), "hello");
}

#[test]
fn without_a_checksum_or_a_cache_nothing_is_kept() {
    let lab = Lab::new();
    assert_eq!(
        lab.read(&lab.client(|_| {}), &["hello.txt"], None).unwrap(),
        "hello"
    );
    let uncached = lab.client(|options| options.cache = None);
    let hash = SourceHash::sha256(HELLO).unwrap();
    assert_eq!(lab.read(&uncached, &["hello.txt"], Some(&hash)).unwrap(), "hello");
    assert!(!Path::new(lab.cache.path()).join("v1/sources").exists());
    assert_eq!(fs::read_dir(lab.files.path()).unwrap().count(), 2);
}

#[test]
fn a_cancel_ends_what_is_being_fetched() {
    let lab = Lab::new();
    let client = lab.client(|_| {});
    client
        .options()
        .http
        .cancel
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let error = lab.read(&client, &["hello.txt"], None).unwrap_err().to_string();
    assert!(error.contains("cancelled"), "{error}");
    assert_eq!(lab.server.requests().len(), 0);
}

#[test]
fn a_checksum_has_all_its_digits() {
    for text in ["", "12", &HELLO[1..], &HELLO.replace('2', "x")] {
        assert!(
            SourceHash::sha256(text).is_err() && SourceHash::sha512(text).is_err(),
            "{text}"
        );
    }
}
