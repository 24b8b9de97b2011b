//! `usr/lib/apk/db/installed`: which packages are installed and which files are whose.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Write as _;

use apk_types::{Checksum, Dependency, PackageRecord};

use crate::install::Installed;

/// Where the database lies.
pub const PATH: &str = "usr/lib/apk/db/installed";

/// A file or directory of an installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledFile {
    /// Its path, relative to the root, without a trailing `/`.
    pub path: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
    /// The owner that the package states. (In the tree all files of packages are root's, as in the Go tool.)
    pub uid: u32,
    /// The group that the package states.
    pub gid: u32,
    /// The SHA-1 of the content or link target; none for directories and hard links.
    pub checksum: Option<Checksum>,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPackage {
    /// What is known of it.
    pub record: PackageRecord,
    /// Its files and directories, in the order of the database.
    pub files: Vec<InstalledFile>,
}

/// A database that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("installed database, line {line}: {reason}: `{text}`")]
pub struct ParseError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
    /// The line.
    pub text: String,
}

impl InstalledPackage {
    /// Writes its entry: the record, its files sorted by directory, an empty line. Files whose directories are not
    /// among them are left out, since the format has no place for them.
    pub fn write(&self) -> String {
        let mut out = record(&self.record);
        let mut in_top = false;
        let mut in_directory = false;
        for file in sorted(&self.files) {
            let InstalledFile {
                path, mode, uid, gid, ..
            } = file;
            if file.is_directory {
                let _ = writeln!(out, "F:{path}");
                in_directory = true;
            } else {
                if !in_directory && !in_top {
                    out.push_str("F:\n");
                    in_top = true;
                }
                let _ = writeln!(out, "R:{}", path.rsplit('/').next().unwrap_or(path));
            }
            let (usual, key) = if file.is_directory {
                (0o755, 'M')
            } else {
                (0o644, 'a')
            };
            if (*mode, *uid, *gid) != (usual, 0, 0) {
                let _ = writeln!(out, "{key}:{uid}:{gid}:{mode:04o}");
            }
            if let Some(checksum) = file.checksum.filter(|_| !file.is_directory) {
                let _ = writeln!(out, "Z:{checksum}");
            }
        }
        out.push('\n');
        out
    }
}

fn record(record: &PackageRecord) -> String {
    let join = |list: &[Dependency]| list.iter().map(Dependency::as_str).collect::<Vec<_>>().join(" ");
    let mut lines = vec![
        format!("P:{}", record.name),
        format!("V:{}", record.version),
        format!("A:{}", record.arch),
        format!("L:{}", record.license),
        format!("T:{}", record.description),
        format!("o:{}", record.origin),
        format!("m:{}", record.maintainer),
        format!("U:{}", record.url),
        format!("D:{}", join(&record.depends)),
        format!("p:{}", join(&record.provides)),
    ];
    if !record.replaces.is_empty() {
        lines.push(format!("r:{}", join(&record.replaces)));
    }
    lines.push(format!("c:{}", record.commit));
    // The brackets are the Go tool's; apk-tools takes them for part of the names.
    lines.push(format!("i:[{}]", join(&record.install_if)));
    lines.push(format!("t:{}", record.build_time.unwrap_or(0)));
    lines.push(format!("S:{}", record.size));
    lines.push(format!("I:{}", record.installed_size));
    lines.push(format!("k:{}", record.provider_priority.unwrap_or(0)));
    if let Some(checksum) = record.checksum {
        lines.push(format!("C:{checksum}"));
    }
    // A line break in a field would start a field of its own.
    lines.iter().fold(String::new(), |out, line| {
        out + &line.replace(['\n', '\r'], " ") + "\n"
    })
}

/// Sorts by directory, each directory's files before its directories, and leaves out what has no directory.
fn sorted(files: &[InstalledFile]) -> Vec<&InstalledFile> {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|a, b| order(a, b));
    let directories: HashSet<&str> = files
        .iter()
        .filter(|file| file.is_directory)
        .map(|file| file.path.as_str())
        .collect();
    let has_place = |path: &str| {
        let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        parents.all(|parent| directories.contains(parent))
    };
    sorted.retain(|file| has_place(&file.path));
    sorted
}

fn order(a: &InstalledFile, b: &InstalledFile) -> Ordering {
    let key = |file: &InstalledFile| {
        let last = file.path.matches('/').count();
        let is_directory = file.is_directory;
        move |(at, part)| (at < last || is_directory, part)
    };
    let left = a.path.split('/').enumerate().map(key(a));
    left.cmp(b.path.split('/').enumerate().map(key(b)))
}

/// Reads a database.
pub fn parse(text: &str) -> Result<Vec<InstalledPackage>, ParseError> {
    let mut packages = Vec::new();
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() {
            packages.extend(reader.package());
            continue;
        }
        reader.line(line).map_err(|reason| ParseError {
            line: index + 1,
            reason,
            text: line.to_owned(),
        })?;
    }
    packages.extend(reader.package());
    Ok(packages)
}

