//! From text to tree, over the events of `saphyr-parser`.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use crate::Diagnostic;
use crate::node::{Node, Scalar, Span, Style, Value};
use crate::resolve::{Resolved, resolve};

/// What a document may cost before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest source, in bytes.
    pub bytes: usize,
    /// The deepest nesting of lists and mappings, after aliases are expanded.
    pub depth: usize,
    /// The most nodes, after aliases are expanded.
    pub nodes: usize,
}

impl Default for Limits {
    /// 16 MiB, 100 levels, a million nodes: far more than any configuration, little enough to hold.
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            depth: 100,
            nodes: 1_000_000,
        }
    }
}

/// Reads the first document of `source` within the default [`Limits`].
///
/// # Errors
/// A [`Diagnostic`] for text that is not YAML, a key given twice, an unknown or self-containing
/// alias, a merge of something other than mappings, and documents beyond the limits.
pub fn parse(source: &str) -> Result<Node, Diagnostic> {
    parse_with(source, Limits::default())
}

/// Reads the first document of `source`; an empty one is [`Value::Null`].
///
/// # Errors
/// As [`parse`].
pub fn parse_with(source: &str, limits: Limits) -> Result<Node, Diagnostic> {
    if source.len() > limits.bytes {
        return Err(Diagnostic::new(format!(
            "the document has {} bytes, more than the {} allowed",
            source.len(),
            limits.bytes
        )));
    }
    let mut parser = Parser::new_from_str(source);
    let mut builder = Builder::new(source, limits);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.syntax_error(&error))?;
        let mut span = builder.offsets.span(&span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if style == ScalarStyle::SingleQuoted {
                    span.end = single_quoted_end(source, span);
                }
                let value = scalar(text.into_owned(), style, tag.as_deref());
                builder.add(Node { span, value }, anchor)?;
            }
            Event::SequenceStart(anchor, _) => builder.open(span, anchor, Vec::new(), true)?,
            Event::MappingStart(anchor, _) => builder.open(span, anchor, Vec::new(), false)?,
            Event::SequenceEnd | Event::MappingEnd => builder.close(span)?,
            Event::Alias(anchor) => builder.alias(anchor, span)?,
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::DocumentStart(_) | Event::StreamStart | Event::Nothing => {}
        }
    }
    Ok(builder.root.unwrap_or(Node {
        span: Span {
            start: 0,
            end: 0,
            line: 1,
            column: 1,
        },
        value: Value::Null,
    }))
}

/// The offset behind the closing quote; the parser's span takes in the comment behind it.
fn single_quoted_end(source: &str, span: Span) -> usize {
    let text = &source[span.start..span.end];
    // An anchor or a tag may stand before the quote.
    let Some(open) = text.find('\'') else {
        return span.end;
    };
    let mut quotes = text[open + 1..]
        .match_indices('\'')
        .map(|(at, _)| span.start + open + 1 + at);
    while let Some(quote) = quotes.next() {
        if !source[quote + 1..].starts_with('\'') {
            return quote + 1;
        }
        quotes.next();
    }
    span.end
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    };
    let tag = tag.map(|tag| {
        if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else {
            format!("{}{}", tag.handle, tag.suffix)
        }
    });
    let scalar = Scalar { text, style, tag };
    match resolve(&scalar) {
        Resolved::Null => Value::Null,
        _ => Value::Scalar(scalar),
    }
}

/// A collection that is still being read; mappings collect keys and values alternately.
struct Open {
    span: Span,
    anchor: usize,
    items: Vec<Node>,
    is_sequence: bool,
}

struct Builder {
    offsets: Offsets,
    limits: Limits,
    nodes: usize,
    stack: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
}

impl Builder {
    fn new(source: &str, limits: Limits) -> Self {
        Self {
            offsets: Offsets::new(source),
            limits,
            nodes: 0,
            stack: Vec::new(),
            anchors: HashMap::new(),
            root: None,
        }
    }

