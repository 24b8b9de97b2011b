//! What to change in a world so that it has an answer.

use apk_types::Dependency;

use super::{Change, Explainer, Remedy};
use crate::check::provides;
use crate::conflict::Candidate;
use crate::request::Want;
use crate::search::Search;

impl<'s> Explainer<'s> {
    /// The changes of one entry of a contradiction that help, each tried on the whole world.
    pub(super) fn remedies(&mut self, world: &[&'s Dependency], entries: &[&'s Dependency]) -> Vec<Remedy> {
        let mut remedies = Vec::new();
        for entry in entries {
            // What fails without the entry fails with another in its place, but for what a pin brings all the others.
            if self.fails(&without(world, entry), None) != Some(false) {
                continue;
            }
            for other in self.alternatives(entry) {
                remedies.extend(self.replacing(world, entry, other));
            }
            let changes = vec![Change {
                entry: (*entry).clone(),
                instead: None,
            }];
            remedies.push(Remedy { changes });
        }
        remedies
    }

    /// What else could be meant by an entry.
    fn alternatives(&self, entry: &Dependency) -> Vec<Dependency> {
        let universe = self.universe;
        let mut texts: Vec<String> = Vec::new();
        if entry.is_conflict() {
            return Vec::new();
        }
        let (name, pin) = (entry.name(), entry.pin());
        let pinned = |text: &str, pin: Option<&str>| match pin {
            Some(pin) => format!("{text}@{pin}"),
            None => text.to_owned(),
        };
        if !universe.has_provider(name) {
            let similar = universe.similar(name, 3);
            texts.extend(similar.iter().map(|name| pinned(name, pin)));
        }
        let mut tags: Vec<&str> = universe.repositories().iter().filter_map(|one| one.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        let bare = &entry.as_str()[..entry.as_str().len() - pin.map_or(0, |pin| pin.len() + 1)];
        let other_tags = tags.iter().filter(|tag| Some(**tag) != pin);
        texts.extend(other_tags.map(|tag| pinned(bare, Some(tag))));
        if pin.is_some() {
            texts.push(bare.to_owned());
        }
        if entry.constraint().is_some() {
            texts.push(pinned(name, pin));
        }
        texts
            .iter()
            .filter_map(|text| Dependency::parse(text).ok())
            .collect()
    }

    fn replacing(
        &mut self,
        world: &[&'s Dependency],
        entry: &Dependency,
        other: Dependency,
    ) -> Option<Remedy> {
        if world.iter().any(|entry| entry.as_str() == other.as_str()) {
            return None;
        }
        let rest = without(world, entry);
        let brought = self.brought(&rest, &other)?;
        let changes = vec![Change {
            entry: entry.clone(),
            instead: Some((other, brought)),
        }];
        Some(Remedy { changes })
    }

    /// What would be installed for one more entry, `None` where there is no answer with it.
    fn brought(&mut self, rest: &[&Dependency], entry: &Dependency) -> Option<Candidate> {
        self.left.searches = self.left.searches.checked_sub(1)?;
        let mut world = rest.to_vec();
        world.push(entry);
        let search = Search::new(self.universe, &world, &self.options);
        let found = search.solve();
        self.left.steps = self.left.steps.saturating_sub(search.steps());
        let want = Want::new(self.universe, entry);
        let name = want.name?;
        let packages = found.ok().flatten()?;
        let mut meeting = packages
            .iter()
            .filter(|id| provides(self.universe, **id, name, &want));
        meeting.next().map(|id| self.universe.candidate(*id))
    }

    /// The change that removes one contradiction of several: another entry where one helps, else the last goes.
    pub(super) fn change(&mut self, entries: &[&'s Dependency]) -> Option<Change> {
        for entry in entries {
            for other in self.alternatives(entry) {
                if let Some(brought) = self.brought(&without(entries, entry), &other) {
                    return Some(Change {
                        entry: (*entry).clone(),
                        instead: Some((other, brought)),
                    });
                }
            }
        }
        entries.last().map(|entry| Change {
            entry: (*entry).clone(),
            instead: None,
        })
    }

    /// The changes with what they put in place, where there is still an answer with that.
    pub(super) fn tried(&mut self, rest: &[&'s Dependency], mut changes: Vec<Change>) -> Remedy {
        let mut kept: Vec<Dependency> = Vec::new();
        for change in &mut changes {
            let Some((other, _)) = change.instead.take() else {
                continue;
            };
            let world: Vec<&Dependency> = rest.iter().copied().chain(&kept).collect();
            if let Some(brought) = self.brought(&world, &other) {
                kept.push(other.clone());
                change.instead = Some((other, brought));
            }
        }
        Remedy { changes }
    }
}

pub(super) fn without<'a>(world: &[&'a Dependency], entry: &Dependency) -> Vec<&'a Dependency> {
    let mut rest = world.to_vec();
    rest.retain(|other| other.as_str() != entry.as_str());
    rest
}
