//! `ld.so.cache` beside the one that ldconfig makes of the same tree.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apk_rootfs::{Tree, ldso};
use apko::lay_down;

/// What `ldconfig -p` says of a cache, without its first line.
fn listed(ldconfig: &Path, cache: &Path) -> BTreeSet<String> {
    let output = Command::new(ldconfig)
        .arg("-C")
        .arg(cache)
        .arg("-p")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().filter(|line| line.contains("=>"));
    rows.map(|line| line.trim().to_owned()).collect()
}

/// Where in an ELF file the machine stands, and the number of the one that this host is not.
const MACHINE: std::ops::Range<usize> = 18..20;
const AARCH64: u16 = 183;

/// A tree with libraries of this host in two directories, as packages have them: the library, and its soname as a link
/// to it. With a machine given, they claim to be for that one.
fn libraries(machine: Option<u16>) -> Option<Tree> {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut tree = Tree::new();
    for directory in ["lib", "etc", "opt/libs"] {
        tree.mkdir_all(directory, 0o755).unwrap();
    }
    tree.write_file("etc/ld.so.conf", "# ours\n/opt/libs\n", 0o644)
        .unwrap();
    let mut count = 0;
    for entry in fs::read_dir(&multiarch).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let is_small = entry.path().metadata().is_ok_and(|meta| meta.len() < 1 << 20);
        let target = target.to_string_lossy().into_owned();
        if name.contains(".so.") && !target.contains('/') && is_small && count < 40 {
            count += 1;
            let directory = if count % 2 == 0 { "lib" } else { "opt/libs" };
            let mut content = fs::read(entry.path()).unwrap();
            if let Some(machine) = machine {
                content[MACHINE].copy_from_slice(&machine.to_le_bytes());
            }
            tree.write_file(&format!("{directory}/{target}"), content, 0o755)
                .unwrap();
            tree.symlink(&target, &format!("{directory}/{name}")).unwrap();
        }
    }
    ldso::update(&mut tree).unwrap();
    (count > 0).then_some(tree)
}

fn ldconfig() -> Option<PathBuf> {
    let mut paths = ["/sbin/ldconfig", "/usr/sbin/ldconfig"]
        .map(PathBuf::from)
        .into_iter();
    paths.find(|path| path.is_file())
}

#[test]
fn the_cache_lists_what_ldconfig_lists() {
    let (Some(ldconfig), Some(tree)) = (ldconfig(), libraries(None)) else {
        eprintln!("skipped: no ldconfig, or no libraries");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    lay_down(&tree, &root).unwrap();
    let cache = root.join("etc/ld.so.cache");
    let ours = listed(&ldconfig, &cache);
    // Links that ldconfig would make do not count: it lists what a soname leads to, as we do.
    let made = Command::new(&ldconfig)
        .arg("-X")
        .arg("-r")
        .arg(&root)
        .output()
        .unwrap();
    if !made.status.success() {
        eprintln!("skipped: ldconfig -r needs root");
        return;
    }
    let theirs = listed(&ldconfig, &cache);
    assert!(!ours.is_empty());
    assert_eq!(ours, theirs);
}

/// No ldconfig makes a cache for another machine than its own, but each lists it.
#[test]
fn ldconfig_lists_the_cache_of_aarch64_as_it_lists_that_of_x86_64() {
    let libraries = |machine| libraries(machine).filter(|_| cfg!(target_arch = "x86_64"));
    let (Some(ldconfig), Some(here), Some(there)) = (ldconfig(), libraries(None), libraries(Some(AARCH64)))
    else {
        eprintln!("skipped: no ldconfig, no libraries, or this is no x86_64");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let listed = |tree: &Tree, name: &str| {
        let cache = directory.path().join(name);
        fs::write(&cache, tree.read("etc/ld.so.cache").unwrap()).unwrap();
        listed(&ldconfig, &cache)
    };
    let (here, there) = (listed(&here, "here"), listed(&there, "there"));
    let named = |row: &String| row.replace("(libc6,x86-64)", "(libc6,AArch64)");
    assert!(
        !there.is_empty() && there.iter().all(|row| row.contains("(libc6,AArch64)")),
        "{there:?}"
    );
    assert_eq!(there, here.iter().map(named).collect());
}
