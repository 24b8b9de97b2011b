//! Packages into trees: what goes, what conflicts, what is refused, and what the layer and the database say then.

#![allow(clippy::unwrap_used)]

use apk_rootfs::{InstallError, Installation, Installed, Package, Tree, accounts, busybox, layers, paths};
use apk_types::{Arch, Checksum, Dependency, PackageRecord};
use proptest::prelude::*;
use tarball::{Header, Kind};

fn record(name: &str, replaces: &[&str]) -> PackageRecord {
    PackageRecord {
        name: name.to_owned(),
        version: "1.0-r0".to_owned(),
        origin: name.to_owned(),
        replaces: replaces.iter().map(|text| Dependency::lenient(text)).collect(),
        checksum: Some(Checksum::Sha1([0; 20])),
        build_time: Some(1_700_000_000),
        ..Default::default()
    }
}

fn entry(kind: Kind, path: &str, text: &str) -> Entry {
    let is_file = kind == Kind::Regular;
    let header = Header {
        path: path.to_owned(),
        link: if is_file { String::new() } else { text.to_owned() },
        mode: if kind == Kind::Directory { 0o755 } else { 0o644 },
        size: if is_file { text.len() as u64 } else { 0 },
        mtime: 1_600_000_000,
        ..Header::new(kind)
    };
    let content = if is_file {
        text.to_owned().into()
    } else {
        "".into()
    };
    Entry { header, content }
}

fn dir(path: &str) -> Entry {
    entry(Kind::Directory, path, "")
}

fn file(path: &str, content: &str) -> Entry {
    entry(Kind::Regular, path, content)
}

fn install(packages: &[(PackageRecord, Vec<Entry>)]) -> Result<(Tree, Vec<Installed>), InstallError> {
    let mut tree = Tree::new();
    apk_rootfs::initialize(&mut tree, Arch::X86_64)?;
    let mut installation = Installation::new(tree);
    for (record, data) in packages {
        let package = Package {
            record,
            control: &[],
            data,
            triggers: &[],
        };
        installation.install(&package, 0)?;
    }
    installation.finish(&[])
}

fn member(tree: &Tree, path: &str) -> tarball::Entry {
    let mut members = tree.walk().map(|member| member.entry);
    let member = members.find(|entry| entry.header.path == path).expect(path);
    member.map(|content| content.read().unwrap())
}

type Entry = tarball::Entry<file_content::Content>;

#[test]
fn what_no_honest_package_has_is_refused_by_package_and_path() {
    let table: [(&str, Vec<Entry>); 14] = [
        ("../../escape", vec![file("../../escape", "x")]),
        ("usr/../../escape", vec![file("usr/../../escape", "x")]),
        ("/absolute", vec![file("/absolute", "x")]),
        (
            "out/x",
            vec![entry(Kind::Symlink, "out", "/"), file("out/x", "x")],
        ),
        (
            "up/x",
            vec![entry(Kind::Symlink, "up", "../../.."), file("up/x", "x")],
        ),
        ("up/d", vec![entry(Kind::Symlink, "up", "../.."), dir("up/d/")]),
        ("hl", vec![entry(Kind::Hardlink, "hl", "../../../etc/passwd")]),
        ("hl", vec![entry(Kind::Hardlink, "hl", "etc/missing")]),
        ("hl", vec![entry(Kind::Hardlink, "hl", "etc")]),
        ("dev/mem", vec![entry(Kind::CharDevice, "dev/mem", "")]),
        ("pipe", vec![entry(Kind::Fifo, "pipe", "")]),
        ("etc", vec![file("etc", "a file in place of a directory")]),
        ("twice", vec![file("twice", "a"), file("twice", "b")]),
        (
            "x\\nP:evil",
            vec![file("x\nP:evil", "a field of its own in the database")],
        ),
    ];
    for (path, data) in table {
        let error = install(&[(record("bad", &[]), data)]).unwrap_err().to_string();
        assert!(
            error.contains("bad-1.0-r0") && error.contains(path),
            "{path}: {error}"
        );
    }
}

