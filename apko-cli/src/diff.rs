//! `apko diff`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use apk_types::Arch;
use apko::{Change, Contents, Diff, FileState, Lockfile};
use clap::Args;
use cli_support::size;
use oci_image::{LayoutError, read_layout};

use crate::build::print;
use crate::failure::{Failure, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko diff old.lock.json new.lock.json
  apko diff out-1.0/ out-1.1/                # two OCI layouts
  apko diff --exit-code --json old/ new/

Exit status: 0 compared; with --exit-code 1 where something differs; 1 also when one of them cannot be read.";

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// A lock file, or the directory of an OCI layout
    before: PathBuf,
    /// Another of the same kind
    after: PathBuf,
    /// Architectures to compare; all if not given
    #[arg(long, value_delimiter = ',')]
    arch: Vec<String>,
    /// As JSON: an object by architecture
    #[arg(long)]
    json: bool,
    /// Fails where something differs
    #[arg(long)]
    exit_code: bool,
}

pub(crate) fn diff(arguments: &DiffArguments) -> Outcome {
    if arguments.before.is_dir() != arguments.after.is_dir() {
        return Err(Failure::usage("a lock file and an image cannot be compared"));
    }
    let archs = cli_support::parse_archs(&arguments.arch)
        .map_err(|text| Failure::usage(format!("--arch: {text}")))?;
    let (before, after) = (read(&arguments.before, &archs)?, read(&arguments.after, &archs)?);
    let none = Contents::default();
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let diffs: BTreeMap<&String, Diff> = names
        .into_iter()
        .map(|arch| {
            let of = |contents: &'_ BTreeMap<String, Contents>| {
                contents.get(arch).cloned().unwrap_or_else(|| none.clone())
            };
            (arch, Diff::between(&of(&before), &of(&after)))
        })
        .collect();
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&diffs).map_err(|error| Failure::work(&error))? + "\n",
        false => diffs.iter().map(|(arch, diff)| text(arch, diff)).collect(),
    };
    print(&text)?;
    let differs = diffs.values().any(|diff| !diff.is_empty());
    match arguments.exit_code && differs {
        true => Err(Failure {
            text: format!(
                "{} and {} differ",
                arguments.before.display(),
                arguments.after.display()
            ),
            status: cli_support::EXIT_FAILED,
        }),
        false => Ok(()),
    }
}

fn read(path: &Path, archs: &[Arch]) -> Outcome<BTreeMap<String, Contents>> {
    if !path.is_dir() {
        let lockfile = Lockfile::read(path).map_err(|error| Failure::work(&error))?;
        let mut contents = Contents::of_lockfile(&lockfile);
        contents.retain(|name, _| archs.iter().any(|arch| arch.apk_name() == name) || name == "noarch");
        return Ok(contents);
    }
    let mut images = BTreeMap::new();
    for arch in archs {
        match read_layout(path, arch.platform().architecture) {
            Ok(image) => {
                let contents = Contents::of_image(&image).map_err(|error| Failure::at(path, &error))?;
                images.insert(arch.to_string(), contents);
            }
            Err(LayoutError::NoImage { .. }) => {}
            Err(error) => return Err(Failure::work(&error)),
        }
    }
    Ok(images)
}

fn text(arch: &str, diff: &Diff) -> String {
    let mut out = format!("{arch}\n");
    if diff.is_empty() {
        out += "  no difference\n";
    }
    section(&mut out, "packages", &diff.packages, |change| {
        versions(change.before.as_deref(), change.after.as_deref())
    });
    section(&mut out, "files", &diff.files, |change| {
        match (&change.before, &change.after) {
            (Some(before), Some(after)) => file(before, after),
            (Some(file), None) | (None, Some(file)) if file.kind == "file" => size(file.size),
            (Some(file), None) | (None, Some(file)) => file.kind.to_owned(),
            (None, None) => String::new(),
        }
    });
    section(&mut out, "settings", &diff.settings, |change| {
        versions(change.before.as_deref(), change.after.as_deref())
    });
    if diff.size.0 != diff.size.1 {
        let _ = writeln!(out, "  size  {} → {}", size(diff.size.0), size(diff.size.1));
    }
    if diff.compressed.0 != diff.compressed.1 {
        let (before, after) = diff.compressed;
        let _ = writeln!(out, "  compressed  {} → {}", size(before), size(after));
    }
    out
}

fn section<T>(out: &mut String, title: &str, changes: &[Change<T>], describe: impl Fn(&Change<T>) -> String) {
    if changes.is_empty() {
        return;
    }
    let _ = writeln!(out, "  {title}");
    for change in changes {
        let sign = match (&change.before, &change.after) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        let _ = writeln!(out, "    {sign} {}  {}", change.name, describe(change));
    }
}

fn versions(before: Option<&str>, after: Option<&str>) -> String {
    match (before, after) {
        (Some(before), Some(after)) => {
            // A lock file's version has the checksum behind it, which matters where nothing else differs.
            let short = |text: &'_ str| text.split(" Q1").next().unwrap_or(text).to_owned();
            match short(before) == short(after) {
                true => format!("{before} → {after}"),
                false => format!("{} → {}", short(before), short(after)),
            }
        }
        (one, other) => one
            .or(other)
            .and_then(|text| text.split(" Q1").next())
            .unwrap_or_default()
            .to_owned(),
    }
}

fn file(before: &FileState, after: &FileState) -> String {
    let mut parts = Vec::new();
    if before.kind != after.kind {
        parts.push(format!("{} → {}", before.kind, after.kind));
    } else if before.content != after.content {
        parts.push(match before.kind {
            "file" if before.size != after.size => {
                format!("content, {} → {}", size(before.size), size(after.size))
            }
            "file" => "content".to_owned(),
            _ => format!("{} → {}", before.content, after.content),
        });
    }
    if before.mode != after.mode {
        parts.push(format!("mode {:04o} → {:04o}", before.mode, after.mode));
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        parts.push(format!(
            "owner {}:{} → {}:{}",
            before.uid, before.gid, after.uid, after.gid
        ));
    }
    parts.join(", ")
}
