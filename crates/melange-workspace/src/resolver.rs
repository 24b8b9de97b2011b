//! What is installed in the environments of packages and tests, and which packages need one another in a circle.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apk_solver::SolveError;
use apk_types::Arch;
use apko::{Policy, ResolveError};
use build_graph::{Finished, Need, NodeId, Origin};

use crate::circles::{Edges, circles, way_back};
use crate::definition::{Definition, EnvironmentSpec, package_node};
use crate::error::{Cycle, CycleStep, Place, WorkspaceError};
use crate::metadata::{self, Known, Results, Wanted};
use crate::pool::{Built, Pool, PoolError, Question};
use crate::repositories::Remotes;
use crate::solution::Solution;
use crate::stamps::Content;
use crate::workspace::Workspace;

/// Why it cannot be told what an environment has.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// No packages satisfy what is asked for.
    #[error("{}the {what} cannot be made: {reason}", place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
    Unsolvable {
        /// What is asked for, and of what: `environment of hello`.
        what: String,
        /// The entry that leads to what cannot be had.
        entry: Option<String>,
        /// Where that is written.
        place: Option<Place>,
        /// Why.
        reason: String,
    },
    /// A repository cannot be had.
    #[error("{0}")]
    Repository(Arc<ResolveError>),
}

/// What a node's environment comes to, as far as can be told.
pub(crate) enum Settled {
    /// It depends on what these come to.
    Needs(Vec<Need>),
    /// This is it.
    Done {
        solution: Solution,
        known: BTreeMap<String, Arc<metadata::Result>>,
    },
}

/// What an environment is for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) spec: &'a EnvironmentSpec,
    /// The name of the main package of the configuration whose environment it is.
    pub(crate) definition: &'a str,
    pub(crate) file: &'a str,
    pub(crate) arch: Arch,
    /// As in `its environment installs`.
    pub(crate) what: &'a str,
    /// Whether it is that of a build, of which a circle can be made.
    pub(crate) is_build: bool,
}

type PoolKey = (Arch, Vec<String>, Vec<String>, bool);

/// Solves environments.
pub(crate) struct Resolver<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) remotes: Remotes<'a>,
    pub(crate) results: Results,
    pools: Mutex<HashMap<PoolKey, Arc<Pool>>>,
    solutions: Mutex<Solutions>,
    /// For each package that is part of a circle, by architecture and name: all packages of its circles.
    circles: HashMap<(String, String), BTreeSet<String>>,
}

#[derive(Default)]
struct Solutions {
    /// Those that were asked for in this run.
    used: HashMap<Content, Solution>,
    /// Those of earlier runs.
    known: HashMap<Content, Solution>,
    solved: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// No configuration whose result is known.
static NOTHING: BTreeMap<String, Built> = BTreeMap::new();

impl<'a> Resolver<'a> {
    /// Solves the environments of all packages as far as is known from what configurations state, and finds circles.
    pub(crate) fn new(workspace: &'a Workspace, policy: &'a Policy) -> Result<Self, WorkspaceError> {
        let mut resolver = Self {
            workspace,
            remotes: Remotes::new(&workspace.root, &workspace.settings, policy),
            results: Results::default(),
            pools: Mutex::default(),
            solutions: Mutex::new(Solutions {
                known: workspace.snapshot.solutions(),
                ..Solutions::default()
            }),
            circles: HashMap::new(),
        };
        resolver.solve_all();
        resolver.break_circles()?;
        Ok(resolver)
    }

    /// How many environments were solved; the others are known from earlier runs.
    pub(crate) fn solved(&self) -> usize {
        lock(&self.solutions).solved
    }

    /// Remembers the solutions of this run.
    pub(crate) fn save(&self) {
        let solutions = lock(&self.solutions);
        if solutions.solved > 0 || solutions.used.len() != solutions.known.len() {
            // What cannot be kept is solved again.
            let _ = self.workspace.snapshot.save_solutions(solutions.used.iter());
        }
    }

    fn pool(
        &self,
        spec: &EnvironmentSpec,
        arch: Arch,
        with_seed: bool,
    ) -> Result<Arc<Pool>, EnvironmentError> {
        let key = (arch, spec.repositories.clone(), spec.keyring.clone(), with_seed);
        let mut pools = lock(&self.pools);
        if let Some(pool) = pools.get(&key) {
            return Ok(Arc::clone(pool));
        }
        let remotes = self
            .remotes
            .of(spec, arch, with_seed)
            .map_err(EnvironmentError::Repository)?;
        let pool = Arc::new(Pool::new(arch, &self.workspace.definitions, remotes));
        pools.insert(key, Arc::clone(&pool));
        Ok(pool)
    }

