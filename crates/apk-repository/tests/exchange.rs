//! Single files: asked for, fetched, put.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};

use apk_repository::{Client, ClientOptions};
use tempfile::TempDir;
use testkit::{Fault, Server};

/// A server of a directory, and a client that does not wait between attempts.
fn site() -> (TempDir, Server, Client) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    server.take_files();
    let mut options = ClientOptions::default();
    options.http.retry.first_wait = std::time::Duration::ZERO;
    (directory, server, Client::new(options))
}

fn file(content: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

fn requests(server: &Server) -> Vec<String> {
    let requests = server.requests().into_iter();
    requests
        .map(|request| format!("{} {}", request.method, request.target))
        .collect()
}

#[test]
fn a_file_that_was_put_is_there_and_is_fetched_as_it_was() {
    let (directory, server, client) = site();
    let url = format!("{}/ac/key", server.url());
    client.put_file(&url, &mut file("first")).unwrap();
    client.put_file(&url, &mut file("second one")).unwrap();
    assert_eq!(
        fs::read_to_string(directory.path().join("ac/key")).unwrap(),
        "second one"
    );
    assert_eq!(client.head(&url).unwrap().unwrap().size, Some(10));
    let mut out = tempfile::tempfile().unwrap();
    assert!(client.get_file(&url, 10, &mut out).unwrap());
    let mut text = String::new();
    out.rewind().unwrap();
    out.read_to_string(&mut text).unwrap();
    assert_eq!(text, "second one");
    assert!(
        client
            .get_file(&url, 9, &mut tempfile::tempfile().unwrap())
            .is_err(),
        "it is larger than it may be"
    );
}

#[test]
fn a_file_that_is_not_there_is_no_error() {
    let (_directory, server, client) = site();
    let url = format!("{}/nothing", server.url());
    assert!(client.head(&url).unwrap().is_none());
    assert!(
        !client
            .get_file(&url, 10, &mut tempfile::tempfile().unwrap())
            .unwrap()
    );
}

#[test]
fn a_file_is_put_again_where_the_server_had_trouble_whole_each_time() {
    let (directory, server, client) = site();
    server.fail("/key", [Fault::status(503), Fault::status(500)]);
    let url = format!("{}/key", server.url());
    client.put_file(&url, &mut file("content")).unwrap();
    assert_eq!(requests(&server), ["PUT /key"; 3]);
    assert_eq!(
        fs::read_to_string(directory.path().join("key")).unwrap(),
        "content"
    );
}

#[test]
fn a_server_that_takes_no_files_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let client = Client::new(ClientOptions::default());
    let url = format!("{}/key", server.url());
    let error = client.put_file(&url, &mut file("content")).unwrap_err();
    assert!(error.to_string().contains("405"), "{error}");
}

#[test]
fn a_file_is_put_where_the_server_leads_to_and_not_again_where_it_only_tells_of_it() {
    let (directory, server, client) = site();
    let redirect = |status| Fault::Status(status, vec![("Location", "/elsewhere".to_owned())]);
    for status in [301, 302, 307, 308] {
        server.fail("/key", [redirect(status)]);
        let url = format!("{}/key", server.url());
        client.put_file(&url, &mut file("content")).unwrap();
        assert_eq!(requests(&server), ["PUT /key", "PUT /elsewhere"], "{status}");
        let elsewhere = directory.path().join("elsewhere");
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "content");
        fs::remove_file(elsewhere).unwrap();
    }
    server.fail("/key", [redirect(303)]);
    client
        .put_file(&format!("{}/key", server.url()), &mut file("content"))
        .unwrap();
    assert_eq!(requests(&server), ["PUT /key"]);
    assert!(!directory.path().join("elsewhere").exists());
}
