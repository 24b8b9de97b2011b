//! `melange index`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use apk_index::Index;
use apk_package::Limits;
use apk_types::{Arch, PackageRecord};
use clap::Args;
use cli_support::Steps;
use serde_json::json;

use crate::failure::{Failure, Outcome, print};
use crate::sign::load;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  melange index -o packages/x86_64/APKINDEX.tar.gz packages/x86_64/*.apk --signing-key local.rsa
  melange index --merge --source old/APKINDEX.tar.gz -o APKINDEX.tar.gz new-1.0-r0.apk
  melange index --json *.apk | jq -r 'select(.event == \"package\") | .name'

A package takes the place of one with the same name and version, and comes to the end otherwise.")]
pub(crate) struct IndexPackages {
    /// The packages
    #[arg(required = true, value_name = "PACKAGE")]
    packages: Vec<PathBuf>,
    /// The index to write
    #[arg(long, short, default_value = "APKINDEX.tar.gz", value_name = "FILE")]
    output: PathBuf,
    /// The index whose packages --merge begins with; it may be missing
    #[arg(long, short, default_value = "APKINDEX.tar.gz", value_name = "FILE")]
    source: PathBuf,
    /// Leaves out packages of other architectures
    #[arg(long, short, value_name = "ARCH")]
    arch: Option<String>,
    /// The private key to sign with
    #[arg(long, value_name = "KEY")]
    signing_key: Option<PathBuf>,
    /// Begins with the packages of the source index
    #[arg(long, short)]
    merge: bool,
    /// Prints a line of JSON for each package and one for the index
    #[arg(long)]
    json: bool,
}

pub(crate) fn index(arguments: &IndexPackages, steps: &Steps) -> Outcome {
    let start = Instant::now();
    let key = arguments.signing_key.as_deref().map(load).transpose()?;
    let mut index = match arguments.merge {
        true => source(&arguments.source)?,
        false => Index::default(),
    };
    let arch = arguments.arch.as_deref().map(arch_name).transpose()?;
    let mut events = String::new();
    let mut records = Vec::new();
    for path in &arguments.packages {
        let record = record(path)?;
        if let Some(arch) = arch.filter(|arch| *arch != record.arch) {
            let name = record.file_name();
            steps.warn(&format!(
                "{name}: left out: it is for {}, not {arch}",
                record.arch
            ));
            continue;
        }
        events.push_str(&format!("{}\n", event(path, &record)));
        records.push(record);
    }
    let taken = records.len();
    index.merge(records);

    let output = &arguments.output;
    let failed = |error: &dyn std::error::Error| Failure::at(output, error);
    let mut archive = index.to_archive().map_err(|error| failed(&error))?;
    if let Some(key) = &key {
        archive = apk_index::sign(&archive, key.private_key(), key.name()).map_err(|error| failed(&error))?;
    }
    cli_support::write_file(output, &archive, 0o644).map_err(|error| failed(&error))?;

    let signed_by = key.as_ref().map(|key| key.name());
    let by = signed_by.map_or_else(String::new, |name| format!(", signed by {name}"));
    let total = index.packages.len();
    let read = if arguments.merge {
        format!(", {taken} of them read now")
    } else {
        String::new()
    };
    let what = format!("{}  {total} packages{read}{by}", output.display());
    steps.done("Indexed", &what, start.elapsed());
    if arguments.json {
        let file = output.display().to_string();
        let summary = json!({ "event": "index", "file": file, "packages": total, "signedBy": signed_by });
        print(&format!("{events}{summary}\n"))?;
    }
    Ok(())
}

/// The name of an architecture in packages.
fn arch_name(name: &str) -> Outcome<&str> {
    match name {
        "noarch" => Ok(name),
        _ => name
            .parse()
            .map(Arch::apk_name)
            .map_err(|error| Failure::usage(format!("--arch: {error}"))),
    }
}

/// The index to begin with, which is empty where there is none.
fn source(path: &Path) -> Outcome<Index> {
    match fs::read(path) {
        Ok(archive) => {
            Index::open_unverified(&archive, Index::MAX_SIZE).map_err(|error| Failure::at(path, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
        Err(error) => Err(Failure::at(path, &error)),
    }
}

fn record(path: &Path) -> Outcome<PackageRecord> {
    let failed = |error: &dyn std::error::Error| Failure::at(path, error);
    let mut file = File::open(path).map_err(|error| failed(&error))?;
    let size = file.metadata().map_err(|error| failed(&error))?.len();
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    apk_index::record(&name, &mut file, size, &Limits::default()).map_err(|error| {
        // The path names the package already.
        failed(&error.problem)
    })
}

fn event(path: &Path, record: &PackageRecord) -> serde_json::Value {
    json!({
        "event": "package",
        "file": path.display().to_string(),
        "name": record.name,
        "version": record.version,
        "arch": record.arch,
        "size": record.size,
        "checksum": record.checksum.map(|checksum| checksum.to_string()),
    })
}
