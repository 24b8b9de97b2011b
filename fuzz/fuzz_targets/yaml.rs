//! YAML: any text becomes a tree or a diagnostic that can be shown; each value of the tree can be changed or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spanned_yaml::{Document, Node, NodePath, Value};

fuzz_target!(|text: &str| {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(diagnostic) => return drop(spanned_yaml::render(&diagnostic, "fuzz.yaml", text)),
    };
    assert_eq!(document.text(), text);
    let mut paths = Vec::new();
    scalars(document.root(), &NodePath::root(), &mut paths);
    for path in paths.iter().take(8) {
        let mut edited = document.clone();
        if edited.set(path, "changed: value # 1").is_ok() {
            let value = path.of(edited.root()).and_then(Node::as_str);
            assert_eq!(value, Some("changed: value # 1"));
        }
    }
});

fn scalars(node: &Node, path: &NodePath, out: &mut Vec<NodePath>) {
    match &node.value {
        Value::Mapping(entries) => {
            for (key, value) in entries {
                scalars(value, &path.clone().key(key.as_str().unwrap_or_default()), out);
            }
        }
        Value::Sequence(items) => {
            for (place, item) in items.iter().enumerate() {
                scalars(item, &path.clone().index(place), out);
            }
        }
        _ => out.push(path.clone()),
    }
}
