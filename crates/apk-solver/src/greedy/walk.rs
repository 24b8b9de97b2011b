//! Following the dependencies of one entry of the world.

use apk_types::Dependency;

use super::order::{Preference, Seen};
use super::{Dead, Failure, Greedy};
use crate::go_version::VersionText;
use crate::request::{Bound, Want};
use crate::universe::{NameId, PackageId};

/// A package whose dependencies are being looked at. The frames are a stack of their own, so that no chain of
/// dependencies, however long, overflows the program's.
struct Frame<'s> {
    package: PackageId,
    /// The dependency it was chosen for.
    reason: &'s Dependency,
    /// What is left to look at.
    wants: Vec<Want<'s>>,
    /// Where in the list of all that was found its own dependencies begin.
    start: usize,
    /// True for a second look at a name on the path, which asks for nothing.
    is_loop: bool,
}

impl<'s> Greedy<'s> {
    /// Forgets what the entry before had found.
    pub(super) fn start_entry(&mut self) {
        self.existing.clear();
        self.existing_origins.clear();
    }

    /// All that `root` depends on, each before what depends on it, some of it repeatedly.
    pub(super) fn dependencies(
        &mut self,
        root: PackageId,
        entry: &'s Dependency,
    ) -> Result<Vec<PackageId>, Dead<'s>> {
        let mut found = Vec::new();
        let mut path = Vec::new();
        let result = self.follow(root, entry, &mut path, &mut found);
        for frame in &path {
            self.on_path[self.universe.name(frame.package).index()] = false;
        }
        match result {
            Ok(()) => Ok(found),
            Err((dependency, failure)) => {
                let mut chain = Vec::with_capacity(path.len() + 1);
                let mut by = None;
                for frame in &path {
                    chain.push((by, frame.reason));
                    by = Some(frame.package);
                }
                // A package that clashes has no dependency to blame: the chain ends with what asks for it.
                chain.extend(dependency.map(|dependency| (by, dependency)));
                Err(Dead { chain, failure })
            }
        }
    }

    fn follow(
        &mut self,
        root: PackageId,
        entry: &'s Dependency,
        path: &mut Vec<Frame<'s>>,
        found: &mut Vec<PackageId>,
    ) -> Result<(), (Option<&'s Dependency>, Failure<'s>)> {
        let tag = entry.pin();
        self.enter(root, entry, path, 0)?;
        while let Some(frame) = path.last_mut() {
            let package = frame.package;
            let mut wants = std::mem::take(&mut frame.wants);
            let next = self
                .next_dependency(package, &mut wants, tag)
                .map_err(|(dependency, failure)| (Some(dependency), failure))?;
            frame.wants = wants;
            match next {
                Some((want, name, candidates)) => {
                    let chosen = self.best(name, &candidates).unwrap_or(candidates[0]);
                    self.rule_out_rivals(chosen);
                    self.select(package).map_err(|failure| (None, failure))?;
                    self.enter(chosen, want.dependency, path, found.len())?;
                }
                None => self.leave(path, found),
            }
        }
        Ok(())
    }

    /// Begins with the dependencies of a package.
    fn enter(
        &mut self,
        package: PackageId,
        reason: &'s Dependency,
        path: &mut Vec<Frame<'s>>,
        start: usize,
    ) -> Result<(), (Option<&'s Dependency>, Failure<'s>)> {
        let on_path = &mut self.on_path[self.universe.name(package).index()];
        let is_loop = std::mem::replace(on_path, true);
        let depends: &[Dependency] = match is_loop {
            true => &[],
            false => &self.universe.record(package).depends,
        };
        let mut wants: Vec<_> = depends
            .iter()
            .map(|entry| Want::new(self.universe, entry))
            .collect();
        let constrained = self.constrain(Some(package), &wants);
        wants.retain(|want| {
            let is_conflict = want.dependency.is_conflict();
            if is_conflict && !self.conflicts.contains(&want.dependency) {
                self.conflicts.push(want.dependency);
            }
            !is_conflict
        });
        path.push(Frame {
            package,
            reason,
            wants,
            start,
            is_loop,
        });
        constrained.map_err(|(dependency, failure)| (Some(dependency), failure))
    }

    /// Ends with a package: what it brought counts as taken from now on, and it follows what it brought.
    fn leave(&mut self, path: &mut Vec<Frame<'s>>, found: &mut Vec<PackageId>) {
        let Some(frame) = path.pop() else { return };
        if !frame.is_loop {
            self.on_path[self.universe.name(frame.package).index()] = false;
        }
        if path.is_empty() {
            return;
        }
        for &package in &found[frame.start..] {
            self.existing.insert(self.universe.name(package), package);
            if let Some(origin) = self.universe.origin(package) {
                self.existing_origins.insert(origin, package);
            }
        }
        found.push(frame.package);
    }

    /// Takes the dependency with the fewest candidates, by text among equals, out of `wants`. Those that are met
    /// already are dropped.
    #[allow(clippy::type_complexity)]
    fn next_dependency(
        &self,
        package: PackageId,
        wants: &mut Vec<Want<'s>>,
        tag: Option<&'s str>,
    ) -> Result<Option<(Want<'s>, NameId, Vec<PackageId>)>, (&'s Dependency, Failure<'s>)> {
        let mut open = Vec::with_capacity(wants.len());
        let mut next: Option<(usize, NameId, Vec<PackageId>)> = None;
        for want in wants.drain(..) {
            let fail = |failure| (want.dependency, failure);
            let name = want.name.ok_or_else(|| fail(Failure::NothingProvides))?;
            if self.is_met(package, name, &want).map_err(fail)? {
                continue;
            }
            if self.universe.providers(name).is_empty() {
                return Err(fail(Failure::NothingProvides));
            }
            let taken = self.existing.get(name).or_else(|| self.chosen.get(name));
            let candidates = self.candidates(name, want.bound, tag, taken);
            if candidates.is_empty() {
                return Err(fail(Failure::NoCandidate(want, tag)));
            }
            let is_next = next.as_ref().is_none_or(|(number, _, fewest)| {
                let other: &Want<'s> = &open[*number];
                (candidates.len(), want.dependency.as_str()) < (fewest.len(), other.dependency.as_str())
            });
            if is_next {
                next = Some((open.len(), name, candidates));
            }
            open.push(want);
        }
        let next = next.map(|(number, name, candidates)| (open.remove(number), name, candidates));
        if let Some((taken, ..)) = &next {
            open.retain(|want| want.dependency != taken.dependency);
        }
        *wants = open;
        Ok(next)
    }

    /// True where the package itself, or one selected before, meets its demand. It is an error where the name is
    /// taken by a package that does not.
    fn is_met(&self, package: PackageId, name: NameId, want: &Want<'s>) -> Result<bool, Failure<'s>> {
        let universe = self.universe;
        if universe.provided_names(package).contains(&name) {
            return Ok(true);
        }
        let accepts = |package| {
            want.bound
                .accepts(VersionText::plain(&universe.record(package).version))
        };
        let reads = VersionText::plain(&universe.record(package).version)
            .read()
            .is_some();
        if universe.name(package) == name && reads && accepts(package) {
            return Ok(true);
        }
        let Some(selected) = self.selected[name.index()] else {
            return Ok(false);
        };
        let wanted = match want.bound {
            Bound::Any => return Ok(true),
            Bound::Unreadable => return Err(Failure::Unreadable),
            Bound::To(_, wanted) => wanted,
        };
        let is_provided = universe
            .provides(selected)
            .filter(|(provided, _)| *provided == name)
            .filter_map(|(_, entry)| Some((entry.constraint()?.0, VersionText::of(entry)?.read()?)))
            .any(|(comparator, version)| version.satisfies(comparator, &wanted));
        match is_provided || accepts(selected) {
            true => Ok(true),
            false => Err(Failure::AlreadyChosen(selected)),
        }
    }

    /// The best candidate for a dependency. What has been taken is preferred, and tags are not.
    fn best(&self, name: NameId, candidates: &[PackageId]) -> Option<PackageId> {
        let preference = Preference {
            universe: self.universe,
            name,
            tag: None,
            seen: Some(Seen {
                packages: [&self.existing, &self.chosen],
                origins: [&self.existing_origins, &self.chosen_origins],
            }),
        };
        preference.best(candidates)
    }
}
