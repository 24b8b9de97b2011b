//! `apko clean`, and where the cache is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use cli_support::{cache_directory, parse_duration, parse_size, print, size};
use content_cache::{Cache, Clean as What, Report};
use serde_json::json;

use crate::failure::{Failure, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko clean                      # all of it
  apko clean --max-size 10GB      # what was not used for longest, until 10 GB are left
  apko clean --older-than 30d     # what was not used for 30 days
  apko clean --dry-run            # only tells";

#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// The cache's directory; `apko` in XDG_CACHE_HOME or ~/.cache if not given
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Keeps so many bytes of what was used last, such as 500MB or 10GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_size: Option<u64>,
    /// Removes only what was not used for so long, such as 12h or 30d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    older_than: Option<Duration>,
    /// Tells what would be removed and removes nothing
    #[arg(long)]
    dry_run: bool,
    /// Writes what was removed as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn clean(arguments: &Clean) -> Outcome {
    let directory = cache_directory(arguments.cache_dir.as_deref());
    let directory = directory.ok_or_else(|| {
        Failure::usage("there is no home directory: say where the cache is with --cache-dir")
    })?;
    let what = What {
        older_than: arguments.older_than,
        max_size: arguments.max_size,
        dry_run: arguments.dry_run,
    };
    let report = Cache::at(&directory)
        .clean(&what)
        .map_err(|error| Failure::at(&directory, &error))?;
    let text = match arguments.json {
        true => as_json(&directory, &what, &report),
        false => as_text(&directory, &what, &report),
    };
    print(&text).map_err(|error| Failure::work(&error))
}

fn as_text(directory: &Path, what: &What, report: &Report) -> String {
    format!(
        "{}: {} {} in {} files, {} in {} files {}\n",
        directory.display(),
        if what.dry_run { "would remove" } else { "removed" },
        size(report.removed_size()),
        report.removed.len(),
        size(report.kept_size),
        report.kept,
        if what.dry_run { "would be left" } else { "are left" },
    )
}

fn as_json(directory: &Path, what: &What, report: &Report) -> String {
    let removed = report.removed.iter();
    let removed: Vec<_> = removed
        .map(|one| json!({"path": one.path, "size": one.size}))
        .collect();
    let report = json!({
        "directory": directory,
        "dryRun": what.dry_run,
        "removed": removed,
        "removedSize": report.removed_size(),
        "kept": report.kept,
        "keptSize": report.kept_size,
    });
    format!("{report:#}\n")
}
