use thiserror::Error;

use crate::ast::Pos;

/// Reports why a script is not valid, with the place of the first fault.
///
/// Shown as `LINE:COLUMN: message`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{line}:{column}: {message}")]
pub struct ShellError {
    /// Line of the fault, counted from 1.
    pub line: u32,
    /// Column of the fault, counted in bytes from 1.
    pub column: u32,
    /// What is wrong, in lower case, naming the token.
    pub message: String,
}

impl ShellError {
    pub(crate) fn new(pos: Pos, message: impl Into<String>) -> Self {
        Self {
            line: pos.line,
            column: pos.column,
            message: message.into(),
        }
    }

    /// Renders the error with the offending line of `script` and a mark under the column.
    ///
    /// ```
    /// let script = "echo start\nif true; do\n";
    /// let error = shell_format::parse(script).unwrap_err();
    /// assert!(error.render(script).ends_with("\n> if true; do\n           ^"));
    /// ```
    #[must_use]
    pub fn render(&self, script: &str) -> String {
        let Some(text) = (self.line as usize)
            .checked_sub(1)
            .and_then(|index| script.split('\n').nth(index))
        else {
            return self.to_string();
        };
        let padding = self.column as usize + 1;
        format!("{self}:\n> {text}\n{:padding$}^", "")
    }
}
