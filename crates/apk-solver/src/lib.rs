//! Chooses the apk packages that satisfy a world, or says why none do.
//!
//! The choice is the Go apko's, package for package and in its order, because that is what images in the field
//! were built with. Its order of versions is not apk's where a version has more than one suffix of a kind or a
//! commit hash, or leaves the release out; and it takes a candidate without going back on it. Where it ends without
//! an answer, a complete search takes over ([`Universe::solve`]).
//!
//! The crate does no I/O, reads no clock and no environment. It knows repositories only by number, order, tag and
//! an opaque source; it neither reads indexes (`apk-index`) nor installs (`apk-rootfs`). The same input has the
//! same answer on every run. Packages of a base image are asked for by the caller: `NAME=VERSION` in the world,
//! and a repository of their records. A lock file bypasses the solver.
//!
//! ```
//! use apk_solver::{Options, Repository, Universe};
//! use apk_types::{Dependency, PackageRecord};
//!
//! let package = |name: &str, version: &str, depends: &[&str], provides: &[&str]| PackageRecord {
//!     name: name.to_owned(),
//!     version: version.to_owned(),
//!     depends: depends.iter().map(|text| Dependency::lenient(text)).collect(),
//!     provides: provides.iter().map(|text| Dependency::lenient(text)).collect(),
//!     ..PackageRecord::default()
//! };
//! let packages = [
//!     package("musl", "1.2.5-r0", &[], &["so:libc.musl-x86_64.so.1=1"]),
//!     package("busybox", "1.36.1-r0", &["so:libc.musl-x86_64.so.1"], &["cmd:sh=1.36.1-r0"]),
//!     package("busybox", "1.36.1-r1", &["so:libc.musl-x86_64.so.1"], &["cmd:sh=1.36.1-r1"]),
//! ];
//! let universe = Universe::new(&[Repository { source: "main", tag: None, packages: &packages }]);
//!
//! let solution = universe.solve(&[Dependency::lenient("cmd:sh")], &Options::default())?;
//! let names: Vec<_> = solution.packages.iter().filter_map(|place| universe.get(*place)).map(|p| p.file_name()).collect();
//! assert_eq!(names, ["musl-1.2.5-r0.apk", "busybox-1.36.1-r1.apk"]);
//!
//! let error = universe.solve(&[Dependency::lenient("busybox>2")], &Options::default()).unwrap_err();
//! println!("{error}");
//! # Ok::<(), apk_solver::SolveError>(())
//! ```

mod check;
mod conflict;
mod error;
mod explain;
mod go_version;
mod greedy;
mod request;
mod search;
mod universe;
mod why;

use apk_types::Dependency;

use search::{LimitReached, Search};

pub use conflict::{Asker, Candidate, Cause, Conflict, Demand, Reason, Rejected};
pub use error::SolveError;
pub use explain::{Change, Contradiction, ExplainLimits, Explanation, Remedy, Rivals, Step};
pub use request::{DEFAULT_STEP_LIMIT, Options, Sibling, Solution, Strategy, UnknownStrategy};
pub use universe::{PackageRef, Repository, Universe};
pub use why::{Link, WhyNot};

impl Universe<'_> {
    /// Chooses the packages for a world, whose entries have no order and count once.
    ///
    /// By default the choice is the Go apko's. Where that fails, or breaks a `!name`, a search follows that finds an
    /// answer wherever there is one; [`Solution::instead_of`] then says where the Go apko's choice ended.
    /// `!name` in the world keeps out what has or provides the name. The error is that dead end: which demand
    /// cannot be met, who makes it, and what ruled each of its candidates out; [`Universe::explain`] says more.
    pub fn solve(&self, world: &[Dependency], options: &Options<'_>) -> Result<Solution, SolveError> {
        let world = as_set(world);
        self.check_tags(&world)?;
        let greedy = greedy::solve(self, &world, options);
        let dead_end = match &greedy {
            Err(conflict) => Some(conflict.clone()),
            // What else it leaves unmet no installation meets, such as with repositories of two releases.
            Ok(solution) => {
                let broken = solution.unmet.iter().find(|conflict| conflict.is_exclusion());
                broken.cloned().map(Box::new)
            }
        };
        let is_final = match options.strategy {
            Strategy::Auto => dead_end.is_none(),
            Strategy::Greedy => true,
            Strategy::Complete => false,
        };
        if is_final {
            return greedy.map_err(SolveError::Conflict);
        }
        let search = Search::new(self, &world, options);
        match (search.solve(), options.strategy) {
            (Ok(Some(packages)), _) => Ok(self.found(&packages, dead_end)),
            (Ok(None), Strategy::Complete) => {
                let conflict = dead_end.unwrap_or_else(|| Box::new(Conflict::no_combination(&world)));
                Err(SolveError::Conflict(conflict))
            }
            (Ok(None), _) => greedy.map_err(SolveError::Conflict),
            (Err(LimitReached), _) => Err(SolveError::StepLimit {
                limit: options.step_limit,
                dead_end,
            }),
        }
    }

    fn found(&self, packages: &[universe::PackageId], instead_of: Option<Box<Conflict>>) -> Solution {
        Solution {
            conflicts: self.conflicts_of(packages),
            packages: packages.iter().map(|package| self.place(*package)).collect(),
            unmet: Vec::new(),
            instead_of,
        }
    }

    fn check_tags(&self, world: &[&Dependency]) -> Result<(), SolveError> {
        let mut known: Vec<&str> = self.repositories().iter().filter_map(|one| one.tag).collect();
        known.sort_unstable();
        known.dedup();
        let is_unknown = |entry: &&&Dependency| entry.pin().is_some_and(|tag| !known.contains(&tag));
        match world.iter().find(is_unknown) {
            None => Ok(()),
            Some(entry) => Err(SolveError::UnknownTag {
                entry: (*entry).clone(),
                known: known.into_iter().map(str::to_owned).collect(),
            }),
        }
    }

    /// What packages exclude, without the `!`, each once.
    fn conflicts_of(&self, packages: &[universe::PackageId]) -> Vec<String> {
        let depends = packages.iter().flat_map(|package| &self.record(*package).depends);
        let mut conflicts: Vec<String> = Vec::new();
        for entry in depends.filter(|entry| entry.is_conflict()) {
            let text = &entry.as_str()[1..];
            if !conflicts.iter().any(|other| other == text) {
                conflicts.push(text.to_owned());
            }
        }
        conflicts
    }
}

/// The entries of a world, sorted by text, each once.
fn as_set(world: &[Dependency]) -> Vec<&Dependency> {
    let mut world: Vec<_> = world.iter().collect();
    world.sort_by_key(|entry| entry.as_str());
    world.dedup_by_key(|entry| entry.as_str());
    world
}