    pub(crate) fn pool_of(&self, asked: &Asked<'_>) -> Result<Arc<Pool>, EnvironmentError> {
        self.pool(asked.spec, asked.arch, self.hidden(asked).is_some())
    }

    /// What is left out of an environment since it leads back to what the environment is for.
    fn hidden(&self, asked: &Asked<'_>) -> Option<&BTreeSet<String>> {
        let key = (asked.arch.apk_name().to_owned(), asked.definition.to_owned());
        self.circles.get(&key).filter(|_| asked.is_build)
    }

    /// Solves the environments of all packages, those with the same repositories together.
    fn solve_all(&self) {
        let mut groups: BTreeMap<_, Vec<&Definition>> = BTreeMap::new();
        for definition in &self.workspace.definitions {
            if let Some(arch) = arch_of(definition) {
                let spec = &definition.environment;
                let group = groups
                    .entry((arch, &spec.repositories, &spec.keyring))
                    .or_default();
                group.push(definition);
            }
        }
        for ((arch, ..), definitions) in groups {
            let Some(first) = definitions.first() else {
                continue;
            };
            // It is said again when the environment is asked for.
            let Ok(pool) = self.pool(&first.environment, arch, false) else {
                continue;
            };
            let mut worlds: BTreeMap<Content, &[String]> = BTreeMap::new();
            for definition in definitions {
                let world = definition.environment.packages.as_slice();
                let key = pool.key(&question(world, None));
                if self.recall(&key).is_none() {
                    worlds.insert(key, world);
                }
            }
            let (keys, worlds): (Vec<Content>, Vec<&[String]>) = worlds.into_iter().unzip();
            if worlds.is_empty() {
                continue;
            }
            for (key, solution) in keys.into_iter().zip(pool.solve_stated(&worlds)) {
                if let Ok(solution) = solution {
                    self.remember(key, solution);
                }
            }
        }
    }

    fn recall(&self, key: &Content) -> Option<Solution> {
        let mut solutions = lock(&self.solutions);
        if let Some(solution) = solutions.used.get(key) {
            return Some(solution.clone());
        }
        let solution = solutions.known.get(key)?.clone();
        solutions.used.insert(*key, solution.clone());
        Some(solution)
    }

    fn remember(&self, key: Content, solution: Solution) {
        let mut solutions = lock(&self.solutions);
        solutions.solved += 1;
        solutions.used.insert(key, solution);
    }

    fn solve(&self, pool: &Pool, question: &Question<'_>) -> Result<Solution, PoolError> {
        let key = pool.key(question);
        if let Some(solution) = self.recall(&key) {
            return Ok(solution);
        }
        let solution = pool.solve(question)?;
        self.remember(key, solution.clone());
        Ok(solution)
    }

    /// Tells what an environment has, as far as what it depends on is finished.
    ///
    /// First from what all configurations state; then, of those whose packages are among that, from what their builds came
    /// to; and so on until nothing new comes up. So the answer depends on nothing but the configurations and the results of
    /// what is installed, not on what was built earlier.
    pub(crate) fn settle(
        &self,
        asked: &Asked<'_>,
        finished: &dyn Finished,
    ) -> Result<Settled, EnvironmentError> {
        let pool = self.pool_of(asked)?;
        let (mut known, mut wanted) = (Known::new(), Wanted::new());
        loop {
            let built = known
                .iter()
                .map(|(name, result)| (name.clone(), result.built.clone()))
                .collect();
            let question = Question {
                world: &asked.spec.packages,
                hidden: self.hidden(asked),
                known: &built,
            };
            let solution = self
                .solve(&pool, &question)
                .map_err(|error| self.unsolvable(asked, error))?;
            for (definition, package) in solution.own() {
                wanted
                    .entry(definition.to_owned())
                    .or_default()
                    .insert(package.to_owned());
            }
            let arch = asked.arch.apk_name();
            let hidden = question.hidden;
            let output = |name: &str| finished.output(&package_node(name, arch));
            let (unfinished, news) = self.results.follow(&mut wanted, &mut known, hidden, output);
            let need = |name: &String| self.need(asked, package_node(name, arch), &wanted[name]);
            let needs: Vec<Need> = unfinished.iter().map(need).collect();
            match (needs.is_empty(), news) {
                (false, _) => return Ok(Settled::Needs(needs)),
                (true, true) => {}
                (true, false) => return Ok(Settled::Done { solution, known }),
            }
        }
    }

    /// That an environment installs packages of another node.
    pub(crate) fn need(&self, asked: &Asked<'_>, node: NodeId, packages: &BTreeSet<String>) -> Need {
        let names: Vec<&str> = packages.iter().map(String::as_str).collect();
        let verb = if asked.is_build { "installs" } else { "contains" };
        let reason = format!("{} {verb} {}", asked.what, names.join(", "));
        Need::new(node, reason).at(Origin::new(asked.file, None))
    }

