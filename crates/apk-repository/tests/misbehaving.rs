//! Servers that do not do what they should.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apk_repository::{ClientOptions, Retry};
use testkit::{Fault, Package, Repository, Server};

use common::{INDEX, PACKAGE, Site, index_path, package_path};

#[test]
fn an_index_and_a_package_come_over_http() {
    let site = Site::new();
    let client = site.client();
    let (bytes, verified) = site.package(&client).unwrap();
    assert_eq!(bytes, site.package_file());
    assert_eq!(verified.info.name, "hello");
    let paths: Vec<String> = site
        .server
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(paths, [INDEX, PACKAGE]);
}

#[test]
fn a_repository_without_an_index_is_told_apart() {
    let site = Site::new();
    std::fs::remove_file(index_path(&site.repository)).unwrap();
    assert!(site.index(&site.client()).unwrap().is_none());
}

/// Each fault once, on the way to the package: the next attempt sets it right.
#[test]
fn what_passes_is_tried_again() {
    let rows: Vec<(&str, Vec<Fault>)> = vec![
        ("500 then 200", vec![Fault::status(500)]),
        ("503 three times", vec![Fault::status(503); 3]),
        ("429", vec![Fault::retry_after(429, 1)]),
        ("reset before the body", vec![Fault::Reset(0)]),
        ("reset in the middle", vec![Fault::Reset(100)]),
        (
            "reset in the middle, again and again",
            vec![Fault::Reset(100), Fault::Reset(50), Fault::Reset(1)],
        ),
        ("truncated", vec![Fault::Truncate(100)]),
        (
            "truncated, and another part than was asked for",
            vec![Fault::Truncate(100), Fault::WrongRange],
        ),
        ("stalled", vec![Fault::Stall(100)]),
    ];
    for (what, faults) in rows {
        let site = Site::new();
        let count = faults.len();
        site.server.fail(PACKAGE, faults);
        let client = site.client_with(|options| options.http.timeouts.read = Duration::from_millis(300));
        let got = site.package(&client).map(|(bytes, _)| bytes);
        assert_eq!(
            got.map_err(|error| error.to_string()).as_deref(),
            Ok(&site.package_file()[..]),
            "{what}"
        );
        assert_eq!(site.attempts(PACKAGE), count + 1, "{what}");
    }
}

#[test]
fn a_server_that_knows_no_parts_sends_the_whole_again() {
    let site = Site::new();
    site.server
        .fail(PACKAGE, [Fault::Truncate(100), Fault::IgnoreRange]);
    let (bytes, _) = site.package(&site.client()).unwrap();
    assert_eq!(bytes, site.package_file());
    assert_eq!(site.attempts(PACKAGE), 2);
}

#[test]
fn a_broken_download_goes_on_where_it_ended() {
    let site = Site::new();
    site.server.fail(PACKAGE, [Fault::Truncate(100)]);
    site.package(&site.client()).unwrap();
    let ranges: Vec<Option<String>> = site
        .server
        .requests()
        .into_iter()
        .filter(|request| request.target == PACKAGE)
        .map(|mut request| request.headers.remove("range"))
        .collect();
    assert_eq!(ranges, [None, Some("bytes=100-".to_owned())]);
}

/// What never passes, and how it is told. `{url}` is the server's.
#[test]
fn what_does_not_pass_is_told() {
    let rows: Vec<(Fault, &str)> = vec![
        (
            Fault::status(500),
            "{url}/x86_64/hello-1.0-r0.apk: the server answers 500 (the last of 3 attempts)",
        ),
        (
            Fault::status(404),
            "{url}/x86_64/hello-1.0-r0.apk: the server answers 404 (not found)",
        ),
        (
            Fault::status(403),
            "{url}/x86_64/hello-1.0-r0.apk: the server answers 403 (no user name and password were sent)",
        ),
        (
            Fault::retry_after(503, 3600),
            "{url}/x86_64/hello-1.0-r0.apk: the server answers 503, and asks to wait 3600 s, longer than the 30 s that are \
             waited",
        ),
        (
            Fault::redirect("/x86_64/hello-1.0-r0.apk"),
            "{url}/x86_64/hello-1.0-r0.apk: more than 10 redirects, the last one to {url}/x86_64/hello-1.0-r0.apk",
        ),
        (
            Fault::redirect("ftp://example.org/hello.apk"),
            "{url}/x86_64/hello-1.0-r0.apk: a redirect to something else, which is not followed: it is no http:// or \
             https:// URL",
        ),
        (
            Fault::Stall(100),
            "{url}/x86_64/hello-1.0-r0.apk: nothing more came within 0.2 s (--http-timeout) (the last of 3 \
             attempts)",
        ),
        (
            Fault::Length(1 << 40),
            "{url}/x86_64/hello-1.0-r0.apk: it has more than the {size} bytes that the index says",
        ),
        (
            Fault::Length(1000),
            "{url}/x86_64/hello-1.0-r0.apk: package `hello-1.0-r0`: it is truncated: it has 1000 bytes, but the index says \
             {size}",
        ),
        (
            Fault::Body(vec![b'x'; 1 << 20]),
            "{url}/x86_64/hello-1.0-r0.apk: it has more than the {size} bytes that the index says",
        ),
    ];
    for (fault, wanted) in rows {
        let site = Site::new();
        site.server.always(PACKAGE, fault);
        let client = site.client_with(|options| {
            options.http.timeouts.read = Duration::from_millis(200);
            options.http.retry.times = 2;
        });
        let error = site.error(&client);
        let size = site.package_file().len().to_string();
        assert_eq!(
            error,
            wanted
                .replace("{url}", &site.server.url())
                .replace("{size}", &size)
        );
    }
}

