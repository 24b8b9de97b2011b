//! What the analysis finds in real ELF files is what `readelf` says of them: those in the directories of this machine,
//! or in the directory that `ELF_FILES` names.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use melange_analyze::{Declared, EntryKind, Options, Package, PackageTree, ReadSeek, TreeEntry, analyze};

/// How many files of this machine are enough.
const ENOUGH: usize = 300;

/// A tree of one library.
struct One {
    entry: [TreeEntry; 1],
    file: PathBuf,
}

impl PackageTree for One {
    fn entries(&self) -> &[TreeEntry] {
        &self.entry
    }

    fn open(&self, _: &str) -> io::Result<Box<dyn ReadSeek + '_>> {
        Ok(Box::new(File::open(&self.file)?))
    }
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
    is_file
        && File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok())
        && &magic == b"\x7fELF"
}

fn collect(directory: &Path, most: usize, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if files.len() == most {
            return;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(&path, most, files);
        } else if is_elf(&path) {
            files.push(path);
        }
    }
}

/// What `readelf` prints in brackets on the lines with a mark.
fn bracketed(text: &str, mark: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains(mark));
    let values = lines.filter_map(|line| line.rsplit_once('[')?.1.split_once(']'));
    values.map(|(value, _)| value.to_owned()).collect()
}

/// The needs and sonames that follow from what `readelf` says; nothing where it complains.
fn expected(file: &Path) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let mut readelf = Command::new("readelf");
    let output = readelf
        .args(["-dlW"])
        .arg(file)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    if !output.stderr.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let needed = bracketed(&text, "(NEEDED)").into_iter();
    let needed = needed.filter(|library| library.contains(".so."));
    let mut runtime: BTreeSet<String> = needed.map(|library| format!("so:{library}")).collect();
    let interpreter = text
        .lines()
        .find_map(|line| line.split_once("program interpreter: "));
    if let Some((_, path)) = interpreter {
        let name = path.trim_end_matches(']').rsplit('/').next().unwrap_or_default();
        runtime.insert(format!("so:{name}").replace("so:ld-musl", "so:libc.musl"));
    }
    let name = file.file_name().unwrap().to_string_lossy();
    let is_library = interpreter.is_none() || name.contains(".so.") || name.ends_with(".so");
    let sonames = bracketed(&text, "(SONAME)").into_iter().filter(|_| is_library);
    Some((runtime, sonames.collect()))
}

/// The needs and sonames that the analysis finds in a file.
fn found(file: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = file.file_name().unwrap().to_string_lossy();
    let tree = One {
        entry: [TreeEntry {
            path: format!("usr/lib/{name}"),
            kind: EntryKind::File,
            mode: 0o755,
            size: file.metadata().unwrap().len(),
        }],
        file: file.to_owned(),
    };
    let packages = [("x", &tree as &dyn PackageTree)];
    let found = analyze(&Package {
        name: "x",
        version: "1-r0",
        options: Options::default(),
        declared: &Declared::default(),
        packages: &packages,
    })
    .unwrap();
    let runtime = found.runtime.into_iter().filter(|need| need.starts_with("so:"));
    let provides = found
        .provides
        .iter()
        .filter_map(|entry| entry.strip_prefix("so:")?.split_once('='));
    (
        runtime.collect(),
        provides.map(|(name, _)| name.to_owned()).collect(),
    )
}

#[test]
fn elf_files_say_here_what_readelf_says() {
    if Command::new("readelf").arg("--version").output().is_err() {
        eprintln!("skipped: readelf is not here");
        return;
    }
    let mut files = Vec::new();
    match std::env::var_os("ELF_FILES") {
        Some(directory) => collect(Path::new(&directory), usize::MAX, &mut files),
        None => {
            for directory in ["/usr/bin", "/usr/lib"] {
                let most = files.len() + ENOUGH / 2;
                collect(Path::new(directory), most, &mut files);
            }
        }
    }
    let (all, mut compared) = (files.len(), 0);
    for file in files {
        if let Some(expected) = expected(&file) {
            assert_eq!(found(&file), expected, "{}", file.display());
            compared += 1;
        }
    }
    eprintln!("{compared} of {all} files compared: readelf complains of the others");
}
