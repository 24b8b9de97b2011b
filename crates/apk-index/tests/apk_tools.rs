//! The real apk-tools client installs what these crates write, where the conformance sets and bubblewrap are at hand.

#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use apk_index::{Index, add_signature, record, sign};
use apk_package::{
    ControlMember, DataWriter, Digest, Expected, Limits, PkgInfo, PrivateKey, Signature, control_section,
    open, signature_section, write_package,
};
use apk_types::{Checksum, Dependency};
use tarball::{Entry, Header, Kind};

const ALPINE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/conformance/image/repos/alpine/x86_64"
);

/// Lays Alpine's packages down as a root directory with apk-tools in it.
fn lay_down_alpine(root: &Path) {
    for package in fs::read_dir(ALPINE).unwrap() {
        let path = package.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "apk") {
            let bytes = fs::read(&path).unwrap();
            let package = open(bytes.into(), &Expected::anything("p"), &Limits::default()).unwrap();
            package.data.iter().for_each(|entry| lay_down(root, entry));
        }
    }
}

fn lay_down(root: &Path, entry: &Entry) {
    let path = root.join(&entry.header.path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match entry.header.kind {
        Kind::Directory => fs::create_dir_all(path).unwrap(),
        Kind::Symlink => symlink(&entry.header.link, path).unwrap(),
        Kind::Regular => {
            fs::write(&path, &entry.content).unwrap();
            fs::set_permissions(path, Permissions::from_mode(entry.header.mode | 0o400)).unwrap();
        }
        _ => {}
    }
}

/// A package with a file, links, a script and a trigger, signed over a digest.
fn hello(key: &PrivateKey, digest: Digest) -> Vec<u8> {
    let mut data = DataWriter::new(Vec::new());
    let members = [
        (Kind::Directory, "usr", "", ""),
        (Kind::Directory, "usr/bin", "", ""),
        (Kind::Regular, "usr/bin/hello", "", "#!/bin/sh\necho hello\n"),
        (Kind::Symlink, "usr/bin/hello-link", "hello", ""),
        (
            Kind::Hardlink,
            "usr/bin/hello-too",
            "usr/bin/hello",
            "#!/bin/sh\necho hello\n",
        ),
    ];
    for (kind, path, link, content) in members {
        let header = Header {
            path: path.into(),
            link: link.into(),
            mode: 0o755,
            uname: "root".into(),
            gname: "root".into(),
            size: content.len() as u64,
            ..Header::new(kind)
        };
        data.append(header, || Ok(content.as_bytes())).unwrap();
    }
    let data = data.finish().unwrap();
    let info = PkgInfo {
        name: "hello".into(),
        version: "1.0-r0".into(),
        arch: "x86_64".into(),
        installed_size: 42,
        origin: "hello".into(),
        description: "says hello".into(),
        licenses: vec!["MIT".into()],
        triggers: vec!["/usr/bin".into()],
        data_hash: data.hash,
        ..PkgInfo::default()
    };
    let members = [
        ControlMember::script(".post-install", "#!/bin/sh\necho installed >/marker\n"),
        ControlMember::script(".trigger", "#!/bin/sh\necho \"$@\" >/triggered\n"),
    ];
    let control = control_section(&info, &members, 0).unwrap();
    let bytes = key.sign(digest, &control).unwrap();
    let signature = Signature {
        digest,
        key: "test.rsa.pub".into(),
        bytes,
    };
    let signature = signature_section(&signature, 0).unwrap();
    let mut package = Vec::new();
    write_package(&mut package, Some(&signature), &control, &mut &data.out[..]).unwrap();
    package
}

fn inside(root: &Path, command: &[&str]) -> Output {
    Command::new("bwrap")
        .args([
            "--unshare-user",
            "--uid",
            "0",
            "--gid",
            "0",
            "--unshare-net",
            "--bind",
        ])
        .args([root.as_os_str(), "/".as_ref()])
        .args(["--proc", "/proc", "--dev", "/dev", "--clearenv", "--"])
        .args(command)
        .output()
        .unwrap()
}

fn is_at_hand() -> bool {
    let sandboxed = Command::new("bwrap")
        .args(["--unshare-user", "--unshare-net", "--ro-bind", "/", "/", "true"])
        .output();
    let has_bubblewrap = sandboxed.is_ok_and(|output| output.status.success());
    let is_at_hand = has_bubblewrap && Path::new(ALPINE).exists();
    if !is_at_hand {
        eprintln!("skipped: bubblewrap does not work here, or the conformance sets are not here");
    }
    is_at_hand
}

/// A root with apk-tools, the key `test.rsa.pub` and a repository with one package.
fn root_with_repository(digest: Digest) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    lay_down_alpine(root);
    let key = PrivateKey::generate(2048).unwrap();
    let package = hello(&key, digest);
    let record = record(
        "hello",
        &mut &package[..],
        package.len() as u64,
        &Limits::default(),
    )
    .unwrap();
    let index = Index {
        description: "test".into(),
        packages: vec![record],
        ..Index::default()
    };
    let index = sign(&index.to_archive().unwrap(), &key, "test.rsa.pub").unwrap();

    let repository = root.join("repo/x86_64");
    fs::create_dir_all(&repository).unwrap();
    fs::write(repository.join("APKINDEX.tar.gz"), index).unwrap();
    fs::write(repository.join("hello-1.0-r0.apk"), package).unwrap();
    fs::create_dir_all(root.join("etc/apk/keys")).unwrap();
    fs::write(
        root.join("etc/apk/keys/test.rsa.pub"),
        key.public_key().to_pem().unwrap(),
    )
    .unwrap();
    fs::write(root.join("etc/apk/repositories"), "/repo\n").unwrap();
    directory
}