#[test]
fn links_of_other_packages_are_gone_through() {
    let merged = vec![
        entry(Kind::Symlink, "bin", "usr/bin"),
        dir("usr/"),
        dir("usr/bin/"),
    ];
    let (tree, _) = install(&[
        (record("merged", &[]), merged),
        (record("old", &[]), vec![dir("bin/"), file("bin/tool", "tool")]),
    ])
    .unwrap();
    assert_eq!(member(&tree, "bin").header.link, "usr/bin");
    assert_eq!(&member(&tree, "usr/bin/tool").content[..], b"tool");
}

#[test]
fn the_same_path_in_two_packages() {
    let data = |content: &str| vec![file("file", content)];
    let same_origin = |name: &str| PackageRecord {
        origin: "both".to_owned(),
        ..record(name, &[])
    };
    // What there is of both, and what is left then; none for a conflict.
    let table = [
        (
            "the same content",
            record("a", &[]),
            "1",
            record("b", &[]),
            "1",
            Some(("1", "a")),
        ),
        (
            "other content",
            record("a", &[]),
            "1",
            record("b", &[]),
            "2",
            None,
        ),
        (
            "the second replaces",
            record("a", &[]),
            "1",
            record("b", &["a"]),
            "2",
            Some(("2", "b")),
        ),
        (
            "the first replaces",
            record("a", &["b"]),
            "1",
            record("b", &[]),
            "2",
            Some(("1", "a")),
        ),
        (
            "of a fitting version",
            record("a", &[]),
            "1",
            record("b", &["a<2"]),
            "2",
            Some(("2", "b")),
        ),
        (
            "of another version",
            record("a", &[]),
            "1",
            record("b", &["a<1"]),
            "2",
            None,
        ),
        (
            "the same origin",
            same_origin("a"),
            "1",
            same_origin("b"),
            "2",
            Some(("2", "b")),
        ),
    ];
    for (what, first, one, second, two, left) in table {
        let result = install(&[(first, data(one)), (second, data(two))]);
        let Some((content, owner)) = left else {
            let error = result.unwrap_err();
            assert!(
                matches!(&error, InstallError::Conflict { first, second, path }
                if (&first[..], &second[..], &path[..]) == ("a-1.0-r0", "b-1.0-r0", "file")),
                "{what}: {error}"
            );
            continue;
        };
        let (tree, installed) = result.unwrap();
        assert_eq!(&member(&tree, "file").content[..], content.as_bytes(), "{what}");
        for installed in installed {
            let name = &installed.package.record.name;
            assert_eq!(
                installed.entry.contains("R:file\n"),
                name == owner,
                "{what}: {name}"
            );
        }
    }
}

#[test]
fn the_members_of_a_layer_are_what_the_go_tool_writes() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nother:x:0:0:::\n";
    let mut suid = file("usr/bin/suid", "s");
    (suid.header.mode, suid.header.uid) = (0o4755, 7);
    let mut sticky = dir("srv/");
    sticky.header.mode = 0o1777;
    let capability = ("SCHILY.xattr.security.capability".to_owned(), b"\x01\n".to_vec());
    suid.header.pax.extend([capability.clone()]);
    let data = vec![
        dir("etc/"),
        file("etc/passwd", passwd),
        sticky,
        dir("usr/"),
        dir("usr/bin/"),
        suid,
        file("usr/bin/tool", "tool"),
        entry(Kind::Hardlink, "usr/bin/z-link", "usr/bin/tool"),
        entry(Kind::Hardlink, "usr/bin/a-link", "usr/bin/tool"),
    ];
    let (tree, installed) = install(&[(record("p", &[]), data)]).unwrap();

    let suid = member(&tree, "usr/bin/suid").header;
    // The last of several names wins; owners of packages' files are root; special bits stay on files alone.
    assert_eq!((suid.uname.as_str(), suid.uid, suid.mode), ("other", 0, 0o4755));
    assert_eq!(suid.pax, [capability].into());
    assert_eq!(member(&tree, "srv").header.mode, 0o777);
    assert!(installed[0].entry.contains("F:srv\nM:0:0:1777\n"));
    assert!(installed[0].entry.contains("R:suid\na:7:0:4755\nZ:Q1"));
    // A link never precedes what it links to.
    assert_eq!(member(&tree, "usr/bin/a-link").header.kind, Kind::Regular);
    assert_eq!(member(&tree, "usr/bin/tool").header.link, "usr/bin/a-link");
    assert_eq!(member(&tree, "usr/bin/z-link").header.kind, Kind::Hardlink);
    assert_eq!(member(&tree, "etc/apk/arch").header.mtime, 0);
}

