//! What holds for any universe and any world.

use std::sync::Arc;

use apk_index::Prepared;
use apk_solver::{
    Asker, ExplainLimits, Options, PackageRef, Solution, SolveError, Strategy as Choice, Universe,
};
use apk_types::{Dependency, PackageRecord, Version};
use bytes::Bytes;
use proptest::prelude::*;

use crate::universe::{self, Repo};

const NAME: &str = "[a-f]";

fn dependency() -> impl Strategy<Value = Dependency> {
    let text = prop_oneof![
        8 => NAME.prop_map(|name| name),
        2 => "[a-f](=|>=|<|>|~)[1-3]",
        1 => "![a-f]",
        1 => "!a<[1-3]",
    ];
    text.prop_map(|text| Dependency::lenient(&text))
}

fn package() -> impl Strategy<Value = PackageRecord> {
    let list = |most| prop::collection::vec(dependency(), 0..most);
    let provides = prop::collection::vec("[a-h](=[1-3])?", 0..2);
    let install_if = prop::option::weighted(0.1, prop::collection::vec("[a-f]", 1..3));
    (NAME, "[1-3]", list(4), provides, install_if).prop_map(
        |(name, version, depends, provides, install_if)| {
            let parse = |texts: Vec<String>| texts.iter().map(|text| Dependency::lenient(text)).collect();
            PackageRecord {
                name,
                version,
                depends,
                provides: parse(provides),
                install_if: parse(install_if.unwrap_or_default()),
                ..PackageRecord::default()
            }
        },
    )
}

fn repos() -> impl Strategy<Value = Vec<Repo>> {
    let packages = prop::collection::vec(package(), 1..14);
    let repo = (prop::option::weighted(0.2, Just("edge".to_owned())), packages);
    prop::collection::vec(repo, 1..3).prop_map(|repos| {
        let numbered = repos.into_iter().enumerate();
        numbered
            .map(|(number, (tag, packages))| Repo {
                tag,
                source: number.to_string(),
                packages,
            })
            .collect()
    })
}

fn worlds() -> impl Strategy<Value = Vec<Dependency>> {
    let entry = prop_oneof![4 => dependency(), 1 => "[a-f]@edge".prop_map(|text| Dependency::lenient(&text))];
    prop::collection::vec(entry, 1..5)
}

/// True where a package provides what a dependency names in a version that it accepts. As in the Go apko, the
/// version of the package, or of anything it provides, may stand for the version of the name.
fn provides(package: &PackageRecord, dependency: &Dependency, any_version: bool) -> bool {
    let accepts = |text: &str| dependency.accepts(&Version::parse(text).unwrap());
    let under_name = |entry: &&Dependency| entry.name() == dependency.name();
    let is_own = package.name == dependency.name();
    let has_name = is_own || package.provides.iter().any(|entry| under_name(&entry));
    let mut entries = package
        .provides
        .iter()
        .filter(|entry| any_version || under_name(entry));
    has_name
        && (dependency.constraint().is_none()
            || (is_own || any_version) && accepts(&package.version)
            || entries.any(|entry| entry.version().is_some_and(accepts)))
}

/// True where no name is claimed twice, but for those that all provide it without a version.
fn may_stand_together(chosen: &[&PackageRecord]) -> bool {
    let claims = |package: &PackageRecord| -> Vec<(String, bool)> {
        let provided = package
            .provides
            .iter()
            .map(|entry| (entry.name().to_owned(), entry.version().is_some()));
        provided.chain([(package.name.clone(), true)]).collect()
    };
    chosen.iter().enumerate().all(|(number, a)| {
        chosen[number + 1..].iter().all(|b| {
            let (a, b) = (claims(a), claims(b));
            a.iter()
                .all(|(a, versioned)| b.iter().all(|(b, other)| a != b || !versioned && !other))
        })
    })
}

fn broken<'a>(
    world: &'a [Dependency],
    chosen: &[&'a PackageRecord],
    any_version: bool,
) -> Option<&'a Dependency> {
    let is_met = |by: &str, dependency: &Dependency| match dependency.is_conflict() {
        true => !chosen
            .iter()
            .any(|other| other.name != by && provides(other, dependency, false)),
        false => chosen
            .iter()
            .any(|other| provides(other, dependency, any_version)),
    };
    let of_packages = chosen
        .iter()
        .flat_map(|package| package.depends.iter().map(|entry| (package.name.as_str(), entry)));
    let mut all = world.iter().map(|entry| ("", entry)).chain(of_packages);
    all.find(|(by, entry)| !is_met(by, entry)).map(|(_, entry)| entry)
}

