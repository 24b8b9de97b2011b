//! Images into a registry, and credentials for it.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{Place, refusal};
use serde_json::Value;
use testkit::{Authentication, Package, RegistryFault, RegistryServer};

/// Layers for two packages each with an origin of its own.
const LAYERED: &str = "contents: {packages: [one, two]}\nlayering: {strategy: origin, budget: 3}\n";

fn package(name: &str, version: &str, content: &str) -> Package {
    Package::new(name, version).file(&format!("usr/share/{name}"), 0o644, content)
}

fn tag(server: &RegistryServer, text: &str) -> Vec<String> {
    vec![format!("{}/{text}", server.authority())]
}

#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The kinds of the requests that write: to blobs, to manifests.
fn writes(server: &RegistryServer) -> (usize, usize) {
    let log = server.log();
    let count = |part: &str| {
        log.iter()
            .filter(|line| line.starts_with("PUT") && line.contains(part))
            .count()
    };
    (count("/blobs/"), count("/manifests/"))
}

#[test]
fn what_is_published_is_printed_and_nothing_is_sent_twice() {
    let place = Place::new(&[package("one", "1.0-r0", "1"), package("two", "1.0-r0", "2")]);
    let server = RegistryServer::start();
    let tags = [tag(&server, "team/web:1.0"), tag(&server, "team/web:latest")].concat();
    let mut apko = place.publish(LAYERED, &tags);
    apko.arg("--image-refs")
        .arg(place.path("refs"))
        .arg("--sbom-path")
        .arg(place.path("sboms"));
    let reference = printed(&mut apko).trim_end().to_owned();
    let (digest, _, index) = server.manifest("team/web", "1.0").unwrap();
    assert_eq!(reference, format!("{}/team/web@{digest}", server.authority()));
    assert_eq!(server.tags("team/web"), ["1.0", "latest"]);
    let index: Value = serde_json::from_slice(&index).unwrap();
    let image = index["manifests"][0]["digest"].as_str().unwrap();
    let references = format!("{}/team/web@{image}\n{reference}\n", server.authority());
    assert_eq!(fs::read_to_string(place.path("refs")).unwrap(), references);
    let mut sboms = common::names(&place.path("sboms"));
    sboms.sort_unstable();
    assert_eq!(sboms, ["sbom-index.spdx.json", "sbom-x86_64.spdx.json"]);
    // Three layers and a config; a manifest, and the index for each tag.
    assert_eq!(writes(&server), (4, 3));

    assert_eq!(printed(&mut place.publish(LAYERED, &tags)).trim_end(), reference);
    assert_eq!(writes(&server), (0, 0));

    // The same with another version of one package: its layer, and that of the installed database, are other ones.
    place
        .repository
        .publish(&[package("one", "1.0-r0", "1"), package("two", "1.1-r0", "3")]);
    let mut apko = place.publish(LAYERED, &tags[..1]);
    let said = printed(apko.args(["--json", "--annotations", "a:b"]));
    let events: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["existing"]),
        (&"published".into(), &1.into()),
        "{said}"
    );
    let (digest, ..) = server.manifest("team/web", "1.0").unwrap();
    assert_eq!(last["digest"], digest);
    let kinds: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    assert!(
        kinds.contains(&"exists") && kinds.contains(&"sent") && kinds.contains(&"tagged"),
        "{said}"
    );
}

#[test]
fn a_layer_that_the_registry_has_is_not_even_compressed() {
    let place = Place::new(&[package("one", "1.0-r0", "1"), package("two", "1.0-r0", "2")]);
    let server = RegistryServer::start();
    printed(&mut place.publish(LAYERED, &tag(&server, "web:1")));
    let kept = place.path("cache/apko");
    let blobs: Vec<_> = find(&kept, "blobs");
    assert_eq!(blobs.len(), 3);
    blobs.iter().for_each(|blob| fs::remove_file(blob).unwrap());
    writes(&server);
    // An annotation makes another config, and another layer of what the image says of itself.
    printed(
        place
            .publish(LAYERED, &tag(&server, "web:2"))
            .args(["--annotations", "a:b"]),
    );
    assert_eq!(writes(&server), (2, 2));
    assert_eq!(find(&kept, "blobs").len(), 1, "no other layer was made anew");

    // Another registry has not got it.
    let other = RegistryServer::start();
    printed(&mut place.publish(LAYERED, &tag(&other, "web:1")));
    assert_eq!(writes(&other), (4, 2));
}

/// The files below a directory of the cache.
fn find(cache: &Path, kind: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![cache.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_lock =
                path.extension().is_some() || path.file_name().unwrap().to_str().unwrap().starts_with('.');
            match path.is_dir() {
                true => pending.push(path),
                false if !is_lock && path.components().any(|part| part.as_os_str() == kind) => {
                    found.push(path)
                }
                false => {}
            }
        }
    }
    found
}

