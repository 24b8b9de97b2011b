//! The layout of cells in columns.

use super::ESCAPE;

/// placeholder
pub(super) fn lay_out(text: &[u8]) -> String {
    let bytes: Vec<u8> = text.iter().copied().filter(|&b| b != ESCAPE).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
