//! Workspaces with a builder that makes small packages: what is built, and what is not.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fs;

use apko::Policy;
use build_graph::{Certainty, Options, Step};
use melange_workspace::Session;
use melange_workspace::settings::RunnerKind;
use testkit::{Package, Repository};

use common::{Case, header};

const ALL: [&str; 6] = [
    "image plain",
    "image web",
    "lib in busybox",
    "other in busybox",
    "test tool",
    "tool in busybox lib lib-dev",
];

#[test]
fn all_is_built_once_and_put_where_it_belongs() {
    let case = Case::new();
    let (counts, done) = case.build();
    assert_eq!(done, ALL);
    assert_eq!((counts.built, counts.reused), (7, 0));
    assert_eq!(
        case.published(),
        [
            "APKINDEX.tar.gz",
            "lib-1.0-r0.apk",
            "lib-dev-1.0-r0.apk",
            "lib-doc-1.0-r0.apk",
            "other-3.0-r0.apk",
            "tool-2.0-r0.apk"
        ]
    );
    assert!(case.path("oci/web/blobs/one").is_file());

    let (counts, done) = case.build();
    assert_eq!((done.len(), counts.built, counts.reused), (0, 0, 7));
}

#[test]
fn comments_and_layout_build_nothing() {
    let case = Case::new();
    case.build();
    case.edit("packages/lib.yaml", "package:\n", "# what greets\npackage:\n\n");
    case.edit("pipelines/make.yaml", "name: make", "# makes\nname: make");
    assert_eq!(case.build().1, [""; 0]);
}

#[test]
fn a_source_that_makes_no_difference_builds_its_package_alone() {
    let case = Case::new();
    case.build();
    let before = fs::read(case.path("packages/x86_64/lib-1.0-r0.apk")).unwrap();
    case.write("packages/lib/lib.c", "# a comment\nint lib;\n");
    let (counts, done) = case.build();
    assert_eq!(done, ["lib in busybox"]);
    assert_eq!(counts.built, 1);
    // What is the same is not published with another date.
    assert_eq!(
        fs::read(case.path("packages/x86_64/lib-1.0-r0.apk")).unwrap(),
        before
    );
}

#[test]
fn code_reaches_those_whose_environment_has_it_and_the_images_of_these() {
    let case = Case::new();
    case.build();
    case.write("packages/lib/lib.c", "int lib2;\n");
    assert_eq!(
        case.build().1,
        [
            "image web",
            "lib in busybox",
            "test tool",
            "tool in busybox lib lib-dev"
        ]
    );
    case.write("packages/lib/lib.c", "int lib;\n");
    assert_eq!(case.build().1, [""; 0], "the first results are still there");
}

#[test]
fn documentation_that_nobody_installs_reaches_nobody() {
    let case = Case::new();
    case.build();
    case.write("packages/lib/lib.txt", "how else to\n");
    assert_eq!(case.build().1, ["lib in busybox"]);
}

#[test]
fn a_pipeline_reaches_its_users() {
    let case = Case::new();
    case.build();
    case.edit("pipelines/make.yaml", "made", "made-better");
    assert_eq!(
        case.build().1,
        ["image web", "test tool", "tool in busybox lib lib-dev"]
    );
}

#[test]
fn packages_that_are_gone_or_renamed_are_published_no_more() {
    let case = Case::new();
    case.build();
    fs::remove_file(case.path("packages/other.yaml")).unwrap();
    fs::remove_file(case.path("images/plain.yaml")).unwrap();
    case.edit("packages/tool.yaml", "name: tool", "name: tool2");
    case.edit("images/web.yaml", "tool", "tool2");
    case.edit("packages/tool.yaml", "runs: tool", "runs: tool2");
    case.build();
    assert_eq!(
        case.published(),
        [
            "APKINDEX.tar.gz",
            "lib-1.0-r0.apk",
            "lib-dev-1.0-r0.apk",
            "lib-doc-1.0-r0.apk",
            "tool2-2.0-r0.apk"
        ]
    );
    assert!(!case.path("oci/plain").exists());
}

#[test]
fn an_architecture_more_builds_for_it_alone() {
    let case = Case::new();
    case.build();
    let settings = fs::read_to_string(case.path("workspace.yaml")).unwrap();
    case.write(
        "workspace.yaml",
        &settings.replace("[x86_64]", "[x86_64, aarch64]"),
    );
    let workspace = case.open().unwrap();
    let builds = case.with(|session| {
        let plan = session.plan(&workspace.nodes(), &Options::default()).unwrap();
        plan.nodes
            .iter()
            .filter(|(node, step)| node.name().ends_with("x86_64") && !matches!(step, Step::Reuse { .. }))
            .count()
    });
    assert_eq!(builds, 0);
}

