//! What is installed in an environment.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A package that was chosen, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) from: Found,
}

/// Where a package is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Found {
    /// It is one of the workspace's.
    Workspace {
        /// The name of its configuration's main package.
        definition: String,
    },
    /// It is in a repository.
    Repository {
        /// Which of the pool's, counted from 1: the workspace is 0.
        number: u32,
        /// The checksum that the index gives.
        checksum: String,
    },
}

/// What is installed in an environment, in the order of installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Solution {
    pub(crate) packages: Vec<Arc<Chosen>>,
}

impl Solution {
    pub(crate) fn new(packages: impl IntoIterator<Item = Arc<Chosen>>) -> Self {
        Self {
            packages: packages.into_iter().collect(),
        }
    }

    /// The workspace's own packages, with the main packages of their configurations.
    pub(crate) fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        self.packages.iter().filter_map(|chosen| match &chosen.from {
            Found::Workspace { definition } => Some((definition.as_str(), chosen.name.as_str())),
            Found::Repository { .. } => None,
        })
    }

    /// The packages pinned to their versions, in the order of their names.
    pub(crate) fn pinned(&self) -> Vec<String> {
        let mut pinned: Vec<String> = self
            .packages
            .iter()
            .map(|chosen| format!("{}={}", chosen.name, chosen.version))
            .collect();
        pinned.sort_unstable();
        pinned
    }
}

/// Solutions as they are kept: each package once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Packed {
    packages: Vec<Arc<Chosen>>,
    solutions: Vec<(crate::stamps::Content, Vec<u32>)>,
}

impl Packed {
    pub(crate) fn pack<'a>(
        solutions: impl Iterator<Item = (&'a crate::stamps::Content, &'a Solution)>,
    ) -> Self {
        let mut numbers: HashMap<&Chosen, u32> = HashMap::new();
        let mut packed = Self::default();
        for (key, solution) in solutions {
            let mut places = Vec::with_capacity(solution.packages.len());
            for chosen in &solution.packages {
                let next = numbers.len() as u32;
                let number = *numbers.entry(chosen).or_insert_with(|| {
                    packed.packages.push(Arc::clone(chosen));
                    next
                });
                places.push(number);
            }
            packed.solutions.push((*key, places));
        }
        packed.solutions.sort();
        packed
    }

    pub(crate) fn unpack(self) -> impl Iterator<Item = (crate::stamps::Content, Solution)> {
        let Self { packages, solutions } = self;
        solutions.into_iter().map(move |(key, places)| {
            let chosen = places
                .iter()
                .filter_map(|place| packages.get(*place as usize).map(Arc::clone));
            (key, Solution::new(chosen))
        })
    }
}
