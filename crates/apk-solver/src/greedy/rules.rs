//! What rules packages out, and what is left.

use apk_types::Dependency;

use super::{By, Failure, Fall, Greedy};
use crate::go_version::VersionText;
use crate::request::{Bound, Want};
use crate::universe::{NameId, PackageId};

impl<'s> Greedy<'s> {
    /// Rules out what the demands of one asker exclude: providers of `!name`, and versions of a name that a
    /// demand does not accept.
    pub(super) fn constrain(
        &mut self,
        by: By,
        wants: &[Want<'s>],
    ) -> Result<(), (&'s Dependency, Failure<'s>)> {
        for want in wants {
            let Some(name) = want.name else { continue };
            if want.dependency.is_conflict() {
                self.exclude(by, name, want);
                continue;
            }
            let providers = self.universe.providers(name);
            match want.bound {
                Bound::Any => {}
                Bound::Unreadable if providers.is_empty() => {}
                Bound::Unreadable => return Err((want.dependency, Failure::Unreadable)),
                Bound::To(..) => {
                    for &provider in providers {
                        if let Some(fall) = self.misfit(by, provider, name, want) {
                            self.fallen[provider.index()] = Some(fall);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn exclude(&mut self, by: By, name: NameId, want: &Want<'s>) {
        for package in self.candidates(name, want.bound, want.dependency.pin(), None) {
            let fall = &mut self.fallen[package.index()];
            fall.get_or_insert(Fall::Excluded(by, want.dependency));
        }
    }

    /// How a provider's version under `name` fails the demand. What it provides without a version neither
    /// satisfies nor fails it.
    fn misfit(&self, by: By, provider: PackageId, name: NameId, want: &Want<'s>) -> Option<Fall<'s>> {
        let Bound::To(comparator, ref wanted) = want.bound else {
            return None;
        };
        let judge = |version: VersionText<'s>, text: &'s str| match version.read() {
            None => Some(Fall::Unreadable(text)),
            Some(version) if version.satisfies(comparator, wanted) => None,
            Some(_) => Some(Fall::Mismatch(by, want.dependency, text)),
        };
        if self.universe.name(provider) == name {
            let own = &self.universe.record(provider).version;
            return judge(VersionText::plain(own), own);
        }
        let entries = self
            .universe
            .provides(provider)
            .filter(|(provided, _)| *provided == name);
        entries
            .filter_map(|(_, entry)| judge(VersionText::of(entry)?, entry.version()?))
            .last()
    }

    /// Rules out everything else that claims a name which `package` provides: under a name that it provides
    /// with a version everything, under a name without one what has a version for it.
    pub(super) fn rule_out_rivals(&mut self, package: PackageId) {
        let universe = self.universe;
        for (name, entry) in universe.provides(package) {
            for &rival in universe.providers(name) {
                if rival == package || self.fallen[rival.index()].is_some() {
                    continue;
                }
                if entry.version().is_some() || universe.version_as(rival, name).is_some() {
                    self.fallen[rival.index()] = Some(Fall::NameTaken(package, name));
                }
            }
        }
    }

    /// The providers of a name that are not ruled out, not in a foreign tagged repository, and satisfy the bound.
    ///
    /// As in the Go apko, a provider passes when its own version or any version it provides, whatever the name,
    /// satisfies the bound. `tag` opens the repositories with that tag, `taken` those that it came from.
    pub(super) fn candidates(
        &self,
        name: NameId,
        bound: Bound<'s>,
        tag: Option<&str>,
        taken: Option<PackageId>,
    ) -> Vec<PackageId> {
        let universe = self.universe;
        let is_open = |package: PackageId| {
            let own = universe.tag(package);
            own.is_none() || own == tag || taken.is_some_and(|taken| universe.same_file(taken, package))
        };
        let fits = |package: PackageId| bound.is_any() || bound.accepts_any_of(universe, package);
        let providers = universe.providers(name).iter().copied();
        providers
            .filter(|&package| self.fallen[package.index()].is_none() && is_open(package) && fits(package))
            .collect()
    }

    /// Takes a package: its name and the names it provides with a version are its own from now on.
    pub(super) fn select(&mut self, package: PackageId) -> Result<(), Failure<'s>> {
        let universe = self.universe;
        let own = universe.name(package);
        match self.selected[own.index()] {
            Some(other) if other == package => return Ok(()),
            Some(other) => return Err(Failure::Clash(other, own)),
            None => self.selected[own.index()] = Some(package),
        }
        for (name, entry) in universe.provides(package) {
            if let Some(other) = self.selected[name.index()] {
                return Err(Failure::Clash(other, name));
            }
            if entry.version().is_some() {
                self.selected[name.index()] = Some(package);
            }
        }
        Ok(())
    }
}