    fn syntax_error(&self, error: &saphyr_parser::ScanError) -> Diagnostic {
        let at = *error.marker();
        let span = self.offsets.span(&saphyr_parser::Span::empty(at));
        Diagnostic::new(format!("not valid YAML: {}", error.info()))
            .at(span)
            .label("reading stopped in this line")
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Diagnostic> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            return Err(
                Diagnostic::new(format!("the document has more than {} values", self.limits.nodes))
                    .at(span)
                    .help("aliases count as often as they are used"),
            );
        }
        Ok(())
    }

    fn open(
        &mut self,
        span: Span,
        anchor: usize,
        items: Vec<Node>,
        is_sequence: bool,
    ) -> Result<(), Diagnostic> {
        self.check_depth(1, span)?;
        self.stack.push(Open {
            span,
            anchor,
            items,
            is_sequence,
        });
        Ok(())
    }

    fn check_depth(&self, more: usize, span: Span) -> Result<(), Diagnostic> {
        if self.stack.len() + more > self.limits.depth {
            let message = format!("nested more than {} levels deep", self.limits.depth);
            return Err(Diagnostic::new(message).at(span));
        }
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Diagnostic> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let mut span = open.span;
        let last = open.items.last().map_or(span.start, |node| node.span.end);
        // A block collection ends with its last item; only a flow collection has an end of its own.
        span.end = if end.end > end.start {
            span.end.max(end.end)
        } else {
            span.end.max(last)
        };
        let value = if open.is_sequence {
            Value::Sequence(open.items)
        } else {
            Value::Mapping(self.mapping(open.items)?)
        };
        self.add(Node { span, value }, open.anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        self.count(1, node.span)?;
        if anchor != 0 {
            self.count(size(&node), node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::new("an alias inside the value it stands for").at(span));
        };
        let (size, depth) = (size(node), depth(node));
        self.count(size, span)?;
        self.check_depth(depth, span)?;
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Ok(());
        };
        self.add(node, 0)
    }

    /// Pairs keys with values, refuses repeated keys and resolves `<<`.
    fn mapping(&mut self, items: Vec<Node>) -> Result<Vec<(Node, Node)>, Diagnostic> {
        refuse_repeated(items.iter().step_by(2))?;
        let mut entries = Vec::with_capacity(items.len() / 2);
        let mut merge = None;
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if is_merge(&key) {
                merge = Some(value);
            } else {
                entries.push((key, value));
            }
        }
        if let Some(merge) = merge {
            let keys = entries.iter().filter_map(|(key, _)| key.as_str());
            let mut seen = keys.map(str::to_owned).collect();
            merge_into(&mut entries, &mut seen, merge)?;
        }
        Ok(entries)
    }
}

fn refuse_repeated<'a>(keys: impl Iterator<Item = &'a Node>) -> Result<(), Diagnostic> {
    let mut seen = HashMap::new();
    for key in keys {
        if let Some(text) = key.as_str()
            && let Some(line) = seen.insert(text, key.span.line)
        {
            return Err(Diagnostic::new(format!("key `{text}` is given twice"))
                .at(key.span)
                .label(format!("already given in line {line}")));
        }
    }
    Ok(())
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.value, Value::Scalar(scalar) if scalar.text == "<<"
        && matches!(scalar.tag.as_deref(), None | Some("!" | "!!merge")))
}

/// Adds what a merged mapping (or list of mappings, the first wins) has and `entries` lack.
fn merge_into(
    entries: &mut Vec<(Node, Node)>,
    seen: &mut HashSet<String>,
    merge: Node,
) -> Result<(), Diagnostic> {
    let span = merge.span;
    let sources = match merge.value {
        Value::Mapping(_) => vec![merge],
        Value::Sequence(items) => items,
        _ => Vec::new(),
    };
    if sources.is_empty() || sources.iter().any(|source| source.as_map().is_none()) {
        return Err(Diagnostic::new("`<<` must be a mapping or a list of mappings").at(span));
    }
    for source in sources {
        let Value::Mapping(merged) = source.value else {
            continue;
        };
        for (key, value) in merged {
            if key.as_str().is_none_or(|text| seen.insert(text.to_owned())) {
                entries.push((key, value));
            }
        }
    }
    Ok(())
}

/// Counts a node and everything under it; recursion is bounded by [`Limits::depth`].
fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Sequence(items) => items.iter().map(size).sum(),
        Value::Mapping(entries) => entries.iter().map(|(k, v)| size(k) + size(v)).sum(),
        Value::Null | Value::Scalar(_) => 0,
    }
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Mapping(entries) => {
            let deepest = entries.iter().map(|(k, v)| depth(k).max(depth(v))).max();
            1 + deepest.unwrap_or(0)
        }
        Value::Null | Value::Scalar(_) => 0,
    }
}

/// Turns the parser's character positions into byte offsets.
struct Offsets {
    /// The byte offset of every character and of the end; empty where every character is a byte.
    bytes: Vec<usize>,
    len: usize,
}

impl Offsets {
    fn new(source: &str) -> Self {
        let bytes = if source.is_ascii() {
            Vec::new()
        } else {
            source.char_indices().map(|(offset, _)| offset).collect()
        };
        Self {
            bytes,
            len: source.len(),
        }
    }

    fn offset(&self, index: usize) -> usize {
        if self.bytes.is_empty() {
            index.min(self.len)
        } else {
            self.bytes.get(index).copied().unwrap_or(self.len)
        }
    }

    fn span(&self, span: &saphyr_parser::Span) -> Span {
        let start = self.offset(span.start.index());
        Span {
            start,
            end: self.offset(span.end.index()).max(start),
            line: u32::try_from(span.start.line().max(1)).unwrap_or(u32::MAX),
            column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
        }
    }
}
