//! Configurations that are made to take a machine down: each ends in a clear error.

use std::collections::BTreeMap;

use melange_config::{CompileOptions, compile, evaluate, parse};

const HEAD: &str = "package: {name: a, version: 1}\n";

fn fault_with(source: &str, pipelines: &BTreeMap<String, String>) -> String {
    let options = CompileOptions::new("x86_64".parse().expect("known"));
    let result =
        parse(source, "a.yaml").and_then(|configuration| compile(&configuration, &options, pipelines));
    let drawn = result.expect_err("refused").render();
    assert!(drawn.len() < 20_000, "{} bytes", drawn.len());
    drawn
}

fn fault(body: &str) -> String {
    fault_with(&format!("{HEAD}{body}"), &BTreeMap::new())
}

#[test]
fn alias_bombs_are_refused() {
    let mut body = String::from("vars:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        body += &format!("  a{level}: &a{level} [{before}]\n");
    }
    assert!(fault(&body).contains("more than 1000000 values"));
    assert!(fault("vars: &a {b: *a}\n").contains("alias inside the value"));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = 10_000;
    let nested = [
        format!("vars: {}{}\n", "[".repeat(deep), "]".repeat(deep)),
        format!("vars: {}1{}\n", "{a: ".repeat(deep), "}".repeat(deep)),
        format!("pipeline: {}{}\n", "[{pipeline: ".repeat(deep), "}]".repeat(deep)),
        format!("vars:\n  - {}a\n", "- ".repeat(deep)),
    ];
    for body in nested {
        let drawn = fault(&body);
        assert!(
            drawn.contains("levels deep") || drawn.contains("not valid YAML"),
            "{drawn}"
        );
    }
    let steps = format!("pipeline: {}{}\n", "[{pipeline: ".repeat(40), "}]".repeat(40));
    assert!(fault(&steps).contains("more than 32 levels deep"));
    assert!(evaluate(&"(".repeat(1_000_000)).is_err());
}

#[test]
fn too_much_text_is_refused() {
    let huge = format!("{HEAD}vars: {{a: {}}}\n", "x".repeat(50_000_000));
    assert!(fault_with(&huge, &BTreeMap::new()).contains("more than the 16777216 allowed"));
}

#[test]
fn variables_that_grow_without_end_are_refused() {
    let mut doubling = String::from("vars:\n  v0: xxxxxxxxxxxxxxxx\n");
    for level in 1..40 {
        let before = format!("${{{{vars.v{}}}}}", level - 1);
        doubling += &format!("  v{level}: '{before}{before}'\n");
    }
    assert!(fault(&doubling).contains("more text than is reasonable"));
    let circle = "vars: {a: '${{vars.b}}', b: '${{vars.c}}', c: '${{vars.a}}'}\n";
    assert!(fault(circle).contains("is defined by itself"));
    let transforms = format!(
        "vars: {{a: {}}}\nvar-transforms: [{{from: '${{{{vars.a}}}}', match: '.', replace: '{}', to: b}}]\n",
        "x".repeat(100_000),
        "y".repeat(10_000)
    );
    assert!(fault(&transforms).contains("more text than is reasonable"));
    let long = "x".repeat(1_000_000);
    let many = "${{vars.a}}".repeat(10_000);
    let description = format!("{HEAD}vars: {{a: {long}}}\nsubpackages:\n- name: s\n  description: {many}\n");
    assert!(fault_with(&description, &BTreeMap::new()).contains("more text than is reasonable"));
}

#[test]
fn enormous_ranges_are_refused() {
    let items: String = (0..20_000).map(|item| format!("    k{item}: v\n")).collect();
    let body = format!(
        "data:\n- name: r\n  items:\n{items}subpackages: [{{range: r, name: 'a-${{{{range.key}}}}'}}]\n"
    );
    assert!(fault(&body).contains("more than 10000 subpackages"));
    let text = "x".repeat(100_000);
    let items: String = (0..9_000).map(|item| format!("    k{item}: v\n")).collect();
    let body = format!(
        "data:\n- name: r\n  items:\n{items}subpackages:\n- range: r\n  name: a-${{{{range.key}}}}\n  pipeline: [{{runs: {text}}}]\n"
    );
    assert!(fault(&body).contains("more text than is reasonable"));
}

#[test]
fn pipelines_that_multiply_or_use_themselves_are_refused() {
    let mut pipelines = BTreeMap::new();
    for level in 0..30 {
        let twice = format!("pipeline: [{{uses: p{0}}}, {{uses: p{0}}}]\n", level + 1);
        pipelines.insert(format!("p{level}"), twice);
    }
    pipelines.insert("p30".to_owned(), "runs: 'true'\n".to_owned());
    pipelines.insert("a".to_owned(), "pipeline: [{uses: b}]\n".to_owned());
    pipelines.insert("b".to_owned(), "pipeline: [{uses: a}]\n".to_owned());
    let many = fault_with(&format!("{HEAD}pipeline: [{{uses: p0}}]\n"), &pipelines);
    assert!(many.contains("more than 100000 steps"), "{many}");
    let circle = fault_with(&format!("{HEAD}pipeline: [{{uses: a}}]\n"), &pipelines);
    assert!(circle.contains("more than 32 levels deep"), "{circle}");
}

#[test]
fn thousands_of_faults_are_told_in_few_lines() {
    let body = format!("pipeline:\n{}", "- rns: x\n".repeat(50_000));
    assert!(fault(&body).contains("49980 more faults are not shown"));
    let body = format!("pipeline:\n{}", "- runs: '${{vars.x}}'\n".repeat(20_000));
    assert!(fault(&body).contains("more faults are not shown"));
}

#[test]
fn faults_by_the_thousand_among_names_by_the_thousand_end() {
    let names: String = (0..20_000)
        .map(|n| format!("  somewhat-long-name-{n}: x\n"))
        .collect();
    let steps = "- runs: '${{vars.somewhat-lang-name}}'\n".repeat(20_000);
    let drawn = fault(&format!("vars:\n{names}pipeline:\n{steps}"));
    assert!(
        drawn.contains("variable `vars.somewhat-lang-name` is not defined"),
        "{drawn}"
    );
    let ranges: String = (0..2_000).map(|n| format!("- name: list-{n}\n")).collect();
    let subpackages = "- {name: x, range: other}\n".repeat(20_000);
    let drawn = fault(&format!("data:\n{ranges}subpackages:\n{subpackages}"));
    assert!(
        drawn.contains("range `other` of subpackage `x` is not defined"),
        "{drawn}"
    );
}

#[test]
fn long_conditions_are_read_once() {
    let condition = "${{vars.a}} == 'b' && ".repeat(50_000);
    let source =
        format!("{HEAD}vars: {{a: b}}\npipeline:\n- if: \"{condition}'a' == 'a'\"\n  runs: 'true'\n");
    let options = CompileOptions::new("x86_64".parse().expect("known"));
    let compiled = parse(&source, "a.yaml").and_then(|written| compile(&written, &options, &BTreeMap::new()));
    assert!(compiled.expect("compiles").pipeline[0].enabled);
}