    fn unsolvable(&self, asked: &Asked<'_>, error: PoolError) -> EnvironmentError {
        let entry = match &error {
            PoolError::Solve(SolveError::Conflict(conflict)) => conflict
                .chain
                .first()
                .map(|demand| demand.dependency.as_str().to_owned()),
            PoolError::World { text, .. } => Some(text.clone()),
            _ => None,
        };
        let place = entry.as_ref().and_then(|entry| self.place_of(asked.file, entry));
        EnvironmentError::Unsolvable {
            what: format!(
                "{} of {}",
                asked.what.trim_start_matches("its "),
                asked.definition
            ),
            entry,
            place,
            reason: error.to_string(),
        }
    }

    /// The place where a file of the workspace asks for a package.
    pub(crate) fn place_of(&self, file: &str, entry: &str) -> Option<Place> {
        let text = fs::read_to_string(self.workspace.root.join(file)).ok()?;
        let at = crate::inputs::entry_line(&text, entry)?;
        Some(Place {
            file: file.to_owned(),
            line: at,
        })
    }

    /// Finds circles of packages whose environments need one another, and has their environments made from the seed.
    fn break_circles(&mut self) -> Result<(), WorkspaceError> {
        for arch in self.workspace.archs.clone() {
            loop {
                let edges = self.stated_edges(arch);
                let circles = circles(&edges);
                if circles.is_empty() {
                    break;
                }
                let mut grown = false;
                for circle in &circles {
                    if self.workspace.settings.seed.is_empty() {
                        return Err(WorkspaceError::Cycle(Box::new(self.cycle(arch, &edges, circle))));
                    }
                    for name in circle {
                        let key = (arch.apk_name().to_owned(), name.clone());
                        let hidden = self.circles.entry(key).or_default();
                        let before = hidden.len();
                        hidden.extend(circle.iter().cloned());
                        grown |= hidden.len() > before;
                    }
                }
                if !grown {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whose packages the environment of each package installs, going by what is stated.
    fn stated_edges(&self, arch: Arch) -> Edges {
        let mut edges = BTreeMap::new();
        let definitions = self.workspace.definitions.iter();
        for definition in definitions.filter(|definition| definition.arch == arch.apk_name()) {
            let asked = build_of(definition, arch);
            let Ok(pool) = self.pool_of(&asked) else { continue };
            let question = question(&asked.spec.packages, self.hidden(&asked));
            let Ok(solution) = self.solve(&pool, &question) else {
                continue;
            };
            let own = solution
                .own()
                .map(|(owner, package)| (owner.to_owned(), package.to_owned()));
            edges.insert(definition.name.clone(), own.collect());
        }
        edges
    }

    /// The shortest circle among packages that all need one another.
    fn cycle(&self, arch: Arch, edges: &Edges, members: &BTreeSet<String>) -> Cycle {
        let shortest = members
            .iter()
            .filter_map(|start| way_back(edges, members, start))
            .min_by_key(Vec::len)
            .unwrap_or_default();
        let steps = shortest.iter().enumerate().map(|(at, name)| {
            let next = &shortest[(at + 1) % shortest.len()];
            let installs = edges
                .get(name)
                .and_then(|needs| needs.get(next))
                .cloned()
                .unwrap_or_default();
            let definition = self.workspace.definition(name, arch.apk_name());
            let file = definition.map_or_else(String::new, |definition| definition.file.clone());
            let line = definition
                .and_then(|one| one.packages.first())
                .map_or(1, |package| package.line);
            let place = self.place_of(&file, &installs).unwrap_or(Place { file, line });
            CycleStep {
                package: name.clone(),
                place,
                installs,
            }
        });
        let mut without_seed: Vec<String> = shortest.clone();
        without_seed.sort_unstable();
        Cycle {
            arch,
            steps: steps.collect(),
            without_seed,
        }
    }
}

fn question<'q>(world: &'q [String], hidden: Option<&'q BTreeSet<String>>) -> Question<'q> {
    Question {
        world,
        hidden,
        known: &NOTHING,
    }
}

pub(crate) fn arch_of(definition: &Definition) -> Option<Arch> {
    definition.arch.parse().ok()
}

/// The environment that a package is built in.
pub(crate) fn build_of(definition: &Definition, arch: Arch) -> Asked<'_> {
    Asked {
        spec: &definition.environment,
        definition: &definition.name,
        file: &definition.file,
        arch,
        what: "its environment",
        is_build: true,
    }
}
