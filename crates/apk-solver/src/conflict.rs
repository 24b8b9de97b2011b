//! Why nothing satisfies a request, as data.

use std::fmt;

use apk_types::Dependency;

use crate::PackageRef;

/// A package as conflicts name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it is.
    pub place: PackageRef,
}

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The request itself.
    World,
    /// A package, by one of its dependencies.
    Package(Candidate),
}

/// Someone wants something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Who wants it.
    pub asker: Asker,
    /// What is wanted, as it was written.
    pub dependency: Dependency,
}

/// Why a request has no answer.
///
/// `chain` leads from an entry of the world over the dependencies of packages to the demand that cannot be met;
/// `cause` says why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// From the world's entry down to the demand that fails; never empty. Each asker after the first is what
    /// was chosen for the demand before.
    pub chain: Vec<Demand>,
    /// Why the last demand of the chain fails.
    pub cause: Cause,
}

impl Conflict {
    pub(crate) fn no_combination(world: &[&Dependency]) -> Self {
        let demand = |entry: &&Dependency| Demand {
            asker: Asker::World,
            dependency: (*entry).clone(),
        };
        Self {
            chain: world.iter().take(1).map(demand).collect(),
            cause: Cause::NoCombination,
        }
    }

    /// The demand that fails.
    pub fn demand(&self) -> Option<&Demand> {
        self.chain.last()
    }

    /// True where that demand is a `!name`, broken by something chosen.
    pub fn is_exclusion(&self) -> bool {
        self.demand()
            .is_some_and(|demand| demand.dependency.is_conflict())
    }
}

/// Why one demand cannot be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No package has or provides the name.
    NothingProvides,
    /// There are packages of that name, and each is ruled out.
    AllRejected(Vec<Rejected>),
    /// The name is taken already by a package that does not satisfy the demand.
    AlreadyChosen(Candidate),
    /// The asker itself cannot stand beside a package chosen before, because both claim a name.
    Clash {
        /// The package chosen before.
        with: Candidate,
        /// The name both claim.
        name: String,
    },
    /// The demand's own version is not one that can be read.
    UnreadableVersion,
    /// No packages satisfy it together with the rest of the request. The choice without going back, which takes
    /// less exact answers, had no dead end to tell of.
    NoCombination,
    /// The packages chosen leave the demand unmet.
    Unmet {
        /// The packages chosen that have the name or provide it; for `!name`, the one that breaks the demand.
        chosen: Vec<Candidate>,
    },
}

/// A package that cannot be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The package.
    pub package: Candidate,
    /// Why it cannot be taken.
    pub reason: Reason,
}

/// Why a package cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A `!name` excludes it.
    Excluded(Demand),
    /// Its version, or the version of what it provides, does not satisfy a demand.
    VersionMismatch {
        /// The demand.
        demand: Demand,
        /// The version that does not satisfy it.
        version: String,
    },
    /// A package chosen before provides a name that this one has or provides too.
    NameTaken {
        /// The package chosen before.
        by: Candidate,
        /// The name.
        name: String,
    },
    /// Its version, or the version of what it provides, is not one that can be read.
    UnreadableVersion(String),
    /// Another architecture of the same image does not have it.
    AbsentFor(String),
    /// It is in a tagged repository, and the demand does not name the tag.
    NotPinned {
        /// The tag of the repository.
        tag: String,
    },
}

/// A text of an index or a request as it may be shown: control characters are escaped.
pub(crate) fn plain(text: &str) -> impl fmt::Display + '_ {
    struct Plain<'a>(&'a str);
    impl fmt::Display for Plain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.chars().try_for_each(|c| match c.is_control() {
                true => write!(f, "{}", c.escape_default()),
                false => write!(f, "{c}"),
            })
        }
    }
    Plain(text)
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", plain(&self.name), plain(&self.version))
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World => f.write_str("the request"),
            Self::Package(package) => package.fmt(f),
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wants {}", self.asker, plain(self.dependency.as_str()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Excluded(demand) => write!(f, "{demand}"),
            Self::VersionMismatch { demand, version } => {
                write!(f, "{demand}, which {} does not satisfy", plain(version))
            }
            Self::NameTaken { by, name } => write!(f, "{by} already provides {}", plain(name)),
            Self::UnreadableVersion(version) => write!(f, "its version {} cannot be read", plain(version)),
            Self::AbsentFor(arch) => write!(f, "it does not exist for {arch}"),
            Self::NotPinned { tag } => write!(f, "it is only in @{tag}, which the dependency does not name"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingProvides => f.write_str("no package provides it"),
            Self::AllRejected(rejected) => {
                for (number, Rejected { package, reason }) in rejected.iter().enumerate() {
                    let separator = if number == 0 { "" } else { "; " };
                    write!(f, "{separator}not {package}: {reason}")?;
                }
                Ok(())
            }
            Self::AlreadyChosen(package) => write!(f, "{package} is already chosen"),
            Self::Clash { with, name } => write!(f, "{with} is already chosen and has {} too", plain(name)),
            Self::UnreadableVersion => f.write_str("its version cannot be read"),
            Self::NoCombination => f.write_str("no packages satisfy it together with the rest"),
            Self::Unmet { chosen } if chosen.is_empty() => f.write_str("nothing chosen provides it"),
            Self::Unmet { chosen } => {
                f.write_str("chosen:")?;
                chosen.iter().try_for_each(|package| write!(f, " {package}"))
            }
        }
    }
}

/// The demands from the world's down, and the cause, on one line.
impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for demand in &self.chain {
            write!(f, "{demand}: ")?;
        }
        self.cause.fmt(f)
    }
}

impl std::error::Error for Conflict {}
