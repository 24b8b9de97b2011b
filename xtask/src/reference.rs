//! Reference pages that are made of the code.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::tools::{At as _, Binaries, printed};
use crate::{Outcome, root};

/// The pages, with what they are now.
fn pages() -> Outcome<[(&'static str, String); 3]> {
    let binaries = Binaries::build()?;
    let commands = |program: &Path| printed(Command::new(program).arg("reference-page"));
    Ok([
        ("docs/apko/configuration.md", configuration()?),
        ("docs/apko/commands.md", commands(&binaries.apko)?),
        ("docs/melange/commands.md", commands(&binaries.melange)?),
    ])
}

/// Writes the pages.
pub(crate) fn command() -> Outcome {
    for (name, page) in pages()? {
        let path = root().join(name);
        fs::write(&path, page).at(&path)?;
    }
    Ok(())
}

/// Tests that the pages are those that the code gives.
pub(crate) fn check() -> Outcome {
    for (name, page) in pages()? {
        let path = root().join(name);
        if fs::read_to_string(&path).at(&path)? != page {
            return Err(format!("{name} is not current: run `cargo xtask reference`").into());
        }
    }
    Ok(())
}

fn configuration() -> Outcome<String> {
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
