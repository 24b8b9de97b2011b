//! `melange bump`.

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use apk_types::Arch;
use clap::Args;
use cli_support::{Steps, chain};
use melange_config::{BumpError, BumpRequest, Bumped, Fetch, bump as bumped};

use crate::failure::{Failure, Outcome, print};

pub(crate) const EXAMPLES: &str = "\
Examples:
  melange bump hello.yaml 2.13
  melange bump hello.yaml 2.13 --expected-commit 8a3d4b6f0c5e2d1a9b7c6e5f4d3c2b1a09876543
  melange bump hello.yaml 2.13 --dry-run --json

The epoch becomes 0, or one more where the version stays. What the URLs of `fetch` steps name is downloaded for its
checksums. All else in the file stays as it is.
Exit status: 0 bumped, 1 a download failed, 2 the command line or the configuration is wrong.";

#[derive(Debug, Args)]
pub(crate) struct Bump {
    /// The build configuration, which is changed
    config: PathBuf,
    /// The new version
    #[arg(value_name = "VERSION")]
    target: String,
    /// The commit that git-checkout steps should expect
    #[arg(long, value_name = "COMMIT")]
    expected_commit: Option<String>,
    /// Leaves the file as it is
    #[arg(long)]
    dry_run: bool,
    /// Prints the changes as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn bump(arguments: &Bump, steps: &Steps) -> Outcome {
    let start = Instant::now();
    let path = &arguments.config;
    let text = fs::read_to_string(path).map_err(|error| Failure::at(path, &error))?;
    let request = BumpRequest {
        version: arguments.target.clone(),
        expected_commit: arguments.expected_commit.clone(),
        arch: Arch::host().unwrap_or(Arch::X86_64),
    };
    let bumped = bumped(&text, &path.display().to_string(), &request, &mut Downloads)?;
    bumped.warnings.iter().for_each(|warning| steps.warn(warning));
    if !arguments.dry_run && bumped.text != text {
        let mode = path
            .metadata()
            .map(|metadata| metadata.permissions().mode() & 0o777);
        let mode = mode.map_err(|error| Failure::at(path, &error))?;
        cli_support::write_file(path, bumped.text.as_bytes(), mode)
            .map_err(|error| Failure::at(path, &error))?;
    }
    if arguments.json {
        return print(&format!("{}\n", json(&bumped)));
    }
    for change in &bumped.changes {
        let old = change.old.as_deref().unwrap_or("nothing");
        steps.done(
            "Changed",
            &format!("{}  {old} → {}", change.path, change.new),
            start.elapsed(),
        );
    }
    Ok(())
}

fn json(bumped: &Bumped) -> serde_json::Value {
    let changes = bumped.changes.iter();
    let changes = changes
        .map(|change| serde_json::json!({ "path": change.path, "old": change.old, "new": change.new }));
    serde_json::json!({ "changes": changes.collect::<Vec<_>>(), "warnings": bumped.warnings })
}

impl From<BumpError> for Failure {
    fn from(error: BumpError) -> Self {
        match error {
            BumpError::Configuration(error) => error.into(),
            error @ BumpError::Fetch { .. } => Self::work(chain(&error)),
            error => Self::usage(chain(&error)),
        }
    }
}

/// Sources from where their URLs say.
struct Downloads;

impl Fetch for Downloads {
    fn open(&mut self, url: &str) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
        match url.strip_prefix("file://") {
            Some(path) => Ok(Box::new(File::open(path)?)),
            None => Err("only file:// can be read yet".into()),
        }
    }
}
