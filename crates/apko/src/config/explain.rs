//! Where each value of a configuration was written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use spanned_yaml::{Node, Span, Value};

use super::Loaded;
use super::validate::Invalid;

/// A value, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The key: `cmd`, `environment.PATH`, `contents.packages[2]`.
    pub key: String,
    /// The value as it was written.
    pub value: String,
    /// The file it was written in.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    #[serde(skip)]
    pub(super) span: Span,
}

/// How values of an including file and of an included one come together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    /// The one of the including file wins; a list or map is one value.
    Whole,
    /// Key by key, that of the including file wins.
    Keys,
    /// All entries, those of the included file first.
    Concatenate,
    /// Only that of the file given.
    Own,
}

/// The rules of [`ImageConfiguration::over`](super::ImageConfiguration::over), in the order of `show-config`.
const KEYS: [(&str, Merge); 24] = [
    ("contents.build_repositories", Merge::Concatenate),
    ("contents.runtime_repositories", Merge::Concatenate),
    ("contents.repositories", Merge::Concatenate),
    ("contents.keyring", Merge::Concatenate),
    ("contents.runtime_keyring", Merge::Concatenate),
    ("contents.packages", Merge::Concatenate),
    ("contents.baseimage", Merge::Whole),
    ("entrypoint", Merge::Whole),
    ("cmd", Merge::Whole),
    ("stop-signal", Merge::Whole),
    ("work-dir", Merge::Whole),
    ("accounts.run-as", Merge::Whole),
    ("accounts.users", Merge::Concatenate),
    ("accounts.groups", Merge::Concatenate),
    ("archs", Merge::Whole),
    ("environment", Merge::Keys),
    ("paths", Merge::Concatenate),
    ("vcs-url", Merge::Own),
    ("annotations", Merge::Keys),
    ("include", Merge::Own),
    ("volumes", Merge::Concatenate),
    ("layering", Merge::Whole),
    ("format", Merge::Whole),
    ("certificates", Merge::Whole),
];

/// The place of what [`Invalid`] is about, with the text of its file.
pub(super) fn place_of<'a>(
    invalid: &Invalid,
    files: &'a [PathBuf],
    texts: &'a [String],
) -> Option<(&'a PathBuf, &'a String, Span)> {
    let (prefix, suffix, value) = invalid.place()?;
    let origins = origins(files, texts);
    let is_it = |origin: &&Origin| {
        origin.key.starts_with(prefix)
            && origin.key.ends_with(suffix)
            && value.is_none_or(|value| origin.value == value)
    };
    let origin = origins.iter().rev().find(is_it)?;
    let index = files.iter().position(|file| *file == origin.file)?;
    Some((&files[index], &texts[index], origin.span))
}

impl Loaded {
    /// Where each value was written, in the order of `show-config`.
    pub fn origins(&self) -> Vec<Origin> {
        origins(&self.files, &self.texts)
    }
}

fn origins(files: &[PathBuf], texts: &[String]) -> Vec<Origin> {
    let trees: Vec<(&PathBuf, Node)> = files
        .iter()
        .zip(texts)
        .filter_map(|(file, text)| Some((file, spanned_yaml::parse(text).ok()?)))
        .collect();
    let mut origins = Vec::new();
    for (key, merge) in &KEYS {
        let found: Vec<(&PathBuf, &Node)> = trees
            .iter()
            .filter_map(|(file, tree)| Some((*file, find(tree, key)?)))
            .collect();
        match merge {
            Merge::Own => {
                let own = found.iter().filter(|(file, _)| files.first() == Some(*file));
                own.for_each(|(file, node)| leaves(key, node, file, &mut origins));
            }
            Merge::Whole => {
                let first = found.iter().find(|(_, node)| !is_empty(node));
                first
                    .into_iter()
                    .for_each(|(file, node)| leaves(key, node, file, &mut origins));
            }
            Merge::Keys => {
                let mut by_name = BTreeMap::new();
                for (file, node) in found.iter().rev() {
                    for (name, value) in node.as_map().into_iter().flatten() {
                        by_name.insert(name.as_str().unwrap_or_default(), (*file, value));
                    }
                }
                for (name, (file, value)) in by_name {
                    leaves(&format!("{key}.{name}"), value, file, &mut origins);
                }
            }
            Merge::Concatenate => {
                let items = found
                    .iter()
                    .rev()
                    .flat_map(|(file, node)| node.as_seq().into_iter().flatten().map(|item| (*file, item)));
                for (index, (file, item)) in items.enumerate() {
                    leaves(&format!("{key}[{index}]"), item, file, &mut origins);
                }
            }
        }
    }
    origins
}

fn find<'n>(tree: &'n Node, key: &str) -> Option<&'n Node> {
    key.split('.').try_fold(tree, |node, part| node.get(part))
}

/// Whether a value counts as not given.
fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.iter().all(|(_, value)| is_empty(value)),
        _ => node.is_null() || node.as_str() == Some(""),
    }
}

fn leaves(key: &str, node: &Node, file: &PathBuf, origins: &mut Vec<Origin>) {
    match &node.value {
        Value::Mapping(entries) => {
            for (name, value) in entries {
                let name = name.as_str().unwrap_or_default();
                leaves(&format!("{key}.{name}"), value, file, origins);
            }
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(&format!("{key}[{index}]"), item, file, origins);
            }
        }
        _ if node.is_null() => {}
        _ => origins.push(Origin {
            key: key.to_owned(),
            value: node.as_str().unwrap_or_default().to_owned(),
            file: file.clone(),
            line: node.span.line,
            column: node.span.column,
            span: node.span,
        }),
    }
}
