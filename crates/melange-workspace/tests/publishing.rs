//! What is put into the repository, and what the keys of guests change.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;

use apk_index::Index;
use build_graph::Options;

use common::Case;

/// Builds nodes of a name alone.
fn build_named(case: &Case, name: &str) -> Vec<String> {
    let targets = case.open().unwrap().find_nodes(name).unwrap();
    let report = case.with(|session| {
        session
            .build(&targets, &Options::default(), &case.fake, "0123456789", &())
            .unwrap()
    });
    assert!(report.summary.is_complete() && report.unpublished.is_empty());
    case.fake.take()
}

/// The packages that the repository's index lists, with their sizes.
fn indexed(case: &Case) -> Vec<(String, u64)> {
    let archive = fs::read(case.path("packages/x86_64/APKINDEX.tar.gz")).unwrap();
    let index = Index::open_unverified(&archive, 1 << 20).unwrap();
    let packages = index.packages.into_iter();
    packages
        .map(|package| (package.file_name(), package.size))
        .collect()
}

/// Fails unless the index lists the packages that lie there, as they are.
fn expect_whole(case: &Case) {
    let listed = indexed(case);
    let mut names: Vec<String> = listed.iter().map(|(name, _)| name.clone()).collect();
    names.insert(0, "APKINDEX.tar.gz".to_owned());
    assert_eq!(case.published(), names);
    for (name, size) in listed {
        let path = case.path("packages/x86_64").join(name);
        assert_eq!(fs::metadata(path).unwrap().len(), size);
    }
}

#[test]
fn a_package_that_is_built_alone_is_in_the_repository_with_its_index() {
    let case = Case::new();
    assert_eq!(build_named(&case, "lib"), ["lib in busybox"]);
    expect_whole(&case);
    let names: Vec<String> = indexed(&case).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["lib-1.0-r0.apk", "lib-dev-1.0-r0.apk", "lib-doc-1.0-r0.apk"]
    );
}

#[test]
fn a_package_that_is_built_alone_takes_its_place_beside_the_others() {
    let case = Case::new();
    case.build();
    let before = indexed(&case);
    case.write("packages/lib/lib.c", "int lib, and_more;\n");
    build_named(&case, "lib");
    expect_whole(&case);
    let after = indexed(&case);
    let changed: Vec<&str> = before
        .iter()
        .zip(&after)
        .filter(|(old, new)| old != new)
        .map(|(old, _)| old.0.as_str())
        .collect();
    assert_eq!(changed, ["lib-1.0-r0.apk"]);
}

#[test]
fn another_key_in_guests_builds_what_runs_in_them() {
    let case = Case::new();
    let (all, done) = case.build();
    let pem = testkit::key().public_key().to_pem().unwrap();
    case.write("keys/second.rsa.pub", &pem);
    let settings = fs::read_to_string(case.path("workspace.yaml")).unwrap();
    case.write(
        "workspace.yaml",
        &settings.replace("keyring: [", "keyring: [keys/second.rsa.pub, "),
    );
    let (again, done_again) = case.build();
    assert_eq!(done_again, done, "guests and images have the keys in them");
    assert!(again.built >= all.built - 1, "all but the index: {again:?}");
    assert_eq!(case.build().1, [""; 0]);
}