#[test]
fn scripts_and_triggers_are_kept() {
    let script = Entry {
        header: Header {
            mode: 0o755,
            ..file(".post-install", "#!/bin/sh\n").header
        },
        ..file("", "#!/bin/sh\n")
    };
    let control = [
        file(".PKGINFO", "pkgname = p\n"),
        script,
        file(".melange.yaml", "x: y\n"),
    ]
    .map(|entry| entry.map(|content| content.read().unwrap()));
    let mut tree = Tree::new();
    apk_rootfs::initialize(&mut tree, Arch::X86_64).unwrap();
    let mut installation = Installation::new(tree);
    let triggers = ["/bin /usr/bin".to_owned()];
    let package = Package {
        record: &record("p", &[]),
        control: &control,
        data: &[],
        triggers: &triggers,
    };
    installation.install(&package, 42).unwrap();
    let (tree, _) = installation.finish(&[]).unwrap();
    let scripts = tree
        .read("lib/apk/db/scripts.tar")
        .or(tree.read("usr/lib/apk/db/scripts.tar"))
        .unwrap();
    let scripts = tarball::read(scripts.clone(), &tarball::Limits::default()).unwrap();
    let checksum = Checksum::Sha1([0; 20]);
    assert_eq!(scripts.len(), 1);
    assert_eq!(
        scripts[0].header.path,
        format!("p-1.0-r0.{checksum}.post-install")
    );
    assert_eq!(scripts[0].header.mtime, 42);
    assert_eq!(
        tree.read("usr/lib/apk/db/triggers").unwrap(),
        &format!("{checksum} /bin /usr/bin\n")
    );
}

#[test]
fn a_database_reads_back_as_written() {
    let data = vec![
        dir("b/"),
        file("b/x", "1"),
        file("b/a", "2"),
        dir("b/c/"),
        dir("a/"),
        file("top", "3"),
        file("no/place", "4"),
    ];
    let mut package = record("p", &["q<2"]);
    package.depends = vec![Dependency::lenient("so:libc.so.6"), Dependency::lenient("!r")];
    package.install_if = vec![Dependency::lenient("s"), Dependency::lenient("t=1")];
    // `no` is in the tree, put there by another package.
    let (tree, _) = install(&[(record("o", &[]), vec![dir("no/")]), (package, data)]).unwrap();
    let text = String::from_utf8(tree.read(apk_rootfs::installed_db::PATH).unwrap().to_vec()).unwrap();
    let packages = apk_rootfs::installed_db::parse(&text).unwrap();
    assert_eq!(packages.len(), 2);
    let paths: Vec<&str> = packages[1].files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["top", "a", "b", "b/a", "b/x", "b/c"]);
    assert!(text.contains("i:[s t=1]\n"));
    let again: String = packages.iter().map(|package| package.write()).collect();
    assert_eq!(again, text);
}

