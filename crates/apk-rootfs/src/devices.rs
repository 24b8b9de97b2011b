//! The character devices of every image.

use crate::tree::{Tree, TreeError};

/// Path, mode, major and minor number.
pub(crate) const DEVICES: [(&str, u32, (u32, u32)); 5] = [
    ("dev/zero", 0o666, (1, 5)),
    ("dev/urandom", 0o666, (1, 9)),
    ("dev/null", 0o666, (1, 3)),
    ("dev/random", 0o666, (1, 8)),
    ("dev/console", 0o620, (5, 1)),
];

/// Makes the devices that are missing, for trees that were not made by [`initialize`](crate::initialize).
pub fn add(tree: &mut Tree) -> Result<(), TreeError> {
    tree.mkdir_all("dev", 0o755)?;
    for (path, mode, numbers) in DEVICES {
        if tree.lookup(path).is_err() {
            tree.char_device(path, mode, numbers)?;
        }
    }
    Ok(())
}
