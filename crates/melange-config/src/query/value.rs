//! The values that templates work on.

use std::cmp::Ordering;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i128),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    /// A section with the fields it always has.
    Record(Vec<(&'static str, Value)>),
}

impl Value {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Record(_) => "a section",
        }
    }

    /// What `if`, `and` and the like take for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Record(_) => true,
        }
    }

    /// The text that Go prints; none for a section.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Nil => Some("<no value>".to_owned()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::List(items) => {
                let items: Option<Vec<_>> = items.iter().map(Self::text).collect();
                Some(format!("[{}]", items?.join(" ")))
            }
            Self::Map(entries) => {
                let entries = entries.iter();
                let entries: Option<Vec<_>> = entries
                    .map(|(key, value)| Some(format!("{key}:{}", value.text()?)))
                    .collect();
                Some(format!("map[{}]", entries?.join(" ")))
            }
            Self::Record(_) => None,
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => (a == b).then_some(Ordering::Equal),
            _ => None,
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Self::Nil => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => i64::try_from(*value).map_or(serde_json::Value::Null, Into::into),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.json()))
                .collect(),
            Self::Record(fields) => {
                let fields = fields.iter();
                fields
                    .map(|(key, value)| ((*key).to_owned(), value.json()))
                    .collect()
            }
        }
    }
}
