//! Commands that a package has, and the interpreters its scripts need.

use std::io::Read;

use super::{Found, Package, lies_in};
use crate::tree::base_name;

/// Directories whose programs are commands.
const COMMAND_DIRECTORIES: [&str; 4] = ["bin/", "sbin/", "usr/bin/", "usr/sbin/"];

/// Where scripts are looked at.
const SCRIPT_PREFIXES: [&str; 3] = ["usr/bin/", "usr/local/bin/", "usr/local/sbin/"];

/// How far into a file its first line is looked for.
const FIRST_LINE: u64 = 80;

/// Interpreters that make no dependency: no package provides them as regular files, or several do.
const NO_DEPENDENCY: [&str; 5] = ["python3", "python", "sh", "awk", "luajit"];

/// Regular files that all may read and execute, in the directories of commands.
pub(super) fn provided(package: &Package<'_>, found: &mut Found) {
    for entry in package.tree().entries() {
        if entry.is_file() && entry.mode & 0o555 == 0o555 && lies_in(&entry.path, &COMMAND_DIRECTORIES) {
            let command = base_name(&entry.path);
            let name = format!("cmd:{command}={}", package.version);
            found.provides(name, &entry.path, "is that command");
        }
    }
}

/// What the first lines of scripts ask for.
pub(super) fn interpreters(package: &Package<'_>, found: &mut Found) {
    let tree = package.tree();
    for entry in tree.entries() {
        let wanted = SCRIPT_PREFIXES
            .iter()
            .any(|prefix| entry.path.starts_with(prefix));
        if !wanted || entry.is_symlink() || entry.is_dir() {
            continue;
        }
        let mut start = Vec::new();
        let Ok(file) = tree.open(&entry.path) else {
            continue;
        };
        if file.take(FIRST_LINE).read_to_end(&mut start).is_err() {
            continue;
        }
        if let Some(interpreter) = interpreter(&start) {
            found.needs(
                format!("cmd:{interpreter}"),
                &entry.path,
                "names it in its first line",
            );
        }
    }
}

/// The name of the program that a script's first bytes ask for, if it makes a dependency.
fn interpreter(start: &[u8]) -> Option<String> {
    let line = start.strip_prefix(b"#!")?;
    let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next()?).into_owned();
    let words: Vec<&str> = line.split_whitespace().collect();
    let program = match words[..] {
        [] | ["/usr/bin/env"] => return None,
        ["/usr/bin/env", program] => program,
        ["/usr/bin/env", "-S", program, ..] if !program.starts_with('-') => program,
        ["/usr/bin/env", ..] => return None,
        [program, ..] => program,
    };
    let name = base_name(program);
    (!NO_DEPENDENCY.contains(&name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_name_their_interpreter() {
        for (line, name) in [
            ("#!/bin/bash\n", Some("bash")),
            ("#! /usr/bin/perl -w\nuse x;", Some("perl")),
            ("#!/usr/bin/env ruby", Some("ruby")),
            ("#!/usr/bin/env -S node --x\n", Some("node")),
            ("#!/usr/bin/env -S -i node\n", None),
            ("#!/usr/bin/env A=1 node\n", None),
            ("#!/usr/bin/env\n", None),
            ("#!/usr/bin/env python3\n", None),
            ("#!/bin/sh -e\n", None),
            ("#!  \n", None),
            ("plain\n", None),
            ("#", None),
        ] {
            assert_eq!(interpreter(line.as_bytes()).as_deref(), name, "{line:?}");
        }
    }
}
