//! `index`, `sign`, `sign-index`, `keygen`, `completion` and `version`, from outside.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use apk_index::Index;
use apk_package::{Expected, Keyring, Limits};
use testkit::Package;

fn melange(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_melange"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

/// Standard output and error of a command that has to end with a status.
fn ends(directory: &Path, arguments: &[&str], status: i32) -> (String, String) {
    let output = melange(directory, arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {out}{error}");
    (out, error)
}

/// A directory with two packages and a key.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (name, arch) in [("a", "x86_64"), ("b", "aarch64")] {
        let package = Package::new(name, "1.0-r0").file("usr/share/file", 0o644, name);
        fs::write(
            path.join(format!("{name}.apk")),
            package.info(|info| info.arch = arch.into()).build(),
        )
        .unwrap();
    }
    ends(path, &["keygen", "my.rsa", "--key-size", "2048"], 0);
    directory
}

fn index(path: &Path) -> Index {
    Index::open_unverified(&fs::read(path).unwrap(), Index::MAX_SIZE).unwrap()
}

fn names(index: &Index) -> Vec<String> {
    index.packages.iter().map(|record| record.file_name()).collect()
}

fn keyring(directory: &Path, name: &str) -> Keyring {
    let mut keyring = Keyring::default();
    let pem = fs::read_to_string(directory.join(name)).unwrap();
    keyring.insert_pem(name, &pem).unwrap();
    keyring
}

#[test]
fn an_index_has_the_packages_in_their_order_and_is_signed() {
    let directory = directory();
    let path = directory.path();
    ends(path, &["index", "b.apk", "a.apk", "--signing-key", "my.rsa"], 0);
    let archive = fs::read(path.join("APKINDEX.tar.gz")).unwrap();
    let index = Index::open(&archive, &keyring(path, "my.rsa.pub"), Index::MAX_SIZE).unwrap();
    assert_eq!(names(&index), ["b-1.0-r0.apk", "a-1.0-r0.apk"]);
    assert_eq!(
        index.packages[0].size,
        path.join("b.apk").metadata().unwrap().len()
    );
}

#[test]
fn merging_begins_with_the_source_which_may_be_missing() {
    let directory = directory();
    let path = directory.path();
    ends(
        path,
        &[
            "index",
            "--merge",
            "-s",
            "none.tar.gz",
            "-o",
            "one.tar.gz",
            "a.apk",
        ],
        0,
    );
    ends(
        path,
        &[
            "index",
            "-m",
            "--source",
            "one.tar.gz",
            "--output",
            "two.tar.gz",
            "b.apk",
            "a.apk",
        ],
        0,
    );
    assert_eq!(
        names(&index(&path.join("two.tar.gz"))),
        ["a-1.0-r0.apk", "b-1.0-r0.apk"]
    );
    ends(path, &["index", "-o", "two.tar.gz", "b.apk"], 0);
    assert_eq!(names(&index(&path.join("two.tar.gz"))), ["b-1.0-r0.apk"]);
}

#[test]
fn packages_of_other_architectures_are_left_out_with_a_word() {
    let directory = directory();
    let path = directory.path();
    let (_, said) = ends(path, &["index", "--arch", "arm64", "a.apk", "b.apk"], 0);
    assert!(
        said.contains("a-1.0-r0.apk: left out: it is for x86_64, not aarch64"),
        "{said}"
    );
    assert_eq!(names(&index(&path.join("APKINDEX.tar.gz"))), ["b-1.0-r0.apk"]);
    let (_, said) = ends(path, &["index", "--arch", "vax", "a.apk"], 2);
    assert!(said.contains("--arch: unknown architecture `vax`"), "{said}");
}

#[test]
fn the_index_as_json_is_a_line_for_each_package_and_one_for_itself() {
    let directory = directory();
    let (out, _) = ends(
        directory.path(),
        &["index", "--json", "a.apk", "b.apk", "--signing-key", "my.rsa"],
        0,
    );
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["name"], &lines[1]["arch"]),
        (&"a".into(), &"aarch64".into())
    );
    let summary = serde_json::json!({
        "event": "index", "file": "APKINDEX.tar.gz", "packages": 2, "signedBy": "my.rsa.pub"
    });
    assert_eq!(lines[2], summary);
}

