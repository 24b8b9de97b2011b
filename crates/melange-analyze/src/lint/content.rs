//! Linters that look at modes and contents.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Item, LintError, Report, Subject, count, report_items, report_paths};
use crate::TreeEntry;
use crate::elf::{self, ElfFile};
use crate::tree::{base_name, extension};

type Checked = Result<Option<Report>, LintError>;

/// Smaller copies are not worth a word.
const SMALLEST_DUPLICATE: u64 = 1024;

#[allow(clippy::unwrap_used, reason = "a constant pattern, which the tests use")]
static LICENSE_FILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(un)?(licen[sc]e|copying|copyright|notice|ofl|patents)([._-].*)?$|[._-](licen[sc]e|copying)(\.[a-z]+)?$").unwrap()
});

/// What the build itself writes.
pub(super) fn is_ignored(path: &str) -> bool {
    path.starts_with("var/lib/db/sbom/")
}

/// The ELF files among programs and libraries.
fn elf_files<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (&'a TreeEntry, ElfFile)> {
    let is_library = |entry: &TreeEntry| [".a", ".so", ".dylib"].contains(&extension(&entry.path));
    subject
        .tree
        .entries()
        .iter()
        .filter(move |entry| entry.is_file() && !is_ignored(&entry.path))
        .filter(move |entry| entry.mode & 0o111 != 0 || is_library(entry))
        .filter_map(|entry| Some((entry, elf::read(subject.tree.open(&entry.path).ok()?)?)))
}

pub(super) fn foreign_binaries(subject: &Subject<'_>) -> Checked {
    use object::elf::{EM_386, EM_AARCH64, EM_ARM, EM_MIPS, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64};
    let foreign = |(entry, file): (&TreeEntry, ElfFile)| {
        let name = match file.machine {
            EM_X86_64 | EM_AARCH64 => return None,
            EM_386 => "i386".into(),
            EM_ARM => "arm".into(),
            EM_PPC64 => "ppc64".into(),
            EM_S390 => "s390".into(),
            EM_MIPS => "mips".into(),
            EM_RISCV => "riscv".into(),
            other => format!("unknown ({})", other.0).into(),
        };
        Some(Item {
            path: entry.path.clone(),
            note: Some(name),
        })
    };
    Ok(report_items(
        elf_files(subject).filter_map(foreign).collect(),
        |number| {
            let binaries = count(number, "binary", "binaries");
            format!(
                "{} contains {binaries} compiled for unsupported architectures",
                subject.name
            )
        },
    ))
}

pub(super) fn unstripped(subject: &Subject<'_>) -> Checked {
    let unstripped = elf_files(subject).filter(|(_, file)| file.has_debug_sections);
    let paths = unstripped.map(|(entry, _)| entry.path.clone()).collect();
    Ok(report_paths(paths, |number| {
        format!(
            "{} contains {}",
            subject.name,
            count(number, "unstripped binary", "unstripped binaries")
        )
    }))
}

/// The files with one of the bits, and their `permissions` in words.
fn with_mode(
    subject: &Subject<'_>,
    bits: u32,
    permissions: &[(u32, &str)],
    message: impl FnOnce(usize) -> String,
) -> Option<Report> {
    let entries = subject.tree.entries().iter();
    let entries = entries.filter(|entry| entry.is_file() && entry.mode & bits != 0);
    let entries: Vec<&TreeEntry> = entries.collect();
    let details = entries.iter().map(|entry| {
        let permissions = permissions.iter().filter(|(bits, _)| entry.mode & bits != 0);
        let permissions: Vec<&str> = permissions.map(|(_, name)| *name).collect();
        json!({ "path": entry.path, "mode": format!("{:o}", entry.mode), "permissions": permissions })
    });
    let details = json!({ "files": details.collect::<Vec<_>>() });
    let items = entries.iter().map(|entry| Item {
        path: entry.path.clone(),
        note: Some(format!("mode {:o}", entry.mode).into()),
    });
    let report = report_items(items.collect(), message)?;
    Some(Report {
        details: Some(details),
        ..report
    })
}

