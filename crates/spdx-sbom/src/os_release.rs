//! The file `/etc/os-release`.

/// What an image says about its system. The default is the reference's for an image without the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsRelease {
    /// `ID`: `alpine`, `wolfi`.
    pub id: String,
    /// `NAME`.
    pub name: String,
    /// `PRETTY_NAME`.
    pub pretty_name: String,
    /// `VERSION_ID`.
    pub version_id: String,
}

impl Default for OsRelease {
    fn default() -> Self {
        Self {
            id: "unknown".to_owned(),
            name: "apko-generated image".to_owned(),
            pretty_name: String::new(),
            version_id: "unknown".to_owned(),
        }
    }
}

/// Says which line of an os-release file is not `KEY=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("etc/os-release, line {line}: {text:?} is not KEY=value")]
pub struct OsReleaseError {
    /// The line, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

impl OsRelease {
    /// Reads an os-release file. Values that are not there are empty. Quotes at the ends of a value are
    /// removed, escapes are kept, as in the reference.
    ///
    /// # Errors
    /// When a line is neither empty, a comment nor an assignment.
    pub fn parse(text: &str) -> Result<Self, OsReleaseError> {
        let mut os = Self {
            id: String::new(),
            name: String::new(),
            pretty_name: String::new(),
            version_id: String::new(),
        };
        for (line, text) in (1..).zip(text.lines()) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let Some((key, value)) = text.split_once('=') else {
                return Err(OsReleaseError {
                    line,
                    text: text.to_owned(),
                });
            };
            let field = match key {
                "ID" => &mut os.id,
                "NAME" => &mut os.name,
                "PRETTY_NAME" => &mut os.pretty_name,
                "VERSION_ID" => &mut os.version_id,
                _ => continue,
            };
            value.trim_matches('"').clone_into(field);
        }
        Ok(os)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lose_their_quotes() {
        let os = OsRelease::parse("# c\n\nID=a\nNAME=\"A b\"\nX=y\nVERSION_ID=1\n").unwrap();
        assert_eq!(
            (os.id.as_str(), os.name.as_str(), os.version_id.as_str()),
            ("a", "A b", "1")
        );
        assert_eq!(os.pretty_name, "");
    }

    #[test]
    fn a_line_that_assigns_nothing_is_named() {
        let error = OsRelease::parse("ID=a\nnonsense\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "etc/os-release, line 2: \"nonsense\" is not KEY=value"
        );
    }
}