#[test]
fn the_database_is_linked_to_where_apk_looks_for_it() {
    let (mut tree, _) = install(&[(
        record("p", &[]),
        vec![dir("lib/"), dir("lib/apk/"), dir("lib/apk/db/")],
    )])
    .unwrap();
    apk_rootfs::link_database(&mut tree, false).unwrap();
    assert_eq!(tree.read_link("lib/apk"), Some("../usr/lib/apk"));
    apk_rootfs::link_database(&mut tree, false).unwrap();

    let (mut tree, _) = install(&[(record("p", &[]), vec![entry(Kind::Symlink, "lib", "usr/lib")])]).unwrap();
    apk_rootfs::link_database(&mut tree, false).unwrap();
    assert_eq!(tree.read_link("usr/lib/apk"), None);

    let (mut tree, _) = install(&[(
        record("p", &[]),
        vec![dir("lib/"), dir("lib/apk/"), file("lib/apk/x", "")],
    )])
    .unwrap();
    let error = apk_rootfs::link_database(&mut tree, false).unwrap_err();
    assert_eq!(error.path, "lib/apk/x");
}

#[test]
fn accounts_get_entries_and_homes() {
    let data = vec![
        dir("etc/"),
        file(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:1:1::/dev/null:/bin/false\n",
        ),
    ];
    let (mut tree, _) = install(&[(record("p", &[]), data)]).unwrap();
    let groups = [accounts::Group {
        name: "web".into(),
        gid: 10,
        members: vec!["a".into(), "b".into()],
    }];
    let users = [accounts::User {
        name: "web".into(),
        uid: 10,
        ..Default::default()
    }];
    let all = accounts::add(&mut tree, &groups, &users).unwrap();
    assert_eq!(all.len(), 3);
    assert!(
        tree.read("etc/passwd")
            .unwrap()
            .ends_with(b"\nweb:x:10:10:Account created by apko:/home/web:/bin/sh\n")
    );
    assert_eq!(&tree.read("etc/group").unwrap()[..], b"web:x:10:a,b\n");
    assert_eq!(&tree.read("etc/shadow").unwrap()[..], b"web:!:::::::\n");
    let home = member(&tree, "home/web").header;
    assert_eq!(
        (
            home.mode,
            home.uid,
            home.gid,
            home.uname.as_str(),
            home.gname.as_str()
        ),
        (0o700, 10, 10, "web", "web")
    );
    assert_eq!(member(&tree, "root").header.mode, 0o700);

    let evil = [accounts::User {
        name: "x:0:0:::\nroot2".into(),
        ..Default::default()
    }];
    assert!(accounts::add(&mut tree, &[], &evil).is_err());
    tree.write_file("etc/passwd", "nonsense\n", 0o644).unwrap();
    let error = accounts::add(&mut tree, &[], &[]).unwrap_err().to_string();
    assert!(
        error.contains("etc/passwd, line 1") && error.contains("nonsense"),
        "{error}"
    );
}

