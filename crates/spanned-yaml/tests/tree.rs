//! What the tree, the reader, the drawing and the writer promise.

use proptest::prelude::*;
use spanned_yaml::{EmitValue, Fields, Limits, Node, Value, emit, parse, parse_with, render};

fn tree(source: &str) -> Node {
    parse(source)
        .map_err(|diagnostic| render(&diagnostic, "test", source))
        .expect("valid")
}

fn fault(source: &str) -> String {
    parse(source).expect_err("refused").to_string()
}

#[test]
fn spans_are_bytes_lines_and_characters() {
    let source = "é: 'ü'\nlist:\n  - größe\n  - x\n";
    let document = tree(source);
    let quoted = document.get("é").expect("there");
    assert_eq!(&source[quoted.span.start..quoted.span.end], "'ü'");
    assert_eq!((quoted.span.line, quoted.span.column), (1, 4));
    let items = document.get("list").and_then(Node::as_seq).expect("a list");
    assert_eq!(&source[items[0].span.start..items[0].span.end], "größe");
    assert_eq!((items[1].span.line, items[1].span.column), (4, 5));
}

#[test]
fn empty_documents_are_null_and_only_the_first_counts() {
    for source in ["", "\n", "# only this\n", "---\n", "~\n"] {
        assert!(tree(source).is_null(), "{source:?}");
    }
    assert_eq!(tree("a\n---\n{ not yaml").as_str(), Some("a"));
}

#[test]
fn typed_reading_keeps_the_text_and_takes_old_booleans() {
    let document = tree("{s: 1.10, t: 2024-01-01, b: yes, c: 'off', i: 0o755, f: 3.0, n: ~, q: '~'}");
    let mut fields = Fields::new(&document, "a test").expect("a mapping");
    assert_eq!(fields.string("s").expect("string").as_deref(), Some("1.10"));
    assert_eq!(fields.string("t").expect("string").as_deref(), Some("2024-01-01"));
    assert_eq!(fields.bool("b").expect("bool"), Some(true));
    assert_eq!(fields.bool("c").expect("bool"), Some(false));
    assert_eq!(fields.int::<u32>("i").expect("int"), Some(493));
    assert_eq!(fields.int::<u8>("f").expect("int"), Some(3));
    assert_eq!(fields.string("n").expect("absent"), None);
    assert_eq!(fields.string("q").expect("string").as_deref(), Some("~"));
    fields.finish().expect("all read");
}

#[test]
fn wrong_kinds_are_named() {
    let document = tree("a: [1]\nb: x\nc: -1\nd: {k: [1]}\n");
    let mut fields = Fields::new(&document, "a test").expect("a mapping");
    let faults = [
        fields.string("a").expect_err("list").to_string(),
        fields.strings("b").expect_err("string").to_string(),
        fields.int::<u64>("c").expect_err("negative").to_string(),
        fields.map_of_strings("d").expect_err("nested").to_string(),
    ];
    assert_eq!(
        faults,
        [
            "line 1, column 4: `a` must be a string, not a list",
            "line 2, column 4: `b` must be a list of strings, not a string",
            "line 3, column 4: `c` must be an integer of 0 or more, not -1",
            "line 4, column 8: `d` must be a mapping of strings to strings, not a list",
        ]
    );
}

#[test]
fn merge_keys_yield_to_keys_given_and_the_first_source_wins() {
    let document = tree("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\n");
    let merged = document.get("z").expect("there");
    let value = |key| merged.get(key).and_then(Node::as_str);
    assert_eq!(
        [value("a"), value("b"), value("c")],
        [Some("0"), Some("1"), Some("2")]
    );
    assert_eq!(
        fault("a: {<<: text}"),
        "line 1, column 9: `<<` must be a mapping or a list of mappings"
    );
}

#[test]
fn hostile_documents_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert!(fault(&bomb).contains("more than 1000000 values"));
    assert!(fault(&"[".repeat(200)).contains("nested more than 100 levels"));
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&"{a: ".repeat(100_000)).is_err());
    assert!(parse(&"? ".repeat(100_000)).is_err());
    assert!(fault(&"- ".repeat(100_000)).contains("nested more than 100 levels"));
    assert!(fault("&a [*a]").contains("alias inside the value"));
    assert!(fault("a: 1\nb: 2\na: 3\n").starts_with("line 3, column 1: key `a` is given twice"));
    let limits = Limits {
        bytes: 3,
        ..Limits::default()
    };
    assert!(parse_with("abcd", limits).is_err());
}

#[test]
fn a_drawing_passes_no_control_characters_on_and_cuts_long_lines() {
    let source = format!("a: \"{}\u{202e}x\\\n\tb: c\n", "y".repeat(500));
    let document = parse("kay: 1").expect("valid");
    let mut fields = Fields::new(&document, "a test").expect("a mapping");
    assert!(fields.take("key").is_none());
    let mut diagnostic = fields.finish().expect_err("unknown");
    diagnostic.span = diagnostic.span.map(|mut span| {
        (span.start, span.end) = (400, 9_999);
        span
    });
    let drawn = render(&diagnostic, "t.yaml", &source);
    assert!(drawn.lines().all(|line| line.chars().count() < 200), "{drawn}");
    assert!(!drawn.contains('\t'));
}

fn values() -> impl Strategy<Value = EmitValue> {
    let text = prop_oneof![
        any::<String>(),
        "[ \n\t:#'\"a0-9.~|>-]{0,12}",
        "(true|null|yes|0x1f|1_0|1:30|<<|2024-01-01)",
    ];
    let leaf = text.prop_map(EmitValue::String);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(EmitValue::Seq),
            prop::collection::btree_map("[a-z#: \n]{0,6}", inner, 0..4)
                .prop_map(|map| EmitValue::Map(map.into_iter().collect())),
        ]
    })
}

fn same(node: &Node, value: &EmitValue) -> bool {
    match (&node.value, value) {
        (Value::Scalar(scalar), EmitValue::String(text)) => {
            scalar.text == *text && scalar.resolved() == spanned_yaml::Resolved::String
        }
        (Value::Sequence(nodes), EmitValue::Seq(values)) => {
            nodes.len() == values.len() && nodes.iter().zip(values).all(|(n, v)| same(n, v))
        }
        (Value::Mapping(nodes), EmitValue::Map(values)) => {
            nodes.len() == values.len()
                && nodes
                    .iter()
                    .zip(values)
                    .all(|((k, n), (key, v))| k.as_str() == Some(key) && same(n, v))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(value in values(), indent in 2_usize..5) {
        let text = emit(&value, indent);
        let node = parse(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert!(same(&node, &value), "{text}");
    }

    #[test]
    fn no_text_brings_the_parser_down(source in "[-?:,\\[\\]{}&*!|>'\"%@`# \na<~]{0,60}") {
        if let Err(diagnostic) = parse(&source) {
            prop_assert!(!render(&diagnostic, "t", &source).is_empty());
        }
    }
}
