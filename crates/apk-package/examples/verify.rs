//! Verifies a package with public keys: `cargo run --example verify PACKAGE.apk KEY.rsa.pub...`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use apk_package::{Expected, Keyring, Limits, open};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let package = arguments.next().ok_or("which package?")?;
    let mut keyring = Keyring::default();
    for path in arguments {
        let name = Path::new(&path).file_name().ok_or("which key?")?;
        keyring.insert_pem(name.to_string_lossy(), &std::fs::read_to_string(&path)?)?;
    }
    let bytes = std::fs::read(&package)?;
    let start = Instant::now();
    let verified = open(
        bytes.into(),
        &Expected::signed(&package, &keyring),
        &Limits::default(),
    )?;
    let bytes: usize = verified.data.iter().map(|entry| entry.content.len()).sum();
    println!(
        "{}: {} members, {bytes} bytes, verified in {:?}",
        verified.info.identity(),
        verified.data.len(),
        start.elapsed()
    );
    Ok(())
}
