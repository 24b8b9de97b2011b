//! Here-documents.

use super::{ESCAPE, Printer, Space};
use crate::ast::{Part, PartKind, Word};

impl<'a> Printer<'a> {
    /// Writes the bodies of the here-documents that the present line has begun.
    pub(super) fn flush_heredocs(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let level = self.level;
        self.level = self.last_level;
        for redirect in std::mem::take(&mut self.pending) {
            self.line += 1;
            self.push("\n");
            self.space = Space::Written;
            self.want_newline = false;
            let heredoc = self.script.heredoc(redirect);
            let body = heredoc.and_then(|heredoc| heredoc.body.as_ref());
            if let (true, Some(body)) = (heredoc.is_some_and(|heredoc| heredoc.verbatim), body) {
                // Lines that have been lost count of become backslashes, which would be text here.
                self.advance_line(body.pos().line);
            }
            if redirect.op == "<<-" {
                if let Some(body) = body {
                    self.indented_body(body);
                }
                self.indent();
            } else if let Some(body) = body {
                self.parts(&body.parts, true);
            }
            self.delimiter(&redirect.word);
            if let Some(body) = body {
                self.advance_line(body.end().line);
            }
            self.space = Space::None;
        }
        self.level = level;
        self.must_newline = true;
    }

    /// Writes the body of a `<<-` here-document at the present level.
    fn indented_body(&mut self, body: &'a Word) {
        let mut printer = Printer::new(self.script);
        printer.space = Space::None;
        printer.first_line = false;
        printer.escape_tabs = false;
        printer.line = body.pos().line;
        printer.parts(&body.parts, true);
        reindent(&printer.out, self.level + 1, &mut self.out);
    }

    /// Writes the delimiter without its quotes.
    fn delimiter(&mut self, word: &'a Word) {
        for Part { kind, .. } in &word.parts {
            match kind {
                PartKind::Single { text, .. } => self.push_text(text),
                PartKind::Double { parts, .. } => self.parts(parts, true),
                PartKind::Literal(text) => {
                    let mut chars = text.chars();
                    while let Some(mut c) = chars.next() {
                        if c == '\\' {
                            let Some(escaped) = chars.next() else { return };
                            c = escaped;
                        }
                        self.push(c.encode_utf8(&mut [0; 4]));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Appends `text` with its first line indented by `level` tabs, and the others relative to it.
fn reindent(text: &[u8], level: usize, out: &mut Vec<u8>) {
    let mut first = None;
    for line in text
        .split_inclusive(|&b| b == b'\n')
        .filter(|line| line.ends_with(b"\n"))
    {
        let tabs = line.iter().take_while(|&&b| b == b'\t').count();
        let content = &line[tabs..];
        if content != b"\n" {
            let indent = match first {
                None => {
                    first = Some(tabs);
                    level
                }
                // As in the reference: less than the first line counts as much as the first had.
                Some(first) if tabs < first => first,
                Some(first) => tabs + level - first,
            };
            out.push(ESCAPE);
            out.resize(out.len() + indent, b'\t');
            out.push(ESCAPE);
        }
        out.extend_from_slice(content);
    }
}