/// Here nothing but the server says how long it is.
#[test]
fn an_index_that_ends_too_early_is_fetched_again() {
    for fault in [Fault::Length(1_000_000), Fault::Truncate(100), Fault::Reset(100)] {
        let site = Site::new();
        site.server.fail(INDEX, [fault]);
        assert!(site.index(&site.client()).unwrap().is_some());
        assert_eq!(site.attempts(INDEX), 2);
    }
}

#[test]
fn a_server_that_drips_is_given_up() {
    let site = Site::new();
    site.server.always(PACKAGE, Fault::Drip(Duration::from_millis(5)));
    let client = site.client_with(|options| {
        options.http.timeouts.stall = Duration::from_millis(100);
        options.http.retry.times = 0;
    });
    let error = site.error(&client);
    assert!(
        error.contains("less than 1024 a second (--http-timeout)"),
        "{error}"
    );
}

#[test]
fn waits_grow_and_what_the_server_asks_for_counts() {
    let site = Site::new();
    site.server.fail(
        INDEX,
        [
            Fault::status(500),
            Fault::status(502),
            Fault::retry_after(429, 7),
            Fault::Reset(0),
        ],
    );
    let waits: Arc<Mutex<Vec<u64>>> = Arc::default();
    let noted = Arc::clone(&waits);
    let client = site.client_with(|options| {
        options.http.retry = Retry::default();
        options.http.sleep = Arc::new(move |wait| noted.lock().unwrap().push(wait.as_secs()));
    });
    assert!(site.index(&client).unwrap().is_some());
    assert_eq!(*waits.lock().unwrap(), [1, 2, 7, 8]);
}

#[test]
fn limits_are_told_with_the_flag_that_raises_them() {
    let site = Site::new();
    let client = site.client_with(|options| options.max_document_size = 10);
    let error = site.index(&client).map(drop).unwrap_err().to_string();
    let url = site.server.url();
    assert_eq!(
        error,
        format!("{url}{INDEX}: it has more than the limit of 10 bytes (--max-apkindex-decompressed-size)")
    );

    let client = site.client_with(|options| options.max_response_size = 10);
    let error = site.index(&client).map(drop).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{url}{INDEX}: it has more than the limit of 10 bytes (--max-http-response-size)")
    );
}

/// 64 MiB of zeros, in the place of the index and behind a valid signature.
#[test]
fn an_index_that_inflates_without_end_is_refused() {
    let site = Site::new();
    site.repository
        .change_index(|index| index.description = "0".repeat(64 << 20));
    let mut trust = site.trust();
    trust.index_limit = 1 << 20;
    let error = site
        .client()
        .read_index(&site.location(), common::ARCH, &trust)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("APKINDEX.tar.gz: ") && error.contains("1048576"),
        "{error}"
    );
}

#[test]
fn an_index_of_somebody_else_is_refused() {
    let site = Site::new();
    let mut file = std::fs::read(index_path(&site.repository)).unwrap();
    let end = file.len();
    file.truncate(end - 1);
    file.extend([0; 100]);
    site.server.always(INDEX, Fault::Body(file));
    assert!(site.index(&site.client()).is_err());

    let unsigned = apk_index::Index::default().to_archive().unwrap();
    site.server.always(INDEX, Fault::Body(unsigned));
    let error = site.index(&site.client()).map(drop).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}{INDEX}: ", site.server.url())),
        "{error}"
    );
}

#[test]
fn a_package_must_be_the_one_of_the_index() {
    type Change = fn(&mut apk_types::PackageRecord);
    let rows: [(Change, &str); 2] = [
        (|record| record.size -= 1, "more than the"),
        (
            |record| record.checksum = Some(apk_types::Checksum::Sha1([7; 20])),
            "the control section's checksum is Q1",
        ),
    ];
    for (change, wanted) in rows {
        let site = Site::new();
        site.repository
            .change_index(|index| index.packages.iter_mut().for_each(change));
        let error = site.error(&site.client());
        assert!(
            error.starts_with(&format!("{}{PACKAGE}: ", site.server.url())) && error.contains(wanted),
            "{error}"
        );
    }
}

/// The hashes decide. Nothing is waited for that will not come.
#[test]
fn an_index_that_states_too_large_a_size_does_no_harm() {
    let site = Site::new();
    site.repository.change_index(|index| index.packages[0].size += 1);
    let (bytes, _) = site.package(&site.client()).unwrap();
    assert_eq!(bytes, site.package_file());
    assert_eq!(site.attempts(PACKAGE), 1);
}

#[test]
fn a_package_swapped_after_the_index_was_signed_is_refused() {
    let site = Site::new();
    let client = site.client();
    let index = site.index(&client).unwrap().unwrap();
    let other = Package::new("hello", "1.0-r0").file("usr/bin/hello", 0o4755, "#!/bin/sh\necho evil\n");
    std::fs::write(package_path(&site.repository), other.build()).unwrap();
    let error = site
        .package_of(&client, &index)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("{}{PACKAGE}: ", site.server.url())),
        "{error}"
    );
    // What was refused is not kept.
    assert_eq!(
        site.package_of(&client, &index)
            .map(drop)
            .unwrap_err()
            .to_string(),
        error
    );
}

#[test]
fn nobody_is_waited_for_where_nobody_listens() {
    let repository = Repository::new("x86_64");
    let server = Server::start(repository.path());
    let location = server.url().parse().unwrap();
    drop(server);
    std::thread::sleep(Duration::from_millis(50));
    let mut options = ClientOptions::default();
    options.http.retry.times = 0;
    let client = apk_repository::Client::new(options);
    let trust = apk_repository::Trust::default();
    let error = client
        .read_index(&location, common::ARCH, &trust)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no connection"), "{error}");
}
