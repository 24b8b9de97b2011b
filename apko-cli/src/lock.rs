//! `apko lock`.

use std::env;
use std::path::PathBuf;
use std::time::Instant;

use apko::{Keep, LockRequest, Lockfile, Policy, lock as lock_packages};
use clap::Args;
use cli_support::Steps;

use crate::args::{Archs, Sources};
use crate::build::{additions, archs, read_lock, write_file};
use crate::failure::{Failure, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko lock web.yaml                    # writes web.lock.json
  apko lock --update openssl web.yaml   # a newer openssl; all else stays as it is locked
  apko lock --check web.yaml            # for CI: does web.lock.json fit web.yaml?

Exit status: 0 written, or it fits; 1 the work failed, or it does not fit; 2 the command line or the configuration
is wrong.";

#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The image configuration
    config: PathBuf,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    archs: Archs,
    /// Writes nothing; fails where the lock file does not fit the configuration
    #[arg(long, conflicts_with = "update")]
    check: bool,
    /// Chooses these packages anew; all others stay at the versions of the lock file
    #[arg(long, value_delimiter = ',', value_name = "PACKAGE")]
    update: Vec<String>,
    /// The file to write; CONFIG with the ending `.lock.json` if not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where to look for files that are not in the working directory
    #[arg(long, value_delimiter = ',', value_name = "DIR")]
    include_paths: Vec<PathBuf>,
    /// Takes indexes whose signature is missing or wrong
    #[arg(long)]
    ignore_signatures: bool,
}

pub(crate) fn lock(arguments: &Lock, steps: &Steps) -> Outcome {
    let start = Instant::now();
    let loaded = arguments
        .sources
        .load(&arguments.config, &arguments.include_paths, steps)?;
    let archs = archs(&arguments.archs.arch, &loaded.configuration)?;
    let additions = additions(&arguments.sources, &[]);
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| arguments.config.with_extension("lock.json"));
    if arguments.check {
        read_lock(&output, &loaded, &additions, &archs)?;
        steps.done("Checked", &format!("{} fits", output.display()), start.elapsed());
        return Ok(());
    }
    let old = match arguments.update.is_empty() {
        true => None,
        false => Some(Lockfile::read(&output).map_err(|error| Failure::work(&error))?),
    };
    let (client, progress) = arguments.sources.client(None, steps)?;
    let policy = Policy {
        client,
        ignore_signatures: arguments.ignore_signatures,
        ..Policy::default()
    };
    let request = LockRequest {
        name: &arguments.config.display().to_string(),
        loaded: &loaded,
        additions: &additions,
        archs: &archs,
        policy: &policy,
        store: &arguments.sources.store(&env::temp_dir(), steps)?,
        keep: old.as_ref().map(|lockfile| Keep {
            lockfile,
            except: &arguments.update,
        }),
    };
    let lockfile = lock_packages(&request)?;
    progress.done();
    let json = lockfile.to_json().map_err(|error| Failure::work(&error))?;
    write_file(&output, &json)?;
    let count = lockfile.contents.packages.len();
    let what = format!("{count} packages into {}", output.display());
    steps.done("Locked", &what, start.elapsed());
    Ok(())
}
