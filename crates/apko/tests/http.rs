//! Images out of repositories behind a server.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use apk_repository::{Client, ClientOptions, Event};
use apk_types::Arch;
use apko::config::{Loaded, load, load_with, parse};
use apko::{
    Additions, BuildError, BuildRequest, Built, Contents, FileState, LockRequest, Policy, Repositories,
    Store, build, lock, world,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use content_cache::Cache;
use oci_image::Timestamp;
use tempfile::TempDir;
use testkit::{KEY_NAME, Package, Repository, Server};

const YAML: &str = "contents: {packages: [app]}";

struct Site {
    repository: Repository,
    server: Server,
    cache: TempDir,
}

impl Site {
    fn new() -> Self {
        let repository = Repository::new("x86_64");
        let app = Package::new("app", "1.0-r0").depends(&["lib"]);
        repository.publish(&[
            app.file("usr/bin/app", 0o755, "#!/bin/sh\n"),
            Package::new("lib", "2.0-r1").file("usr/lib/lib", 0o644, "lib"),
        ]);
        Self {
            server: Server::start(repository.path()),
            repository,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    fn policy(&self, change: impl FnOnce(&mut ClientOptions)) -> Policy {
        let mut options = ClientOptions {
            cache: Some(Cache::at(self.cache.path())),
            ..ClientOptions::default()
        };
        options.http.sleep = Arc::new(|_| {});
        change(&mut options);
        Policy {
            client: Client::new(options),
            ..Policy::default()
        }
    }

    /// What the command line adds: the repository, and its key where it is said where that is.
    fn additions(&self, key: Option<String>) -> Additions {
        Additions {
            keys: key.into_iter().collect(),
            repositories: vec![self.server.url()],
            ..Additions::default()
        }
    }

    fn key(&self) -> String {
        format!("{}/{KEY_NAME}", self.server.url())
    }

    fn build(&self, policy: &Policy) -> Result<Built, BuildError> {
        make(&self.additions(Some(self.key())), policy, self.cache.path())
    }

    /// What was asked for since the last call: path and status, in alphabetical order.
    fn log(&self) -> Vec<(String, u16)> {
        let requests = self.server.requests().into_iter();
        let mut log: Vec<_> = requests.map(|request| (request.target, request.status)).collect();
        log.sort();
        log
    }

    /// Has the repository announce its key.
    fn announce(&self) {
        let at = |name: &str| self.repository.path().join(name);
        let configuration = format!(r#"{{"jwks_uri": "{}/keys.json"}}"#, self.server.url());
        fs::write(at("apk-configuration"), configuration).unwrap();
        let pem = testkit::key().public_key().to_pem().unwrap();
        let (n, e) = numbers(&pem);
        let id = KEY_NAME.strip_suffix(".rsa.pub").unwrap();
        let set = format!(
            r#"{{"keys": [{{"kty": "RSA", "kid": "{id}", "use": "sig", "n": "{}", "e": "{}"}}]}}"#,
            URL_SAFE_NO_PAD.encode(n),
            URL_SAFE_NO_PAD.encode(e)
        );
        fs::write(at("keys.json"), set).unwrap();
    }
}

/// The two numbers at the end of a public key of 2048 bits: what stands in its DER behind their tags and lengths.
fn numbers(pem: &str) -> (Vec<u8>, Vec<u8>) {
    let digits: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(digits).unwrap();
    let (rest, e) = der.split_at(der.len() - 3);
    let n = &rest[rest.len() - 2 - 256..rest.len() - 2];
    (n.to_vec(), e.to_vec())
}

fn make(additions: &Additions, policy: &Policy, cache: &Path) -> Result<Built, BuildError> {
    let spool = tempfile::tempdir().unwrap();
    let request = BuildRequest {
        configuration: &parse(YAML).unwrap(),
        additions,
        include_paths: &[],
        lockfile: None,
        repositories: None,
        archs: &[Arch::X86_64],
        policy,
        tag: &"example/image:1".parse().unwrap(),
        source_date_epoch: None,
        build_date: &Timestamp::from_unix(0).unwrap(),
        sboms: &[],
        store: &Store::at(cache),
        compression: oci_image::Compression::default(),
        spool: spool.path(),
    };
    build(&request, &mut |_| {})
}

/// The files of the image but the one that says what it was made from.
fn files(built: &Built) -> BTreeMap<String, FileState> {
    let layout = tempfile::tempdir().unwrap();
    oci_image::write_layout(layout.path(), &built.index).unwrap();
    let image = oci_image::read_layout(layout.path(), "amd64").unwrap();
    let mut files = Contents::of_image(&image).unwrap().files;
    assert!(files.contains_key("usr/bin/app"));
    assert!(files.remove("etc/apko.json").is_some());
    files
}

#[test]
fn an_image_is_the_same_over_http() {
    let site = Site::new();
    let additions = |location: String| Additions {
        keys: vec![site.repository.key()],
        build_repositories: vec![location],
        ..Additions::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let from_disk = additions(site.repository.location());
    let from_disk = make(&from_disk, &Policy::default(), directory.path()).unwrap();
    let over_http = additions(site.server.url());
    let over_http = make(&over_http, &site.policy(|_| {}), site.cache.path()).unwrap();
    assert_eq!(files(&over_http), files(&from_disk));
}

#[test]
fn a_warm_build_asks_whether_anything_changed_and_for_nothing_else() {
    let site = Site::new();
    let first = site.build(&site.policy(|_| {})).unwrap();
    let entry = |path: &str, status| (path.to_owned(), status);
    assert_eq!(
        site.log(),
        [
            entry("/apk-configuration", 404),
            entry("/test.rsa.pub", 200),
            entry("/x86_64/APKINDEX.tar.gz", 200),
            entry("/x86_64/app-1.0-r0.apk", 200),
            entry("/x86_64/lib-2.0-r1.apk", 200),
        ]
    );
    let second = site.build(&site.policy(|_| {})).unwrap();
    assert_eq!(
        site.log(),
        [entry("/test.rsa.pub", 304), entry("/x86_64/APKINDEX.tar.gz", 304)]
    );
    assert_eq!(first.index.digest(), second.index.digest());
}

#[test]
fn eight_builds_at_once_fetch_each_package_once() {
    let site = Site::new();
    let digests = thread::scope(|scope| {
        let build = || site.build(&site.policy(|_| {})).unwrap().index.digest();
        let builds: Vec<_> = (0..8).map(|_| scope.spawn(build)).collect();
        builds
            .into_iter()
            .map(|build| build.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    let mut fetched = site.log();
    fetched.retain(|(path, _)| path.ends_with(".apk"));
    let once = |path: &str| (path.to_owned(), 200);
    assert_eq!(
        fetched,
        ["/x86_64/app-1.0-r0.apk", "/x86_64/lib-2.0-r1.apk"].map(once)
    );
}

#[test]
fn a_second_build_works_offline() {
    let site = Site::new();
    let offline = site.policy(|options| options.offline = true);
    let error = site.build(&offline).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{} is not in the cache, and nobody may be asked for it (--offline)",
            site.key()
        )
    );
    let first = site.build(&site.policy(|_| {})).unwrap();
    site.log();
    let second = site.build(&offline).unwrap();
    assert_eq!(first.index.digest(), second.index.digest());
    assert_eq!(site.log(), []);
}

#[test]
fn a_repository_may_announce_its_key() {
    let site = Site::new();
    let without_key = |policy: &Policy| make(&site.additions(None), policy, site.cache.path());
    let error = without_key(&site.policy(|options| options.cache = None))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("APKINDEX.tar.gz: the index: there is no key"),
        "{error}"
    );

    site.announce();
    let announced = without_key(&site.policy(|_| {})).unwrap();
    let named = site.build(&site.policy(|_| {})).unwrap();
    assert_eq!(files(&announced), files(&named));
}

#[test]
fn an_announcement_that_cannot_be_understood_is_passed_over_with_a_warning() {
    let site = Site::new();
    fs::write(site.repository.path().join("apk-configuration"), "<html>").unwrap();
    let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&warnings);
    let policy = site.policy(|options| {
        options.http.watch = Some(Arc::new(move |event| {
            if let Event::Warning(text) = event {
                heard.lock().unwrap().push(text.clone());
            }
        }));
    });
    site.build(&policy).unwrap();
    let url = site.server.url();
    let beginning = format!("the keys that {url} announces are passed over: {url}/apk-configuration: ");
    let warnings = warnings.lock().unwrap();
    assert!(
        warnings.len() == 1 && warnings[0].starts_with(&beginning),
        "{warnings:?}"
    );
}

/// A mirror of Alpine Linux, whose keys are announced elsewhere.
#[test]
fn keys_of_alpine_are_found_for_the_branch_and_architecture() {
    let site = Site::new();
    let root = site.repository.path();
    fs::create_dir_all(root.join("alpine/v3.99/main")).unwrap();
    fs::rename(root.join("x86_64"), root.join("alpine/v3.99/main/x86_64")).unwrap();
    let url = site.server.url();
    let releases = format!(
        r#"{{"release_branches": [
            {{"rel_branch": "v3.98", "keys": {{"x86_64": [{{"url": "{url}/old.rsa.pub"}}]}}}},
            {{"rel_branch": "v3.99", "keys": {{
                "aarch64": [{{"url": "{url}/other.rsa.pub"}}],
                "x86_64": [
                    {{"url": "{url}/gone.rsa.pub", "deprecated_since": "2020-01-01"}},
                    {{"url": "{url}/{KEY_NAME}", "deprecated_since": null}}
                ]
            }}}}
        ]}}"#
    );
    fs::write(root.join("releases.json"), releases).unwrap();
    let policy = site.policy(|options| options.alpine_releases = format!("{url}/releases.json"));
    let additions = Additions {
        repositories: vec![format!("{url}/alpine/v3.99/main")],
        ..Additions::default()
    };
    make(&additions, &policy, site.cache.path()).unwrap();
    let asked: Vec<String> = site.log().into_iter().map(|(path, _)| path).collect();
    assert!(asked.contains(&format!("/{KEY_NAME}")), "{asked:?}");
    assert!(
        !asked
            .iter()
            .any(|path| path.contains("gone") || path.contains("old")),
        "{asked:?}"
    );
}

#[test]
fn a_lock_file_has_announced_keys_and_no_passwords() {
    let site = Site::new();
    site.announce();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.yaml");
    let url = site.server.url().replace("http://", "http://me:s3cret@");
    fs::write(
        &path,
        format!("contents: {{packages: [app], repositories: ['{url}']}}\n"),
    )
    .unwrap();
    let loaded: Loaded = load(&path, &[]).unwrap();
    let lockfile = lock(&LockRequest {
        name: "image.yaml",
        loaded: &loaded,
        additions: &Additions::default(),
        archs: &[Arch::X86_64],
        policy: &site.policy(|_| {}),
        store: &Store::at(site.cache.path()),
        keep: None,
    })
    .unwrap();
    let keys: Vec<&str> = lockfile
        .contents
        .keys
        .iter()
        .map(|key| key.url.as_str())
        .collect();
    assert_eq!(keys, [format!("{}/{KEY_NAME}", site.server.url())]);
    let json = String::from_utf8(lockfile.to_json().unwrap()).unwrap();
    assert!(!json.contains("s3cret"), "{json}");
    assert!(
        site.server
            .requests()
            .iter()
            .all(|request| request.headers.contains_key("authorization"))
    );
}

/// An index is kept in a form of which a part can be read; where that is damaged, the index itself is read.
#[test]
fn a_kept_index_that_was_damaged_is_made_anew() {
    let site = Site::new();
    let resolve = || {
        let archs = [Arch::X86_64];
        let configuration = parse(YAML).unwrap();
        let additions = site.additions(Some(site.key()));
        let policy = site.policy(|_| {});
        let repositories = Repositories::open(&configuration, &additions, &archs, &policy).unwrap();
        let resolutions = repositories
            .resolve(&world(&configuration, &additions), &archs, true)
            .unwrap();
        let names = resolutions[0]
            .packages
            .iter()
            .map(|package| package.record.name.clone());
        names.collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(resolve(), ["lib", "app"]);
    }
    let texts = || files_below(site.cache.path(), "index-texts");
    assert_eq!(texts().len(), 1);
    for text in texts() {
        let bytes = fs::read(&text).unwrap();
        fs::write(&text, vec![b'x'; bytes.len()]).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(resolve(), ["lib", "app"]);
    }
    let [text] = &texts()[..] else { unreachable!() };
    assert!(fs::read_to_string(text).unwrap().contains("P:app"));
}

/// The files in directories of a kind.
fn files_below(directory: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_kind = |part: &std::ffi::OsStr| part == kind;
            match path.is_dir() {
                true => pending.push(path),
                false if path.iter().any(is_kind) => found.push(path),
                false => {}
            }
        }
    }
    found
}

#[test]
fn a_configuration_is_included_from_a_server_and_then_without_it() {
    let site = Site::new();
    fs::write(
        site.repository.path().join("base.yaml"),
        "contents: {packages: [app]}",
    )
    .unwrap();
    let own = site.cache.path().join("own.yaml");
    fs::write(
        &own,
        format!("include: {}/base.yaml\ncmd: app\n", site.server.url()),
    )
    .unwrap();
    let load = |policy: &Policy| {
        let fetch = |url: &str| Ok(policy.client.read_text(url)?);
        load_with(&own, &[], &fetch).map(|loaded| loaded.configuration.contents.packages)
    };
    assert_eq!(load(&site.policy(|_| {})).unwrap(), ["app"]);
    assert_eq!(site.log(), [("/base.yaml".to_owned(), 200)]);
    assert_eq!(
        load(&site.policy(|options| options.offline = true)).unwrap(),
        ["app"]
    );
    assert_eq!(site.log(), []);
    fs::write(site.repository.path().join("base.yaml"), b"\xff").unwrap();
    let error = load(&site.policy(|_| {})).unwrap_err();
    let chain = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(chain.ends_with("/base.yaml: it is not UTF-8"), "{chain}");
}
