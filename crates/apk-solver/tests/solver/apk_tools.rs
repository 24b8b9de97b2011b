//! The solver tests of apk-tools that install into an empty root, where they lie beside the project: what is chosen
//! otherwise is listed in `apk_tools.txt`, with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use apk_solver::Options;

use crate::universe::{self, Repo};

/// Options that change nothing of the choice.
const PLAIN: [&str; 3] = ["--no-network", "--root-tmpfs=yes", "add"];

/// What a test asks for and expects.
#[derive(Default)]
struct Case {
    arguments: Vec<String>,
    repositories: Vec<String>,
    world: Vec<String>,
    expected: Vec<String>,
    is_fresh: bool,
}

impl Case {
    fn read(text: &str) -> Self {
        let mut case = Self {
            is_fresh: true,
            ..Self::default()
        };
        let mut is_expected = false;
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let words = || value.split_whitespace().map(str::to_owned);
            match key {
                _ if is_expected => case.expected.push(line.to_owned()),
                "@ARGS" => case.arguments.extend(words()),
                "@WORLD" => case.world.extend(words()),
                "@REPO" | "@CACHE" => case.repositories.push(value.to_owned()),
                "@INSTALLED" => case.is_fresh = false,
                "@EXPECT" => is_expected = true,
                _ => {}
            }
        }
        case
    }

    /// What is to be installed; `None` where the test does more than that.
    fn world(&self) -> Option<Vec<String>> {
        let (options, packages): (Vec<_>, Vec<_>) = self
            .arguments
            .iter()
            .partition(|word| word.starts_with('-') || *word == "add");
        let is_plain = options.iter().all(|word| PLAIN.contains(&word.as_str()));
        let all = self.world.iter().chain(packages).cloned();
        (self.is_fresh && is_plain).then(|| all.collect())
    }

    fn expected(&self) -> BTreeSet<String> {
        let package = |line: &String| {
            let (_, package) = line.split_once(" Installing ")?;
            let (name, version) = package.split_once(' ')?;
            let name = name.split_once('@').map_or(name, |(name, _)| name);
            Some(format!("{name}={}", version.trim_matches(['(', ')'])))
        };
        self.expected.iter().filter_map(package).collect()
    }
}

fn repositories(directory: &Path, names: &[String]) -> Vec<Repo> {
    let read = |line: &String| {
        let tagged = line.strip_prefix('@').and_then(|line| line.split_once(' '));
        let (tag, name) = tagged.map_or((None, line.as_str()), |(tag, name)| (Some(tag.to_owned()), name));
        // Their checksums are made up, and some are none.
        let text = fs::read_to_string(directory.join(name)).unwrap();
        let text: String = text
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("C:"))
            .collect();
        Repo {
            tag,
            source: name.to_owned(),
            packages: apk_index::parse(&text).unwrap(),
        }
    };
    names.iter().map(read).collect()
}

/// What is installed, or nothing where the request is refused.
fn solve(repos: &[Repo], world: &[String]) -> BTreeSet<String> {
    let own = universe::repositories(repos);
    let universe = apk_solver::Universe::new(&own);
    let world = universe::world(&world.join(" "));
    match universe.solve(&world, &Options::default()) {
        Ok(solution) => universe::names(repos, &solution).into_iter().collect(),
        Err(_) => BTreeSet::new(),
    }
}

fn line(packages: &BTreeSet<String>) -> String {
    match packages.is_empty() {
        true => "refused".to_owned(),
        false => packages.iter().cloned().collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn differences_to_apk_tools_are_those_that_are_listed() {
    let directory =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/apk-tools-solver");
    if !directory.is_dir() {
        return;
    }
    let mut differences = BTreeMap::new();
    let mut count = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        let case = Case::read(&fs::read_to_string(&path).unwrap());
        let Some(world) = case.world() else { continue };
        count += 1;
        let ours = solve(&repositories(&directory, &case.repositories), &world);
        if ours != case.expected() {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            differences.insert(name, line(&ours));
        }
    }
    assert!(count > 30, "{count}");
    let listed = include_str!("apk_tools.txt");
    let listed = listed
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let listed: BTreeMap<String, String> = listed
        .map(|line| {
            let (name, rest) = line.split_once(": ").unwrap();
            let (ours, _reason) = rest.split_once("; ").unwrap();
            (name.to_owned(), ours.to_owned())
        })
        .collect();
    assert_eq!(differences, listed);
}
