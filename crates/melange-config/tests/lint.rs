//! What is found to be odd.

use std::collections::BTreeMap;

use melange_config::{Rule, lint};

/// The rules, lines and marked texts of what is found.
fn findings(body: &str) -> Vec<(Rule, u32, String)> {
    let source = format!("package: {{name: demo, version: 1.2.3}}\n{body}");
    let files = BTreeMap::from([
        (
            "fetch".to_owned(),
            "inputs: {uri: {}, expected-sha256: {}, expected-none: {}}\nruns: 'true'\n".to_owned(),
        ),
        (
            "git-checkout".to_owned(),
            "inputs: {expected-commit: {}}\nruns: 'true'\n".to_owned(),
        ),
        ("outer".to_owned(), "pipeline: [{uses: own}]\n".to_owned()),
        ("own".to_owned(), "runs: echo ${{vars.hidden}}\n".to_owned()),
    ]);
    let found = lint(&source, "demo.yaml", &files);
    let marked = |finding: &melange_config::Finding| {
        let span = finding.fault.diagnostic.span.expect("a place");
        (finding.rule, span.line, source[span.start..span.end].to_owned())
    };
    found.iter().map(marked).collect()
}

#[test]
fn each_rule_finds_what_it_is_for_and_nothing_else() {
    type Row = (&'static str, &'static [(Rule, u32, &'static str)]);
    let table: [Row; 11] = [
        (
            "vars: {a: x, b: '${{vars.c}}', c: y, hidden: z}\n\
             var-transforms: [{from: '${{vars.b}}', match: x, replace: y, to: made}]\n\
             pipeline: [{uses: outer}]\n",
            &[(Rule::UnusedVariable, 2, "a"), (Rule::UnusedVariable, 3, "made")],
        ),
        (
            "data: [{name: used, items: {k: v}}, {name: idle, items: {k: v}}]\n\
             subpackages: [{range: used, name: 'x-${{range.key}}'}]\n",
            &[(Rule::UnusedRange, 2, "idle")],
        ),
        (
            "options: {idle: {}, asked: {}, works: {vars: {v: w}}}\n\
             pipeline: [{if: \"${{options.asked.enabled}} == 'true'\", runs: 'echo ${{vars.v}}'}]\nvars: {v: u}\n",
            &[(Rule::UnusedOption, 2, "idle")],
        ),
        (
            "pipeline:\n- if: ${{build.arch}} == 'x86-64'\n  runs: 'true'\n- if: ${{build.arch}} == 's390x'\n  runs: 'true'\n\
             subpackages:\n- name: s\n  if: ${{package.name}} == 'other'\n",
            &[
                (Rule::UnreachableCondition, 3, "${{build.arch}} == 'x86-64'"),
                (Rule::UnreachableCondition, 9, "${{package.name}} == 'other'"),
            ],
        ),
        (
            "pipeline:\n- uses: fetch\n  with: {uri: x}\n- uses: fetch\n  with: {uri: x, expected-sha256: ''}\n\
             - uses: fetch\n  with: {uri: x, expected-none: 'yes'}\n- pipeline:\n  - uses: git-checkout\n",
            &[
                (Rule::MissingChecksum, 3, "fetch"),
                (Rule::MissingChecksum, 5, "fetch"),
                (Rule::MissingChecksum, 10, "git-checkout"),
            ],
        ),
        (
            "environment: {contents: {packages: [a, b, a]}}\nsubpackages:\n- name: s\n  dependencies: {runtime: [c, c]}\n",
            &[(Rule::RepeatedItem, 2, "a"), (Rule::RepeatedItem, 5, "c")],
        ),
        ("pipeline: [{runs: [], uses: x}]\n", &[(Rule::Invalid, 2, "[]")]),
        (
            "vars: {a: b}\npipeline: [{uses: own2}, {runs: '${{vars.b}}'}]\n",
            &[
                (Rule::UnusedVariable, 2, "a"),
                (Rule::Invalid, 3, "own2"),
                (Rule::Invalid, 3, "${{vars.b}}"),
            ],
        ),
        (
            "pipeline: [{uses: fetch, with: {uri: x, expectd-sha256: y}}]\n",
            &[
                (Rule::MissingChecksum, 2, "fetch"),
                (Rule::Invalid, 2, "expectd-sha256"),
            ],
        ),
        ("pipeline: [{runs: 'true'}]\n", &[]),
        ("", &[]),
    ];
    for (body, want) in table {
        let want: Vec<_> = want
            .iter()
            .map(|(rule, line, text)| (*rule, *line, (*text).to_owned()))
            .collect();
        assert_eq!(findings(body), want, "{body}");
    }
}

#[test]
fn versions_that_others_read_differently_are_found() {
    let rules = |version: &str| -> Vec<_> {
        let source = format!("package: {{name: a, version: {version}}}\n");
        let found = lint(&source, "a.yaml", &BTreeMap::new());
        found.into_iter().map(|finding| finding.rule).collect()
    };
    for odd in ["1.10", "2.0", "010", "1e3"] {
        assert!(rules(odd).contains(&Rule::VersionAsNumber), "{odd}");
    }
    for fine in ["1.2", "3", "'1.10'", "1.2.3", "20240101"] {
        assert_eq!(rules(fine), [], "{fine}");
    }
}
