//! Images out of small repositories: what is in them, that they are the same each time, and what is refused.

#![allow(clippy::unwrap_used)]

use std::fs;

use apk_types::{Arch, Dependency};
use apko::config::{ImageConfiguration, parse};
use apko::{
    Additions, BuildError, BuildRequest, Built, Policy, Repositories, RootfsRequest, Store, build, rootfs,
    write_cpio,
};
use oci_image::Timestamp;
use testkit::{BUILD_DATE, Package, Repository};

struct Case<'a> {
    repositories: Vec<&'a Repository>,
    archs: Vec<Arch>,
    policy: Policy,
    source_date_epoch: Option<i64>,
}

impl<'a> Case<'a> {
    fn new(repository: &'a Repository) -> Self {
        Self {
            repositories: vec![repository],
            archs: vec![Arch::X86_64],
            policy: Policy::default(),
            source_date_epoch: None,
        }
    }

    fn build(&self, yaml: &str) -> Result<Built, BuildError> {
        let configuration: ImageConfiguration = parse(yaml).unwrap();
        let additions = Additions {
            keys: vec![self.repositories[0].key()],
            repositories: self.repositories.iter().map(|one| one.location()).collect(),
            ..Additions::default()
        };
        let spool = tempfile::tempdir().unwrap();
        let request = BuildRequest {
            configuration: &configuration,
            additions: &additions,
            include_paths: &[],
            lockfile: None,
            repositories: None,
            archs: &self.archs,
            policy: &self.policy,
            tag: &"example/image:1".parse().unwrap(),
            source_date_epoch: self.source_date_epoch,
            build_date: &Timestamp::from_unix(0).unwrap(),
            sboms: &[apko::SbomFormat::Spdx, apko::SbomFormat::CycloneDx],
            store: &Store::at(spool.path()),
            compression: oci_image::Compression::default(),
            spool: spool.path(),
        };
        build(&request, &mut |_| {})
    }

    fn error(&self, yaml: &str) -> String {
        self.build(yaml).unwrap_err().to_string()
    }
}

fn hello() -> Package {
    Package::new("hello", "1.0-r0").file("usr/bin/hello", 0o755, "#!/bin/sh\necho hello\n")
}

#[test]
fn the_same_inputs_give_the_same_image() {
    let repository = Repository::new("x86_64");
    repository.publish(&[
        hello().depends(&["lib"]),
        Package::new("lib", "2-r1").file("usr/lib/lib", 0o644, "lib"),
    ]);
    let case = Case::new(&repository);
    let yaml = "{contents: {packages: [hello]}, entrypoint: {command: /usr/bin/hello 'two words'}}";
    let (first, second) = (case.build(yaml).unwrap(), case.build(yaml).unwrap());
    assert_eq!(first.index.digest(), second.index.digest());
    assert_eq!(first.sboms, second.sboms);
    let config = &first.index.images[0].config.config;
    assert_eq!(config.entrypoint, ["/usr/bin/hello", "two words"]);
}

#[test]
fn the_newest_package_gives_the_time_and_source_date_epoch_wins() {
    let repository = Repository::new("x86_64");
    repository.publish(&[hello()]);
    let mut case = Case::new(&repository);
    let created = |case: &Case<'_>| {
        case.build("contents: {packages: [hello]}").unwrap().index.images[0]
            .config
            .created
            .unix_seconds()
    };
    assert_eq!(created(&case), BUILD_DATE);
    case.source_date_epoch = Some(5);
    assert_eq!(created(&case), 5);
}

#[test]
fn a_tampered_package_is_refused_by_name() {
    let repository = Repository::new("x86_64");
    repository.publish(&[hello()]);
    let path = repository.file("hello-1.0-r0.apk");
    let whole = fs::read(&path).unwrap();
    for damage in [whole.len() - 20, whole.len() / 2] {
        let mut bytes = whole.clone();
        bytes[damage] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = Case::new(&repository).error("contents: {packages: [hello]}");
        assert!(error.contains("hello-1.0-r0"), "byte {damage}: {error}");
    }
    fs::write(&path, &whole[..whole.len() - 7]).unwrap();
    let error = Case::new(&repository).error("contents: {packages: [hello]}");
    assert!(
        error.contains("hello-1.0-r0") && error.contains("truncated"),
        "{error}"
    );
}

