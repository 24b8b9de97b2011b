//! Turning the numbers of a failed search into a conflict.

use apk_types::Dependency;

use super::{By, Dead, Failure, Fall, Greedy};
use crate::conflict::{Asker, Cause, Conflict, Demand, Reason, Rejected};
use crate::go_version::VersionText;
use crate::request::{Bound, Want};
use crate::universe::{NameId, PackageId};

impl<'s> Greedy<'s> {
    fn demand(&self, by: By, dependency: &Dependency) -> Demand {
        Demand {
            asker: by.map_or(Asker::World, |package| {
                Asker::Package(self.universe.candidate(package))
            }),
            dependency: dependency.clone(),
        }
    }

    pub(super) fn tell(&self, dead: &Dead<'s>) -> Conflict {
        let cause = match dead.failure {
            Failure::NothingProvides => Cause::NothingProvides,
            Failure::NoCandidate(want, pin) => Cause::AllRejected(self.rejected(dead, &want, pin)),
            Failure::AlreadyChosen(package) => Cause::AlreadyChosen(self.universe.candidate(package)),
            Failure::Clash(package, name) => Cause::Clash {
                with: self.universe.candidate(package),
                name: self.universe.text(name).to_owned(),
            },
            Failure::Unmet(ref present) => Cause::Unmet {
                chosen: present
                    .iter()
                    .map(|package| self.universe.candidate(*package))
                    .collect(),
            },
            Failure::Unreadable => Cause::UnreadableVersion,
        };
        Conflict {
            chain: dead
                .chain
                .iter()
                .map(|(by, dependency)| self.demand(*by, dependency))
                .collect(),
            cause,
        }
    }

    fn rejected(&self, dead: &Dead<'s>, want: &Want<'s>, pin: Option<&str>) -> Vec<Rejected> {
        let Some(name) = want.name else {
            return Vec::new();
        };
        let by = dead.chain.last().and_then(|(by, _)| *by);
        let mut seen = Vec::new();
        let mut rejected = Vec::new();
        for &package in self.universe.providers(name) {
            if seen.contains(&package) {
                continue;
            }
            seen.push(package);
            let reason = match (self.fallen[package.index()], self.universe.tag(package)) {
                (Some(fall), _) => self.reason(fall),
                (None, Some(tag)) if Some(tag) != pin => Reason::NotPinned { tag: tag.to_owned() },
                (None, _) => self.mismatch(package, name, by, want),
            };
            rejected.push(Rejected {
                package: self.universe.candidate(package),
                reason,
            });
        }
        rejected
    }

    fn reason(&self, fall: Fall<'s>) -> Reason {
        match fall {
            Fall::Excluded(by, dependency) => Reason::Excluded(self.demand(by, dependency)),
            Fall::Mismatch(by, dependency, version) => Reason::VersionMismatch {
                demand: self.demand(by, dependency),
                version: version.to_owned(),
            },
            Fall::NameTaken(by, name) => Reason::NameTaken {
                by: self.universe.candidate(by),
                name: self.universe.text(name).to_owned(),
            },
            Fall::Unreadable(version) => Reason::UnreadableVersion(version.to_owned()),
            Fall::AbsentFor(arch) => Reason::AbsentFor(arch.to_owned()),
        }
    }

    fn mismatch(&self, package: PackageId, name: NameId, by: By, want: &Want<'s>) -> Reason {
        let own = &self.universe.record(package).version;
        if VersionText::plain(own).read().is_none() || matches!(want.bound, Bound::Unreadable) {
            return Reason::UnreadableVersion(own.clone());
        }
        let provided = self
            .universe
            .provides(package)
            .find(|(provided, _)| *provided == name);
        let version = match provided.and_then(|(_, entry)| entry.version()) {
            Some(version) if self.universe.name(package) != name => version.to_owned(),
            _ => own.clone(),
        };
        Reason::VersionMismatch {
            demand: self.demand(by, want.dependency),
            version,
        }
    }
}
