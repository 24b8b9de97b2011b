//! `melange sign` and `melange sign-index`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use apk_index::Index;
use apk_package::Limits;
use clap::Args;
use cli_support::{Steps, chain};
use melange::SigningKey;

use crate::failure::{Failure, Outcome};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  melange sign --signing-key local.rsa packages/x86_64/*.apk
  melange sign *.apk                                    # with local-melange.rsa

Each package is replaced by the same package with the new signature in the place of the ones it had.")]
pub(crate) struct Sign {
    /// The packages
    #[arg(required = true, value_name = "PACKAGE")]
    packages: Vec<PathBuf>,
    /// The private key to sign with; readers know it by its file name with .pub behind it
    #[arg(long, short = 'k', default_value = "local-melange.rsa", value_name = "KEY")]
    signing_key: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  melange sign-index --signing-key local.rsa packages/x86_64/APKINDEX.tar.gz
  melange sign-index --signing-key new.rsa --force packages/x86_64/APKINDEX.tar.gz

An index that is signed already is left as it is without --force.")]
pub(crate) struct SignIndex {
    /// The indexes
    #[arg(required = true, value_name = "INDEX")]
    indexes: Vec<PathBuf>,
    /// The private key to sign with; readers know it by its file name with .pub behind it
    #[arg(long, default_value = "melange.rsa", value_name = "KEY")]
    signing_key: PathBuf,
    /// Puts the new signature in the place of those that an index has
    #[arg(long, short)]
    force: bool,
}

pub(crate) fn sign(arguments: &Sign, steps: &Steps) -> Outcome {
    let key = load(&arguments.signing_key)?;
    for path in &arguments.packages {
        let start = Instant::now();
        let failed = |error: &dyn std::error::Error| Failure::at(path, error);
        let file = File::open(path).map_err(|error| failed(&error))?;
        let mode = file
            .metadata()
            .map_err(|error| failed(&error))?
            .permissions()
            .mode()
            & 0o7777;
        let mut signed = apk_package::sign(file, key.private_key(), key.name(), &Limits::default())
            .map_err(|error| failed(&error))?;
        cli_support::write_file_from(path, &mut signed, mode).map_err(|error| failed(&error))?;
        steps.done("Signed", &what(path, &key), start.elapsed());
    }
    Ok(())
}

pub(crate) fn sign_index(arguments: &SignIndex, steps: &Steps) -> Outcome {
    let key = load(&arguments.signing_key)?;
    for path in &arguments.indexes {
        let start = Instant::now();
        let failed = |error: &dyn std::error::Error| Failure::at(path, error);
        let archive = fs::read(path).map_err(|error| failed(&error))?;
        let index = Index::open_unverified(&archive, Index::MAX_SIZE).map_err(|error| failed(&error))?;
        if let (Some(signature), false) = (index.signatures.first(), arguments.force) {
            steps.warn(&format!(
                "{}: it is signed already, by `{}`, and stays as it is; --force signs it anew",
                path.display(),
                signature.key
            ));
            continue;
        }
        let signed =
            apk_index::sign(&archive, key.private_key(), key.name()).map_err(|error| failed(&error))?;
        cli_support::write_file(path, &signed, 0o644).map_err(|error| failed(&error))?;
        steps.done("Signed", &what(path, &key), start.elapsed());
    }
    Ok(())
}

pub(crate) fn load(path: &Path) -> Outcome<SigningKey> {
    SigningKey::load(path).map_err(|error| Failure::usage(chain(&error)))
}

fn what(path: &Path, key: &SigningKey) -> String {
    format!("{}  by {}", path.display(), key.name())
}
