//! Universes as text: `repo [@TAG] SOURCE` begins a repository, `NAME=VERSION [LETTER:VALUE]...` is a package of it,
//! with the letters of an index (`D` depends, `p` provides, `i` install_if, `o` origin, `k` priority), one entry each.

use apk_solver::{Options, Repository, Sibling, Solution, SolveError, Universe};
use apk_types::{Dependency, PackageRecord};

/// A repository with its packages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repo {
    pub(crate) tag: Option<String>,
    pub(crate) source: String,
    pub(crate) packages: Vec<PackageRecord>,
}

/// Reads the lines of a universe; other lines go to `other`.
pub(crate) fn read<'a>(lines: impl Iterator<Item = &'a str>, mut other: impl FnMut(&'a str)) -> Vec<Repo> {
    let mut repos: Vec<Repo> = Vec::new();
    for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if first == "repo" {
            let (tag, source) = match rest.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
                Some((tag, source)) => (Some(tag.to_owned()), source),
                None => (None, rest),
            };
            repos.push(Repo {
                tag,
                source: source.to_owned(),
                packages: Vec::new(),
            });
        } else if first.contains('=') {
            repos.last_mut().unwrap().packages.push(package(line));
        } else {
            other(line);
        }
    }
    repos
}

fn package(line: &str) -> PackageRecord {
    let mut words = line.split_whitespace();
    let (name, version) = words.next().unwrap().split_once('=').unwrap();
    let mut record = PackageRecord {
        name: name.to_owned(),
        version: version.to_owned(),
        ..PackageRecord::default()
    };
    for word in words {
        let (letter, value) = word.split_once(':').unwrap();
        match letter {
            "D" => record.depends.push(Dependency::lenient(value)),
            "p" => record.provides.push(Dependency::lenient(value)),
            "i" => record.install_if.push(Dependency::lenient(value)),
            "o" => record.origin = value.to_owned(),
            "k" => record.provider_priority = value.parse().ok(),
            _ => panic!("{line}"),
        }
    }
    record
}

/// The dependencies in a text.
pub(crate) fn world(text: &str) -> Vec<Dependency> {
    text.split_whitespace().map(Dependency::lenient).collect()
}

/// The repositories as the solver takes them.
pub(crate) fn repositories(repos: &[Repo]) -> Vec<Repository<'_>> {
    repos
        .iter()
        .map(|repo| Repository {
            source: &repo.source,
            tag: repo.tag.as_deref(),
            packages: &repo.packages,
        })
        .collect()
}

/// Solves, for one architecture or, where `sibling` has repositories, with another.
pub(crate) fn solve(repos: &[Repo], sibling: &[Repo], world: &[Dependency]) -> Result<Solution, SolveError> {
    let other = Universe::new(&repositories(sibling));
    let siblings = [Sibling {
        arch: "other",
        universe: &other,
    }];
    let options = Options {
        siblings: if sibling.is_empty() { &[] } else { &siblings },
        ..Options::default()
    };
    Universe::new(&repositories(repos)).solve(world, &options)
}

/// The packages of a solution as `NAME=VERSION`.
pub(crate) fn names(repos: &[Repo], solution: &Solution) -> Vec<String> {
    solution
        .packages
        .iter()
        .map(|place| {
            let record = &repos[place.repository].packages[place.package];
            format!("{}={}", record.name, record.version)
        })
        .collect()
}
