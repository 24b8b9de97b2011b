//! What lies in a root before the first package, and the files of `etc/apk` and `apk/db`.

use apk_types::Arch;
use bytes::Bytes;

use crate::devices::DEVICES;
use crate::installed_db;
use crate::tree::{Fault, Tree, TreeError, normal};

pub(crate) const SCRIPTS: &str = "usr/lib/apk/db/scripts.tar";
pub(crate) const TRIGGERS: &str = "usr/lib/apk/db/triggers";

const DIRECTORIES: [(&str, u32); 16] = [
    ("tmp", 0o1777),
    ("dev", 0o755),
    ("etc", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("var", 0o755),
    ("usr", 0o755),
    ("etc/apk", 0o755),
    ("etc/apk/keys", 0o755),
    ("usr/lib", 0o755),
    ("usr/lib/apk", 0o755),
    ("usr/lib/apk/db", 0o755),
    ("usr/lib/apk/exec", 0o755),
    ("var/cache", 0o755),
    ("var/cache/apk", 0o755),
    ("var/cache/misc", 0o755),
];

/// Lays down what `apk add --initdb` does as the Go tool has it: directories, character devices, `etc/apk/arch`, an
/// empty database, all with time 0.
pub fn initialize(tree: &mut Tree, arch: Arch) -> Result<(), TreeError> {
    for (path, mode) in DIRECTORIES {
        tree.mkdir(path, mode)?;
    }
    let arch = format!("{}\n", arch.apk_name());
    let end_of_archive = vec![0; 2 * tarball::BLOCK];
    let files: [(&str, u32, Bytes); 7] = [
        ("etc/apk/world", 0o644, Bytes::from_static(b"\n")),
        ("etc/apk/repositories", 0o644, Bytes::from_static(b"\n")),
        ("usr/lib/apk/db/lock", 0o600, Bytes::new()),
        (TRIGGERS, 0o644, Bytes::new()),
        (installed_db::PATH, 0o644, Bytes::new()),
        ("etc/apk/arch", 0o644, arch.into()),
        (SCRIPTS, 0o644, end_of_archive.into()),
    ];
    for (path, mode, content) in files {
        tree.write_file(path, content, mode)?;
    }
    for (path, mode, numbers) in DEVICES {
        tree.char_device(path, mode, numbers)?;
    }
    Ok(())
}

/// Writes `etc/apk/world`: the requested packages, sorted.
pub fn write_world(tree: &mut Tree, packages: &[impl AsRef<str>]) -> Result<(), TreeError> {
    let mut packages: Vec<&str> = packages.iter().map(AsRef::as_ref).collect();
    packages.sort_unstable();
    tree.write_file("etc/apk/world", lines(&packages), 0o644)?;
    Ok(())
}

/// Writes `etc/apk/repositories`, in the order given.
pub fn write_repositories(tree: &mut Tree, repositories: &[impl AsRef<str>]) -> Result<(), TreeError> {
    let repositories: Vec<&str> = repositories.iter().map(AsRef::as_ref).collect();
    tree.write_file("etc/apk/repositories", lines(&repositories), 0o644)?;
    Ok(())
}

fn lines(lines: &[&str]) -> String {
    lines.join("\n") + "\n"
}

/// Makes `lib/apk`, where apk-tools looks for its database, a link to `usr/lib/apk`, unless `lib` is a link to
/// `usr/lib` already. Packages may have put empty directories there; anything else is an error.
///
/// `merged_usr_below` says that a lower layer has `lib` as a link, so that this one must not have it as a directory.
pub fn link_database(tree: &mut Tree, merged_usr_below: bool) -> Result<(), TreeError> {
    let leads_to = |path: &str, target: &str| tree.read_link(path).is_some_and(|link| normal(link) == target);
    if leads_to("lib", "usr/lib") || leads_to("lib/apk", "usr/lib/apk") {
        return Ok(());
    }
    match tree.lookup("lib") {
        Err(error) if error.fault == Fault::NotFound && merged_usr_below => {
            tree.symlink("usr/lib", "lib")?;
            return Ok(());
        }
        Err(error) if error.fault == Fault::NotFound => drop(tree.mkdir("lib", 0o755)?),
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    if let Ok(id) = tree.lookup_no_follow("lib/apk") {
        for (name, child) in tree.children(id).into_iter().flatten() {
            if tree.children(*child).is_none_or(|children| !children.is_empty()) {
                return Err(Fault::Exists.at(&format!("lib/apk/{name}")));
            }
        }
        if !tree.node(id).is_directory() {
            return Err(Fault::NotADirectory.at("lib/apk"));
        }
        tree.remove("lib/apk")?;
    }
    tree.symlink("../usr/lib/apk", "lib/apk")?;
    Ok(())
}
