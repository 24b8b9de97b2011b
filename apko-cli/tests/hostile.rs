//! Builds of what nobody should build, and builds that something stops: the status, the culprit, and what is left.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, refusal};
use tarball::{Header, Kind};
use testkit::Package;

fn bad(members: &[(Kind, &str, &str)]) -> Package {
    let package = Package::new("bad", "1.0-r0");
    members.iter().fold(package, |package, (kind, path, text)| {
        let is_file = *kind == Kind::Regular;
        let header = Header {
            path: (*path).to_owned(),
            link: if is_file {
                String::new()
            } else {
                (*text).to_owned()
            },
            mode: 0o755,
            size: if is_file { text.len() as u64 } else { 0 },
            ..Header::new(*kind)
        };
        package.member(header, if is_file { text } else { "" })
    })
}

/// Builds, and wants the words in the refusal and nothing in the output's place.
#[track_caller]
fn refused(packages: &[Package], yaml: &str, words: &[&str]) {
    let place = Place::new(packages);
    let said = refusal(&place.build(yaml).output().unwrap());
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn what_no_honest_package_has_is_refused_by_package_and_path() {
    use Kind::{BlockDevice, CharDevice, Fifo, Hardlink, Regular, Symlink};
    let table: [&[(Kind, &str, &str)]; 13] = [
        &[(Regular, "../../escape", "x")],
        &[(Regular, "usr/../../escape", "x")],
        &[(Regular, "/absolute", "x")],
        &[(Symlink, "/absolute", "x")],
        &[(Symlink, "out", "/"), (Regular, "out/x", "x")],
        &[(Symlink, "up", "../../.."), (Regular, "up/x", "x")],
        &[(Hardlink, "hard", "../../etc/passwd")],
        &[(Hardlink, "hard", "/etc/passwd")],
        &[(Hardlink, "hard", "etc/missing")],
        &[(CharDevice, "dev/mem", "")],
        &[(BlockDevice, "dev/sda", "")],
        &[(Fifo, "pipe", "")],
        &[(Regular, "twice", "a"), (Regular, "twice", "b")],
    ];
    for members in table {
        let path = members[members.len() - 1].1;
        refused(
            &[bad(members)],
            "contents: {packages: [bad]}",
            &["bad-1.0-r0", path],
        );
    }
}

#[test]
fn links_of_one_package_lead_files_of_another_nowhere_outside() {
    let outside = tempfile::tempdir().unwrap();
    let host = outside.path().display().to_string();
    for target in [&host, &format!("../../../../../../..{host}")] {
        let link = bad(&[(Kind::Symlink, "out", target)]);
        let files = Package::new("files", "1.0-r0")
            .depends(&["bad"])
            .file("out/escape", 0o644, "x");
        refused(
            &[link, files],
            "contents: {packages: [files]}",
            &["files-1.0-r0", "out"],
        );
        assert_eq!(common::names(outside.path()), [""; 0], "{target}");
    }
}

#[test]
fn a_path_of_the_configuration_behind_a_link_out_of_the_root_is_refused() {
    for (target, action) in [("../../../etc", "empty-file"), ("/../etc", "directory")] {
        let link = bad(&[(Kind::Symlink, "out", target)]);
        let yaml = format!(
            "contents: {{packages: [bad]}}\npaths: [{{path: /out/x, type: {action}, permissions: 0o644}}]"
        );
        refused(&[link], &yaml, &["/out/x", action, "leads out of the root"]);
    }
}

#[test]
fn a_file_of_two_packages_is_refused_with_both_and_a_way_out() {
    let package = |name: &str| Package::new(name, "1.0-r0").file("etc/shared", 0o644, name);
    let packages = [package("one"), package("two")];
    let words = [
        "one-1.0-r0",
        "two-1.0-r0",
        "etc/shared",
        "`replaces`",
        "leave one of the two out",
    ];
    refused(&packages, "contents: {packages: [one, two]}", &words);
    let place = Place::new(&[
        package("one"),
        package("two").info(|info| info.origin = "one".to_owned()),
    ]);
    let built = place.build("contents: {packages: [one, two]}").output().unwrap();
    assert!(built.status.success(), "{built:?}");
}
