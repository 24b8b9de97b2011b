//! Scripts and triggers of packages: never run, recorded, named, and refused where that is asked for.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::{Place, refusal};
use testkit::{Package, Repository};

const CONFIGURATION: &str = "contents: {packages: [quiet, scripted, watching]}";

/// Packages whose scripts would leave a mark on this machine.
fn packages(mark: &str) -> [Package; 3] {
    let script = format!("#!/bin/sh\ntouch {mark}\n");
    let scripted = [".pre-install", ".post-install", ".post-upgrade"]
        .iter()
        .fold(Package::new("scripted", "1.0-r0"), |package, name| {
            package.script(name, &script)
        });
    let watching = Package::new("watching", "2.0-r1")
        .script(".trigger", &script)
        .info(|info| info.triggers = vec!["/usr/lib/*".to_owned()]);
    [
        Package::new("quiet", "1.0-r0").file("usr/lib/quiet", 0o644, ""),
        scripted,
        watching,
    ]
}

#[test]
fn each_script_that_did_not_run_is_named() {
    let place = Place::with(Repository::new("x86_64").into());
    let mark = place.path("mark");
    place.repository.publish(&packages(&mark.display().to_string()));

    let build = place.build(CONFIGURATION);
    let mut apko = Command::new(build.get_program());
    apko.args(build.get_args().filter(|argument| *argument != "--quiet"));
    apko.env("XDG_CACHE_HOME", place.path("cache"))
        .current_dir(place.path(""));
    let built = apko.output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    for words in [
        "scripted-1.0-r0 (post-install, pre-install)",
        "watching-2.0-r1 (trigger)",
    ] {
        assert!(said.contains(words), "no `{words}` in: {said}");
    }
    assert!(!said.contains("quiet-1.0-r0"), "{said}");
    assert!(!mark.exists());

    let mut apko = place.build(CONFIGURATION);
    std::fs::remove_file(place.output()).unwrap();
    let said = refusal(&apko.arg("--fail-on-skipped-scripts").output().unwrap());
    assert!(
        said.contains("scripted-1.0-r0") && said.contains("watching-2.0-r1"),
        "{said}"
    );
    assert_eq!(place.left(), [""; 0]);

    let mut apko = place.build("contents: {packages: [quiet]}");
    let built = apko.arg("--fail-on-skipped-scripts").output().unwrap();
    assert!(built.status.success(), "{built:?}");
}
