//! What compiling does, in small configurations.

use std::collections::BTreeMap;

use melange_config::{CompileOptions, Compiled, ConfigError, Step, compile, parse};
use proptest::prelude::*;

const HEAD: &str = "package: {name: demo, version: 1.2.3, epoch: 4}\n";

fn options() -> CompileOptions {
    let mut options = CompileOptions::new("aarch64".parse().expect("known"));
    options.commit = "0123abc".to_owned();
    options
}

fn pipelines() -> BTreeMap<String, String> {
    let texts = [
        (
            "greet",
            "inputs: {who: {default: nobody}, to: {default: '${{targets.destdir}}/x'}}\n\
             needs: {packages: ['hello-${{inputs.who}}']}\nruns: echo ${{inputs.who}} > ${{inputs.to}}\n",
        ),
        (
            "outer",
            "inputs: {name: {required: true}}\npipeline:\n- uses: greet\n  with: {who: '${{inputs.name}}'}\n",
        ),
        (
            "wrapped",
            "inputs: {who: {default: x}}\npipeline:\n- runs: echo ${{inputs.who}}\n",
        ),
        ("loop", "pipeline: [{uses: loop}]\n"),
        ("typo", "pipelin: []\nruns: 'true'\n"),
        ("broken", "runs: 'echo ${{inputs.nope}}'\n"),
        ("sum", "inputs: {expected-sha256: {required: true}}\n"),
    ];
    texts
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
}

fn build(body: &str) -> Result<Compiled, ConfigError> {
    compile(
        &parse(&format!("{HEAD}{body}"), "demo.yaml")?,
        &options(),
        &pipelines(),
    )
}

fn built(body: &str) -> Compiled {
    build(body).map_err(|error| error.render()).expect("compiles")
}

fn fault(body: &str) -> String {
    build(body).expect_err("refused").render()
}

#[test]
fn variables_transforms_and_architecture_are_filled_in() {
    let compiled = built(
        "vars: {a: '${{vars.b}}/x', b: y}\n\
         var-transforms: [{from: '${{package.version}}', match: '\\.', replace: _, to: under}]\n\
         pipeline: [{runs: 'echo ${{vars.a}} ${{vars.under}} ${{ build.arch }} ${{host.triplet.gnu}} ${{package.full-version}}'}]",
    );
    assert_eq!(
        compiled.pipeline[0].runs,
        "echo y/x 1_2_3 aarch64 aarch64-unknown-linux-gnu 1.2.3-r4\n"
    );
}

#[test]
fn pipelines_nest_and_their_needs_reach_the_environment() {
    let compiled = built("pipeline: [{uses: outer, with: {name: world}}, {uses: greet}]");
    assert_eq!(
        compiled.environment.contents.packages,
        ["hello-world", "hello-nobody"]
    );
    let outer = &compiled.pipeline[0];
    assert_eq!(outer.with.get("name").map(String::as_str), Some("world"));
    assert_eq!(outer.pipeline[0].pipeline.len(), 0);
    assert_eq!(
        outer.pipeline[0].runs,
        "echo world >/home/build/melange-out/demo/x\n"
    );
    assert!(compiled.pipeline[1].with.is_empty());
}