#[test]
fn a_kill_leaves_the_tag_as_it_was_and_the_next_one_ends_the_work() {
    let place = Place::new(&[package("one", "1.0-r0", "1"), package("two", "1.0-r0", "2")]);
    let server = RegistryServer::start();
    let first = printed(&mut place.publish("contents: {packages: [one]}", &tag(&server, "web:1")));
    let named = || server.manifest("web", "1").unwrap().0;
    let before = named();
    for path in ["/blobs/uploads/", "/manifests/sha256", "/manifests/1"] {
        server.log();
        server.fail("PUT", path, [RegistryFault::Slow(Duration::from_millis(600))]);
        let mut apko = place.publish(LAYERED, &tag(&server, "web:1"));
        let mut child = apko.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(300));
        child.kill().unwrap();
        child.wait().unwrap();
        if path != "/manifests/1" {
            assert_eq!(named(), before, "{path}");
        }
    }
    sleep(Duration::from_millis(800));
    let second = printed(&mut place.publish(LAYERED, &tag(&server, "web:1")));
    assert_ne!(first, second);
    let (digest, _, index) = server.manifest("web", "1").unwrap();
    assert!(second.trim_end().ends_with(&digest));
    let index: Value = serde_json::from_slice(&index).unwrap();
    let (_, _, manifest) = server
        .manifest("web", index["manifests"][0]["digest"].as_str().unwrap())
        .unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        let blob = server.blob("web", layer["digest"].as_str().unwrap()).unwrap();
        assert_eq!(blob.len() as u64, layer["size"].as_u64().unwrap());
    }
}

fn login(place: &Place, server: &str, password: &str) -> Output {
    let mut apko = Command::new(env!("CARGO_BIN_EXE_apko"));
    apko.args(["login", server, "--username", "me", "--password-stdin"]);
    apko.env("DOCKER_CONFIG", place.path("docker"));
    apko.env(
        "PATH",
        format!(
            "{}:{}",
            place.path("bin").display(),
            std::env::var("PATH").unwrap()
        ),
    );
    let mut child = apko.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_login_is_kept_and_used_and_shown_nowhere() {
    let place = Place::new(&[package("one", "1.0-r0", "1")]);
    let server = RegistryServer::start();
    server.authenticate(Authentication::Bearer(
        "me".to_owned(),
        "s3cret-password".to_owned(),
    ));
    let (yaml, tags) = ("contents: {packages: [one]}", tag(&server, "team/web:1"));
    let said = refusal(&place.publish(yaml, &tags).output().unwrap());
    let (registry, hint) = (server.authority(), "no credentials for it were found");
    assert!(
        said.contains(hint) && said.contains(&format!("`apko login {registry}`")),
        "{said}"
    );

    fs::create_dir(place.path("docker")).unwrap();
    let config = place.path("docker/config.json");
    fs::write(
        &config,
        r#"{"detachKeys": "ctrl-e", "auths": {"h": {"auth": "YTpi"}}}"#,
    )
    .unwrap();
    let output = login(&place, &registry, "s3cret-password");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    assert_eq!(
        (&kept["detachKeys"], &kept["auths"]["h"]["auth"]),
        (&"ctrl-e".into(), &"YTpi".into())
    );
    let mut apko = place.publish(yaml, &tags);
    let published = apko.args(["--log-level", "debug", "--json"]).output().unwrap();
    assert!(published.status.success(), "{published:?}");

    // A wrong one is told from none.
    assert!(login(&place, &registry, "wr0ng-password").status.success());
    let refused = place.publish(yaml, &tags).output().unwrap();
    assert!(
        refusal(&refused).contains("with the credentials that were sent"),
        "{refused:?}"
    );

    let encoded = [
        "bWU6czNjcmV0LXBhc3N3b3Jk",
        "s3cret-password",
        "wr0ng-password",
        "token-0",
    ];
    for output in [&output, &published, &refused] {
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!encoded.iter().any(|secret| said.contains(secret)), "{said}");
    }
    for file in find(&place.path("cache"), "apko") {
        let content = fs::read(&file).unwrap();
        let content = String::from_utf8_lossy(&content);
        assert!(
            !encoded.iter().any(|secret| content.contains(secret)),
            "{}",
            file.display()
        );
    }
}

#[test]
fn a_program_keeps_credentials_where_the_configuration_names_one() {
    let place = Place::new(&[package("one", "1.0-r0", "1")]);
    let server = RegistryServer::start();
    server.authenticate(Authentication::Basic("me".to_owned(), "s3cret".to_owned()));
    for directory in ["bin", "docker"] {
        fs::create_dir(place.path(directory)).unwrap();
    }
    let (program, kept) = (place.path("bin/docker-credential-fake"), place.path("kept"));
    let script = "#!/bin/sh\ncase $1 in store) cat > KEPT ;; get) cat KEPT 2>/dev/null || { echo 'credentials not found in native keychain'; exit 1; } ;; esac\n";
    fs::write(&program, script.replace("KEPT", &kept.display().to_string())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        place.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let yaml = "contents: {packages: [one]}";
    for (number, config) in [
        r#"{"credsStore": "fake"}"#.to_owned(),
        format!(
            r#"{{"credsStore": "none", "credHelpers": {{"{}": "fake"}}}}"#,
            server.authority()
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let _ = fs::remove_file(&kept);
        fs::write(place.path("docker/config.json"), &config).unwrap();
        let tags = tag(&server, &format!("team/web:{number}"));
        let publish = || place.publish(yaml, &tags).env("PATH", &path).output().unwrap();
        refusal(&publish());
        assert!(login(&place, &server.authority(), "s3cret").status.success());
        assert_eq!(
            fs::read_to_string(place.path("docker/config.json")).unwrap(),
            config,
            "it is kept elsewhere"
        );
        let output = publish();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn what_cannot_be_is_said_at_once() {
    let place = Place::new(&[package("one", "1.0-r0", "1")]);
    let yaml = "contents: {packages: [one]}";
    let rows: [(&[&str], &str); 4] = [
        (&["web:"], "\"web:\" is not an image name"),
        (&["web:1", "--offline"], "--offline"),
        (&["web:1", "--client-cert", "x"], "--client-key"),
        (
            &["web:1", "--client-cert", "/no/x", "--client-key", "/no/y"],
            "/no/x",
        ),
    ];
    for (arguments, words) in rows {
        let output = place.publish(yaml, &[]).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
}
