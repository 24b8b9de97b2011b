//! Why a request has no answer.

use apk_types::Dependency;

use crate::conflict::{Conflict, plain};

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SolveError {
    /// No packages satisfy the request; with [`Strategy::Greedy`](crate::Strategy::Greedy): none were found.
    #[error(transparent)]
    Conflict(Box<Conflict>),
    /// The complete search took more steps than it may, and nothing is known.
    #[error("no answer within {limit} steps of the complete search{}", after(dead_end.as_deref()))]
    StepLimit {
        /// The limit, [`Options::step_limit`](crate::Options::step_limit).
        limit: u32,
        /// Where the choice without going back ended before.
        dead_end: Option<Box<Conflict>>,
    },
    /// An entry of the world is pinned to a tag that no repository has.
    #[error("`{}` is pinned to `@{}`, {}", plain(entry.as_str()), plain(entry.pin().unwrap_or_default()), tags(known))]
    UnknownTag {
        /// The entry.
        entry: Dependency,
        /// The tags that repositories have, sorted.
        known: Vec<String>,
    },
}

fn after(dead_end: Option<&Conflict>) -> String {
    dead_end.map_or_else(String::new, |conflict| format!("; without it: {conflict}"))
}

fn tags(known: &[String]) -> String {
    match known {
        [] => "but no repository has a tag".to_owned(),
        known => format!("but the tags of the repositories are @{}", known.join(", @")),
    }
}
