//! `schema`, `compile`, `lint-config`: what a program reads of them.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Standard output and error of a command that has to end with a status.
fn ends(directory: &Path, arguments: &[&str], status: i32) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_melange"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {out}{error}");
    (out, error)
}

/// A directory with a configuration of that name and a pipeline.
fn directory(configuration: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.yaml"), configuration).unwrap();
    fs::create_dir(directory.path().join("pipelines")).unwrap();
    let pipeline = "inputs: {who: {required: true}}\nruns: echo ${{inputs.whom}}\n";
    fs::write(directory.path().join("pipelines/greet.yaml"), pipeline).unwrap();
    directory
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const WRONG: &str = "package: {name: a, version: 1}\npipeline:\n- runs: echo ${{vars.nope}}\n- uses: grete\n\
                     - uses: greet\n  with: {woh: x}\n- uses: greet\n  with: {who: x}\n";

#[test]
fn faults_are_json_lines_with_their_places() {
    let directory = directory(WRONG);
    let arguments = [
        "compile",
        "--arch",
        "x86_64",
        "--pipeline-dir",
        "pipelines",
        "a.yaml",
    ];
    let (out, error) = ends(directory.path(), &[&arguments[..], &["--json"]].concat(), 2);
    let faults = lines(&out);
    let told: Vec<_> = faults
        .iter()
        .map(|fault| {
            let field = |key: &str| fault[key].as_str().unwrap_or_default().to_owned();
            let place = format!("{}:{}:{}", field("path"), fault["line"], fault["column"]);
            (place, field("message"), field("help"))
        })
        .collect();
    let row =
        |place: &str, message: &str, help: &str| (place.to_owned(), message.to_owned(), help.to_owned());
    assert_eq!(
        told,
        [
            row("a.yaml:3:14", "variable `vars.nope` is not defined", ""),
            row(
                "a.yaml:4:9",
                "there is no pipeline `grete`",
                "did you mean `greet`?"
            ),
            row(
                "a.yaml:6:10",
                "unknown input `woh` for pipeline `greet`",
                "did you mean `who`?"
            ),
            row(
                "pipelines/greet.yaml:2:12",
                "variable `inputs.whom` is not defined",
                "did you mean `inputs.who`?"
            ),
        ]
    );
    assert_eq!(faults[3]["used_at"], "a.yaml:7");
    let text =
        &WRONG[faults[0]["start"].as_u64().unwrap() as usize..faults[0]["end"].as_u64().unwrap() as usize];
    assert_eq!(text, "${{vars.nope}}");
    assert!(error.contains("3 │ - runs: echo ${{vars.nope}}"), "{error}");
    // Without --json there is nothing on standard output.
    let (out, _) = ends(directory.path(), &arguments, 2);
    assert_eq!(out, "");
}

#[test]
fn what_is_not_even_a_configuration_is_json_too() {
    for (text, message, line) in [
        (
            "package: {name: a, version: 1}\npipelne: []\n",
            "unknown key `pipelne`",
            2,
        ),
        ("package: [\n", "not valid YAML", 1),
        ("vars: {}\n", "the `package` section is missing", 1),
    ] {
        let directory = directory(text);
        let (out, _) = ends(
            directory.path(),
            &["compile", "--arch", "x86_64", "--json", "a.yaml"],
            2,
        );
        let [fault] = &lines(&out)[..] else {
            panic!("{out}");
        };
        assert!(fault["message"].as_str().unwrap().contains(message), "{out}");
        assert!(fault["line"].as_u64().unwrap() >= line, "{out}");
        assert_eq!([&fault["rule"], &fault["severity"]], ["invalid", "error"]);
    }
}

#[test]
fn findings_are_json_lines_with_their_rules() {
    let directory = directory(
        "package: {name: a, version: 1.10}\nvars: {idle: x}\npipeline:\n- uses: fetch\n  with: {uri: x}\n- uses: nope\n",
    );
    let (out, error) = ends(directory.path(), &["lint-config", "--json", "a.yaml"], 2);
    let found: Vec<_> = lines(&out)
        .iter()
        .map(|finding| json!([finding["rule"], finding["severity"], finding["line"]]))
        .collect();
    assert_eq!(
        found,
        [
            json!(["version-as-number", "warning", 1]),
            json!(["unused-variable", "warning", 2]),
            json!(["missing-checksum", "warning", 4]),
            json!(["invalid", "error", 6]),
        ]
    );
    assert!(error.contains("1 error, 3 warnings"), "{error}");
    let allow = "version-as-number,unused-variable,missing-checksum,invalid";
    let (out, _) = ends(
        directory.path(),
        &["lint-config", "--allow", allow, "--json", "a.yaml"],
        0,
    );
    assert_eq!(out, "");
}

#[test]
fn the_schema_is_printed() {
    let directory = directory("");
    let (out, _) = ends(directory.path(), &["schema"], 0);
    assert_eq!(out, melange_config::SCHEMA);
    let schema: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(schema["required"], json!(["package"]));
}
