//! The links of busybox's applets, which `busybox --install -s` would make if scripts ran.

use std::collections::BTreeSet;

use crate::installed_db::InstalledPackage;
use crate::tree::{Content, Fault, Node, Tree, TreeError};

const BUSYBOX: &str = "/bin/busybox";

/// How large a program may be that is looked into, in bytes.
const MAX_PROGRAM: u64 = 64 << 20;

/// A line per directory: its name, then applets; an applet with `@VERSIONS` exists in these versions alone.
const APPLETS: &str = include_str!("../data/busybox-applets.txt");

/// Makes a link to `/bin/busybox` for every applet, if there is a busybox and nothing has the applet's path yet.
/// All directories of applets get busybox's time.
///
/// Which applets there are is read from `etc/busybox-paths.d/PACKAGE` where the package has such a file. Else it
/// is what that version of busybox has with everything configured; an unknown version counts as 1.36.0. The
/// package is the one named `busybox`, else the last that provides something with `busybox` in its name. Where there is
/// none, the Go tool gives up; here it is the one that `bin/busybox` came from, and only what that program says that it
/// has gets a link.
pub fn link(tree: &mut Tree, installed: &[&InstalledPackage]) -> Result<(), TreeError> {
    let Ok(busybox) = tree.get(BUSYBOX) else {
        return Ok(());
    };
    let mtime = busybox.mtime;
    for link in links(tree, installed) {
        let Some((directory, _)) = link.rsplit_once('/') else {
            continue;
        };
        if link == BUSYBOX || link.split('/').any(|part| part == "..") {
            continue;
        }
        let id = tree.mkdir_all(directory, 0o755)?;
        tree.node_mut(id).mtime = mtime;
        match tree.symlink(BUSYBOX, &link) {
            Err(error) if error.fault == Fault::Exists => {
                let id = tree.lookup_no_follow(&link)?;
                if tree.node(id).is_directory() {
                    return Err(Fault::IsADirectory.at(&link));
                }
            }
            result => drop(result?),
        }
    }
    Ok(())
}

fn links(tree: &Tree, installed: &[&InstalledPackage]) -> Vec<String> {
    let has_busybox = |package: &InstalledPackage| {
        let mut files = package.files.iter();
        files.any(|file| matches!(file.path.as_str(), "bin/busybox" | "usr/bin/busybox"))
    };
    let provides_busybox = |package: &InstalledPackage| {
        let mut provides = package.record.provides.iter();
        provides.any(|name| name.as_str().contains("busybox"))
    };
    let named = installed
        .iter()
        .find(|package| package.record.name == "busybox")
        .or_else(|| installed.iter().rfind(|package| provides_busybox(package)));
    let package = named
        .or_else(|| installed.iter().find(|package| has_busybox(package)))
        .map(|package| &package.record);
    let (name, version) = match package {
        Some(record) => (record.name.as_str(), record.version.as_str()),
        None => ("busybox", ""),
    };
    if let Ok(list) = tree.read(&format!("etc/busybox-paths.d/{name}")) {
        return String::from_utf8_lossy(&list)
            .split('\n')
            .map(str::to_owned)
            .collect();
    }
    let mut applets = applets(version.split('-').next().unwrap_or(version));
    if named.is_none()
        && let Ok(Content::File(program)) = tree.get(BUSYBOX).map(Node::content)
        && program.len() <= MAX_PROGRAM
        && let Ok(program) = program.read()
    {
        let names = applet_names(&program);
        let has = |path: &String| path.rsplit('/').next().is_some_and(|name| names.contains(name));
        // A program that does not say what it has may have all.
        if applets.iter().any(has) {
            applets.retain(has);
        }
    }
    applets
}

/// The names of the applets that are compiled into a program: busybox has them one after the other in ascending order,
/// each with a NUL behind it, which nothing else in it has as many of.
fn applet_names(program: &[u8]) -> BTreeSet<&str> {
    let is_name = |text: &[u8]| {
        let is_usual =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-+[".contains(byte);
        !text.is_empty() && text.iter().all(is_usual)
    };
    let (mut run, mut longest): (Vec<&[u8]>, Vec<&[u8]>) = Default::default();
    for text in program.split(|byte| *byte == 0) {
        if !is_name(text) || run.last().is_some_and(|last| *last >= text) {
            run.clear();
        }
        if is_name(text) {
            run.push(text);
        }
        if run.len() > longest.len() {
            longest.clone_from(&run);
        }
    }
    longest
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok())
        .collect()
}

/// The paths of all applets of a version such as `1.36.1`, in byte order.
fn applets(version: &str) -> Vec<String> {
    let lines = || {
        APPLETS
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    };
    let known: BTreeSet<&str> = lines()
        .filter_map(|line| line.strip_prefix("versions "))
        .flat_map(str::split_whitespace)
        .collect();
    let newest = known.last().copied().unwrap_or_default();
    let version = if known.contains(version) { version } else { newest };
    let mut applets: Vec<String> = lines()
        .filter(|line| line.starts_with('/'))
        .flat_map(|line| {
            let mut words = line.split_whitespace();
            let directory = words.next().unwrap_or_default();
            words.filter_map(move |word| {
                let (name, versions) = word.split_once('@').unwrap_or((word, version));
                versions
                    .split(',')
                    .any(|only| only == version)
                    .then(|| format!("{directory}/{name}"))
            })
        })
        .collect();
    applets.sort_unstable();
    applets
}

#[cfg(test)]
mod tests {
    use super::{applet_names, applets};

    #[test]
    fn versions_differ_by_their_applets() {
        let has = |version: &str, path: &str| applets(version).iter().any(|applet| applet == path);
        let table = [
            ("1.32.1", "/bin/base32", false),
            ("1.33.0", "/bin/base32", true),
            ("1.33.0", "/bin/bash", true),
            ("1.34.0", "/bin/bash", false),
            ("1.34.1", "/bin/bash", true),
            ("1.35.0", "/usr/bin/tree", false),
            ("1.36.0", "/usr/bin/tree", true),
            ("1.36.1", "/usr/bin/tree", true),
            ("", "/usr/bin/tree", true),
            ("1.32.1", "/bin/sh", true),
        ];
        for (version, path, there) in table {
            assert_eq!(has(version, path), there, "{path} in {version}");
        }
        assert_eq!(applets("1.32.1").len(), 427);
        assert_eq!(applets("1.36.0").len(), 433);
    }
    #[test]
    fn a_program_says_which_applets_it_has() {
        let program = b"\x7fELF\0\0usage\0a\0b\0Usage: x\0[\0[[\0ash\0cat\0fsck.minix\0zcip\0cat\0\0\xff\0";
        let names: Vec<&str> = applet_names(program).into_iter().collect();
        assert_eq!(names, ["[", "[[", "ash", "cat", "fsck.minix", "zcip"]);
        assert!(applet_names(b"").len() <= 1);
    }
}
