//! Here-documents.

use super::{Parser, Result, fail};
use crate::ast::{HereDoc, Part, PartKind, Pos, Word};
use crate::cursor::Ch::{C, Continuation, End};

/// What ends a here-document.
struct Delimiter {
    text: String,
    /// Whether leading tabs do not count.
    tabs: bool,
}

/// What came after a stretch of text.
enum Stretch {
    /// An expansion or a continuation.
    Text(String),
    /// The delimiter.
    Last(String),
    /// The end of the script, or of the backquotes around.
    Unclosed,
}

impl Parser<'_> {
    /// Reads the bodies of the here-documents that the line just ended has begun.
    pub(super) fn read_heredocs(&mut self) -> Result<()> {
        if self.pending.len() <= self.buried {
            return Ok(());
        }
        let pending = self.pending.split_off(self.buried);
        let tok = self.tok;
        self.cursor.bump();
        for (index, heredoc) in pending.iter().enumerate() {
            if index > 0 && self.cursor.is('\n') {
                self.cursor.bump();
            }
            let (text, verbatim) = unquote(&heredoc.delimiter);
            let delimiter = Delimiter {
                text,
                tabs: heredoc.tabs,
            };
            let body = if verbatim {
                self.verbatim(&delimiter)
            } else {
                self.expanded(&delimiter)?
            };
            let Some(parts) = body else {
                return fail(
                    heredoc.pos,
                    format!("here-document has no closing `{}`", delimiter.text),
                );
            };
            let body = if parts.is_empty() {
                None
            } else {
                Some(Word { parts })
            };
            self.bodies[heredoc.id] = HereDoc { verbatim, body };
        }
        self.tok = tok;
        Ok(())
    }

    /// The body after a quoted delimiter; nothing when its end is missing.
    fn verbatim(&mut self, delimiter: &Delimiter) -> Option<Vec<Part>> {
        let start = self.cursor.pos();
        let mut text = String::new();
        loop {
            if self.cursor.at_end() {
                return None;
            }
            while delimiter.tabs && self.cursor.is('\t') {
                self.push_char(&mut text);
            }
            let line_start = text.len();
            loop {
                match self.cursor.current() {
                    C('\n') | End => break,
                    C('`') if self.cursor.closes_backquote() => break,
                    // A line that ends in a backslash is a line like any other here.
                    Continuation => {
                        text.push('\\');
                        break;
                    }
                    C(_) => self.push_char(&mut text),
                }
            }
            if text[line_start..] == delimiter.text {
                text.truncate(line_start);
                return Some(literal_parts(start, self.cursor.pos(), text));
            }
            match self.cursor.current() {
                End => return None,
                Continuation => text.push('\n'),
                C(c) => text.push(c),
            }
            self.cursor.bump();
        }
    }

    /// The body after a plain delimiter; nothing when its end is missing.
    fn expanded(&mut self, delimiter: &Delimiter) -> Result<Option<Vec<Part>>> {
        let mut parts = Vec::new();
        loop {
            let mut start = self.cursor.pos();
            let kind = match self.cursor.current() {
                End => return Ok(None),
                C('`') if self.cursor.closes_backquote() => return Ok(None),
                C('`') => self.backquoted()?,
                C('$') => self.dollar(true)?,
                C(_) | Continuation => {
                    let continued = self.cursor.current() == Continuation;
                    self.skip_continuations();
                    start = self.cursor.pos();
                    match self.stretch(delimiter, continued) {
                        Stretch::Unclosed => return Ok(None),
                        Stretch::Text(text) => PartKind::Literal(text),
                        Stretch::Last(text) => {
                            parts.extend(literal_parts(start, self.cursor.pos(), text));
                            return Ok(Some(parts));
                        }
                    }
                }
            };
            parts.push(Part {
                start,
                end: self.cursor.pos(),
                kind,
            });
        }
    }

    /// Plain text up to an expansion, a continuation or the delimiter. After a continuation (`continued`)
    /// the first line cannot be the delimiter.
    fn stretch(&mut self, delimiter: &Delimiter, continued: bool) -> Stretch {
        let mut text = String::new();
        while delimiter.tabs && self.cursor.is('\t') {
            self.push_char(&mut text);
        }
        let mut line_start = text.len();
        loop {
            match self.cursor.current() {
                Continuation | C('$') => return Stretch::Text(text),
                C('`') if !self.cursor.closes_backquote() => return Stretch::Text(text),
                C('\n' | '`') | End => {
                    if text[line_start..] == delimiter.text && !(continued && line_start == 0) {
                        text.truncate(line_start);
                        return Stretch::Last(text);
                    }
                    if !self.cursor.is('\n') {
                        return Stretch::Unclosed;
                    }
                    self.push_char(&mut text);
                    while delimiter.tabs && self.cursor.is('\t') {
                        self.push_char(&mut text);
                    }
                    line_start = text.len();
                    continue;
                }
                C('\\') => self.push_char(&mut text),
                C(_) => {}
            }
            self.push_char(&mut text);
        }
    }
}

fn literal_parts(start: Pos, end: Pos, text: String) -> Vec<Part> {
    if text.is_empty() {
        return Vec::new();
    }
    vec![Part {
        start,
        end,
        kind: PartKind::Literal(text),
    }]
}

/// The text of a delimiter without its quotes, and whether it was quoted. As in the reference, only
/// the last part of the word decides that.
fn unquote(word: &Word) -> (String, bool) {
    let mut text = String::new();
    let mut quoted = false;
    for part in &word.parts {
        quoted = match &part.kind {
            PartKind::Literal(literal) => unescape(literal, &mut text),
            PartKind::Single { text: inner, .. } => {
                text.push_str(inner);
                true
            }
            PartKind::Double { parts, .. } => {
                for part in parts {
                    match &part.kind {
                        PartKind::Literal(inner) | PartKind::Single { text: inner, .. } => {
                            text.push_str(inner);
                        }
                        _ => {}
                    }
                }
                true
            }
            _ => false,
        };
    }
    (text, quoted)
}

/// Appends `literal` without its backslashes to `text`; tells whether there were any.
fn unescape(literal: &str, text: &mut String) -> bool {
    let mut quoted = false;
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            quoted = true;
            text.extend(chars.next());
        } else {
            text.push(c);
        }
    }
    quoted
}
