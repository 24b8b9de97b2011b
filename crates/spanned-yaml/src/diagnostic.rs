//! One thing that is wrong with a source text, and how it is drawn.

use std::fmt::Write as _;

use crate::node::Span;

/// How bad something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing can be done with it.
    #[default]
    Error,
    /// It works, but is hardly what was meant.
    Warning,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Says what is wrong, where, and what would be right.
///
/// It displays as one line, `line L, column C: message`; [`render`] draws the text it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*span))]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// What to say under the marked text.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

fn place(span: Option<Span>) -> String {
    span.map(|span| format!("line {}, column {}: ", span.line, span.column))
        .unwrap_or_default()
}

impl Diagnostic {
    /// Makes an error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span: None,
            label: None,
            help: None,
        }
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Sets the place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Sets what is said under the marked text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The most characters of a source line that are shown.
const WIDTH: usize = 120;

/// Draws a diagnostic as plain text: the message, the place, the line and carets under it.
///
/// `path` is shown as given; `source` must be the text that was parsed. Control characters of the
/// source are not passed on to the terminal, and long lines are cut around the place.
#[must_use]
pub fn render(diagnostic: &Diagnostic, path: &str, source: &str) -> String {
    let mut out = format!("{}: {}\n", diagnostic.severity.name(), diagnostic.message);
    let number = diagnostic.span.map(|span| span.line.to_string());
    let gutter = " ".repeat(number.as_ref().map_or(1, String::len));
    match diagnostic.span {
        Some(span) => {
            let _ = writeln!(out, "{gutter} ┌─ {path}:{}:{}", span.line, span.column);
            let (line, before, marked) = excerpt(span, source);
            let _ = writeln!(out, "{gutter} │");
            let _ = writeln!(out, "{} │ {line}", number.unwrap_or_default());
            let carets = "^".repeat(marked);
            let label = diagnostic.label.as_deref().unwrap_or_default();
            let marks = format!("{}{carets} {label}", " ".repeat(before));
            let _ = writeln!(out, "{gutter} │ {}", marks.trim_end());
        }
        None => {
            let _ = writeln!(out, "{gutter} ┌─ {path}");
        }
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "{gutter} = {help}");
    }
    out
}

/// The line of a span as it is shown, the characters before the mark, and the mark's length.
fn excerpt(span: Span, source: &str) -> (String, usize, usize) {
    let start = floor(source, span.start);
    let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
    let line = source[line_start..line_end].trim_end_matches('\r');
    let end = floor(source, span.end).clamp(start, line_start + line.len().max(start - line_start));
    let before = source[line_start..start].chars().count();
    let marked = source[start..end].trim_end().chars().count().max(1);
    let skip = if before + marked.min(WIDTH / 2) > WIDTH {
        before - WIDTH / 4
    } else {
        0
    };
    let shown: String = line
        .chars()
        .skip(skip)
        .take(WIDTH)
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    let before = before - skip;
    (
        shown.trim_end().to_owned(),
        before,
        marked.min(WIDTH - before.min(WIDTH - 1)),
    )
}

fn floor(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// The known word that a misspelt one was most likely meant to be.
///
/// ```
/// assert_eq!(spanned_yaml::nearest("verson", ["version", "epoch"]), Some("version"));
/// assert_eq!(spanned_yaml::nearest("colour", ["version", "epoch"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    // Words whose lengths differ by more have a distance of more than 1, too, which is dear to find out.
    let may_be_close = |near: &str| word.len() > 2 && near.chars().count().abs_diff(length) <= 1;
    let score = |near: &str| match may_be_close(near) && strsim::osa_distance(word, near) == 1 {
        true => 1.0,
        false => strsim::jaro_winkler(word, near),
    };
    let scored = known.into_iter().map(|near| (score(near), near));
    scored
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, near)| near)
}