#[test]
fn ranges_make_subpackages_and_conditions_switch_them() {
    let compiled = built(
        "data: [{name: list, items: {b: two, a: one}}]\n\
         subpackages:\n\
         - range: list\n  name: demo-${{range.key}}\n  description: ${{range.value}}\n\
         - name: demo-arm\n  if: ${{build.arch}} == 'aarch64'\n\
         - name: demo-x86\n  if: ${{build.arch}} == 'x86_64'\n",
    );
    let names: Vec<_> = compiled
        .subpackages
        .iter()
        .map(|sub| {
            (
                sub.package.name.as_str(),
                sub.package.description.as_str(),
                sub.enabled,
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("demo-a", "one", true),
            ("demo-b", "two", true),
            ("demo-arm", "", true),
            ("demo-x86", "", false),
        ]
    );
    assert_eq!(compiled.without_disabled_subpackages().subpackages.len(), 3);
}

#[test]
fn build_options_set_variables_and_packages() {
    let source = format!(
        "{HEAD}vars: {{flavour: plain}}\n\
         environment: {{contents: {{packages: [a, b]}}}}\n\
         options: {{fancy: {{vars: {{flavour: fancy}}, environment: {{contents: {{packages: {{add: [c], remove: [a]}}}}}}}}}}\n\
         pipeline: [{{runs: 'echo ${{{{options.fancy.enabled}}}} ${{{{ vars.flavour }}}}'}}]\n"
    );
    let mut options = options();
    options.build_options.push("fancy".to_owned());
    let written = parse(&source, "demo.yaml").expect("valid");
    let compiled = compile(&written, &options, &pipelines()).expect("compiles");
    assert_eq!(compiled.environment.contents.packages, ["c", "b"]);
    assert_eq!(compiled.pipeline[0].runs, "echo true fancy\n");
}

#[test]
fn working_directory_and_environment_are_handed_down() {
    let compiled = built(
        "pipeline:\n- working-directory: sub\n  environment: {A: '1', B: '1'}\n  pipeline:\n  - runs: 'true'\n    environment: {B: '2'}\n",
    );
    let inner = &compiled.pipeline[0].pipeline[0];
    assert_eq!(inner.working_directory, "sub");
    let environment: Vec<_> = inner
        .environment
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(environment, ["A=1", "B=2"]);
}

#[test]
fn tests_get_the_package_and_what_they_need() {
    let compiled = built("test: {pipeline: [{uses: greet}]}");
    let test = compiled.test.expect("a test");
    assert_eq!(test.environment.contents.packages, ["demo", "hello-nobody"]);
    assert!(compiled.environment.contents.packages.is_empty());
}

#[test]
fn stray_keys_of_pipeline_files_are_warnings() {
    let compiled = built("pipeline: [{uses: typo}]");
    assert_eq!(compiled.warnings.len(), 1);
    assert!(compiled.warnings[0].contains("unknown key `pipelin`"));
}

#[test]
fn faults_name_the_culprit_and_its_place() {
    let table = [
        ("pipelne: []", "unknown key `pipelne`"),
        (
            "pipeline: [{runs: 'echo ${{vars.nope}}'}]",
            "variable `vars.nope` is not defined",
        ),
        ("pipeline: [{uses: grete}]", "there is no pipeline `grete`"),
        (
            "pipeline: [{uses: ../../etc/x}]",
            "`../../etc/x` is not the name of a pipeline",
        ),
        (
            "pipeline: [{uses: outer}]",
            "pipeline `outer` needs the input `name`",
        ),
        (
            "pipeline: [{uses: greet, with: {wo: x}}]",
            "unknown input `wo` for pipeline `greet`",
        ),
        (
            "pipeline: [{uses: sum, with: {expected-sha256: abc}}]",
            "`expected-sha256` must be 64",
        ),
        ("pipeline: [{uses: loop}]", "more than 32 levels deep"),
        (
            "pipeline: [{uses: greet, runs: x}]",
            "both `uses: greet` and `runs`",
        ),
        ("pipeline: [{with: {a: b}, runs: x}]", "`with` but no `uses`"),
        (
            "pipeline: [{if: \"'a' = 'a'\", runs: x}]",
            "the condition `'a' = 'a'` cannot be read",
        ),
        (
            "pipeline: [{runs: 'if true'}]",
            "the script of a step cannot be read",
        ),
        ("subpackages: [{name: demo}]", "same name as the package itself"),
        (
            "subpackages: [{name: x}, {name: x}]",
            "same name as another subpackage",
        ),
        (
            "subpackages: [{range: r, name: x}]",
            "range `r` of subpackage `x` is not defined",
        ),
        (
            "vars: {a: '${{vars.a}}'}",
            "variable `vars.a` is defined by itself",
        ),
        (
            "var-transforms: [{from: a, match: '(', replace: b, to: c}]",
            "`(` is not a regular expression",
        ),
    ];
    for (body, want) in table {
        let drawn = fault(body);
        assert!(drawn.contains(want), "{body}: {drawn}");
        assert!(drawn.contains("┌─ "), "{drawn}");
    }
}

#[test]
fn steps_know_where_they_are_written() {
    let compiled = built(
        "pipeline:\n- runs: 'true'\n- uses: outer\n  with: {name: x}\n\
         subpackages:\n- name: sub\n  pipeline:\n  - pipeline:\n    - uses: wrapped\n\
         test:\n  pipeline:\n  - runs: 'true'\n",
    );
    let location = |step: &Step| step.location.as_ref().expect("known").to_string();
    let outer = &compiled.pipeline[1];
    let nested = &compiled.subpackages[0].pipeline[0].pipeline[0];
    let test = &compiled.test.as_ref().expect("a test").pipeline[0];
    let found = [
        &compiled.pipeline[0],
        outer,
        &outer.pipeline[0],
        nested,
        &nested.pipeline[0],
        test,
    ];
    assert_eq!(
        found.map(location),
        [
            "demo.yaml:3",
            "demo.yaml:4",
            "outer.yaml:3, used at demo.yaml:4",
            "demo.yaml:10",
            "wrapped.yaml:3, used at demo.yaml:10",
            "demo.yaml:13",
        ]
    );
}

#[test]
fn faults_are_found_all_at_once() {
    let places = |body: &str| -> Vec<String> {
        let error = build(body).expect_err("refused");
        let faults = error.faults().iter();
        faults
            .map(|fault| {
                let line = fault.diagnostic.span.expect("a place").line;
                format!("{}:{line} {}", fault.text.path, fault.diagnostic.message)
            })
            .collect()
    };
    let written = "pipelin: []\nvars: [a]\npipeline:\n- rns: x\n- uses: a\n  runs: b\n- runs: []\n\
                   subpackages:\n- name: b\n  pipeline:\n  - if: []\n    unknown: 1\n";
    assert_eq!(
        places(written),
        [
            "demo.yaml:5 unknown key `rns`",
            "demo.yaml:8 `runs` must be a string, not a list",
            "demo.yaml:12 `if` must be a string, not a list",
            "demo.yaml:13 unknown key `unknown`",
            "demo.yaml:3 `vars` must be a mapping of strings to strings, not a list",
            "demo.yaml:2 unknown key `pipelin`",
        ]
    );
    let compiled = "pipeline:\n- runs: ${{vars.a}}\n- uses: none\n- uses: greet\n  with: {wo: x, too: y}\n\
                    - pipeline: [{if: x, runs: a}, {runs: '${{build.arc}}'}]\n\
                    subpackages:\n- name: s\n  if: ${{nope}} == 'a'\n  pipeline: [{uses: outer}]\n";
    assert_eq!(
        places(compiled),
        [
            "demo.yaml:3 variable `vars.a` is not defined",
            "demo.yaml:4 there is no pipeline `none`",
            "demo.yaml:6 unknown input `wo` for pipeline `greet`",
            "demo.yaml:6 unknown input `too` for pipeline `greet`",
            "demo.yaml:7 the condition `x` cannot be read: expected `==` or `!=` at its end",
            "demo.yaml:7 variable `build.arc` is not defined",
            "demo.yaml:10 variable `nope` is not defined",
            "demo.yaml:11 pipeline `outer` needs the input `name`",
        ]
    );
}

#[test]
fn misspelt_words_are_told_from_those_that_exist() {
    let table = [
        ("pipelne: []", "did you mean `pipeline`?"),
        (
            "pipeline: [{runs: '${{build.arc}}'}]",
            "did you mean `build.arch`?",
        ),
        ("pipeline: [{uses: grete}]", "did you mean `greet`?"),
        ("pipeline: [{uses: greet, with: {woh: x}}]", "did you mean `who`?"),
        (
            "pipeline: [{uses: greet, with: {zzz: x}}]",
            "its inputs are `to`, `who`",
        ),
        (
            "subpackages: [{name: x, range: lisst}]\ndata: [{name: list}]",
            "did you mean `list`?",
        ),
        (
            "subpackages: [{name: x, range: b}]\ndata: [{name: a}]",
            "defined are `a`",
        ),
        ("pipeline: [{rns: x}]", "did you mean `runs`?"),
        ("test: {pipelines: []}", "did you mean `pipeline`?"),
        (
            "pipeline: [{runs: '${{vars.flavor}}'}]\nvars: {flavour: x}",
            "did you mean `vars.flavour`?",
        ),
        (
            "pipeline: [{if: \"${{opions.x.enabled}} == 'a'\", runs: x}]\noptions: {x: {}}",
            "did you mean `options.x.enabled`?",
        ),
        ("update: {zzz: 1}", "its keys are `enabled`, `manual`"),
    ];
    for (body, want) in table {
        let drawn = fault(body);
        assert!(drawn.contains(want), "{body}: {drawn}");
    }
}

#[test]
fn faults_in_the_file_of_a_pipeline_say_where_it_is_used() {
    let drawn = fault("pipeline:\n- uses: broken\n");
    assert!(drawn.contains("broken.yaml:1:13"), "{drawn}");
    assert!(drawn.contains("used at demo.yaml:3"), "{drawn}");
    // What the user wrote is shown in the user's file.
    let drawn = fault("pipeline:\n- uses: greet\n  if: ${{nope}} == 'a'\n  with: {who: x}\n");
    assert!(drawn.contains("demo.yaml:4:7"), "{drawn}");
    let drawn = fault("pipeline:\n- uses: greet\n  with:\n    who: ${{nope}}\n");
    assert!(drawn.contains("demo.yaml:5:10"), "{drawn}");
}

#[test]
fn the_recorded_yaml_reads_back() {
    let compiled =
        built("pipeline: [{uses: wrapped, with: {who: world}}]\ntest: {pipeline: [{uses: wrapped}]}")
            .with_locked_environment("aarch64".parse().expect("known"), vec!["a=1-r0".to_owned()]);
    let yaml = compiled.to_yaml();
    let again = parse(&yaml, "again.yaml")
        .map_err(|error| error.render())
        .expect("valid");
    let again = compile(&again, &options(), &pipelines()).expect("compiles");
    assert_eq!(again.to_yaml(), yaml);
    assert!(yaml.contains("\n  archs:\n    - arm64\n"), "{yaml}");
    assert!(yaml.contains("homedir: /home/build"), "{yaml}");
}

proptest! {
    #[test]
    fn no_text_brings_the_reader_down(
        body in "(pipeline|vars|subpackages|if|runs|uses|with|[-:{}\\[\\]'\" \n$a<&*]){0,40}"
    ) {
        if let Err(error) = build(&body) {
            prop_assert!(!error.render().is_empty());
        }
    }
}