#[test]
fn paths_are_mutated_in_order() {
    use paths::{Action, Mutation};
    let data = vec![
        dir("etc/"),
        file("etc/hosts", "localhost"),
        entry(Kind::Symlink, "etc/link", "hosts"),
    ];
    let (mut tree, _) = install(&[(record("p", &[]), data)]).unwrap();
    let change = |path: &str, action: Action, mode: u32| Mutation {
        action,
        path: path.into(),
        mode,
        uid: None,
        gid: None,
        recursive: false,
    };
    let hosts = || "/etc/hosts".to_owned();
    let mutations = [
        change("/srv/data/deep", Action::Directory, 0o2750),
        change("/srv/empty", Action::EmptyFile, 0o600),
        change("etc/hosts", Action::EmptyFile, 0o640),
        change("/srv/hard", Action::Hardlink { source: hosts() }, 0o640),
        change("/srv/soft", Action::Symlink { source: hosts() }, 0o604),
        change(
            "/srv/dangling",
            Action::Symlink {
                source: "nowhere".into(),
            },
            0o644,
        ),
        Mutation {
            uid: Some(5),
            recursive: true,
            ..change("/srv/data", Action::Permissions, 0o711)
        },
    ];
    paths::mutate(&mut tree, &mutations).unwrap();
    let modes = [
        ("srv", 0o2750),
        ("srv/data", 0o711),
        ("srv/data/deep", 0o711),
        ("srv/empty", 0o600),
        ("etc/hosts", 0o604),
        ("srv/soft", 0o777),
    ];
    for (path, mode) in modes {
        assert_eq!(member(&tree, path).header.mode, mode, "{path}");
    }
    // Another name of a file is written in full, and a package's file is not emptied, as in the Go tool.
    assert_eq!(&member(&tree, "srv/hard").content[..], b"localhost");
    assert_eq!(member(&tree, "srv/data/deep").header.uid, 5);

    for bad in [
        change("/srv/soft", Action::Symlink { source: hosts() }, 0),
        change("/../x", Action::Directory, 0),
        change("/srv", Action::Hardlink { source: hosts() }, 0),
    ] {
        let error = paths::mutate(&mut tree, std::slice::from_ref(&bad)).unwrap_err();
        assert!(error.to_string().contains(&bad.path), "{error}");
    }
}

#[test]
fn applets_of_a_busybox_of_another_name_are_linked() {
    let mut package = record("busybox-static", &[]);
    package.version = "1.35.0-r41211".to_owned();
    let data = vec![
        dir("bin/"),
        file("bin/busybox", "elf"),
        file("bin/sh", "another shell"),
    ];
    let (mut tree, installed) = install(&[(package, data)]).unwrap();
    let installed: Vec<_> = installed.iter().map(|installed| &installed.package).collect();
    busybox::link(&mut tree, &installed).unwrap();
    assert_eq!(tree.read_link("usr/bin/ascii"), Some("/bin/busybox"));
    assert!(tree.lookup("usr/bin/tree").is_err(), "1.35 has no tree");
    assert_eq!(&tree.read("bin/sh").unwrap()[..], b"another shell");
    assert_eq!(member(&tree, "usr/sbin").header.mtime, 1_600_000_000);
}

#[test]
fn applets_are_those_that_the_package_lists() {
    let list = "/bin/ls\n/opt/x\n/../../evil\nnoslash\n/bin/busybox\n";
    let data = vec![
        dir("bin/"),
        file("bin/busybox", "elf"),
        dir("etc/"),
        dir("etc/busybox-paths.d/"),
        file("etc/busybox-paths.d/busybox", list),
    ];
    let (mut tree, installed) = install(&[(record("busybox", &[]), data)]).unwrap();
    let installed: Vec<_> = installed.iter().map(|installed| &installed.package).collect();
    busybox::link(&mut tree, &installed).unwrap();
    let mut links: Vec<String> = tree
        .walk()
        .filter(|member| member.entry.header.link == "/bin/busybox")
        .map(|member| member.entry.header.path)
        .collect();
    links.sort();
    assert_eq!(links, ["bin/ls", "opt/x"]);
}