#[test]
fn what_a_build_finds_out_is_installed_with_those_that_need_it() {
    let case = Case::new();
    // What it needs is stated nowhere: only its build tells.
    case.edit(
        "packages/lib.yaml",
        "source lib.c",
        "source lib.c\n  - runs: needs other",
    );
    assert!(
        case.build()
            .1
            .contains(&"tool in busybox lib lib-dev other".to_owned())
    );
}

#[test]
fn a_plan_says_what_is_certain_and_what_is_not() {
    let case = Case::new();
    case.build();
    case.write("packages/lib/lib.c", "int lib3;\n");
    let workspace = case.open().unwrap();
    let plan = case.with(|session| session.plan(&workspace.nodes(), &Options::default()).unwrap());
    let steps: BTreeMap<String, String> = plan
        .nodes
        .iter()
        .map(|(node, step)| {
            let text = match step {
                Step::Reuse { .. } => "reuse",
                Step::Build(build) => match build.certainty {
                    Certainty::Certain => "certain",
                    Certainty::Possible { .. } => "possible",
                    Certainty::Likely { .. } => "likely",
                },
                _ => "fail",
            };
            (node.to_string(), text.to_owned())
        })
        .collect();
    assert_eq!(steps["package:lib@x86_64"], "certain");
    assert_eq!(steps["package:tool@x86_64"], "possible");
    assert_eq!(steps["image:web"], "possible");
    assert_eq!(steps["image:plain"], "reuse");
    assert_eq!(case.fake.take(), [""; 0], "planning builds nothing");
}

#[test]
fn a_changed_version_is_explained_with_old_and_new_value_and_line() {
    let case = Case::new();
    case.build();
    case.edit("packages/tool.yaml", "version: 2.0", "version: 2.1");
    let explanation = case.with(|session| {
        session
            .explain(&"package:tool@x86_64".into(), &Options::default())
            .unwrap()
    });
    let change = explanation
        .changes
        .iter()
        .find(|change| change.name == "package/version")
        .unwrap();
    assert_eq!(
        (change.old.as_deref(), change.new.as_deref()),
        (Some("2.0"), Some("2.1"))
    );
    let origin = change.origin.as_ref().unwrap();
    assert_eq!(origin.to_string(), "packages/tool.yaml:3");
}

#[test]
fn what_fails_is_told_and_the_repository_stays_as_it_is() {
    let case = Case::new();
    case.build();
    let before = case.published();
    case.edit("packages/lib.yaml", "source lib.c", "fail");
    case.edit("packages/other.yaml", "3.0", "3.1");
    let report = case.try_build();
    let counts = report.summary.counts();
    assert_eq!(
        (counts.failed, counts.skipped, counts.built),
        (1, 4, 2),
        "{:?}",
        report.summary
    );
    assert_eq!(case.published(), before);
    case.edit("packages/lib.yaml", "runs: fail", "runs: source lib.c");
    case.fake.take();
    assert_eq!(case.build().1, [""; 0], "what was finished is kept");
    assert!(case.published().contains(&"other-3.1-r0.apk".to_owned()));
}

#[test]
fn two_files_of_one_package_are_refused_with_their_lines() {
    let case = Case::new();
    case.write(
        "packages/twin.yaml",
        &format!("# the same\n{}", header("lib-dev", "1")),
    );
    let error = case.open().unwrap_err().to_string();
    assert_eq!(
        error,
        "the package `lib-dev` is defined more than once: packages/lib.yaml:9, packages/twin.yaml:3"
    );
}

#[test]
fn an_image_of_a_package_that_nobody_has_is_refused_with_its_line() {
    let case = Case::new();
    case.write(
        "images/web.yaml",
        "contents:\n  packages:\n    - tool\n    - tool-missing\n",
    );
    let workspace = case.open().unwrap();
    let plan = case.with(|session| session.plan(&workspace.nodes(), &Options::default()).unwrap());
    let Some(Step::Fail(failure)) = plan.step(&"image:web".into()) else {
        panic!("{:?}", plan.nodes)
    };
    let text = failure.to_string();
    assert!(
        text.starts_with("images/web.yaml:4: ") && text.contains("tool-missing"),
        "{text}"
    );
}

