//! Reference pages that are made of the code.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use melange_pipeline::BUILTIN;
use serde_json::Value;
use spanned_yaml::Node;

use crate::tools::{At as _, Binaries, printed};
use crate::{Outcome, docs, root};

/// The pages, with what they are now.
fn pages() -> Outcome<[(&'static str, String); 5]> {
    let binaries = Binaries::build()?;
    let commands = |program: &Path| printed(Command::new(program).arg("reference-page"));
    Ok([
        (
            "docs/apko/configuration.md",
            configuration("The image configuration", "apko", apko::config::SCHEMA)?,
        ),
        ("docs/apko/commands.md", commands(&binaries.apko)?),
        (
            "docs/melange/configuration.md",
            configuration("The build configuration", "melange", melange_config::SCHEMA)?,
        ),
        ("docs/melange/pipelines.md", pipelines()?),
        ("docs/melange/commands.md", commands(&binaries.melange)?),
    ])
}

/// Writes the pages, and the files that other pages show.
pub(crate) fn command() -> Outcome {
    for (name, page) in pages()? {
        let path = root().join(name);
        fs::write(&path, page).at(&path)?;
    }
    for path in docs::pages()? {
        let page = fs::read_to_string(&path).at(&path)?;
        let shown = with_files(&page)?;
        if shown != page {
            fs::write(&path, shown).at(&path)?;
        }
    }
    Ok(())
}

/// A page with the files that it shows as they are now: each in a block below a comment with its path.
fn with_files(page: &str) -> Outcome<String> {
    let mut shown = String::new();
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once("\n<!-- ") {
        let told = behind.split_once(" -->\n```").and_then(|(file, block)| {
            let (language, block) = block.split_once('\n')?;
            let end = if block.starts_with("```\n") {
                0
            } else {
                block.find("\n```\n")? + 1
            };
            Some((file, language, &block[end..]))
        });
        let (file, language, after) = told.ok_or("a comment has no block of a file below it")?;
        let path = root().join(file);
        let content = fs::read_to_string(&path).at(&path)?;
        let _ = write!(shown, "{before}\n<!-- {file} -->\n```{language}\n{content}");
        rest = after;
    }
    Ok(shown + rest)
}

/// Tests that the pages are those that the code gives.
pub(crate) fn check() -> Outcome {
    for (name, page) in pages()? {
        let path = root().join(name);
        if fs::read_to_string(&path).at(&path)? != page {
            return Err(format!("{name} is not current: run `cargo xtask reference`").into());
        }
    }
    for path in docs::pages()? {
        let page = fs::read_to_string(&path).at(&path)?;
        if with_files(&page)? != page {
            let path = path.display();
            return Err(format!("{path} shows files as they were: run `cargo xtask reference`").into());
        }
    }
    Ok(())
}

/// The page of a configuration's keys.
fn configuration(title: &str, program: &str, schema: &str) -> Outcome<String> {
    let schema: Value = serde_json::from_str(schema)?;
    let mut page = format!(
        "# {title}\n\nEvery key, made from the JSON schema that `{program} schema` prints (`cargo xtask reference`).\n\n"
    );
    table(&schema, &schema, &mut page);
    // Parts with a title are told once, wherever they occur.
    for part in schema["$defs"]
        .as_object()
        .into_iter()
        .flat_map(|parts| parts.values())
    {
        if let Some(title) = part["title"].as_str() {
            let _ = write!(page, "\n## {title}\n\n{}\n\n", text(&part["description"]));
            table(part, &schema, &mut page);
        }
    }
    Ok(page)
}

fn table(schema: &Value, root: &Value, page: &mut String) {
    page.push_str("| key | type | |\n| --- | --- | --- |\n");
    rows(schema, root, "", page);
}

fn rows(schema: &Value, root: &Value, at: &str, page: &mut String) {
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let key = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        let description = text(&value["description"]);
        let _ = writeln!(page, "| `{key}` | {} | {description} |", kind(value, root));
        for (inner, at) in [
            (value, key.clone()),
            (&value["items"], format!("{key}[]")),
            (&value["additionalProperties"], format!("{key}.NAME")),
        ] {
            let inner = resolved(inner, root);
            if inner["title"].is_null() {
                rows(inner, root, &at, page);
            }
        }
    }
}

fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    match schema["$ref"].as_str() {
        Some(reference) => root
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(&Value::Null),
        None => schema,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The name of a part that is told elsewhere on the page, as a link.
fn link(schema: &Value, root: &Value) -> Option<String> {
    let title = resolved(schema, root)["title"].as_str()?.to_lowercase();
    Some(format!("[{title}](#{})", title.replace(' ', "-")))
}

fn kind(value: &Value, root: &Value) -> String {
    if let Some(link) = link(value, root) {
        return link;
    }
    let examples = value["examples"].as_array().filter(|examples| examples.len() > 1);
    if let Some(allowed) = value["enum"].as_array().or(examples) {
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
        "array" => match link(&value["items"], root) {
            Some(link) => return format!("list, each {link}"),
            None => "list",
        },
        "" => "any",
        _ if value["additionalProperties"]["properties"].is_object() => "map of maps",
        _ if value["additionalProperties"].is_object() => "map of texts",
        _ => "map",
    }
    .to_owned()
}

/// The page of the built-in pipelines, made of the files that they are.
fn pipelines() -> Outcome<String> {
    let mut page =
        "# The built-in pipelines\n\nWhat a step can name with `uses`, made from the files of the pipelines \
        (`cargo xtask reference`). A file of the same name in a `--pipeline-dir` has precedence.\n\n"
            .to_owned();
    for (name, _) in BUILTIN {
        let anchor: String = name.to_lowercase().replace('/', "");
        let _ = writeln!(page, "- [`{name}`](#{anchor})");
    }
    for (name, file) in BUILTIN {
        let purpose: Vec<_> = file.lines().map_while(|line| line.strip_prefix("# ")).collect();
        let _ = write!(page, "\n## {name}\n\n{}\n", purpose.join("\n"));
        pipeline(&spanned_yaml::parse(file)?, &mut page);
    }
    Ok(page)
}

fn pipeline(file: &Node, page: &mut String) {
    let texts = |node: &Node| -> Vec<String> {
        let items = node.as_seq().unwrap_or_default().iter();
        items
            .filter_map(Node::as_str)
            .map(|text| format!("`{text}`"))
            .collect()
    };
    let inputs = file.get("inputs").and_then(Node::as_map).unwrap_or_default();
    if !inputs.is_empty() {
        page.push_str("\n| input | default | |\n| --- | --- | --- |\n");
    }
    for (name, input) in inputs {
        let field = |key| input.get(key).and_then(Node::as_str).unwrap_or_default();
        let default = match (field("required"), field("default")) {
            ("true", _) => "required".to_owned(),
            (_, "") => String::new(),
            (_, default) => format!("`{default}`"),
        };
        let description = field("description").trim().replace('\n', " ").replace('|', "\\|");
        let name = name.as_str().unwrap_or_default();
        let _ = writeln!(page, "| `{name}` | {default} | {description} |");
    }
    let packages = file.get("needs").and_then(|needs| needs.get("packages"));
    let packages = packages.map(texts).unwrap_or_default();
    if !packages.is_empty() {
        let _ = write!(page, "\nNeeds {}.\n", packages.join(", "));
    }
}