#[test]
fn an_index_that_no_trusted_key_signed_is_refused_unless_signatures_are_ignored() {
    let repository = Repository::new("x86_64");
    repository.publish(&[hello()]);
    let index = repository.file("APKINDEX.tar.gz");
    let unsigned = apk_index::unsigned(&fs::read(&index).unwrap()).unwrap().to_vec();
    fs::write(&index, unsigned).unwrap();
    let mut case = Case::new(&repository);
    let error = case.error("contents: {packages: [hello]}");
    assert!(
        error.contains("APKINDEX.tar.gz") && error.contains("sign"),
        "{error}"
    );
    case.policy.ignore_signatures = true;
    assert!(case.build("contents: {packages: [hello]}").is_ok());
}

#[test]
fn what_cannot_be_is_refused_with_the_culprit() {
    let repository = Repository::new("x86_64");
    repository.publish(&[
        hello(),
        Package::new("broken", "1-r0").depends(&["so:missing.so.1"]),
        Package::new("other", "1-r0").file("usr/bin/hello", 0o755, "other"),
    ]);
    let case = Case::new(&repository);
    let rows = [
        ("contents: {packages: [nothing]}", "nothing"),
        ("contents: {packages: [broken]}", "so:missing.so.1"),
        ("contents: {packages: ['hello>2']}", "hello>2"),
        ("contents: {packages: ['hello@edge']}", "`@edge`"),
        ("contents: {packages: ['hello=']}", "`hello=`"),
        ("contents: {packages: [hello, other]}", "usr/bin/hello"),
        (
            "{contents: {packages: [hello]}, accounts: {run-as: ghost}}",
            "ghost",
        ),
        (
            "{contents: {packages: [hello]}, entrypoint: {command: \"a 'b\"}}",
            "a 'b",
        ),
    ];
    for (yaml, culprit) in rows {
        let error = case.error(yaml);
        assert!(error.contains(culprit), "{yaml}: {error}");
    }
}

#[test]
fn architectures_agree_on_versions() {
    let (x86, arm) = (Repository::new("x86_64"), Repository::new("aarch64"));
    let arm_package = |version| Package::new("hello", version).info(|info| info.arch = "aarch64".to_owned());
    x86.publish(&[hello(), Package::new("hello", "2.0-r0")]);
    arm.publish(&[arm_package("1.0-r0")]);
    let mut case = Case::new(&x86);
    case.repositories.push(&arm);
    case.archs.push(Arch::Aarch64);
    let built = case.build("contents: {packages: [hello]}").unwrap();
    assert_eq!(built.index.images.len(), 2);
    // 2.0 is newer, but not there for both.
    arm.publish(&[arm_package("3.0-r0")]);
    let error = case.error("contents: {packages: [hello]}");
    assert!(error.contains("hello"), "{error}");
}

#[test]
fn layering_gives_several_layers_and_the_budget_bounds_them() {
    let repository = Repository::new("x86_64");
    let packages: Vec<Package> = ["a", "b", "c"]
        .map(|name| Package::new(name, "1-r0").file(&format!("usr/share/{name}"), 0o644, name))
        .to_vec();
    repository.publish(&packages);
    let layers = |budget: u32| {
        let yaml = format!(
            "{{contents: {{packages: [a, b, c]}}, layering: {{strategy: origin, budget: {budget}}}}}"
        );
        Case::new(&repository).build(&yaml).unwrap().index.images[0]
            .layers
            .len()
    };
    assert_eq!((layers(10), layers(2)), (4, 3));
}

#[test]
fn install_if_brings_its_package_with_dependencies() {
    let repository = Repository::new("x86_64");
    let when = |texts: &[&str]| texts.iter().map(|text| Dependency::lenient(text)).collect();
    repository.publish(&[
        hello(),
        Package::new("docs", "1-r0"),
        Package::new("all", "1-r0").depends(&["hello", "docs"]),
        Package::new("hello-doc", "1.0-r0")
            .depends(&["reader"])
            .info(|info| info.install_if = when(&["hello=1.0-r0", "docs"])),
        Package::new("reader", "1-r0").file("usr/bin/reader", 0o755, ""),
    ]);
    let additions = Additions {
        keys: vec![repository.key()],
        repositories: vec![repository.location()],
        ..Additions::default()
    };
    let configuration = ImageConfiguration::default();
    let archs = [Arch::X86_64];
    let repositories = Repositories::open(&configuration, &additions, &archs, &Policy::default()).unwrap();
    let resolve = |world: &[&str]| {
        let world: Vec<String> = world.iter().map(|text| (*text).to_owned()).collect();
        let resolution = repositories.resolve(&world, &archs, false).unwrap().remove(0);
        let mut names: Vec<String> = resolution
            .packages
            .into_iter()
            .map(|package| package.record.name)
            .collect();
        names.sort();
        names
    };
    assert_eq!(resolve(&["hello"]), ["hello"]);
    // As in the Go apko, one entry of the world must bring all that `install_if` names.
    assert_eq!(resolve(&["all"]), ["all", "docs", "hello", "hello-doc", "reader"]);
}

