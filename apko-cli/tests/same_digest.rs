//! The same image, wherever and however it is built.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::Command;

use common::Place;
use testkit::Package;

/// Some of all that a build writes itself.
const CONFIGURATION: &str = "
contents: {packages: [app]}
accounts: {users: [{username: web, uid: 1000}], groups: [{groupname: web, gid: 1000}], run-as: web}
paths: [{path: /srv/data, type: directory, permissions: 0o750, uid: 1000}]
environment: {ZEBRA: z, APPLE: a}
annotations: {org.example.b: '1', org.example.a: '2'}
entrypoint: {command: /usr/bin/app}
";

const LAYERS: &str = "layering: {strategy: origin, budget: 3}";

fn packages() -> Vec<Package> {
    let text = |length: usize| -> String {
        let numbers = (1_u64..).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40);
        numbers.take(length).map(|n| format!("{n} ")).collect()
    };
    let part = |number: usize| {
        let package = Package::new(&format!("part-{number}"), "1.0-r0");
        (0..10).fold(package, |package, file| {
            let path = format!("usr/share/part-{number}/\u{e9}t\u{e9}-{file}");
            package.file(&path, 0o644, &text(file * 2000))
        })
    };
    let mut packages: Vec<Package> = (0..6).map(part).collect();
    let parts: Vec<String> = packages.iter().map(|part| part.name().to_owned()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let app = Package::new("app", "1.0-r0").file("usr/bin/app", 0o755, "#!/bin/sh\n");
    packages.push(app.depends(&parts).script(".post-install", "#!/bin/sh\n"));
    packages
}

/// Where, with what before the command, the umask, and the environment.
type Circumstances<'a> = (&'a Place, &'a [&'a str], &'a str, &'a [(&'a str, &'a str)]);

#[test]
fn neither_processors_nor_place_nor_umask_nor_clock_nor_language_change_the_digest() {
    let here = Place::new(&packages());
    let there = Place::with(here.repository.clone());
    let has_taskset = Command::new("taskset").args(["-c", "0", "true"]).status();
    let has_taskset = has_taskset.is_ok_and(|status| status.success());
    if !has_taskset {
        eprintln!("skipped: a build on one processor, as there is no taskset");
    }
    let one: &[&str] = if has_taskset { &["taskset", "-c", "0"] } else { &[] };
    let table: [Circumstances<'_>; 5] = [
        (&here, &[], "022", &[("TZ", "UTC"), ("LC_ALL", "C")]),
        (&here, one, "022", &[]),
        (
            &there,
            &[],
            "077",
            &[("TZ", "Asia/Tokyo"), ("LC_ALL", "de_DE.UTF-8")],
        ),
        (
            &there,
            one,
            "000",
            &[("TZ", "America/St_Johns"), ("LANG", "tr_TR.UTF-8")],
        ),
        (
            &there,
            &[],
            "002",
            &[("HOME", "/nonexistent"), ("USER", "nobody")],
        ),
    ];
    for (format, yaml) in [
        ("tar", format!("{CONFIGURATION}{LAYERS}")),
        ("erofs", CONFIGURATION.to_owned()),
    ] {
        let mut first = None;
        for (number, (place, before, umask, environment)) in table.iter().enumerate() {
            let output = place.path(&format!("out/{number}-{format}.tar"));
            let apko = place.build_from(&yaml, &here.repository.location(), &output);
            let mut shell = Command::new("sh");
            shell
                .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"])
                .args(*before);
            shell
                .arg(apko.get_program())
                .args(apko.get_args())
                .args(["--format", format]);
            shell
                .current_dir(place.path(""))
                .envs(environment.iter().copied());
            let cache = place.path(&format!("cache-{number}-{format}"));
            let result = shell.env("XDG_CACHE_HOME", cache).output().unwrap();
            assert!(result.status.success(), "{result:?}");
            let sboms: Vec<Vec<u8>> = ["sbom-index.spdx.json", "sbom-x86_64.spdx.json"]
                .map(|name| fs::read(place.path("sboms").join(name)).unwrap())
                .into();
            let built = (result.stdout, sboms, fs::read(output).unwrap());
            assert!(built.0.starts_with(b"sha256:"), "{number}");
            let first = first.get_or_insert_with(|| built.clone());
            assert_eq!(first.0, built.0, "{format} {number}");
            assert!(
                *first == built,
                "{format} {number}: the digest is the same, the files are not"
            );
        }
    }
}
