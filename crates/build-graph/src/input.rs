//! What a node's result depends on.

use serde::{Deserialize, Serialize};

use crate::{Hash, Key, Origin};

/// One thing that a result depends on: `environment/libgreet-dev`, and the hash of its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Input {
    /// What it is. Slashes group names: `environment/libgreet-dev`, `pipeline/autoconf/make`, `source/src/greet.c`.
    pub name: String,
    /// A hash of it, or the text itself where it is short.
    pub value: String,
    /// Where it is written. It is told, and is no part of the key.
    pub origin: Option<Origin>,
}

/// All that a result depends on, in the order of the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    list: Vec<Input>,
}

/// The input that says how results come to be from the others.
const RECIPE: &str = "recipe";

impl Inputs {
    /// One input, `recipe`, that says how results come to be from the others, such as `package/3`: the kind, and a version
    /// that goes up whenever the same inputs come to mean another result.
    pub fn new(recipe: impl ToString) -> Self {
        let mut inputs = Self { list: Vec::new() };
        inputs.add(RECIPE, recipe, None);
        inputs
    }

    /// Adds an input.
    pub fn add(&mut self, name: impl Into<String>, value: impl ToString, origin: impl Into<Option<Origin>>) {
        self.extend([Input {
            name: name.into(),
            value: value.to_string(),
            origin: origin.into(),
        }]);
    }

    /// The inputs in the order of their names, then values.
    pub fn list(&self) -> &[Input] {
        &self.list
    }

    /// The input of a name, the first if there are more.
    pub fn get(&self, name: &str) -> Option<&Input> {
        let at = self.list.partition_point(|input| input.name.as_str() < name);
        self.list.get(at).filter(|input| input.name == name)
    }

    /// The key: the BLAKE3 hash of all names and values in their order. Where inputs are written, and in which order they
    /// were added, changes nothing.
    pub fn key(&self) -> Key {
        let pairs = self
            .list
            .iter()
            .flat_map(|input| [input.name.as_str(), input.value.as_str()]);
        Key::from(Hash::of(["build-graph key v1"].into_iter().chain(pairs)))
    }
}

impl Extend<Input> for Inputs {
    fn extend<T: IntoIterator<Item = Input>>(&mut self, inputs: T) {
        for input in inputs {
            let before = |other: &Input| (&other.name, &other.value) <= (&input.name, &input.value);
            // Mostly they come in order.
            let at = match self.list.last() {
                Some(last) if !before(last) => self.list.partition_point(before),
                _ => self.list.len(),
            };
            self.list.insert(at, input);
        }
    }
}
