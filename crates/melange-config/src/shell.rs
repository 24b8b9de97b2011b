//! The one place where scripts are parsed.

/// Drops a script's comments and lays it out as the reference records it.
pub(crate) fn strip_comments(script: &str) -> Result<String, String> {
    if script.is_empty() {
        return Ok(String::new());
    }
    shell_format::strip_comments(script).map_err(|error| error.to_string())
}
