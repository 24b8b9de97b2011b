//! Made-up worlds of 500 packages with 20 versions each.

use apk_solver::{ExplainLimits, Options, Repository, SolveError, Universe};
use apk_types::{Dependency, PackageRecord};

const PACKAGES: usize = 500;
const VERSIONS: usize = 20;

/// All versions of all packages, with the dependencies and names that `give` makes for them.
fn packages(mut give: impl FnMut(usize, usize) -> (Vec<String>, Vec<String>)) -> Vec<PackageRecord> {
    let list = |texts: Vec<String>| texts.iter().map(|text| Dependency::lenient(text)).collect();
    let mut packages = Vec::new();
    for number in 0..PACKAGES {
        for version in 0..VERSIONS {
            let (depends, provides) = give(number, version);
            packages.push(PackageRecord {
                name: format!("p{number}"),
                version: version.to_string(),
                depends: list(depends),
                provides: list(provides),
                ..PackageRecord::default()
            });
        }
    }
    packages
}

fn world() -> Vec<Dependency> {
    (0..PACKAGES)
        .map(|number| Dependency::lenient(&format!("p{number}")))
        .collect()
}

#[test]
fn a_search_without_an_end_in_sight_ends_at_its_limit_and_says_so() {
    // More packages than places: that they do not fit has no short proof.
    let packages = packages(|_, version| (Vec::new(), vec![format!("place-{version}=1")]));
    let repositories = [Repository {
        source: "main",
        tag: None,
        packages: &packages,
    }];
    let universe = Universe::new(&repositories);
    let options = Options {
        step_limit: 1000,
        ..Options::default()
    };
    let error = universe.solve(&world(), &options).unwrap_err();
    assert!(
        matches!(error, SolveError::StepLimit { limit: 1000, .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.starts_with("no answer within 1000 steps of the complete search; without it: "),
        "{text}"
    );
    let explanation = universe.explain(&world(), &options, &ExplainLimits::default());
    assert_eq!(explanation, Ok(None), "nobody knows whether there is an answer");
}

#[test]
fn an_answer_is_found_among_thousands_of_conflicts() {
    let mut seed = 7_u64;
    let mut below = |end: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % end
    };
    let packages = packages(|_, _| {
        let conflicts = (0..8).map(|_| format!("!p{}={}", below(PACKAGES), below(VERSIONS)));
        (conflicts.collect(), Vec::new())
    });
    let repositories = [Repository {
        source: "main",
        tag: None,
        packages: &packages,
    }];
    let solution = Universe::new(&repositories)
        .solve(&world(), &Options::default())
        .unwrap();
    assert!(
        solution.instead_of.is_some(),
        "the choice without going back finds none"
    );
    assert_eq!(solution.packages.len(), PACKAGES);
    let chosen: Vec<_> = solution
        .packages
        .iter()
        .map(|place| &packages[place.package])
        .collect();
    for package in &chosen {
        for conflict in &package.depends {
            let excluded = conflict.as_str().trim_start_matches('!');
            let is_there = chosen.iter().any(|other| {
                other.name != package.name && format!("{}={}", other.name, other.version) == excluded
            });
            assert!(
                !is_there,
                "{} {} beside {excluded}",
                package.name, package.version
            );
        }
    }
}
