//! JSON schemas: values judged by them, and values made for them.

use serde_json::{Map, Value, json};
use spanned_yaml::{Node, Resolved};

/// A key that no schema has.
pub const UNKNOWN_KEY: &str = "UNHEARD-OF";

/// A YAML document as JSON, scalars resolved as YAML resolves them.
pub fn to_json(node: &Node) -> Value {
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

/// What a part of a schema refers to, or the part itself.
pub fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// Tests a value against a schema, of which it knows the keywords that ours use; the first fault.
pub fn fault(root: &Value, value: &Value) -> Option<String> {
    fault_at(root, root, value, "")
}

fn fault_at(schema: &Value, root: &Value, value: &Value, at: &str) -> Option<String> {
    let schema = resolved(schema, root);
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        return (!allowed.contains(value)).then(|| format!("{at}: {value} is none of {allowed:?}"));
    }
    let types = types(schema);
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_type = |name: &&str| *name == kind || (kind == "integer" && *name == "number");
    if !types.is_empty() && !types.iter().any(is_type) {
        return Some(format!("{at}: {kind} is none of {types:?}"));
    }
    if let (Some(minimum), Some(number)) = (schema["minimum"].as_i64(), value.as_i64())
        && number < minimum
    {
        return Some(format!("{at}: {number} is less than {minimum}"));
    }
    if let (Some(least), Some(text)) = (schema["minLength"].as_u64(), value.as_str())
        && (text.chars().count() as u64) < least
    {
        return Some(format!("{at}: shorter than {least}"));
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| fault_at(&schema["items"], root, item, &format!("{at}[{index}]"))),
        Value::Object(entries) => {
            fault_of_keys(schema, entries, at).or_else(|| fault_of_entries(schema, root, entries, at))
        }
        _ => None,
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn fault_of_keys(schema: &Value, entries: &Map<String, Value>, at: &str) -> Option<String> {
    let has = |key: &Value| entries.contains_key(key.as_str().unwrap());
    let none = Vec::new();
    let list = |value: &'_ Value| value.as_array().unwrap_or(&none).clone();
    if let Some(key) = list(&schema["required"]).iter().find(|key| !has(key)) {
        return Some(format!("{at}: no {key}"));
    }
    let excluded = list(&schema["not"]["required"]);
    if !excluded.is_empty() && excluded.iter().all(has) {
        return Some(format!("{at}: {excluded:?} exclude one another"));
    }
    let dependent = schema["dependentRequired"].as_object().into_iter().flatten();
    let mut given = dependent.filter(|(key, _)| entries.contains_key(*key));
    given.find_map(|(key, wanted)| {
        let missing = list(wanted).into_iter().find(|key| !has(key))?;
        Some(format!("{at}: {key} without {missing}"))
    })
}

fn fault_of_entries(schema: &Value, root: &Value, entries: &Map<String, Value>, at: &str) -> Option<String> {
    entries.iter().find_map(|(key, value)| {
        let at = format!("{at}.{key}");
        match schema["properties"].get(key) {
            Some(schema) => fault_at(schema, root, value, &at),
            None if schema["additionalProperties"] == json!(false) => Some(format!("{at}: unknown key")),
            None => fault_at(&schema["additionalProperties"], root, value, &at),
        }
    })
}

/// A value with every key that a schema has, as far as they go together.
pub fn sample(root: &Value) -> Value {
    sample_of(root, root, 0)
}

/// How often a part that holds itself is gone into.
const DEPTH: usize = 16;

fn sample_of(schema: &Value, root: &Value, depth: usize) -> Value {
    let schema = resolved(schema, root);
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        return allowed[0].clone();
    }
    if let Some(example) = schema["examples"].get(0) {
        return example.clone();
    }
    let inner = |schema| sample_of(schema, root, depth + 1);
    match types(schema).first().copied().unwrap_or("null") {
        "string" => json!("x86_64"),
        "integer" => json!(5),
        "boolean" => json!(true),
        "array" if depth >= DEPTH => json!([]),
        "array" => json!([inner(&schema["items"])]),
        "null" => Value::Null,
        _ => match schema["properties"].as_object() {
            Some(properties) => {
                // Of keys that exclude one another, the first.
                let excluded = schema["not"]["required"].as_array().into_iter().flatten().skip(1);
                let excluded: Vec<_> = excluded.filter_map(Value::as_str).collect();
                let full = properties
                    .iter()
                    .filter(|(key, _)| !excluded.contains(&key.as_str()));
                Value::Object(full.map(|(key, schema)| (key.clone(), inner(schema))).collect())
            }
            None => {
                let value = &schema["additionalProperties"];
                json!({ "NAME": if value.is_object() { inner(value) } else { json!("value") } })
            }
        },
    }
}

/// The objects of a value whose keys are those of a schema, each with [`UNKNOWN_KEY`] added to it alone, and its place.
pub fn with_unknown_keys(root: &Value, value: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    objects(root, root, value, String::new(), &mut places);
    let with_key = |place: String| {
        let mut value = value.clone();
        let object = value.pointer_mut(&place).and_then(Value::as_object_mut).unwrap();
        object.insert(UNKNOWN_KEY.to_owned(), json!("x"));
        (place, value)
    };
    places.into_iter().map(with_key).collect()
}

fn objects(schema: &Value, root: &Value, value: &Value, place: String, places: &mut Vec<String>) {
    let schema = resolved(schema, root);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let known = schema["properties"].get(key);
                let schema = known.unwrap_or(&schema["additionalProperties"]);
                objects(schema, root, value, format!("{place}/{key}"), places);
            }
            if schema["properties"].is_object() {
                places.push(place);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(&schema["items"], root, item, format!("{place}/{index}"), places);
            }
        }
        _ => {}
    }
}

/// The part of a schema that a place in a value is about, as a JSON pointer tells it.
pub fn at<'s>(root: &'s Value, place: &str) -> &'s Value {
    let steps = place.split('/').skip(1);
    steps.fold(root, |schema, step| {
        let schema = resolved(schema, root);
        match schema["properties"].get(step) {
            Some(known) => known,
            None if schema["items"].is_object() => &schema["items"],
            None => &schema["additionalProperties"],
        }
    })
}
