//! The JSON schema: that it and the parser take the same files.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use apko::config::{SCHEMA, parse};
use serde_json::{Map, Value, json};
use spanned_yaml::{Node, Resolved};

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// A YAML document as JSON, scalars resolved as YAML resolves them.
fn to_json(node: &Node) -> Value {
    match &node.value {
        spanned_yaml::Value::Null => Value::Null,
        spanned_yaml::Value::Sequence(items) => items.iter().map(to_json).collect(),
        spanned_yaml::Value::Mapping(entries) => {
            let entry =
                |(key, value): &(Node, Node)| (key.as_str().unwrap_or_default().to_owned(), to_json(value));
            Value::Object(entries.iter().map(entry).collect())
        }
        spanned_yaml::Value::Scalar(scalar) => match scalar.resolved() {
            Resolved::Null => Value::Null,
            Resolved::Bool(value) => json!(value),
            Resolved::Int(value) => i64::try_from(value).map_or(Value::Null, |value| json!(value)),
            Resolved::Float(value) => json!(value),
            _ => json!(scalar.text),
        },
    }
}

/// Tests a value against the part of JSON Schema that ours uses; the first fault.
fn fault(schema: &Value, root: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        return fault(target, root, value, at);
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        return (!allowed.contains(value)).then(|| format!("{at}: {value} is none of {allowed:?}"));
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_type = |name: &Value| *name == json!(kind) || (kind == "integer" && *name == json!("number"));
    if !types.is_empty() && !types.iter().any(is_type) {
        return Some(format!("{at}: {kind} is none of {types:?}"));
    }
    if let (Some(minimum), Some(number)) = (schema["minimum"].as_i64(), value.as_i64())
        && number < minimum
    {
        return Some(format!("{at}: {number} is less than {minimum}"));
    }
    if let Value::Array(items) = value {
        let mut faults = items.iter().enumerate();
        return faults
            .find_map(|(index, item)| fault(&schema["items"], root, item, &format!("{at}[{index}]")));
    }
    let Value::Object(entries) = value else {
        return None;
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        if !entries.contains_key(required.as_str().unwrap()) {
            return Some(format!("{at}: no {required}"));
        }
    }
    entries.iter().find_map(|(key, value)| {
        let at = format!("{at}.{key}");
        match schema["properties"].get(key) {
            Some(schema) => fault(schema, root, value, &at),
            None if schema["additionalProperties"] == json!(false) => Some(format!("{at}: unknown key")),
            None => fault(&schema["additionalProperties"], root, value, &at),
        }
    })
}

/// A value that a part of the schema takes.
fn sample(schema: &Value, root: &Value) -> Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return sample(root.pointer(reference.trim_start_matches('#')).unwrap(), root);
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        return allowed[0].clone();
    }
    let kind = match &schema["type"] {
        Value::Array(types) => types[0].as_str().unwrap(),
        one => one.as_str().unwrap(),
    };
    match kind {
        "string" => json!("x86_64"),
        "integer" => json!(5),
        "boolean" => json!(true),
        "array" => json!([sample(&schema["items"], root)]),
        _ => match schema["properties"].as_object() {
            Some(properties) => {
                let full = properties
                    .iter()
                    .map(|(key, schema)| (key.clone(), sample(schema, root)));
                Value::Object(full.collect::<Map<_, _>>())
            }
            None => json!({ "NAME": "value" }),
        },
    }
}

/// Puts a key into each object in turn.
fn with_unknown_keys(value: &Value) -> Vec<Value> {
    let mut variants = Vec::new();
    match value {
        Value::Object(entries) => {
            for (key, inner) in entries {
                for variant in with_unknown_keys(inner) {
                    let mut entries = entries.clone();
                    entries.insert(key.clone(), variant);
                    variants.push(Value::Object(entries));
                }
            }
            if !entries.contains_key("NAME") {
                let mut entries = entries.clone();
                entries.insert("unheard-of".to_owned(), json!("x"));
                variants.push(Value::Object(entries));
            }
        }
        Value::Array(items) => {
            for variant in items.iter().flat_map(with_unknown_keys) {
                variants.push(json!([variant]));
            }
        }
        _ => {}
    }
    variants
}

#[test]
fn every_key_of_the_schema_is_one_of_the_parser() {
    let schema = schema();
    let full = sample(&schema, &schema);
    assert_eq!(fault(&schema, &schema, &full, ""), None);
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
    let variants = with_unknown_keys(&full);
    assert!(variants.len() > 10);
    for variant in variants {
        assert!(fault(&schema, &schema, &variant, "").is_some(), "{variant}");
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
        assert!(fault(&schema, &schema, &value, "").is_some(), "{yaml}");
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
            let fault = fault(&schema, &schema, &to_json(&tree), "");
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
