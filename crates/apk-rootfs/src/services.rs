//! The service directories of s6, which the entrypoint of a service bundle supervises.

use crate::tree::{Fault, Tree, TreeError};

/// Writes `sv/NAME/run` for each service: name and command line.
pub fn add(
    tree: &mut Tree,
    services: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
) -> Result<(), TreeError> {
    for (name, command) in services {
        let (name, command) = (name.as_ref(), command.as_ref());
        if name.is_empty() || name == "." || name.split('/').any(|part| part == "..") {
            return Err(Fault::LeavesRoot.at(&format!("sv/{name}")));
        }
        tree.mkdir_all(&format!("sv/{name}"), 0o777)?;
        let script = format!("#!/bin/execlineb\n{command}\n");
        tree.write_file(&format!("sv/{name}/run"), script, 0o755)?;
    }
    Ok(())
}
