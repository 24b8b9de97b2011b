//! `melange keygen`.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use apk_package::PrivateKey;
use cli_support::{Steps, chain};

use crate::args::Keygen;
use crate::failure::{Failure, Outcome};

pub(crate) fn keygen(arguments: &Keygen, steps: &Steps) -> Outcome {
    if arguments.key_size < PrivateKey::MIN_BITS {
        let least = PrivateKey::MIN_BITS;
        return Err(Failure::usage(format!(
            "--key-size {}: less than {least} bits is not safe",
            arguments.key_size
        )));
    }
    let start = Instant::now();
    let key = PrivateKey::generate(arguments.key_size).map_err(|error| Failure::work(chain(&error)))?;
    let private = key.to_pem().map_err(|error| Failure::work(chain(&error)))?;
    let public = key
        .public_key()
        .to_pem()
        .map_err(|error| Failure::work(chain(&error)))?;
    let public_path = PathBuf::from(format!("{}.pub", arguments.file.display()));
    write(&arguments.file, &private, 0o600)?;
    write(&public_path, &public, 0o644)?;
    let what = format!(
        "{} and {}, {} bits",
        arguments.file.display(),
        public_path.display(),
        arguments.key_size
    );
    steps.done("Wrote", &what, start.elapsed());
    Ok(())
}

/// Writes a file that is there whole or not at all, and that only its owner can ever have read.
fn write(path: &Path, content: &str, mode: u32) -> Outcome {
    let write = || -> io::Result<()> {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".melange-")
            .permissions(std::fs::Permissions::from_mode(mode))
            .tempfile_in(parent)?;
        file.write_all(content.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| Failure::at(path, &error))
}