#[test]
fn what_fails_leaves_the_old_index() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("APKINDEX.tar.gz"), "old").unwrap();
    fs::write(path.join("bad.apk"), "no package").unwrap();
    fs::write(path.join("new.apk"), b"ADBd\x01\x02").unwrap();
    let rows: [(&[&str], i32, &str); 5] = [
        (
            &["index", "a.apk", "bad.apk"],
            1,
            "bad.apk: the control section is not gzip",
        ),
        (
            &["index", "new.apk"],
            1,
            "new.apk: it is an apk v3 (ADB) package, which is not supported yet",
        ),
        (&["index", "none.apk"], 1, "none.apk: No such file"),
        (
            &["index", "--merge", "a.apk"],
            1,
            "APKINDEX.tar.gz: the index is not gzip",
        ),
        (
            &["index", "a.apk", "--signing-key", "none.rsa"],
            2,
            "`none.rsa` cannot be read",
        ),
    ];
    for (arguments, status, message) in rows {
        let (_, said) = ends(path, arguments, status);
        assert!(said.contains(message), "{said}");
        assert_eq!(
            fs::read(path.join("APKINDEX.tar.gz")).unwrap(),
            b"old",
            "{arguments:?}"
        );
    }
    let left = fs::read_dir(path).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".tmp")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_package_is_signed_in_its_place() {
    let directory = directory();
    let path = directory.path();
    let package = path.join("a.apk");
    fs::set_permissions(&package, fs::Permissions::from_mode(0o640)).unwrap();
    ends(path, &["sign", "-k", "my.rsa", "a.apk", "b.apk"], 0);
    let keyring = keyring(path, "my.rsa.pub");
    for name in ["a.apk", "b.apk"] {
        let bytes = fs::read(path.join(name)).unwrap();
        let opened = apk_package::open(
            bytes.into(),
            &Expected::signed(name, &keyring),
            &Limits::default(),
        )
        .unwrap();
        assert_eq!(opened.signatures.len(), 1, "the former signature is gone");
    }
    assert_eq!(package.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
}

#[test]
fn an_index_is_signed_anew_only_by_force() {
    let directory = directory();
    let path = directory.path();
    ends(path, &["keygen", "new.rsa", "--key-size", "2048"], 0);
    ends(path, &["index", "a.apk"], 0);
    let file = "APKINDEX.tar.gz";
    ends(path, &["sign-index", "--signing-key", "my.rsa", file], 0);
    let first = fs::read(path.join(file)).unwrap();
    assert!(Index::open(&first, &keyring(path, "my.rsa.pub"), Index::MAX_SIZE).is_ok());
    let (_, said) = ends(path, &["sign-index", "--signing-key", "new.rsa", file], 0);
    assert!(said.contains("signed already, by `my.rsa.pub`"), "{said}");
    assert_eq!(fs::read(path.join(file)).unwrap(), first);
    ends(
        path,
        &["sign-index", "--force", "--signing-key", "new.rsa", file],
        0,
    );
    let second = fs::read(path.join(file)).unwrap();
    let index = Index::open(&second, &keyring(path, "new.rsa.pub"), Index::MAX_SIZE).unwrap();
    assert_eq!((index.signatures.len(), names(&index).len()), (1, 1));
}

#[test]
fn keys_are_in_files_that_only_their_owner_reads() {
    let directory = directory();
    let mode = |name: &str| {
        directory
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("my.rsa"), mode("my.rsa.pub")), (0o600, 0o644));
    let (_, said) = ends(directory.path(), &["keygen", "--key-size", "1024"], 2);
    assert!(said.contains("less than 2048 bits is not safe"), "{said}");
}

#[test]
fn completion_knows_the_commands_and_version_has_the_keys_of_the_go_tool() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let (script, _) = ends(directory.path(), &["completion", shell], 0);
        assert!(
            script.contains("sign-index") && script.contains("key-size"),
            "{shell}"
        );
    }
    let (out, _) = ends(directory.path(), &["version", "--json"], 0);
    let version: serde_json::Value = serde_json::from_str(&out).unwrap();
    for key in [
        "gitVersion",
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "compiler",
        "platform",
    ] {
        assert!(version[key].is_string(), "{key}: {version}");
    }
    let (out, _) = ends(directory.path(), &["version"], 0);
    assert!(
        out.starts_with("melange 0.") && out.contains("GitVersion:    v0."),
        "{out}"
    );
}
