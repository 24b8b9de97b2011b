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

#[test]
fn the_cache_lists_what_ldconfig_lists() {
    let ldconfig = ["/sbin/ldconfig", "/usr/sbin/ldconfig"].map(PathBuf::from);
    let ldconfig = ldconfig.into_iter().find(|path| path.is_file());
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let (Some(ldconfig), Ok(entries)) = (ldconfig, fs::read_dir(&multiarch)) else {
        eprintln!("skipped: no ldconfig, or no libraries in {multiarch}");
        return;
    };
    let mut tree = Tree::new();
    for directory in ["lib", "etc", "opt/libs"] {
        tree.mkdir_all(directory, 0o755).unwrap();
    }
    tree.write_file("etc/ld.so.conf", "# ours\n/opt/libs\n", 0o644)
        .unwrap();
    let mut count = 0;
    for entry in entries.flatten() {
        // As packages have them: the library, and its soname as a link to it.
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let is_small = entry.path().metadata().is_ok_and(|meta| meta.len() < 1 << 20);
        let target = target.to_string_lossy().into_owned();
        if name.contains(".so.") && !target.contains('/') && is_small && count < 40 {
            count += 1;
            let directory = if count % 2 == 0 { "lib" } else { "opt/libs" };
            let content = fs::read(entry.path()).unwrap();
            tree.write_file(&format!("{directory}/{target}"), content, 0o755)
                .unwrap();
            tree.symlink(&target, &format!("{directory}/{name}")).unwrap();
        }
    }
    if count == 0 {
        eprintln!("skipped: no libraries in {multiarch}");
        return;
    }
    ldso::update(&mut tree).unwrap();
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