#[test]
fn apk_tools_installs_a_signed_package_from_a_signed_index() {
    if !is_at_hand() {
        return;
    }
    let directory = root_with_repository(Digest::Sha256);
    let root = directory.path();
    let added = inside(root, &["/sbin/apk", "add", "--initdb", "hello"]);
    let said = [added.stdout, added.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(added.status.success(), "{said}");
    let hello = inside(root, &["/usr/bin/hello-too"]);
    assert_eq!(hello.stdout, b"hello\n", "{said}");
    assert_eq!(
        fs::read_to_string(root.join("marker")).unwrap(),
        "installed\n",
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(root.join("triggered")).unwrap(),
        "/usr/bin\n",
        "{said}"
    );
    let audit = inside(root, &["/sbin/apk", "audit", "--system", "/usr/bin"]);
    let audit = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(!audit.contains("hello"), "{audit}");
}

/// What a command says, which has to succeed.
fn says(root: &Path, command: &[&str]) -> String {
    let output = inside(root, command);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn apk_tools_fetches_verifies_adds_and_audits() {
    if !is_at_hand() {
        return;
    }
    let directory = root_with_repository(Digest::Sha256);
    let root = directory.path();
    fs::create_dir(root.join("fetched")).unwrap();
    says(root, &["/sbin/apk", "fetch", "--output", "/fetched", "hello"]);
    let fetched = fs::read(root.join("fetched/hello-1.0-r0.apk")).unwrap();
    assert!(fetched == fs::read(root.join("repo/x86_64/hello-1.0-r0.apk")).unwrap());
    says(root, &["/sbin/apk", "verify", "/fetched/hello-1.0-r0.apk"]);
    says(
        root,
        &["/sbin/apk", "add", "--initdb", "/fetched/hello-1.0-r0.apk"],
    );
    // The audit finds the files of the root that no package owns, and none of ours until one changes.
    let audited = || {
        says(
            root,
            &["/sbin/apk", "audit", "--system", "--recursive", "/usr/bin"],
        )
    };
    assert!(!audited().contains("hello"), "{}", audited());
    fs::write(root.join("usr/bin/hello"), "changed").unwrap();
    assert!(audited().contains("U usr/bin/hello"), "{}", audited());
    let says_of = says(root, &["/sbin/apk", "info", "--all", "hello"]);
    for fact in ["says hello", "42 B", "MIT", "usr/bin/hello-link"] {
        assert!(says_of.contains(fact), "{fact}: {says_of}");
    }
}

#[test]
fn apk_tools_takes_an_index_by_any_of_its_signatures() {
    if !is_at_hand() {
        return;
    }
    let directory = root_with_repository(Digest::Sha256);
    let root = directory.path();
    let index = root.join("repo/x86_64/APKINDEX.tar.gz");
    let stranger = PrivateKey::generate(2048).unwrap();
    let archive = fs::read(&index).unwrap();
    let both = add_signature(&archive, &stranger, "stranger.rsa.pub", Digest::Sha1).unwrap();
    let add = ["/sbin/apk", "add", "--initdb", "hello"];
    // Without the one that is trusted it is refused.
    fs::write(&index, sign(&both, &stranger, "stranger.rsa.pub").unwrap()).unwrap();
    assert!(!inside(root, &add).status.success());
    fs::write(&index, &both).unwrap();
    says(root, &add);
}

#[test]
fn apk_tools_reads_install_if_of_an_index() {
    if !is_at_hand() {
        return;
    }
    let directory = root_with_repository(Digest::Sha256);
    let root = directory.path();
    let path = root.join("repo/x86_64/APKINDEX.tar.gz");
    let mut index = Index::open_unverified(&fs::read(&path).unwrap(), Index::MAX_SIZE).unwrap();
    let mut extra = index.packages[0].clone();
    // apk-tools tells packages apart by their checksums.
    extra.checksum = Some(Checksum::Sha1([1; 20]));
    extra.name = "hello-extra".into();
    extra.install_if = ["hello=1.0-r0", "present"].map(Dependency::lenient).into();
    let mut present = index.packages[0].clone();
    present.checksum = Some(Checksum::Sha1([2; 20]));
    present.name = "present".into();
    index.merge([extra, present]);
    fs::write(&path, index.to_archive().unwrap()).unwrap();
    says(root, &["/sbin/apk", "add", "--initdb"]);
    let add = ["/sbin/apk", "add", "--simulate", "--allow-untrusted", "hello"];
    assert!(!says(root, &add).contains("hello-extra"));
    assert!(says(root, &[&add[..], &["present"]].concat()).contains("hello-extra"));
}

#[test]
fn apk_tools_verifies_packages_over_every_digest() {
    if !is_at_hand() {
        return;
    }
    for digest in [Digest::Sha1, Digest::Sha256, Digest::Sha512] {
        let directory = root_with_repository(digest);
        let verify = || {
            inside(
                directory.path(),
                &["/sbin/apk", "verify", "/repo/x86_64/hello-1.0-r0.apk"],
            )
        };
        let said =
            |output: Output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let trusted = verify();
        assert!(trusted.status.success(), "{digest:?}: {}", said(trusted));
        fs::remove_file(directory.path().join("etc/apk/keys/test.rsa.pub")).unwrap();
        let untrusted = verify();
        assert!(!untrusted.status.success(), "{digest:?}: {}", said(untrusted));
    }
}