#[test]
fn certificates_go_into_bundles_once_and_get_checksums() {
    use apk_rootfs::certificates::{self, Certificate};
    // The outer form of a certificate: a sequence of two empty sequences and an empty bit string.
    let pem = "-----BEGIN CERTIFICATE-----\nMAcwADAAAwEA\n-----END CERTIFICATE-----\n";
    let data = vec![
        dir("etc/"),
        dir("etc/ssl/"),
        dir("etc/ssl/certs/"),
        file("etc/ssl/certs/ca-certificates.crt", "bundle\n"),
        dir("kaniko/"),
        dir("kaniko/ssl/"),
        dir("kaniko/ssl/certs/"),
        entry(
            Kind::Symlink,
            "kaniko/ssl/certs/ca-certificates.crt",
            "/etc/ssl/certs/ca-certificates.crt",
        ),
        dir("usr/local/share/ca-certificates/"),
        file("usr/local/share/ca-certificates/provided.crt", pem),
        file("usr/local/share/ca-certificates/README", "no certificate"),
    ];
    let mut provider = record("p", &[]);
    provider.provides = vec![Dependency::lenient("custom-ca")];
    let (mut tree, installed) = install(&[(provider, data)]).unwrap();
    let installed: Vec<_> = installed.iter().map(|installed| &installed.package).collect();
    let extra = |name: &str, pem: &str| {
        [Certificate {
            name: name.to_owned(),
            pem: pem.to_owned(),
        }]
    };
    let text = format!("a comment\n{pem}");
    certificates::add(&mut tree, &extra("extra", &text), &["custom-ca"], &installed, 9).unwrap();
    certificates::write_checksums(&mut tree, 9).unwrap();
    let bundle = tree.read("etc/ssl/certs/ca-certificates.crt").unwrap();
    assert_eq!(bundle, &format!("bundle\n{pem}\n{pem}\n"));
    assert_eq!(member(&tree, "etc/ssl/certs/ca-certificates.crt").header.mtime, 9);
    let sum = tree.read("etc/ssl/certs/.ca-certificates.crt.sha256").unwrap();
    assert!(sum.ends_with(b"  ca-certificates.crt\n"));
    assert_eq!(
        member(&tree, "kaniko/ssl/certs/.ca-certificates.crt.sha256")
            .header
            .mode,
        0o444
    );

    for (name, pem) in [
        ("extra", "nothing"),
        ("extra", &pem.repeat(2)[..]),
        ("../evil", pem),
        ("", pem),
    ] {
        let error = certificates::add(&mut tree, &extra(name, pem), &[""; 0], &installed, 9).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn layers_have_their_packages_and_the_directories_that_lead_there() {
    let sized = |name: &str, replaces: &[&str], size| PackageRecord {
        installed_size: size,
        ..record(name, replaces)
    };
    let packages = [
        (sized("small", &[], 1), vec![dir("s/"), file("s/small", "s")]),
        (sized("big", &[], 9), vec![dir("b/"), file("b/big", "b")]),
        (
            sized("replacer", &["big"], 1),
            vec![dir("b/"), file("b/more", "r")],
        ),
        (sized("middle", &[], 5), vec![dir("m/"), file("m/middle", "m")]),
    ];
    let (tree, installed) = install(&packages).unwrap();
    let records: Vec<&PackageRecord> = packages.iter().map(|(record, _)| record).collect();
    assert_eq!(layers::group(&records, 9), [vec![1, 2], vec![3], vec![0]]);
    assert_eq!(layers::group(&records, 0), [vec![1, 3, 2, 0]]);
    let groups = layers::group(&records, 2);
    assert_eq!(groups, [vec![1, 2], vec![3, 0]]);
    let layers = layers::split(&tree, &groups, &installed);
    let paths: Vec<&str> = layers[0].iter().map(|entry| entry.header.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "b",
            "b/big",
            "b/more",
            "usr",
            "usr/lib",
            "usr/lib/apk",
            "usr/lib/apk/db",
            "usr/lib/apk/db/installed"
        ]
    );
    let database = layers[0][7].content.read().unwrap();
    let database = std::str::from_utf8(&database).unwrap();
    assert!(database.contains("P:big\n") && !database.contains("P:small\n"));
    assert_eq!(layers.len(), 3);
    assert!(
        layers[2].iter().any(|entry| entry.header.path == "m"),
        "the top layer has all directories"
    );
}

fn any_path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "c", "..", ".", "", "etc", "usr"]);
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let kinds = vec![Kind::Regular, Kind::Symlink, Kind::Hardlink, Kind::Directory];
    (prop::sample::select(kinds), any_path(), any_path())
        .prop_map(|(kind, path, text)| entry(kind, &path, &text))
}

