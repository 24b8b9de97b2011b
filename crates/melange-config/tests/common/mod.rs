//! The conformance set, where it lies beside the project.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Unpacks the configurations; nothing where they are missing.
pub(crate) fn corpus() -> Option<(tempfile::TempDir, Vec<PathBuf>)> {
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/compile/corpus.tar.zst");
    let directory = tempfile::tempdir().expect("a directory");
    let unpacked = archive.exists()
        && Command::new("tar")
            .args(["--zstd", "-xf"])
            .arg(&archive)
            .arg("-C")
            .arg(directory.path())
            .status()
            .is_ok_and(|status| status.success());
    if !unpacked {
        eprintln!("skipped: the conformance set is not beside the project, or tar cannot unpack it");
        return None;
    }
    let entries = std::fs::read_dir(directory.path()).expect("readable");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort_unstable();
    assert!(files.len() > 2000, "{} configurations", files.len());
    Some((directory, files))
}
