//! Why a node would be built, or why not.

use serde::{Deserialize, Serialize};

use crate::{Entry, Input, Inputs, NodeId, Origin, Plan, Step};

/// An input that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputChange {
    /// The input's name.
    pub name: String,
    /// Its value when the node was built last; `None` if it is new.
    pub old: Option<String>,
    /// Its value now; `None` if it is gone.
    pub new: Option<String>,
    /// Where it is written, or was where it is gone.
    pub origin: Option<Origin>,
}

/// Why a node would be built, or why not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The node.
    pub node: NodeId,
    /// What would become of it.
    pub step: Step,
    /// What is known of the last time.
    pub last: Option<Entry>,
    /// The inputs as they are now, as far as can be told: of a node that waits for others, what they are if those come
    /// out as before.
    pub inputs: Option<Inputs>,
    /// What of them has changed since.
    pub changes: Vec<InputChange>,
    /// What would become of all that it needs.
    pub plan: Plan,
}

/// The difference between two lists of inputs, each in the order of the names.
pub fn changes(old: &[Input], new: &[Input]) -> Vec<InputChange> {
    let change = |old: Option<&Input>, new: Option<&Input>| InputChange {
        name: new.or(old).map_or_else(String::new, |input| input.name.clone()),
        old: old.map(|input| input.value.clone()),
        new: new.map(|input| input.value.clone()),
        origin: new.or(old).and_then(|input| input.origin.clone()),
    };
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    let mut changes = Vec::new();
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(a), Some(b)) if a.name == b.name => {
                if a.value != b.value {
                    changes.push(change(Some(a), Some(b)));
                }
                old.next();
                new.next();
            }
            (Some(a), other) if other.is_none_or(|b| a.name < b.name) => {
                changes.push(change(old.next(), None))
            }
            _ => changes.push(change(None, new.next())),
        }
    }
}
