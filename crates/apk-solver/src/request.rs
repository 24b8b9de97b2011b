//! What is asked for, and the answer.

use std::str::FromStr;

use apk_types::{Comparator, Dependency};

use crate::go_version::{GoVersion, VersionText};
use crate::universe::{NameId, PackageId};
use crate::{Conflict, PackageRef, Universe};

/// What a request states beside the world.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The same repositories for the other architectures of an image. Only packages that all of them have, with
    /// the same name and version, are taken. None by default.
    pub siblings: &'a [Sibling<'a>],
    /// How to choose; [`Strategy::Auto`] by default.
    pub strategy: Strategy,
    /// How many steps (propagations of a decision) the complete search may take before it ends with
    /// [`SolveError::StepLimit`](crate::SolveError::StepLimit); [`DEFAULT_STEP_LIMIT`] by default. Steps are
    /// counted, not timed, so that the answer is the same on every machine.
    pub step_limit: u32,
}

/// Over ten times what any of some thousand real requests needs, and an end for made-up ones.
pub const DEFAULT_STEP_LIMIT: u32 = 50_000;

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            siblings: &[],
            strategy: Strategy::default(),
            step_limit: DEFAULT_STEP_LIMIT,
        }
    }
}

/// How packages are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The Go apko's choice and, where that ends without an answer or breaks a `!name`, the complete search.
    #[default]
    Auto,
    /// The Go apko's choice alone, with its failures.
    Greedy,
    /// The complete search alone. Its preferences are those of the Go apko for one demand at a time: the highest
    /// version under the name wanted, which puts a package before others that provide its name in the same
    /// version, then provider priority, then the package's own version, then the lower name; nothing is taken that
    /// no demand needs. It goes back on a preference where no answer keeps it. What it does not share is the
    /// preference for an origin or a version taken before.
    Complete,
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        match text {
            "auto" => Ok(Self::Auto),
            "greedy" => Ok(Self::Greedy),
            "complete" => Ok(Self::Complete),
            _ => Err(UnknownStrategy(text.to_owned())),
        }
    }
}

/// A text that names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of auto, greedy and complete")]
pub struct UnknownStrategy(pub String);

/// The packages of another architecture.
#[derive(Clone, Copy)]
pub struct Sibling<'a> {
    /// How conflicts name it, such as `aarch64`.
    pub arch: &'a str,
    /// Its packages.
    pub universe: &'a Universe<'a>,
}

/// The packages that satisfy a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solution {
    /// The packages in the order of installation: what a package depends on comes before it where the
    /// dependencies have no loop.
    pub packages: Vec<PackageRef>,
    /// What the dependencies of these packages exclude (`!name`), without the `!`, each once, in the order met.
    pub conflicts: Vec<String>,
    /// Demands of the world or of these packages that the packages do not meet; empty but for requests that no
    /// installation satisfies and that the Go apko answers nevertheless, such as those that mix repositories of
    /// two architectures.
    pub unmet: Vec<Conflict>,
    /// Where the Go apko's choice ended, if the packages are those of the complete search.
    pub instead_of: Option<Box<Conflict>>,
}

/// A dependency taken apart, with the number of its name.
#[derive(Clone, Copy)]
pub(crate) struct Want<'a> {
    pub(crate) dependency: &'a Dependency,
    pub(crate) name: Option<NameId>,
    pub(crate) bound: Bound<'a>,
}

/// What a dependency says about versions.
#[derive(Clone, Copy)]
pub(crate) enum Bound<'a> {
    /// Nothing: any version, or none.
    Any,
    /// A relation to a version.
    To(Comparator, GoVersion<'a>),
    /// A relation to something that is no version.
    Unreadable,
}

impl<'a> Bound<'a> {
    pub(crate) fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    /// True where a version that can be read satisfies it; what cannot be read satisfies [`Bound::Any`] alone.
    pub(crate) fn accepts(&self, version: VersionText<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Unreadable => false,
            Self::To(comparator, wanted) => version
                .read()
                .is_some_and(|version| version.satisfies(*comparator, wanted)),
        }
    }

    /// True where a package's own version or, if that can be read, any version it provides satisfies it.
    pub(crate) fn accepts_any_of(&self, universe: &Universe<'_>, package: PackageId) -> bool {
        let record = universe.record(package);
        let own = VersionText::plain(&record.version);
        let mut provided = record.provides.iter().filter_map(VersionText::of);
        self.accepts(own) || own.read().is_some() && provided.any(|version| self.accepts(version))
    }
}

impl<'a> Want<'a> {
    pub(crate) fn new(universe: &Universe<'a>, dependency: &'a Dependency) -> Self {
        let bound = match dependency.constraint() {
            None | Some((Comparator::Checksum, _)) => Bound::Any,
            Some((comparator, _)) => match VersionText::of(dependency).and_then(VersionText::read) {
                Some(version) => Bound::To(comparator, version),
                None => Bound::Unreadable,
            },
        };
        Self {
            dependency,
            name: universe.find(dependency.name()),
            bound,
        }
    }
}
