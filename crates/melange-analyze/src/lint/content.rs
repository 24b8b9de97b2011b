//! Linters that look at modes and contents.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::LazyLock;

use regex::Regex;
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

fn with_mode(subject: &Subject<'_>, bits: u32) -> Vec<Item> {
    let entries = subject.tree.entries().iter();
    let entries = entries.filter(|entry| entry.is_file() && entry.mode & bits != 0);
    entries
        .map(|entry| Item {
            path: entry.path.clone(),
            note: Some(format!("mode {:o}", entry.mode).into()),
        })
        .collect()
}

pub(super) fn special_modes(subject: &Subject<'_>) -> Checked {
    Ok(report_items(with_mode(subject, 0o7000), |number| {
        let files = count(number, "file", "files");
        format!(
            "{} contains {files} with special permissions (setuid/setgid)",
            subject.name
        )
    }))
}

pub(super) fn world_writable(subject: &Subject<'_>) -> Checked {
    Ok(report_items(with_mode(subject, 0o002), |number| {
        format!(
            "{} contains {}",
            subject.name,
            count(number, "world-writable file", "world-writable files")
        )
    }))
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
    let (mut items, mut sets, mut wasted) = (Vec::new(), 0, 0);
    for ((name, size), entries) in candidates.into_iter().filter(|(_, entries)| entries.len() > 1) {
        let mut copies: BTreeMap<[u8; 32], Vec<&TreeEntry>> = BTreeMap::new();
        for entry in entries {
            copies.entry(digest(subject, entry)?).or_default().push(entry);
        }
        for copies in copies.into_values().filter(|copies| copies.len() > 1) {
            sets += 1;
            wasted += size * (copies.len() as u64 - 1);
            items.extend(copies.iter().map(|entry| Item {
                path: entry.path.clone(),
                note: Some(format!("{} copies of {name}, {size} bytes each", copies.len()).into()),
            }));
        }
    }
    Ok(report_items(items, |_| {
        let files = count(sets, "file", "files");
        format!(
            "{} contains copies of {files} under the same name, {wasted} bytes in all",
            subject.name
        )
    }))
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
