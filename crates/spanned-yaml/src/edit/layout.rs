//! Where values begin and end in the text, with their quotes, headers and lines.

use crate::node::{Node, Span, Style, Value};

/// A text whose tree is known.
pub(super) struct Layout<'a> {
    pub(super) text: &'a str,
}

impl Layout<'_> {
    /// The span of a value without its anchor and tag. That of an absent value lies behind the colon.
    pub(super) fn content(&self, node: &Node) -> Span {
        let mut span = node.span;
        if span.start == span.end && self.text[span.start..].starts_with(':') {
            span.start += 1;
            span.end += 1;
            return span;
        }
        loop {
            let rest = &self.text[span.start..span.end];
            let Some(length) = rest
                .find(char::is_whitespace)
                .filter(|_| rest.starts_with(['&', '!']))
            else {
                return span;
            };
            let blanks = rest[length..].len() - rest[length..].trim_start().len();
            span.start += length + blanks;
        }
    }

    pub(super) fn line_start(&self, offset: usize) -> usize {
        self.text[..offset].rfind('\n').map_or(0, |at| at + 1)
    }

    /// The offset behind the line feed that ends the line of `offset`, or the end of the text.
    fn line_end(&self, offset: usize) -> usize {
        let rest = &self.text[offset..];
        rest.find('\n').map_or(self.text.len(), |at| offset + at + 1)
    }

    /// The column of an offset in bytes, counted from 0.
    pub(super) fn column(&self, offset: usize) -> usize {
        offset - self.line_start(offset)
    }

    /// Whether a list or a mapping is written in brackets.
    pub(super) fn is_flow(&self, node: &Node) -> bool {
        let span = self.content(node);
        self.text[span.start..].starts_with(['[', '{']) && self.text[..span.end].ends_with([']', '}'])
    }

    /// An edit that puts a text before the closing bracket.
    pub(super) fn before_bracket(&self, node: &Node, text: &str) -> (usize, usize, String) {
        let inner = self.text[..node.span.end - 1].trim_end();
        let comma = if inner.ends_with(',') { "" } else { "," };
        (inner.len(), inner.len(), format!("{comma} {text}"))
    }

    /// The dash before an item, where there is nothing but blanks and dashes between them.
    pub(super) fn dash(&self, item: usize) -> Option<usize> {
        let before = self.text[..item].trim_end_matches([' ', '\t']);
        before.ends_with('-').then(|| before.len() - 1)
    }

    /// An edit that puts lines behind those of a value, indented to a column.
    pub(super) fn after(&self, node: &Node, lines: &str, column: usize) -> (usize, usize, String) {
        let end = self.lines_end(node);
        let missing = if self.text[..end].ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let mut out = missing.to_owned();
        for line in lines.split_inclusive('\n') {
            if line.trim_end() != "" {
                out.extend(std::iter::repeat_n(' ', column));
            }
            out.push_str(line);
        }
        if !missing.is_empty() {
            out.truncate(out.trim_end_matches('\n').len());
        }
        (end, end, out)
    }

    /// The offset behind the last line of a value.
    pub(super) fn lines_end(&self, node: &Node) -> usize {
        let last = match &node.value {
            Value::Mapping(entries) if !self.is_flow(node) => entries.last().map(|(_, value)| value),
            Value::Sequence(items) if !self.is_flow(node) => items.last(),
            _ => None,
        };
        match (last, &node.value) {
            (Some(last), _) => self.lines_end(last),
            (None, Value::Scalar(scalar)) if matches!(scalar.style, Style::Literal | Style::Folded) => {
                let content = self.text[..node.span.end].trim_end_matches(['\n', '\r', ' ']);
                self.line_end(content.len().max(node.span.start))
            }
            _ => self.line_end(node.span.end),
        }
    }

    /// The span of a block scalar from its `|` or `>` to the end of its lines.
    pub(super) fn block_with_header(&self, node: &Node) -> Option<Span> {
        let before = self.text[..node.span.start].trim_end();
        let line_start = self.line_start(before.len());
        let header = &self.text[line_start..before.len()];
        let indicator = header.match_indices(['|', '>']).map(|(at, _)| at).find(|at| {
            let rest = header[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
            rest.is_empty() || rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#')
        })?;
        Some(Span {
            start: line_start + indicator,
            end: self.lines_end(node),
            ..node.span
        })
    }

    /// Writes a text as the block that is there: its indentation, and its header if that suits.
    pub(super) fn block(&self, node: &Node, text: &str) -> Option<(Span, String)> {
        let whole = self.block_with_header(node)?;
        let first_line = self.line_start(node.span.start);
        let indent = &self.text[first_line..node.span.start];
        if indent.is_empty() || indent.contains(|c| c != ' ') || text.starts_with([' ', '\n']) {
            return None;
        }
        let header_end = self.line_end(whole.start);
        let header = self.text[whole.start..header_end].trim_end();
        let comment = header[1..].trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
        let chomping = match (text.ends_with('\n'), text.ends_with("\n\n")) {
            (false, _) => "-",
            (true, false) => "",
            (true, true) => "+",
        };
        let mut out = format!("|{chomping}{comment}\n");
        for line in text.lines() {
            if !line.is_empty() {
                out.push_str(indent);
                out.push_str(line);
            }
            out.push('\n');
        }
        Some((whole, out))
    }
}
