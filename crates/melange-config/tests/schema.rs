//! The JSON schema: that it and the parser take the same files, and that the documentation names its keys.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use melange_config::{SCHEMA, parse};
use serde_json::Value;
use testkit::schema::{UNKNOWN_KEY, at, fault, resolved, sample, to_json, with_unknown_keys};

mod common;

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// What the parser says to an unknown key: that it is one, and all that are known in its place.
fn known_keys(text: &str) -> BTreeSet<String> {
    let error = parse(text, "a.yaml").expect_err("an unknown key");
    let [fault] = error.faults() else {
        panic!("{}", error.render());
    };
    let message = &fault.diagnostic.message;
    assert_eq!(*message, format!("unknown key `{UNKNOWN_KEY}`"));
    let help = fault.diagnostic.help.as_deref().unwrap();
    let known = help.strip_prefix("its keys are ").unwrap().split(", ");
    known.map(|key| key.trim_matches('`').to_owned()).collect()
}

#[test]
fn parser_and_schema_know_the_same_keys_everywhere() {
    let schema = schema();
    let full = sample(&schema);
    assert_eq!(fault(&schema, &full), None);
    parse(&full.to_string(), "a.yaml")
        .map_err(|error| error.render())
        .unwrap();
    let variants = with_unknown_keys(&schema, &full);
    assert!(variants.len() > 50, "{} objects", variants.len());
    for (place, variant) in variants {
        assert!(fault(&schema, &variant).is_some(), "{place}");
        let properties = &resolved(at(&schema, &place), &schema)["properties"];
        let keys: BTreeSet<String> = properties.as_object().unwrap().keys().cloned().collect();
        assert_eq!(known_keys(&variant.to_string()), keys, "{place}");
    }
}

#[test]
fn good_and_bad_documents_are_judged_alike() {
    let schema = schema();
    let table = [
        ("package: {name: a, version: 1.10}", true),
        (
            "package: {name: a, version: 1, epoch: 3}\npipeline:\nsubpackages:\n",
            true,
        ),
        ("package: {name: a, version: 1, timeout: 1h30m}", true),
        ("package: {name: a, version: 1, dependencies:}", true),
        (
            "package: {name: a, version: 1}\npipeline: [{runs: x}, {uses: y}, {}]",
            true,
        ),
        (
            "package: {name: a, version: 1}\nvars: {a: 1, b: true, c: , d: text}",
            true,
        ),
        (
            "package: {name: a, version: 1}\nenvironment: {contents: {packages: [a, 1.5]}}",
            true,
        ),
        (
            "package: {name: a, version: 1}\noptions: {a: {vars: {b: c}}, d: }",
            true,
        ),
        ("", false),
        ("[]", false),
        ("package:", false),
        ("package: {name: a}", false),
        ("package: {version: 1}", false),
        ("package: {name: '', version: 1}", false),
        ("package: {name: a, version: 1, epoch: -1}", false),
        ("package: {name: a, version: 1, epoch: x}", false),
        ("package: {name: a, version: 1, timeout: 90}", false),
        ("package: {name: a, version: 1, description: [a]}", false),
        ("package: {name: a, version: 1, dependencies: [b]}", false),
        ("package: {name: a, version: 1, options: {no-depends: 5}}", false),
        ("package: {name: a, version: 1}\npipeline: {}", false),
        ("package: {name: a, version: 1}\npipeline: [x]", false),
        (
            "package: {name: a, version: 1}\npipeline: [{runs: x, uses: y}]",
            false,
        ),
        (
            "package: {name: a, version: 1}\npipeline: [{runs: x, with: {a: b}}]",
            false,
        ),
        (
            "package: {name: a, version: 1}\npipeline: [{pipeline: [{pipeline: [{rns: x}]}]}]",
            false,
        ),
        (
            "package: {name: a, version: 1}\npipeline: [{assertions: {required-steps: x}}]",
            false,
        ),
        ("package: {name: a, version: 1}\nsubpackages: [{}]", false),
        ("package: {name: a, version: 1}\nvars: [a]", false),
        ("package: {name: a, version: 1}\nvars: {a: [b]}", false),
        (
            "package: {name: a, version: 1}\ndata: [{name: a, items: [b]}]",
            false,
        ),
        (
            "package: {name: a, version: 1}\noptions: {a: {packages: b}}",
            false,
        ),
        ("package: {name: a, version: 1}\nupdate: {enabled: 5}", false),
        (
            "package: {name: a, version: 1}\ntest: {pipeline: [{runs: {}}]}",
            false,
        ),
        (
            "package: {name: a, version: 1}\nenvironment: {accounts: {users: [{uid: x}]}}",
            false,
        ),
    ];
    for (yaml, is_good) in table {
        let parsed = parse(yaml, "a.yaml");
        assert_eq!(parsed.is_ok(), is_good, "{yaml}: {:?}", parsed.err());
        let fault = fault(&schema, &to_json(&spanned_yaml::parse(yaml).unwrap()));
        assert_eq!(fault.is_none(), is_good, "{yaml}: {fault:?}");
    }
}

#[test]
fn every_configuration_of_the_corpus_fits_the_schema() {
    let Some((_directory, files)) = common::corpus() else {
        return;
    };
    let schema = schema();
    for file in files {
        let document = spanned_yaml::parse(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(fault(&schema, &to_json(&document)), None, "{}", file.display());
    }
}

/// The keys of all objects of a schema.
fn keys(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(entries) => {
            let properties = entries.get("properties").and_then(Value::as_object);
            found.extend(
                properties
                    .into_iter()
                    .flat_map(|properties| properties.keys().cloned()),
            );
            entries.values().for_each(|value| keys(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_on_the_reference_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/melange/configuration.md");
    let page = fs::read_to_string(page).unwrap();
    let mut all = BTreeSet::new();
    keys(&schema(), &mut all);
    assert!(all.len() > 120, "{}", all.len());
    for key in all {
        let is_named = page.contains(&format!("`{key}`")) || page.contains(&format!(".{key}`"));
        assert!(is_named, "{key}");
    }
}