fn solve(repos: &[Repo], world: &[Dependency], strategy: Choice) -> Result<Solution, SolveError> {
    let options = Options {
        strategy,
        ..Options::default()
    };
    Universe::new(&universe::repositories(repos)).solve(world, &options)
}

fn prepared(text: &str) -> Prepared {
    let bytes = Prepared::encode(text).unwrap().unwrap();
    Prepared::open(bytes.into(), Arc::new(Bytes::copy_from_slice(text.as_bytes()))).unwrap()
}

fn chosen<'a>(repos: &'a [Repo], solution: &Solution) -> Vec<&'a PackageRecord> {
    let record = |place: &PackageRef| &repos[place.repository].packages[place.package];
    solution.packages.iter().map(record).collect()
}

/// True where no package comes from a tagged repository that nothing is pinned to.
fn of_pinned_repositories(repos: &[Repo], world: &[Dependency], solution: &Solution) -> bool {
    solution.packages.iter().all(|place| {
        let tag = repos[place.repository].tag.as_deref();
        tag.is_none_or(|tag| world.iter().any(|entry| entry.pin() == Some(tag)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_whole_or_says_what_is_unmet_or_is_a_conflict(repos in repos(), world in worlds()) {
        match universe::solve(&repos, &[], &world) {
            Ok(solution) => {
                let chosen = chosen(&repos, &solution);
                let mut names: Vec<_> = chosen.iter().map(|package| &package.name).collect();
                names.sort();
                names.dedup();
                prop_assert_eq!(names.len(), chosen.len(), "two of one name");
                let fault = broken(&world, &chosen, solution.instead_of.is_none());
                prop_assert_eq!(fault.is_none(), solution.unmet.is_empty(), "{:?} {:?}", fault, solution.unmet);
            }
            Err(SolveError::Conflict(conflict)) => {
                prop_assert_eq!(&conflict.chain[0].asker, &Asker::World);
                prop_assert!(world.contains(&conflict.chain[0].dependency));
            }
            Err(SolveError::UnknownTag { entry, known }) => {
                prop_assert!(world.contains(&entry));
                prop_assert!(known.is_empty());
                prop_assert!(repos.iter().all(|repo| repo.tag.is_none()));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn what_the_complete_search_refuses_has_no_answer_and_what_it_gives_is_whole(
        mut repos in repos(),
        world in worlds(),
    ) {
        repos.truncate(1);
        repos[0].tag = None;
        repos[0].packages.truncate(9);
        let world: Vec<_> = world.into_iter().filter(|entry| entry.pin().is_none()).collect();
        let packages = &repos[0].packages;
        let result = solve(&repos, &world, Choice::Complete);
        let exists = (0_u32..1 << packages.len()).any(|set| {
            let is_in = |number: &usize| set >> number & 1 == 1;
            let chosen: Vec<_> = (0..packages.len()).filter(is_in).map(|number| &packages[number]).collect();
            may_stand_together(&chosen) && broken(&world, &chosen, false).is_none()
        });
        prop_assert_eq!(result.is_ok(), exists, "{:?}", result);
        if let Ok(solution) = result {
            let chosen = chosen(&repos, &solution);
            prop_assert!(may_stand_together(&chosen));
            prop_assert_eq!(broken(&world, &chosen, false), None);
        }
    }

    #[test]
    fn where_the_greedy_choice_is_whole_the_complete_search_has_an_answer(repos in repos(), world in worlds()) {
        let Ok(solution) = solve(&repos, &world, Choice::Greedy) else { return Ok(()) };
        let picks = chosen(&repos, &solution);
        let is_valid = may_stand_together(&picks) && broken(&world, &picks, false).is_none();
        if !is_valid || !of_pinned_repositories(&repos, &world, &solution) {
            return Ok(());
        }
        let result = solve(&repos, &world, Choice::Complete);
        prop_assert!(result.is_ok(), "{}", result.unwrap_err());
        prop_assert_eq!(&solve(&repos, &world, Choice::Auto), &Ok(solution));
    }

    #[test]
    fn pins_hold(repos in repos(), world in worlds()) {
        for strategy in [Choice::Auto, Choice::Greedy, Choice::Complete] {
            let Ok(solution) = solve(&repos, &world, strategy) else { continue };
            // As in the Go apko, `install_if` brings packages of any repository.
            let by_install_if = chosen(&repos, &solution).iter().any(|package| !package.install_if.is_empty());
            let is_known_fault = strategy != Choice::Complete && by_install_if;
            prop_assert!(
                is_known_fault || of_pinned_repositories(&repos, &world, &solution),
                "{:?}: {:?}", strategy, universe::names(&repos, &solution)
            );
        }
    }

    #[test]
    fn the_answer_is_the_same_again_and_for_any_order_of_the_world(
        repos in repos(),
        (world, shuffled) in worlds().prop_flat_map(|world| (Just(world.clone()), Just(world).prop_shuffle())),
    ) {
        let answer = universe::solve(&repos, &[], &world);
        prop_assert_eq!(&answer, &universe::solve(&repos, &[], &world));
        let mut twice = shuffled.clone();
        twice.extend(shuffled);
        prop_assert_eq!(&answer, &universe::solve(&repos, &[], &twice));
    }

    #[test]
    fn packages_that_have_nothing_to_do_with_it_change_nothing(repos in repos(), world in worlds()) {
        let mut more = repos.clone();
        let stranger = |name: &str| PackageRecord {
            name: name.to_owned(),
            version: "1".to_owned(),
            depends: vec![Dependency::lenient("a"), Dependency::lenient("!b")],
            ..PackageRecord::default()
        };
        for repo in &mut more {
            repo.packages.push(stranger("stranger"));
        }
        more.push(Repo { tag: None, source: "more".to_owned(), packages: vec![stranger("another")] });
        prop_assert_eq!(universe::solve(&repos, &[], &world), universe::solve(&more, &[], &world));
    }

    #[test]
    fn the_packages_that_a_world_can_lead_to_give_the_same_answer(repos in repos(), world in worlds()) {
        let texts: Vec<String> = repos.iter().map(|repo| apk_index::write(&repo.packages).unwrap()).collect();
        let prepared: Vec<Prepared> = texts.iter().map(|text| prepared(text)).collect();
        let names: Vec<&str> = world.iter().map(Dependency::name).collect();
        let reachable = apk_index::reachable(&prepared.iter().collect::<Vec<_>>(), &names).unwrap();
        let fewer: Vec<Repo> = repos
            .iter()
            .zip(reachable)
            .map(|(repo, packages)| Repo { packages, ..repo.clone() })
            .collect();
        // Through the text both ways, for it does not keep all that a record can hold.
        let same: Vec<Repo> = repos
            .iter()
            .zip(&texts)
            .map(|(repo, text)| Repo { packages: apk_index::parse(text).unwrap(), ..repo.clone() })
            .collect();
        let names = |repos: &[Repo]| universe::solve(repos, &[], &world).map(|solution| universe::names(repos, &solution));
        if let Ok(answer) = names(&same) {
            prop_assert_eq!(Ok(answer), names(&fewer));
        } else {
            prop_assert!(names(&fewer).is_err());
        }
    }

    #[test]
    fn an_architecture_that_has_the_same_changes_nothing(repos in repos(), world in worlds()) {
        prop_assert_eq!(universe::solve(&repos, &[], &world), universe::solve(&repos, &repos, &world));
    }
}

#[test]
fn a_long_chain_of_packages_is_followed_to_its_end() {
    let text: String = std::iter::once("repo main\n".to_owned())
        .chain((0..5_000).map(|number| format!("p{number}=1 D:p{}\n", number + 1)))
        .chain(["p5000=1\n".to_owned()])
        .collect();
    let repos = universe::read(text.lines(), |_| ());
    let solution = universe::solve(&repos, &[], &universe::world("p0")).unwrap();
    assert_eq!(solution.packages.len(), 5_001);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_contradiction_cannot_lose_an_entry_and_a_remedy_helps(repos in repos(), world in worlds()) {
        // An entry that is pinned may open the way for another, so that less is not always easier.
        let has_pins = world.iter().any(|entry| entry.pin().is_some());
        let repositories = universe::repositories(&repos);
        let universe = Universe::new(&repositories);
        let options = Options { strategy: Choice::Complete, ..Options::default() };
        let is_solvable = |world: &[Dependency]| universe.solve(world, &options).is_ok();
        let Ok(explanation) = universe.explain(&world, &options, &ExplainLimits::default()) else { return Ok(()) };
        prop_assert_eq!(explanation.is_none(), is_solvable(&world));
        let Some(explanation) = explanation else { return Ok(()) };
        for contradiction in &explanation.contradictions {
            prop_assert!(contradiction.is_minimal);
            prop_assert!(!is_solvable(&contradiction.entries));
            for number in (0..contradiction.entries.len()).filter(|_| !has_pins) {
                let mut fewer = contradiction.entries.clone();
                fewer.remove(number);
                prop_assert!(is_solvable(&fewer), "{:?}", contradiction.entries);
            }
        }
        prop_assert!(!explanation.remedies.is_empty());
        for remedy in &explanation.remedies {
            let mut changed = world.clone();
            for change in &remedy.changes {
                changed.retain(|entry| *entry != change.entry);
                changed.extend(change.instead.iter().map(|(other, _)| other.clone()));
            }
            prop_assert!(is_solvable(&changed), "{:?}", remedy);
        }
    }
}
