//! How long it takes to make a universe, to solve, to fail, and to say why.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a bench shall end it")]

use apk_solver::{ExplainLimits, Options, Repository, Strategy, Universe};
use apk_types::{Dependency, PackageRecord};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

/// An index of the shape of a distribution's: most packages need the C library and a few libraries by their
/// sonames, half provide a library or a command, subpackages share an origin, a few come by `install_if`.
fn distribution(count: usize) -> Vec<PackageRecord> {
    let mut numbers = Numbers(1);
    let list = |texts: Vec<String>| texts.iter().map(|text| Dependency::lenient(text)).collect();
    let package = |number: usize| {
        let mut depends = vec!["so:libc.so.1".to_owned()];
        // Libraries are the packages of even numbers; what is needed comes before.
        let needed = if number < 20 { 0 } else { numbers.below(6) };
        depends.extend((0..needed).map(|_| format!("so:lib{}.so.1", numbers.below(number / 2) * 2)));
        let provides = match (number, number % 2) {
            (0, _) => vec!["so:libc.so.1=1".to_owned(), "so:lib0.so.1=1".to_owned()],
            (_, 0) => vec![format!("so:lib{number}.so.1=1.{number}")],
            _ => vec![
                format!("cmd:tool{number}=1.{number}-r0"),
                format!("cmd:alias{number}=1.{number}-r0"),
            ],
        };
        if number == 0 {
            depends.clear();
        }
        let is_doc = number % 50 == 49;
        PackageRecord {
            name: format!("package-{number}"),
            version: format!("1.{number}-r0"),
            origin: format!("package-{}", number / 4 * 4),
            install_if: match is_doc {
                true => list(vec!["docs".to_owned(), format!("package-{}", number - 1)]),
                false => Vec::new(),
            },
            depends: list(depends),
            provides: list(provides),
            ..PackageRecord::default()
        }
    };
    (0..count).map(package).collect()
}

fn repository(packages: &[PackageRecord]) -> [Repository<'_>; 1] {
    [Repository {
        source: "main",
        tag: None,
        packages,
    }]
}

fn world(packages: &[PackageRecord], entries: usize) -> Vec<Dependency> {
    let mut numbers = Numbers(2);
    let name = |_| packages[numbers.below(packages.len())].name.as_str();
    (0..entries).map(name).map(Dependency::lenient).collect()
}

#[divan::bench(args = [5_000, 30_000, 60_000])]
fn universe(bencher: Bencher<'_, '_>, count: usize) {
    let packages = distribution(count);
    bencher
        .counter(ItemsCount::new(count))
        .bench(|| Universe::new(&repository(&packages)).repositories().len());
}

#[divan::bench(args = [5_000, 30_000, 60_000])]
fn universe_and_solve(bencher: Bencher<'_, '_>, count: usize) {
    let packages = distribution(count);
    let world = world(&packages, 10);
    bencher.bench(|| {
        Universe::new(&repository(&packages))
            .solve(&world, &Options::default())
            .unwrap()
            .packages
            .len()
    });
}

/// Worlds of 3, 10 and 60 entries: some 20, 60 and 300 packages.
#[divan::bench(args = [3, 10, 60], consts = [false, true])]
fn solve<const IS_COMPLETE: bool>(bencher: Bencher<'_, '_>, entries: usize) {
    let packages = distribution(30_000);
    let repositories = repository(&packages);
    let universe = Universe::new(&repositories);
    let world = world(&packages, entries);
    let strategy = if IS_COMPLETE {
        Strategy::Complete
    } else {
        Strategy::Greedy
    };
    let options = Options {
        strategy,
        ..Options::default()
    };
    bencher.bench(|| universe.solve(&world, &options).unwrap().packages.len());
}

#[divan::bench]
fn refuse_and_explain(bencher: Bencher<'_, '_>) {
    let mut packages = distribution(30_000);
    packages[20_001].depends.push(Dependency::lenient("!package-0"));
    let repositories = repository(&packages);
    let universe = Universe::new(&repositories);
    let mut world = world(&packages, 10);
    world.push(Dependency::lenient("package-20001"));
    bencher.bench(|| {
        let (options, limits) = (Options::default(), ExplainLimits::default());
        universe
            .explain(&world, &options, &limits)
            .unwrap()
            .unwrap()
            .contradictions
            .len()
    });
}

/// More packages than names that only one can have: 500 of 20 versions, and no search knows a short proof.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn give_up_on_a_hard_world(bencher: Bencher<'_, '_>) {
    let versions = |number: usize| (0..20).map(move |version| (number, version));
    let package = |(number, version): (usize, usize)| PackageRecord {
        name: format!("package-{number}"),
        version: version.to_string(),
        provides: vec![Dependency::lenient(&format!("place-{version}=1"))],
        ..PackageRecord::default()
    };
    let packages: Vec<_> = (0..500).flat_map(versions).map(package).collect();
    let repositories = repository(&packages);
    let universe = Universe::new(&repositories);
    let world: Vec<_> = packages
        .iter()
        .step_by(20)
        .map(|package| Dependency::lenient(&package.name))
        .collect();
    bencher.bench(|| {
        universe
            .solve(&world, &Options::default())
            .unwrap_err()
            .to_string()
            .len()
    });
}