#[test]
fn a_file_tree_alone_says_what_was_asked_for() {
    let repository = Repository::new("x86_64");
    repository.publish(&[hello()]);
    let additions = Additions {
        keys: vec![repository.key()],
        repositories: vec![repository.location()],
        packages: vec!["hello".to_owned()],
        ..Additions::default()
    };
    let spool = tempfile::tempdir().unwrap();
    let request = RootfsRequest {
        configuration: &parse("{entrypoint: {command: /usr/bin/hello}}").unwrap(),
        additions: &additions,
        arch: Arch::X86_64,
        policy: &Policy::default(),
        source_date_epoch: None,
        build_date: 0,
        store: &Store::at(spool.path()),
    };
    let root = rootfs(&request).unwrap();
    assert_eq!(root.tree.read("etc/apk/world").unwrap(), "hello\n");
    assert!(root.tree.read("usr/bin/hello").is_ok());
    let mut archive = Vec::new();
    write_cpio(&root.tree, &mut archive).unwrap();
    assert!(String::from_utf8_lossy(&archive).contains("usr/bin/hello"));
}

#[test]
fn files_of_the_configuration_belong_to_a_package_of_their_own() {
    let repository = Repository::new("x86_64");
    repository.publish(&[hello().file("etc/hello.conf", 0o640, "packaged")]);
    let yaml = "
contents: {packages: [hello]}
paths:
  - {path: /etc/hello.conf, type: file, content: own}
  - {path: /srv/www/index.html, type: file, content: <p>, permissions: 0o600, uid: 5}";
    let additions = Additions {
        keys: vec![repository.key()],
        repositories: vec![repository.location()],
        ..Additions::default()
    };
    let spool = tempfile::tempdir().unwrap();
    let request = RootfsRequest {
        configuration: &parse(yaml).unwrap(),
        additions: &additions,
        arch: Arch::X86_64,
        policy: &Policy::default(),
        source_date_epoch: None,
        build_date: 0,
        store: &Store::at(spool.path()),
    };
    let tree = rootfs(&request).unwrap().tree;
    assert_eq!(tree.read("etc/hello.conf").unwrap(), "own");
    assert_eq!(tree.get("etc/hello.conf").unwrap().mode, 0o644);
    let page = tree.get("srv/www/index.html").unwrap();
    assert_eq!((page.mode, page.uid), (0o600, 5));
    assert_eq!(tree.read("etc/apk/world").unwrap(), "apko-local-files\nhello\n");
    let database = String::from_utf8(tree.read("usr/lib/apk/db/installed").unwrap().to_vec()).unwrap();
    let (before, own) = database.split_once("P:apko-local-files\n").unwrap();
    assert!(
        !before.contains("R:hello.conf") && own.contains("R:hello.conf"),
        "{database}"
    );
    assert!(
        own.contains("r:hello\n") && own.contains("R:index.html\na:5:0:0600\n"),
        "{database}"
    );

    let case = Case::new(&repository);
    let (first, second) = (case.build(yaml).unwrap(), case.build(yaml).unwrap());
    assert_eq!(first.index.digest(), second.index.digest());
    let other = case.build(&yaml.replace("<p>", "<q>")).unwrap();
    assert_ne!(first.index.digest(), other.index.digest());
    for sbom in first.sboms.iter().filter(|sbom| !sbom.name.contains("index")) {
        assert!(
            String::from_utf8_lossy(&sbom.json).contains("apko-local-files"),
            "{}",
            sbom.name
        );
    }
}

#[test]
fn a_file_of_the_configuration_that_does_not_fit_is_refused_by_name() {
    let repository = Repository::new("x86_64");
    repository.publish(&[hello()]);
    for (path, reason) in [
        ("/usr/bin", "directory"),
        ("/usr/bin/hello/x", "directory"),
        ("/../x", ".."),
        ("/", "no name"),
    ] {
        let yaml =
            format!("{{contents: {{packages: [hello]}}, paths: [{{path: {path}, type: file, content: x}}]}}");
        let error = Case::new(&repository).error(&yaml);
        assert!(
            error.contains("apko-local-files") && error.contains(reason),
            "{path}: {error}"
        );
    }
    let twice = "paths: [{path: /x, type: file, content: x}, {path: x, type: file, content: y}]";
    let error = Case::new(&repository).error(twice);
    assert!(error.contains("`x`") && error.contains("twice"), "{error}");
}
