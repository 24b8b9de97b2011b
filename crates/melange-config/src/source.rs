//! The texts that configurations are made from, and places in them.

use std::fmt;
use std::sync::Arc;

use spanned_yaml::Span;

/// A text that was read: the configuration or the file of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceText {
    /// The name for messages.
    pub path: String,
    /// The text itself.
    pub text: String,
}

/// Where a step is written, and where the pipeline is used that it is part of.
///
/// It displays as `hello.yaml:12`, or as `built-in pipeline fetch:31, used at hello.yaml:12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The text.
    pub text: Arc<SourceText>,
    /// The place in it.
    pub span: Span,
    /// Where the pipeline is used whose file the text is.
    pub used_at: Option<Arc<Location>>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.text.path, self.span.line)?;
        match &self.used_at {
            Some(outer) => write!(f, ", used at {outer}"),
            None => Ok(()),
        }
    }
}

impl SourceText {
    /// The place of the whole text.
    pub(crate) fn whole(&self) -> Span {
        Span {
            start: 0,
            end: self.text.len(),
            line: 1,
            column: 1,
        }
    }

    /// Finds the first occurrence of `needle` in a span.
    pub(crate) fn find(&self, within: Span, needle: &str) -> Option<Span> {
        let at = self.within(within).find(needle)?;
        Some(self.part(within, at, needle.len()))
    }

    /// Finds the first use of a variable in a span, however many blanks stand around its name.
    pub(crate) fn find_variable(&self, within: Span, name: &str) -> Option<Span> {
        let text = self.within(within);
        text.match_indices("${{").find_map(|(at, _)| {
            let length = text[at..].find("}}")? + 2;
            let inner = text[at..at + length]
                .trim_start_matches("${{")
                .trim_end_matches("}}");
            (inner.trim() == name).then(|| self.part(within, at, length))
        })
    }

    fn within(&self, span: Span) -> &str {
        let end = span.end.min(self.text.len());
        self.text.get(span.start..end).unwrap_or_default()
    }

    /// The span of `length` bytes from `offset` on inside of another one.
    fn part(&self, within: Span, offset: usize, length: usize) -> Span {
        let start = within.start + offset;
        let before = &self.text[within.start..start];
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let lines = before.matches('\n').count();
        let column = self.text[line_start..start].chars().count() + 1;
        Span {
            start,
            end: start + length,
            line: within.line + u32::try_from(lines).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SourceText;

    #[test]
    fn variables_are_found_with_blanks_and_in_their_line() {
        let source = SourceText {
            path: "a.yaml".to_owned(),
            text: "a: ${{x}}\nbä: ${{ ${{ y }} ${{x}}\n".to_owned(),
        };
        let span = source.find_variable(source.whole(), "y").expect("there");
        assert_eq!((span.line, span.column), (2, 9));
        assert_eq!(&source.text[span.start..span.end], "${{ y }}");
        assert_eq!(source.find_variable(source.whole(), "z"), None);
    }
}