#[test]
fn unknown_keys_and_patterns_of_nothing_are_refused() {
    let case = Case::new();
    case.settings("sead: []\n");
    assert!(
        case.open()
            .unwrap_err()
            .to_string()
            .contains("line 6, column 1: unknown key `sead`")
    );
    case.settings("exclude: [packages/*.yaml]\n");
    case.edit("workspace.yaml", "images/*.yaml", "pictures/*.yaml");
    assert!(
        case.open()
            .unwrap_err()
            .to_string()
            .contains("no file matches `pictures/*.yaml`")
    );
}

#[test]
fn a_circle_is_shown_and_broken_by_a_seed() {
    let case = Case::new();
    case.edit(
        "packages/lib.yaml",
        "packages: [busybox]",
        "packages: [busybox, tool]",
    );
    case.edit("packages/tool.yaml", "  dependencies: {runtime: [lib]}\n", "");
    let workspace = case.open().unwrap();
    let policy = Policy::default();
    let error = Session::open(&workspace, &policy, RunnerKind::Native)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("packages/lib.yaml:5  the environment of lib installs tool"),
        "{error}"
    );
    assert!(
        error.contains("packages/tool.yaml:5  the environment of tool installs lib-dev"),
        "{error}"
    );

    let seed = Repository::new("x86_64");
    seed.publish(&[
        Package::new("tool", "1.9-r0"),
        Package::new("lib", "0.9-r0"),
        Package::new("lib-dev", "0.9-r0"),
    ]);
    case.settings(&format!("seed: [{}]\n", seed.location()));
    let (_, done) = case.build();
    assert!(done.contains(&"lib in busybox tool".to_owned()), "{done:?}");
    assert!(done.contains(&"tool in busybox lib-dev".to_owned()), "{done:?}");
}

#[test]
fn files_lead_to_the_nodes_that_have_to_do_with_them() {
    let case = Case::new();
    let workspace = case.open().unwrap();
    let rows: [(&str, &[&str]); 5] = [
        ("packages/lib.yaml", &["package:lib@x86_64"]),
        ("packages/lib/lib.c", &["package:lib@x86_64"]),
        (
            "pipelines/make.yaml",
            &["package:tool@x86_64", "test:tool@x86_64"],
        ),
        ("images/web.yaml", &["image:web"]),
        ("README.md", &[]),
    ];
    for (path, wanted) in rows {
        let nodes: Vec<String> = workspace
            .changed([path])
            .nodes
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(nodes, wanted, "{path}");
    }
    assert_eq!(
        workspace.find_nodes("lib-dev").unwrap(),
        ["package:lib@x86_64".into()]
    );
    assert_eq!(
        workspace.find_nodes("test:tool").unwrap(),
        ["test:tool@x86_64".into()]
    );
    let error = workspace.find_nodes("tol").unwrap_err().to_string();
    assert_eq!(error, "there is no node `tol`: did you mean `tool`?");
}

#[test]
fn versions_that_are_published_with_another_content_get_a_new_epoch() {
    let case = Case::new();
    case.build();
    let published = tempfile::tempdir().unwrap();
    let copy = published.path().join("x86_64");
    fs::create_dir(&copy).unwrap();
    for name in case.published() {
        fs::copy(case.path("packages/x86_64").join(&name), copy.join(&name)).unwrap();
    }
    let key = case.path(".melange/workspace.rsa.pub");
    case.edit(
        "workspace.yaml",
        "keyring: [",
        &format!("keyring: [{}, ", key.display()),
    );
    let repository = published.path().display().to_string();
    assert_eq!(case.with(|session| session.stale(&repository).unwrap()), []);
    case.write("packages/lib/lib.c", "int lib4;\n");
    case.edit("packages/lib.yaml", "epoch: 0", "epoch: 0 # the first");
    case.build();
    case.with(|session| {
        let stale = session.stale(&repository).unwrap();
        assert_eq!(stale.len(), 1);
        assert_eq!(
            (stale[0].file.as_str(), &stale[0].packages[..]),
            ("packages/lib.yaml", &["lib".to_owned()][..])
        );
        assert_eq!(session.bump_epoch(&stale[0]).unwrap(), 1);
    });
    assert!(
        fs::read_to_string(case.path("packages/lib.yaml"))
            .unwrap()
            .contains("epoch: 1 # the first")
    );
}
