//! `melange keygen`.

use std::path::PathBuf;
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
    for (path, pem, mode) in [(&arguments.file, &private, 0o600), (&public_path, &public, 0o644)] {
        cli_support::write_file(path, pem.as_bytes(), mode).map_err(|error| Failure::at(path, &error))?;
    }
    let what = format!(
        "{} and {}, {} bits",
        arguments.file.display(),
        public_path.display(),
        arguments.key_size
    );
    steps.done("Wrote", &what, start.elapsed());
    Ok(())
}
