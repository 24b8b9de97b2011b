//! A typed reader over a mapping.

use std::ops::RangeInclusive;

use crate::diagnostic::{Diagnostic, nearest};
use crate::node::{Node, Value};

/// Reads the keys of a mapping one by one and refuses those nobody asked for.
///
/// A null stands for an empty mapping, a null value for an absent key, as for Go's decoder.
#[derive(Debug)]
pub struct Fields<'a> {
    what: &'a str,
    entries: Vec<(&'a str, &'a Node, &'a Node)>,
    known: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Starts reading `node`; `what` names it with its article, as in "an image configuration".
    ///
    /// # Errors
    /// For anything but a mapping with string keys.
    pub fn new(node: &'a Node, what: &'a str) -> Result<Self, Diagnostic> {
        let mut entries = Vec::new();
        match &node.value {
            Value::Null => {}
            Value::Mapping(pairs) => {
                for (key, value) in pairs {
                    let name = key.as_str().ok_or_else(|| {
                        Diagnostic::new(format!("a key of {what} must be a string")).at(key.span)
                    })?;
                    entries.push((name, key, value));
                }
            }
            _ => {
                let found = node.kind_name();
                let message = format!("{what} must be a mapping, not {found}");
                return Err(Diagnostic::new(message)
                    .at(node.span)
                    .label(format!("this is {found}")));
            }
        }
        Ok(Self {
            what,
            entries,
            known: Vec::new(),
        })
    }

    /// Takes the value of a key; `None` where it is absent. A null value is returned as such.
    pub fn take(&mut self, key: &'a str) -> Option<&'a Node> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, ..)| *name == key)?;
        Some(self.entries.remove(at).2)
    }

    fn take_set(&mut self, key: &'a str) -> Option<&'a Node> {
        self.take(key).filter(|node| !node.is_null())
    }

    /// Takes a string; any scalar will do, its text is kept.
    ///
    /// # Errors
    /// For a list or a mapping.
    pub fn string(&mut self, key: &'a str) -> Result<Option<String>, Diagnostic> {
        self.take_set(key)
            .map(|node| {
                let text = node.as_str().map(str::to_owned);
                text.ok_or_else(|| node.mismatch(key, "a string"))
            })
            .transpose()
    }

    /// Takes a list of strings, empty where absent; null items are left out.
    ///
    /// # Errors
    /// For anything but a list of scalars.
    pub fn strings(&mut self, key: &'a str) -> Result<Vec<String>, Diagnostic> {
        let mut out = Vec::new();
        for item in self.seq(key, "a list of strings")? {
            match item.as_str() {
                Some(text) => out.push(text.to_owned()),
                None if item.is_null() => {}
                None => return Err(item.mismatch(key, "a list of strings")),
            }
        }
        Ok(out)
    }

    /// Takes a list, empty where absent; `wanted` names it for the message.
    ///
    /// # Errors
    /// For anything but a list.
    pub fn seq(&mut self, key: &'a str, wanted: &str) -> Result<&'a [Node], Diagnostic> {
        self.take_set(key).map_or(Ok(&[]), |node| {
            node.as_seq().ok_or_else(|| node.mismatch(key, wanted))
        })
    }

    /// Takes a boolean.
    ///
    /// # Errors
    /// For anything else.
    pub fn bool(&mut self, key: &'a str) -> Result<Option<bool>, Diagnostic> {
        self.take_set(key)
            .map(|node| node.as_bool().ok_or_else(|| node.mismatch(key, "true or false")))
            .transpose()
    }

    /// Takes an integer of a type.
    ///
    /// # Errors
    /// For anything else and for integers the type does not hold.
    pub fn int<T: TryFrom<i128>>(&mut self, key: &'a str) -> Result<Option<T>, Diagnostic> {
        let wanted = if T::try_from(-1).is_ok() {
            "an integer"
        } else {
            "an integer of 0 or more"
        };
        self.take_set(key)
            .map(|node| {
                let value = node.as_int().ok_or_else(|| node.mismatch(key, wanted))?;
                T::try_from(value).map_err(|_| {
                    Diagnostic::new(format!("`{key}` must be {wanted}, not {value}")).at(node.span)
                })
            })
            .transpose()
    }

    /// Takes an integer within a range.
    ///
    /// # Errors
    /// For anything else.
    pub fn int_in(&mut self, key: &'a str, range: RangeInclusive<i64>) -> Result<Option<i64>, Diagnostic> {
        let (least, most) = (*range.start(), *range.end());
        self.take_set(key)
            .map(|node| {
                let wanted = format!("an integer from {least} to {most}");
                let value = node.as_int().ok_or_else(|| node.mismatch(key, &wanted))?;
                let value = i64::try_from(value).ok().filter(|value| range.contains(value));
                value.ok_or_else(|| Diagnostic::new(format!("`{key}` must be {wanted}")).at(node.span))
            })
            .transpose()
    }

    /// Takes a mapping from strings to strings in the order written, empty where absent; a null
    /// value is the empty string.
    ///
    /// # Errors
    /// For anything else.
    pub fn map_of_strings(&mut self, key: &'a str) -> Result<Vec<(String, String)>, Diagnostic> {
        const WANTED: &str = "a mapping of strings to strings";
        let Some(node) = self.take_set(key) else {
            return Ok(Vec::new());
        };
        let entries = node.as_map().ok_or_else(|| node.mismatch(key, WANTED))?;
        let mut out = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let text = match value.as_str() {
                Some(text) => text,
                None if value.is_null() => "",
                None => return Err(value.mismatch(key, WANTED)),
            };
            let name = name.as_str().ok_or_else(|| name.mismatch(key, WANTED))?;
            out.push((name.to_owned(), text.to_owned()));
        }
        Ok(out)
    }

    /// Takes the key as a mapping of its own; `what` names it as in [`Fields::new`].
    ///
    /// # Errors
    /// As [`Fields::new`].
    pub fn fields(&mut self, key: &'a str, what: &'a str) -> Result<Option<Fields<'a>>, Diagnostic> {
        self.take_set(key).map(|node| Fields::new(node, what)).transpose()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// For a key that was never asked for, with the nearest of those that were.
    pub fn finish(self) -> Result<(), Diagnostic> {
        self.unknown().into_iter().next().map_or(Ok(()), Err)
    }

    /// Ends the reading with a diagnostic for every key that was never asked for.
    #[must_use]
    pub fn unknown(self) -> Vec<Diagnostic> {
        let of_key = |(name, key, _): &(&str, &Node, &Node)| {
            let known = self.known.iter().copied();
            let help = nearest(name, known.clone()).map_or_else(
                || format!("its keys are {}", quoted_list(known)),
                |near| format!("did you mean `{near}`?"),
            );
            Diagnostic::new(format!("unknown key `{name}`"))
                .at(key.span)
                .label(format!("not a key of {}", self.what))
                .help(help)
        };
        self.entries.iter().map(of_key).collect()
    }
}

fn quoted_list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