proptest! {
    /// Whatever packages contain: no panic, and a layer's paths are relative, unique, free of `..`, after their
    /// directories, and links point to members before them.
    #[test]
    fn no_package_makes_a_bad_layer(packages in prop::collection::vec(prop::collection::vec(any_entry(), 0..6), 0..5)) {
        let mut tree = Tree::new();
        apk_rootfs::initialize(&mut tree, Arch::X86_64).unwrap();
        let mut installation = Installation::new(tree);
        for (index, data) in packages.iter().enumerate() {
            let record = record(&format!("p{index}"), &["p0", "p1"]);
            let package = Package { record: &record, control: &[], data, triggers: &[] };
            let _ = installation.install(&package, 0);
        }
        let (mut tree, _) = installation.finish(&[]).unwrap();
        let _ = apk_rootfs::link_database(&mut tree, false);
        let mut seen = std::collections::HashSet::new();
        for member in tree.walk() {
            let Header { path, kind, link, .. } = member.entry.header;
            prop_assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{}", path);
            if let Some((parent, _)) = path.rsplit_once('/') {
                prop_assert!(seen.contains(parent), "{}", path);
            }
            prop_assert!(kind != Kind::Hardlink || seen.contains(&link), "{} -> {}", path, link);
            prop_assert!(seen.insert(path));
        }
    }

    /// No path leads out of the tree or through more links than Linux follows.
    #[test]
    fn lookups_end(links in prop::collection::vec((any_path(), any_path()), 0..8), path in any_path()) {
        let mut tree = Tree::new();
        for (from, to) in &links {
            let _ = tree.symlink(to, from);
            let _ = tree.mkdir_all(to, 0o755);
            let _ = tree.write_file(from, "x", 0o644);
        }
        if let Ok(id) = tree.lookup(&path) {
            prop_assert!(!matches!(tree.node(id).content(), apk_rootfs::Content::Symlink(_)));
        }
    }
}

#[test]
fn what_lower_layers_have_is_carried_over_as_by_the_reference() {
    let database = "P:a\nV:1\ni:[b c]\nF:etc\nM:0:0:0700\nR:x\na:0:42:0640\nZ:Q1/czoE9mjqif//PBxJtLeq/F8sFc=\n\nP:b\nV:2\ni:c\n\n";
    let carried = apk_rootfs::installed_db::carry_over(database).unwrap();
    assert!(
        carried[0].entry.ends_with("F:etc\nR:x\n\n"),
        "{}",
        carried[0].entry
    );
    assert!(carried[0].entry.contains("\ni:[[b c]]\n"), "{}", carried[0].entry);
    assert!(carried[1].entry.contains("\ni:[c]\n"), "{}", carried[1].entry);
    assert_eq!(carried[0].package.files[1].mode, 0o640);
}

#[test]
fn a_path_behind_a_link_out_of_the_root_is_not_mutated() {
    use apk_rootfs::paths::{Action, Mutation, mutate};
    let mut tree = Tree::new();
    tree.mkdir_all("a/b", 0o755).unwrap();
    tree.symlink("../../../etc", "a/b/out").unwrap();
    tree.symlink("/a", "in").unwrap();
    tree.mkdir("etc", 0o755).unwrap();
    let mutation = |path: &str| Mutation {
        action: Action::EmptyFile,
        path: path.to_owned(),
        mode: 0o644,
        uid: None,
        gid: None,
        recursive: false,
    };
    let error = mutate(&mut tree, &[mutation("/in/file"), mutation("/a/b/out/passwd")]).unwrap_err();
    assert_eq!((error.index, error.path.as_str()), (2, "/a/b/out/passwd"));
    assert!(error.to_string().contains("leads out of the root"), "{error}");
    assert!(tree.get("a/file").is_ok() && tree.get("etc/passwd").is_err());
}
