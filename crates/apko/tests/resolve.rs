//! What is said where packages cannot be had.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;

use apk_solver::Explanation;
use apk_types::Arch;
use apko::config::parse;
use apko::{Additions, Policy, Repositories, ResolveError, world};
use testkit::{Package, Repository};

fn explanation(repository: &Repository, wanted: &str, archs: &[Arch]) -> Explanation {
    let configuration = parse(&format!("contents: {{packages: [{wanted}]}}")).unwrap();
    let additions = Additions {
        keys: vec![repository.key()],
        repositories: vec![repository.location()],
        ..Additions::default()
    };
    let repositories = Repositories::open(&configuration, &additions, archs, &Policy::default()).unwrap();
    let world = world(&configuration, &additions);
    match repositories.resolve(&world, archs, true) {
        Err(ResolveError::Unsolvable { explanation, .. }) => *explanation.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_another_architecture_has_is_named_with_it() {
    let repository = Repository::new("x86_64");
    repository.publish(&[
        Package::new("app", "1.0-r0").info(|info| info.provides = vec!["cmd:app=1.0-r0".parse().unwrap()]),
        Package::new("needy", "1.0-r0").depends(&["gone"]),
    ]);
    let other = Repository::new("aarch64");
    other.publish(&[
        Package::new("needy", "1.0-r0").depends(&["cmd:app"]),
        Package::new("gone", "2-r0"),
    ]);
    fs::rename(other.path().join("aarch64"), repository.path().join("aarch64")).unwrap();

    let rows = [
        ("app", Arch::Aarch64, vec!["x86_64"]),
        ("cmd:app", Arch::Aarch64, vec!["x86_64"]),
        // What a package needs, too.
        ("needy", Arch::Aarch64, vec!["x86_64"]),
        ("needy", Arch::X86_64, vec!["aarch64"]),
        ("nobody", Arch::X86_64, vec![]),
    ];
    for (wanted, arch, elsewhere) in rows {
        let explanation = explanation(&repository, wanted, &[arch]);
        let last = explanation.contradictions[0].steps.last().unwrap().clone();
        assert_eq!(last.elsewhere, elsewhere, "{wanted} for {arch}: {last:?}");
    }
}