/// Reads the database of lower layers, with the entries that the Go apko writes of them into the database of an upper
/// layer: permissions and checksums of files are lost, and the brackets around `i:` are doubled.
pub fn carry_over(text: &str) -> Result<Vec<Installed>, ParseError> {
    let bracketed = text
        .split("\n\n")
        .filter(|entry| entry.lines().any(|line| line.starts_with("P:")))
        .map(|entry| entry.lines().any(|line| line.starts_with("i:[")));
    let carried = |(package, bracketed): (InstalledPackage, bool)| {
        let bare = |file: &InstalledFile| InstalledFile {
            mode: if file.is_directory { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            checksum: None,
            ..file.clone()
        };
        let bare = InstalledPackage {
            record: package.record.clone(),
            files: package.files.iter().map(bare).collect(),
        };
        let mut entry = bare.write();
        if bracketed && let Some(at) = entry.find("\ni:[") {
            let end = entry[at + 1..].find('\n').map_or(entry.len(), |end| at + 1 + end);
            entry.insert(end, ']');
            entry.insert(at + 3, '[');
        }
        Installed { package, entry }
    };
    Ok(parse(text)?.into_iter().zip(bracketed).map(carried).collect())
}

#[derive(Default)]
struct Reader {
    record: PackageRecord,
    files: Vec<InstalledFile>,
    directory: Option<String>,
    /// Whether the last file or directory takes the next `M:` or `a:`.
    takes: Option<char>,
}

impl Reader {
    fn package(&mut self) -> Option<InstalledPackage> {
        let Self { record, files, .. } = std::mem::take(self);
        (!record.name.is_empty()).then_some(InstalledPackage { record, files })
    }

    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let (key, value) = match line.split_once(':') {
            Some((key, value)) if key.len() == 1 => (key, value),
            _ => return Err("expected a letter, `:` and a value"),
        };
        let list = || {
            let value = value
                .strip_prefix('[')
                .and_then(|value| value.strip_suffix(']'))
                .unwrap_or(value);
            value.split_whitespace().map(Dependency::lenient).collect()
        };
        let number = || value.parse().map_err(|_| "expected a number");
        let record = &mut self.record;
        match key {
            "P" => record.name = value.to_owned(),
            "V" => record.version = value.to_owned(),
            "A" => record.arch = value.to_owned(),
            "L" => record.license = value.to_owned(),
            "T" => record.description = value.to_owned(),
            "o" => record.origin = value.to_owned(),
            "m" => record.maintainer = value.to_owned(),
            "U" => record.url = value.to_owned(),
            "c" => record.commit = value.to_owned(),
            "D" => record.depends = list(),
            "p" => record.provides = list(),
            "r" => record.replaces = list(),
            "i" => record.install_if = list(),
            "q" => record.replaces_priority = Some(number()?),
            "k" => record.provider_priority = Some(number()?),
            "S" => record.size = number()?,
            "I" => record.installed_size = number()?,
            "t" => record.build_time = Some(value.parse().map_err(|_| "expected a number")?),
            "C" => record.checksum = Some(value.parse().map_err(|_| "expected a checksum")?),
            "F" | "R" => return self.file(key == "F", value),
            "M" | "a" => return self.permissions(key, value),
            "Z" => {
                let checksum = value.parse().map_err(|_| "expected a checksum")?;
                let file = self.files.last_mut().filter(|file| !file.is_directory);
                file.ok_or("no file precedes the checksum")?.checksum = Some(checksum);
            }
            _ => {}
        }
        Ok(())
    }

    fn file(&mut self, is_directory: bool, name: &str) -> Result<(), &'static str> {
        if name.split('/').any(|part| part == "..") {
            return Err("a path contains `..`");
        }
        self.takes = Some(if is_directory { 'M' } else { 'a' });
        let path = match self.directory.as_deref() {
            Some(directory) if !is_directory && !directory.is_empty() => format!("{directory}/{name}"),
            _ => name.to_owned(),
        };
        if is_directory {
            self.directory = Some(path.clone());
            if path.is_empty() {
                self.takes = None;
                return Ok(());
            }
        }
        self.files.push(InstalledFile {
            path,
            is_directory,
            mode: if is_directory { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            checksum: None,
        });
        Ok(())
    }

    fn permissions(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        let file = match self.files.last_mut() {
            Some(file) if self.takes == key.chars().next() => file,
            _ => return Err("nothing precedes the permissions"),
        };
        let reason = "expected a user id, a group id and an octal mode";
        let mut fields = value.split(':');
        let (Some(uid), Some(gid), Some(mode), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(reason);
        };
        file.uid = uid.parse().map_err(|_| reason)?;
        file.gid = gid.parse().map_err(|_| reason)?;
        file.mode = u32::from_str_radix(mode, 8).map_err(|_| reason)?;
        Ok(())
    }
}