pub(super) fn special_modes(subject: &Subject<'_>) -> Checked {
    let permissions = [(0o4000, "setuid"), (0o2000, "setgid"), (0o1000, "sticky")];
    Ok(with_mode(subject, 0o7000, &permissions, |number| {
        let files = count(number, "file", "files");
        format!(
            "{} contains {files} with special permissions (setuid/setgid)",
            subject.name
        )
    }))
}

pub(super) fn world_writable(subject: &Subject<'_>) -> Checked {
    let permissions = [(0o002, "world-writable"), (0o111, "executable")];
    Ok(with_mode(subject, 0o002, &permissions, |number| {
        format!(
            "{} contains {}",
            subject.name,
            count(number, "world-writable file", "world-writable files")
        )
    }))
}

/// Files of one name and content.
struct Copies<'a> {
    name: &'a str,
    size: u64,
    paths: Vec<&'a str>,
}

impl Copies<'_> {
    fn wasted(&self) -> u64 {
        self.size * (self.paths.len() as u64 - 1)
    }

    fn details(&self) -> Value {
        json!({
            "basename": self.name,
            "count": self.paths.len(),
            "size_bytes": self.size,
            "size": humane(self.size),
            "wasted_bytes": self.wasted(),
            "wasted_size": humane(self.wasted()),
            "paths": self.paths,
        })
    }
}

pub(super) fn duplicates(subject: &Subject<'_>) -> Checked {
    // Only files of one name and size can be copies, so the others are never read.
    let mut candidates: BTreeMap<(&str, u64), Vec<&TreeEntry>> = BTreeMap::new();
    for entry in subject.tree.entries() {
        let name = base_name(&entry.path);
        if entry.is_file() && entry.size >= SMALLEST_DUPLICATE && !LICENSE_FILE.is_match(name) {
            candidates.entry((name, entry.size)).or_default().push(entry);
        }
    }
    let mut sets = Vec::new();
    for ((name, size), entries) in candidates.into_iter().filter(|(_, entries)| entries.len() > 1) {
        let mut copies: BTreeMap<[u8; 32], Vec<&str>> = BTreeMap::new();
        for entry in entries {
            copies
                .entry(digest(subject, entry)?)
                .or_default()
                .push(&entry.path);
        }
        let copies = copies.into_values().filter(|paths| paths.len() > 1);
        sets.extend(copies.map(|paths| Copies { name, size, paths }));
    }
    sets.sort_by_key(|copies| Reverse(copies.wasted()));
    let wasted: u64 = sets.iter().map(Copies::wasted).sum();
    let items = sets.iter().flat_map(|Copies { name, size, paths }| {
        let note = format!("{} copies of {name}, {size} bytes each", paths.len());
        paths.iter().map(move |path| Item {
            path: (*path).to_owned(),
            note: Some(note.clone().into()),
        })
    });
    let report = report_items(items.collect(), |_| {
        let files = count(sets.len(), "file", "files");
        format!(
            "{} contains copies of {files} under the same name, {wasted} bytes in all",
            subject.name
        )
    });
    Ok(report.map(|report| Report {
        details: Some(json!({
            "total_duplicate_sets": sets.len(),
            "total_wasted_bytes": wasted,
            "total_wasted_size": humane(wasted),
            "duplicates": sets.iter().map(Copies::details).collect::<Vec<_>>(),
        })),
        ..report
    }))
}

/// A size as the Go melange tells it: `82 B`, `2.0 kB`, `42 MB`.
fn humane(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1000.0;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    // Rounded to tenths before the form is chosen.
    let size = (size * 10.0 + 0.5).floor() / 10.0;
    match size < 10.0 {
        true => format!("{size:.1} {}", UNITS[unit]),
        false => format!("{size:.0} {}", UNITS[unit]),
    }
}

fn digest(subject: &Subject<'_>, entry: &TreeEntry) -> Result<[u8; 32], LintError> {
    let hash = || -> io::Result<[u8; 32]> {
        let mut file = subject.tree.open(&entry.path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hash.finalize().into()),
                read => hash.update(&buffer[..read]),
            }
        }
    };
    hash().map_err(|source| LintError::Read {
        path: entry.path.clone(),
        source,
    })
}
