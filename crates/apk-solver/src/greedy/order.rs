//! Which of several candidates is the best.

use std::cmp::Ordering;

use super::NameMap;
use crate::go_version::VersionText;
use crate::universe::{NameId, PackageId, Universe};

/// The Go apko's preference among the providers of a name.
///
/// The first rule that tells two candidates apart decides: a version already taken, an origin already taken at
/// this version, the wanted tag, the higher version under the name wanted, the higher version of the same
/// package, the higher provider priority, the higher version, the lower name. Not transitive: a candidate
/// without a version under the wanted name ties with all others there, so that the order of the candidates counts.
pub(crate) struct Preference<'p, 's> {
    pub(crate) universe: &'s Universe<'s>,
    /// The name wanted.
    pub(crate) name: NameId,
    /// The tag of the repository that is preferred; `None` prefers those without tag.
    pub(crate) tag: Option<&'p str>,
    /// What has been taken, where that counts.
    pub(crate) seen: Option<Seen<'p>>,
}

/// What has been taken so far; the first map of each pair hides the second.
pub(crate) struct Seen<'p> {
    pub(super) packages: [&'p NameMap; 2],
    pub(super) origins: [&'p NameMap; 2],
}

fn look_up(maps: [&NameMap; 2], name: NameId) -> Option<PackageId> {
    maps[0].get(name).or_else(|| maps[1].get(name))
}

/// Orders what is true before what is not.
fn first(a: bool, b: bool) -> Ordering {
    b.cmp(&a)
}

/// Orders the higher version first. As in Go, one that cannot be read loses, `a`'s before `b`'s.
fn newest(a: VersionText<'_>, b: VersionText<'_>) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (a.read(), b.read()) {
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
        (Some(a), Some(b)) => b.order(&a),
    }
}

impl Preference<'_, '_> {
    /// The best of the candidates, the first of equals.
    pub(crate) fn best(&self, candidates: &[PackageId]) -> Option<PackageId> {
        candidates.iter().copied().reduce(|best, next| {
            if self.compare(next, best).is_lt() {
                next
            } else {
                best
            }
        })
    }

    fn compare(&self, a: PackageId, b: PackageId) -> Ordering {
        let universe = self.universe;
        let (record_a, record_b) = (universe.record(a), universe.record(b));
        let own = [&record_a.version, &record_b.version].map(|text| VersionText::plain(text));
        first(self.is_taken(a), self.is_taken(b))
            .then_with(|| first(self.origin_is_taken(a), self.origin_is_taken(b)))
            .then_with(|| first(universe.tag(a) == self.tag, universe.tag(b) == self.tag))
            .then_with(|| match [a, b].map(|id| universe.version_as(id, self.name)) {
                [Some(a), Some(b)] => newest(a, b),
                _ => Ordering::Equal,
            })
            .then_with(|| match universe.name(a) == universe.name(b) {
                true => newest(own[0], own[1]),
                false => Ordering::Equal,
            })
            .then_with(|| {
                let priority = |record: &apk_types::PackageRecord| record.provider_priority.unwrap_or(0);
                priority(record_b).cmp(&priority(record_a))
            })
            .then_with(|| newest(own[0], own[1]))
            .then_with(|| record_a.name.cmp(&record_b.name))
    }

    fn is_taken(&self, package: PackageId) -> bool {
        let taken = self
            .seen
            .as_ref()
            .and_then(|seen| look_up(seen.packages, self.universe.name(package)));
        self.same_version(taken, package)
    }

    fn origin_is_taken(&self, package: PackageId) -> bool {
        let taken = self
            .seen
            .as_ref()
            .zip(self.universe.origin(package))
            .and_then(|(seen, origin)| look_up(seen.origins, origin));
        self.same_version(taken, package)
    }

    fn same_version(&self, taken: Option<PackageId>, package: PackageId) -> bool {
        taken
            .is_some_and(|taken| self.universe.record(taken).version == self.universe.record(package).version)
    }
}
