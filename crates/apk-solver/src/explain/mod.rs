//! Why a world has no solution, and what would change that.

mod minimize;
mod remedy;
mod similar;
mod story;

use apk_types::Dependency;

use crate::conflict::{Candidate, Rejected};
use crate::request::Options;
use crate::search::{Ignored, Search};
use crate::universe::{NameId, Universe};
use crate::{SolveError, as_set};
use minimize::minimize;

/// Why no packages satisfy a world, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What cannot be met together; several where no change of one entry helps, each enough on its own.
    pub contradictions: Vec<Contradiction>,
    /// What makes the whole world installable, any one of them; each was tried.
    pub remedies: Vec<Remedy>,
    /// False where a limit ended the search, so that there may be more contradictions, or remedies, than these.
    pub is_complete: bool,
}

/// Demands that cannot be met together.
///
/// It is as small as leaving out one thing after the other makes it: without any of the entries, or any of the
/// steps, there would be an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The entries of the world that cannot be had together.
    pub entries: Vec<Dependency>,
    /// Who wants what, beginning with these entries, and what could meet it.
    pub steps: Vec<Step>,
    /// Names that only one of the packages can have.
    pub rivals: Vec<Rivals>,
    /// False where a limit ended the search, so that entries and steps may be more than needed.
    pub is_minimal: bool,
}

/// A demand that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The versions of one package that state the demand; none where it is the world.
    pub askers: Vec<Candidate>,
    /// What is wanted, as it was written.
    pub dependency: Dependency,
    /// What could meet it, the best first; for `!name`, what it keeps out.
    pub candidates: Vec<Candidate>,
    /// What has or provides the name and cannot meet it.
    pub rejected: Vec<Rejected>,
    /// Architectures of [`Options::siblings`] that have the name, where this one has nothing of it.
    pub elsewhere: Vec<String>,
    /// Names of packages that look like the one wanted, where nothing has it.
    pub similar: Vec<String>,
}

/// Packages of which only one can be installed, because each claims the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rivals {
    /// The name.
    pub name: String,
    /// Who has or provides it.
    pub packages: Vec<Candidate>,
}

/// Changes of the world that, all together, make it installable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// The changes.
    pub changes: Vec<Change>,
}

/// A change of one entry of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The entry.
    pub entry: Dependency,
    /// What to write in its place, and the package that would be installed for it; `None` drops the entry.
    pub instead: Option<(Dependency, Candidate)>,
}

/// How much work an explanation may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainLimits {
    /// How many searches; each looks for an answer to a part of the world. 600 by default.
    pub searches: u32,
    /// How many steps all these searches may take together; 200,000 by default.
    pub steps: u32,
}

impl Default for ExplainLimits {
    fn default() -> Self {
        Self {
            searches: 600,
            steps: 200_000,
        }
    }
}

impl Universe<'_> {
    /// Tells why no packages satisfy a world, or `None` where some do or where nobody knows within the limits.
    ///
    /// The answer is that of the complete search whatever `options` say, so that a world which only
    /// [`Strategy::Greedy`](crate::Strategy::Greedy) refuses has no explanation.
    pub fn explain(
        &self,
        world: &[Dependency],
        options: &Options<'_>,
        limits: &ExplainLimits,
    ) -> Result<Option<Explanation>, SolveError> {
        let world = as_set(world);
        self.check_tags(&world)?;
        let mut explainer = Explainer {
            universe: self,
            options: *options,
            left: *limits,
        };
        Ok(explainer.explain(&world))
    }
}

/// A part of the reason that may be left out to see whether it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit<'s> {
    /// A dependency of the packages of a name.
    Demand(NameId, &'s str),
    /// That only one package may claim a name.
    Claim(NameId),
}

/// How many contradictions are told where no change of one entry helps.
const MOST_CONTRADICTIONS: usize = 16;

struct Explainer<'s> {
    universe: &'s Universe<'s>,
    options: Options<'s>,
    left: ExplainLimits,
}

impl<'s> Explainer<'s> {
    fn explain(&mut self, world: &[&'s Dependency]) -> Option<Explanation> {
        if !self.fails(world, None)? {
            return None;
        }
        let (contradiction, mut entries) = self.contradiction(world);
        let mut remedies = self.remedies(world, &entries);
        if !remedies.is_empty() {
            return Some(Explanation {
                is_complete: contradiction.is_minimal,
                contradictions: vec![contradiction],
                remedies,
            });
        }
        let mut contradictions = vec![contradiction];
        let (mut rest, mut changes) = (world.to_vec(), Vec::new());
        while let Some(change) = self.change(&entries) {
            rest = remedy::without(&rest, &change.entry);
            changes.push(change);
            match self.fails(&rest, None) {
                Some(true) if contradictions.len() < MOST_CONTRADICTIONS => {
                    let next;
                    (next, entries) = self.contradiction(&rest);
                    if !next.is_minimal {
                        break;
                    }
                    contradictions.push(next);
                }
                Some(false) => {
                    remedies.push(self.tried(&rest, changes));
                    break;
                }
                _ => break,
            }
        }
        Some(Explanation {
            is_complete: !remedies.is_empty(),
            contradictions,
            remedies,
        })
    }

    fn contradiction(&mut self, world: &[&'s Dependency]) -> (Contradiction, Vec<&'s Dependency>) {
        let (entries, is_smallest) = self.smallest_world(world);
        let units = self.units(&entries);
        let (kept, is_shortest) = self.needed(&entries, units);
        let (steps, rivals) = self.story(&entries, &kept);
        let contradiction = Contradiction {
            entries: entries.iter().map(|entry| (*entry).clone()).collect(),
            steps,
            rivals,
            is_minimal: is_smallest && is_shortest,
        };
        (contradiction, entries)
    }

    /// True where no packages satisfy a world, `None` where the limits leave that open.
    fn fails(&mut self, world: &[&'s Dependency], ignored: Option<&Ignored<'s>>) -> Option<bool> {
        self.left.searches = self.left.searches.checked_sub(1)?;
        let options = Options {
            step_limit: self.options.step_limit.min(self.left.steps),
            ..self.options
        };
        let search = Search::new(self.universe, world, &options).without(ignored);
        let answer = search.is_solvable();
        self.left.steps = self.left.steps.saturating_sub(search.steps());
        answer.ok().map(|is_solvable| !is_solvable)
    }

    fn smallest_world(&mut self, world: &[&'s Dependency]) -> (Vec<&'s Dependency>, bool) {
        // Most often it is one entry, and the Go apko's choice ends at it.
        if let Err(dead_end) = crate::greedy::solve(self.universe, world, &self.options) {
            let text = dead_end.chain[0].dependency.as_str();
            let suspect: Vec<_> = world
                .iter()
                .copied()
                .filter(|entry| entry.as_str() == text)
                .collect();
            if self.fails(&suspect, None) == Some(true) {
                return (suspect, true);
            }
        }
        minimize(world.to_vec(), |entries| self.fails(entries, None))
    }

    fn needed(&mut self, entries: &[&'s Dependency], units: Vec<Unit<'s>>) -> (Vec<Unit<'s>>, bool) {
        let all = units.clone();
        minimize(units, |kept| {
            let mut ignored = Ignored::default();
            let kept: std::collections::HashSet<_> = kept.iter().collect();
            for unit in all.iter().filter(|unit| !kept.contains(unit)) {
                match *unit {
                    Unit::Demand(name, text) => drop(ignored.demands.insert((name, text))),
                    Unit::Claim(name) => drop(ignored.claims.insert(name)),
                }
            }
            self.fails(entries, Some(&ignored))
        })
    }
}
