//! What is kept from one run to the next.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use apk_index::Index;
use apk_repository::{OpenIndex, Trust};
use testkit::Fault;

use common::{ARCH, INDEX, PACKAGE, Site};

/// What was asked for: path, status.
fn log(site: &Site) -> Vec<(String, u16)> {
    let requests = site.server.requests().into_iter();
    requests.map(|request| (request.target, request.status)).collect()
}

fn entry(path: &str, status: u16) -> (String, u16) {
    (path.to_owned(), status)
}

fn describe(site: &Site, text: &str) {
    site.repository
        .change_index(|index| text.clone_into(&mut index.description));
}

fn description(index: Option<Index>) -> String {
    index.unwrap().description
}

#[test]
fn a_second_run_asks_whether_the_index_has_changed_and_for_nothing_else() {
    let site = Site::new();
    site.package(&site.client()).unwrap();
    assert_eq!(log(&site), [entry(INDEX, 200), entry(PACKAGE, 200)]);
    site.package(&site.client()).unwrap();
    assert_eq!(log(&site), [entry(INDEX, 304)]);
    describe(&site, "new");
    assert_eq!(description(site.index(&site.client()).unwrap()), "new");
    assert_eq!(log(&site), [entry(INDEX, 200)]);
}

#[test]
fn a_fresh_index_is_not_asked_for() {
    let site = Site::new();
    let headers = vec![("Cache-Control", "max-age=600".to_owned())];
    site.server.always(INDEX, Fault::Headers(headers));
    site.index(&site.client()).unwrap();
    site.index(&site.client()).unwrap();
    assert_eq!(site.attempts(INDEX), 1);
}

#[test]
fn what_must_not_be_stored_is_not() {
    let site = Site::new();
    let headers = vec![("Cache-Control", "no-store".to_owned())];
    site.server.always(INDEX, Fault::Headers(headers));
    site.index(&site.client()).unwrap();
    site.index(&site.client()).unwrap();
    assert_eq!(log(&site), [entry(INDEX, 200), entry(INDEX, 200)]);
}

#[test]
fn offline_the_cache_must_do() {
    let site = Site::new();
    let offline = || site.client_with(|options| options.offline = true);
    let url = site.server.url();
    let missing =
        |path| format!("{url}{path} is not in the cache, and nobody may be asked for it (--offline)");
    assert_eq!(site.error(&offline()), missing(INDEX));
    let index = site.index(&site.client()).unwrap().unwrap();
    let error = site.package_of(&offline(), &index).map(drop).unwrap_err();
    assert_eq!(error.to_string(), missing(PACKAGE));
    site.package_of(&site.client(), &index).unwrap();
    site.server.requests();
    let (bytes, _) = site.package(&offline()).unwrap();
    assert_eq!(bytes, site.package_file());
    assert_eq!(log(&site), []);
}

/// The same `ETag` for another content: nobody can tell. It is used if it is sent, and does no harm if it is not.
#[test]
fn a_wrong_etag_does_no_harm() {
    let site = Site::new();
    site.server.fail(
        INDEX,
        [
            Fault::ETag("\"same\"".to_owned()),
            Fault::ETag("\"same\"".to_owned()),
        ],
    );
    describe(&site, "old");
    assert_eq!(description(site.index(&site.client()).unwrap()), "old");
    describe(&site, "new");
    assert_eq!(description(site.index(&site.client()).unwrap()), "old");
    assert_eq!(log(&site), [entry(INDEX, 200), entry(INDEX, 304)]);
}

#[test]
fn an_answer_that_nothing_has_changed_to_who_has_nothing_is_an_error() {
    let site = Site::new();
    site.server.always(INDEX, Fault::NotModified);
    let error = site.error(&site.client());
    assert_eq!(
        error,
        format!("{}{INDEX}: the server answers 304", site.server.url())
    );
}

