//! Parses the built-in pipelines, so that programs need not do so when they run.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=pipelines");
    let from = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("pipelines");
    let to = Path::new(&env::var("OUT_DIR")?).join("pipelines");
    prepare(&from, &to)
}

fn prepare(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            prepare(&path, &to)?;
        } else {
            let source = fs::read_to_string(&path)?;
            let prepared = melange_config::prepare_pipeline(&source, &path.display().to_string())
                .map_err(|error| error.render())?;
            fs::write(to, prepared)?;
        }
    }
    Ok(())
}
