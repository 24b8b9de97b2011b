//! The sources of packages, by their content.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use build_graph::{Input, Origin};
use melange::{BuildError, source_files};

use crate::stamps::Stamps;

/// The file that says which files of a directory are no sources.
pub(crate) const IGNORE_FILE: &str = ".melangeignore";

/// Up to so many files are told by their names; of more there is one hash.
const TOLD: usize = 1000;

/// The sources of directories, looked at once.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<HashMap<String, Arc<Vec<Input>>>>);

impl Sources {
    /// An input for each file of a directory, `source/PATH`: its content and its permissions as the build sees them.
    pub(crate) fn of(
        &self,
        name: &str,
        directory: &Path,
        stamps: &Stamps,
    ) -> Result<Arc<Vec<Input>>, BuildError> {
        if let Some(found) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(look_at(name, directory, stamps)?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.to_owned(), Arc::clone(&found));
        Ok(found)
    }
}

/// Looks at the files now, whatever was found before.
pub(crate) fn look_at(name: &str, directory: &Path, stamps: &Stamps) -> Result<Vec<Input>, BuildError> {
    let mut files = source_files(directory, IGNORE_FILE)?;
    files.sort_unstable();
    let mut inputs = Vec::with_capacity(files.len());
    for file in &files {
        let path = directory.join(file);
        let failed = |source| BuildError::Io {
            action: "reading",
            path: path.clone(),
            source,
        };
        let shown = format!("{name}/{}", file.display());
        let content = stamps.content(&shown, &path).map_err(failed)?;
        // The build lets the owner write all of its sources.
        let mode = fs::metadata(&path).map_err(failed)?.permissions().mode() & 0o777 | 0o200;
        let hash = blake3::Hash::from_bytes(content).to_hex();
        inputs.push(Input {
            name: format!("source/{}", file.display()),
            value: format!("blake3:{} {mode:o}", &hash[..32]),
            origin: Some(Origin::new(shown.as_str(), None)),
        });
    }
    if inputs.len() > TOLD {
        let mut hasher = blake3::Hasher::new();
        for input in &inputs {
            hasher.update(format!("{} {}\n", input.name, input.value).as_bytes());
        }
        inputs = vec![Input {
            name: "source".to_owned(),
            value: format!("blake3:{}", &hasher.finalize().to_hex()[..32]),
            origin: Some(Origin::new(name, None)),
        }];
    }
    inputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(inputs)
}