/// The index is replaced while it is fetched.
#[test]
fn parts_of_different_documents_are_not_put_together() {
    let site = Site::new();
    describe(&site, "old");
    site.server.fail(INDEX, [Fault::Truncate(100)]);
    let client = site.client_with(|options| {
        let path = common::index_path(&site.repository);
        options.http.sleep = std::sync::Arc::new(move |_| {
            let archive = fs::read(&path).unwrap();
            let mut index = Index::open_unverified(&archive, Index::MAX_SIZE).unwrap();
            "new".clone_into(&mut index.description);
            let archive = apk_index::sign(&index.to_archive().unwrap(), testkit::key(), testkit::KEY_NAME);
            fs::write(&path, archive.unwrap()).unwrap();
        });
    });
    assert_eq!(description(site.index(&client).unwrap()), "new");
    assert_eq!(log(&site), [entry(INDEX, 200), entry(INDEX, 200)]);
}

/// As after a process that was killed.
#[test]
fn another_run_goes_on_where_a_download_broke() {
    let site = Site::new();
    site.server.fail(PACKAGE, [Fault::Truncate(100)]);
    let hasty = site.client_with(|options| options.http.retry.times = 0);
    let size = site.package_file().len();
    assert_eq!(
        site.error(&hasty),
        format!(
            "{}{PACKAGE}: the connection broke after 100 bytes of {size}",
            site.server.url()
        )
    );
    let (bytes, _) = site.package(&site.client()).unwrap();
    assert_eq!(bytes, site.package_file());
    assert_eq!(log(&site).last(), Some(&entry(PACKAGE, 206)));
}

/// Flips a bit in the middle of every file below a directory.
fn damage(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage(&path);
        } else {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
            fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn what_was_damaged_in_the_cache_is_fetched_again() {
    let site = Site::new();
    site.package(&site.client()).unwrap();
    site.server.requests();
    damage(site.cache.path());
    let (bytes, _) = site.package(&site.client()).unwrap();
    assert_eq!(bytes, site.package_file());
    assert_eq!(log(&site), [entry(INDEX, 200), entry(PACKAGE, 200)]);
}

#[test]
fn without_a_cache_everything_is_fetched() {
    let site = Site::new();
    let client = site.client_with(|options| options.cache = None);
    site.package(&client).unwrap();
    site.package(&client).unwrap();
    assert_eq!(log(&site).len(), 4);
}

#[test]
fn no_more_requests_are_under_way_than_allowed() {
    let site = Site::new();
    site.server.delay(Duration::from_millis(30));
    let client = site.client_with(|options| {
        options.http.parallel = 2;
        options.cache = None;
    });
    let wanted = vec![(site.location(), ARCH); 8];
    let indexes = client.open_indexes(&wanted, &site.trust()).unwrap();
    assert!(indexes.iter().all(Option::is_some));
    assert_eq!((site.attempts(INDEX), site.server.most_at_once()), (8, 2));
}

/// One of those who want the same package asks for it.
#[test]
fn a_package_is_fetched_once_however_many_want_it() {
    let site = Site::new();
    site.server.delay(Duration::from_millis(30));
    let index = site.index(&site.client()).unwrap().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| site.package_of(&site.client(), &index).unwrap());
        }
    });
    assert_eq!(site.attempts(PACKAGE), 1);
}

#[test]
fn a_prepared_index_is_given_to_those_alone_who_trust_its_keys() {
    let site = Site::new();
    let client = site.client();
    let wanted = [(site.location(), ARCH)];
    for _ in 0..2 {
        let indexes = client.open_indexes(&wanted, &site.trust()).unwrap();
        let [Some(OpenIndex::Kept(kept))] = &indexes[..] else {
            panic!("{indexes:?}");
        };
        let all = site.index(&client).unwrap().unwrap().packages;
        assert_eq!(kept.packages().unwrap(), all);
        let names: Vec<&str> = all.iter().map(|record| record.name.as_str()).collect();
        assert_eq!(
            apk_index::reachable(&[&kept.prepared], &names),
            Ok(vec![all.clone()])
        );
    }
    let nobody = Trust::default();
    let error = client.open_indexes(&wanted, &nobody).unwrap_err().to_string();
    assert!(error.contains("there is no key"), "{error}");
}
