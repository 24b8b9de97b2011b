//! Reference pages that are made of the code.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::tools::At as _;
use crate::{Outcome, root};

const PAGE: &str = "docs/apko/configuration.md";

/// Writes the pages.
pub(crate) fn command() -> Outcome {
    let path = root().join(PAGE);
    fs::write(&path, page()?).at(&path)
}

/// Tests that the pages are those that the code gives.
pub(crate) fn check() -> Outcome {
    let path = root().join(PAGE);
    match fs::read_to_string(&path).at(&path)? == page()? {
        true => Ok(()),
        false => Err(format!("{PAGE} is not current: run `cargo xtask reference`").into()),
    }
}

fn page() -> Outcome<String> {
    let schema: Value = serde_json::from_str(apko::config::SCHEMA)?;
    let mut page =
        "# The image configuration\n\nEvery key, made from the JSON schema that `apko schema` prints \
        (`cargo xtask reference`).\n\n| key | type | |\n| --- | --- | --- |\n"
            .to_owned();
    rows(&schema, &schema, "", &mut page);
    Ok(page)
}

fn rows(schema: &Value, root: &Value, at: &str, page: &mut String) {
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let key = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        let description = value["description"].as_str().unwrap_or_default();
        let _ = writeln!(page, "| `{key}` | {} | {description} |", kind(value));
        rows(value, root, &key, page);
        let items = match value["items"]["$ref"].as_str() {
            Some(reference) => root
                .pointer(reference.trim_start_matches('#'))
                .unwrap_or(&Value::Null),
            None => &value["items"],
        };
        rows(items, root, &format!("{key}[]"), page);
    }
}

fn kind(value: &Value) -> String {
    if let Some(allowed) = value["enum"].as_array() {
        let allowed = allowed
            .iter()
            .filter_map(Value::as_str)
            .filter(|text| !text.is_empty());
        return allowed
            .map(|text| format!("`{text}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let first = value["type"][0].as_str().or_else(|| value["type"].as_str());
    match first.unwrap_or_default() {
        "string" => "text",
        "integer" => "number",
        "boolean" => "`true`, `false`",
        "array" => "list",
        _ if value["additionalProperties"].is_object() => "map of texts",
        _ => "map",
    }
    .to_owned()
}
