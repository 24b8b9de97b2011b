//! The JSON schema: that it and the parser take the same files.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use apko::config::{SCHEMA, parse};
use serde_json::Value;
use testkit::schema::{fault, sample, to_json, with_unknown_keys};

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

#[test]
fn every_key_of_the_schema_is_one_of_the_parser() {
    let schema = schema();
    let full = sample(&schema);
    assert_eq!(fault(&schema, &full), None);
    let configuration = parse(&full.to_string()).unwrap();
    let again: Value = serde_json::to_value(&configuration).unwrap();
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(
        keys(&again),
        keys(&full),
        "every key of a configuration is in the schema"
    );
    for section in ["contents", "entrypoint", "accounts", "layering", "certificates"] {
        assert_eq!(keys(&again[section]), keys(&full[section]), "{section}");
    }
    let variants = with_unknown_keys(&schema, &full);
    assert!(variants.len() > 10);
    for (_, variant) in variants {
        assert!(fault(&schema, &variant).is_some(), "{variant}");
        assert!(parse(&variant.to_string()).is_err(), "{variant}");
    }
}

#[test]
fn wrong_types_are_refused_by_both() {
    let schema = schema();
    for yaml in [
        "contents: 5",
        "archs: {}",
        "accounts: {users: [{username: a}]}",
        "accounts: {users: [{uid: 5}]}",
        "accounts: {users: [{username: a, uid: x}]}",
        "paths: [5]",
        "environment: [a]",
        "layering: {budget: many}",
        "layering: {budget: -1}",
    ] {
        let value = to_json(&spanned_yaml::parse(yaml).unwrap());
        assert!(fault(&schema, &value).is_some(), "{yaml}");
        assert!(parse(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn the_conformance_set_fits_the_schema() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/image/cases");
    let Ok(entries) = fs::read_dir(&cases) else {
        eprintln!("skipped: {} is not there", cases.display());
        return;
    };
    let schema = schema();
    let mut tried = 0;
    for entry in entries {
        let path = entry.unwrap().path().join("apko.yaml");
        let text = fs::read_to_string(&path).unwrap();
        let Ok(tree) = spanned_yaml::parse(&text) else {
            continue;
        };
        if parse(&text).is_ok() {
            let fault = fault(&schema, &to_json(&tree));
            // Strategies and formats nobody knows are found when values are compared, not by the parser.
            let is_later = fault
                .as_ref()
                .is_some_and(|fault| fault.contains("strategy") || fault.contains("format"));
            assert!(fault.is_none() || is_later, "{}: {fault:?}", path.display());
            tried += 1;
        }
    }
    assert!(tried > 50);
}
