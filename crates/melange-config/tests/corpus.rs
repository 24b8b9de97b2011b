//! Every configuration of the conformance set, where it lies beside the project.

use std::error::Error;
use std::io::Read;

use melange_config::{BumpRequest, Fetch, bump, parse};
use spanned_yaml::{Document, Node, NodePath, Value};

mod common;

/// The paths of all scalars, but those that come in by `<<` or an alias.
fn scalars(node: &Node, path: &NodePath, out: &mut Vec<(NodePath, Node)>) {
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
        _ => out.push((path.clone(), node.clone())),
    }
}

/// The lines of `old` that are not those of `new` at the same end.
fn changed(old: &str, new: &str) -> usize {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - before;
    let after = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    old.len() - before - after
}

#[test]
fn configurations_are_kept_and_one_changed_value_changes_its_lines_alone() {
    let Some((_directory, files)) = common::corpus() else {
        return;
    };
    let (mut edits, mut refused) = (0, 0);
    for (number, file) in files.iter().enumerate() {
        let text = std::fs::read_to_string(file).expect("readable");
        let name = file.display();
        let configuration =
            parse(&text, "a.yaml").unwrap_or_else(|error| panic!("{name}: {}", error.render()));
        assert_eq!(configuration.text.text, text);
        let document = Document::parse(text.as_str()).expect("valid");
        assert_eq!(document.text(), text);
        let mut values = Vec::new();
        scalars(document.root(), &NodePath::root(), &mut values);
        // Some values of each, others in the next one.
        for (path, node) in values.iter().skip(number % 61).step_by(61) {
            let mut edited = document.clone();
            let lines = text[node.span.start..node.span.end]
                .trim_end()
                .lines()
                .count()
                .max(1);
            if edited.set(path, "changed: value # 1").is_err() {
                refused += 1;
                continue;
            }
            edits += 1;
            let header = usize::from(text[..node.span.start].trim_end_matches(' ').ends_with('\n'));
            let count = changed(&text, edited.text());
            assert!(
                count <= lines + header,
                "{name}: {path}: {count} lines of {lines}"
            );
            assert_eq!(
                path.of(edited.root()).and_then(Node::as_str),
                Some("changed: value # 1")
            );
        }
        let mut same = document.clone();
        for (path, node) in values.iter().skip(number % 67).step_by(67) {
            // What is written as it would be written anew stays so.
            if let Some(value) = node.as_str().filter(|value| !value.contains('\n')) {
                same.set(path, value)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
    eprintln!("{edits} values changed, {refused} could not be changed alone");
    assert!(refused * 1000 < edits, "{refused} of {edits} refused");
}

struct Zeros;

impl Fetch for Zeros {
    fn open(&mut self, _: &str) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
        Ok(Box::new(&[0_u8; 16][..]))
    }
}

#[test]
fn bumping_changes_the_lines_of_version_epoch_checksums_and_commits_alone() {
    let Some((_directory, files)) = common::corpus() else {
        return;
    };
    let request = BumpRequest {
        version: "12345.6".to_owned(),
        expected_commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        arch: "x86_64".parse().expect("known"),
    };
    let keys = [
        "version:",
        "epoch:",
        "expected-sha256:",
        "expected-sha512:",
        "expected-commit:",
    ];
    for file in &files {
        let text = std::fs::read_to_string(file).expect("readable");
        let name = file.display();
        let bumped =
            bump(&text, "a.yaml", &request, &mut Zeros).unwrap_or_else(|error| panic!("{name}: {error}"));
        let in_variables = bumped
            .changes
            .iter()
            .any(|change| change.path.starts_with("vars."));
        let (old, new): (Vec<_>, Vec<_>) = (text.lines().collect(), bumped.text.lines().collect());
        assert_eq!(old.len(), new.len(), "{name}");
        let lines = old.iter().zip(&new).filter(|(old, new)| old != new);
        let odd: Vec<_> = lines
            .filter(|(old, _)| !keys.iter().any(|key| old.contains(key)))
            .collect();
        assert!(
            odd.is_empty() || in_variables && odd.len() == 1,
            "{name}: {odd:?}"
        );
        let parsed =
            parse(&bumped.text, "a.yaml").unwrap_or_else(|error| panic!("{name}: {}", error.render()));
        assert_eq!(
            (parsed.package.version.as_str(), parsed.package.epoch),
            ("12345.6", 0)
        );
    }
}
