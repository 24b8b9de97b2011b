//! What can be wrong with a configuration.

use std::sync::Arc;

use spanned_yaml::{Diagnostic, Span};

/// A text that was read: the configuration or a pipeline file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceText {
    /// The name for messages.
    pub path: String,
    /// The text itself.
    pub text: String,
}

/// Says what is wrong with a configuration and shows where.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {diagnostic}", text.path)]
pub struct ConfigError {
    /// The text it was found in.
    pub text: Arc<SourceText>,
    /// What is wrong.
    pub diagnostic: Box<Diagnostic>,
}

impl ConfigError {
    pub(crate) fn new(text: &Arc<SourceText>, diagnostic: Diagnostic) -> Self {
        Self {
            text: Arc::clone(text),
            diagnostic: Box::new(diagnostic),
        }
    }

    /// Draws the error with the line it is about; see [`spanned_yaml::render`].
    #[must_use]
    pub fn render(&self) -> String {
        spanned_yaml::render(&self.diagnostic, &self.text.path, &self.text.text)
    }
}

impl SourceText {
    /// Narrows a span down to the first occurrence of `needle` in it.
    pub(crate) fn find(&self, within: Span, needle: &str) -> Span {
        let end = within.end.min(self.text.len());
        let Some(at) = self
            .text
            .get(within.start..end)
            .and_then(|text| text.find(needle))
        else {
            return within;
        };
        let start = within.start + at;
        let before = &self.text[within.start..start];
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let lines = before.matches('\n').count();
        let column = self.text[line_start..start].chars().count() + 1;
        Span {
            start,
            end: start + needle.len(),
            line: within.line + u32::try_from(lines).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}
