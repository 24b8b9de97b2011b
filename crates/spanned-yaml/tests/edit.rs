//! Changes to single values.

use proptest::prelude::*;
use spanned_yaml::{Document, EditError, EmitValue, Node, NodePath, Style, Value};

/// A configuration with every way to write a value that the editor knows.
const STYLES: &str = "\
# first line
a: 1.10   # a number
b: 'x''y' # single
c: \"q\\n\"
d: two words

e:
f:   # nothing but a comment
g: |
  lit
   two

# between
h: >-
    fold
    more
i: [a , b, {c: d , e: 'x'}, ]
l: multi
  line
  plain # c
m: ~
n: \"dq
  cont\"
o:
- a
-
- b: 1
  c: 2
- # cmt
  d: 3
ü: é # ä
s: |2-  # header
    x
t:
    - - nested
      - list
u: !!str tagged
last: end";

fn root() -> NodePath {
    NodePath::root()
}

fn document(text: &str) -> Document {
    Document::parse(text).expect("valid")
}

fn scalars(node: &Node, path: NodePath, out: &mut Vec<NodePath>) {
    match &node.value {
        Value::Mapping(entries) => {
            for (key, value) in entries {
                scalars(value, path.clone().key(key.as_str().unwrap_or_default()), out);
            }
        }
        Value::Sequence(items) => {
            for (place, item) in items.iter().enumerate() {
                scalars(item, path.clone().index(place), out);
            }
        }
        _ => out.push(path),
    }
}

#[test]
fn values_keep_their_style_and_their_surroundings() {
    let table = [
        ("a", "1.20", "a: \"1.20\"   # a number\n"),
        ("a", "1.2.3", "a: 1.2.3   # a number\n"),
        ("b", "it's", "b: 'it''s' # single\n"),
        ("c", "a\tb", "c: \"a\\tb\"\n"),
        ("d", "x", "d: x\n\ne:"),
        ("d", "#x", "d: '#x'\n"),
        ("d", "x\ny", "d: \"x\\ny\"\n"),
        ("e", "new", "e: new\nf:"),
        ("f", "new", "f: new   # nothing but a comment\n"),
        ("g", "one\n\ntwo\n", "g: |\n  one\n\n  two\n\n# between\n"),
        ("h", "line", "h: |-\n    line\ni:"),
        ("l", "one", "l: one # c\n"),
        ("m", "set", "m: set\n"),
        ("n", "one", "n: \"one\"\no:"),
        ("ü", "ö", "ü: ö # ä\n"),
        ("s", "y", "s: |-  # header\n  y\nt:"),
        ("u", "x", "u: !!str x\n"),
        ("last", "", "last: \"\""),
    ];
    for (key, value, want) in table {
        let mut edited = document(STYLES);
        edited.set(&root().key(key), value).expect(key);
        assert!(edited.text().contains(want), "{key}: {}", edited.text());
        assert_eq!(edited.root().get(key).and_then(Node::as_str), Some(value));
    }
    let mut flow = document(STYLES);
    flow.set(&root().key("i").index(1), "x, y").expect("set");
    flow.set(&root().key("i").index(2).key("c"), 7_u64).expect("set");
    assert!(
        flow.text().contains("\ni: [a , \"x, y\", {c: 7 , e: 'x'}, ]\n"),
        "{}",
        flow.text()
    );
    flow.set(&root().key("a"), true).expect("set");
    assert!(flow.text().contains("\na: true   # a number\n"));
}

#[test]
fn entries_and_items_are_added_where_the_others_end() {
    let mut edited = document("a:\n  b: |\n    text\n\n# c\nd:\n- x # y\ne: {f: g}\nh: [i]\nj: [k,]");
    let list = vec!["1", "two"];
    edited.insert(&root().key("a"), "new", list).expect("inserted");
    edited.push(&root().key("d"), "z").expect("pushed");
    let map = EmitValue::Map(vec![("uses".into(), "strip".into()), ("if".into(), "x".into())]);
    edited.push(&root().key("d"), map).expect("pushed");
    edited.insert(&root().key("e"), "new", "a, b").expect("inserted");
    edited.push(&root().key("h"), vec!["m"]).expect("pushed");
    edited.push(&root().key("j"), "l").expect("pushed");
    edited.insert(&root(), "end", "here").expect("inserted");
    let want = "a:\n  b: |\n    text\n  new:\n    - \"1\"\n    - two\n\n# c\nd:\n- x # y\n- z\n- uses: strip\n  if: x\n\
                e: {f: g, new: \"a, b\"}\nh: [i, [m]]\nj: [k, l]\nend: here";
    assert_eq!(edited.text(), want);
}

#[test]
fn entries_and_items_are_removed_with_their_lines() {
    let mut edited = document("a: 1 # one\nb:\n  c: |\n    x\n\n  d: 2\ne:\n- f: 1\n  g: 2\n- h\n# end\n");
    edited.remove(&root().key("b").key("c")).expect("removed");
    edited.remove(&root().key("e").index(0)).expect("removed");
    assert_eq!(edited.text(), "a: 1 # one\nb:\n\n  d: 2\ne:\n- h\n# end\n");
    for path in [root().key("b").key("d"), root().key("e").index(0), root()] {
        assert_eq!(edited.remove(&path), Err(EditError::NotAlone { path }));
    }
    edited.remove(&root().key("a")).expect("removed");
    assert_eq!(edited.text(), "b:\n\n  d: 2\ne:\n- h\n# end\n");
}

#[test]
fn what_cannot_be_changed_alone_is_refused_and_nothing_changes() {
    let text = "a: &x 1\nb: *x\nc: &y\n  d: 1\ne:\n  <<: *y\nf: &z 2\n";
    let mut edited = document(text);
    for path in [
        root().key("a"),
        root().key("b"),
        root().key("c").key("d"),
        root().key("e").key("d"),
    ] {
        assert_eq!(edited.set(&path, "2"), Err(EditError::NotAlone { path }));
    }
    assert!(matches!(
        edited.set(&root().key("c"), "x"),
        Err(EditError::Kind { .. })
    ));
    assert!(matches!(
        edited.set(&root().key("zz"), "x"),
        Err(EditError::Missing { .. })
    ));
    assert!(matches!(
        edited.insert(&root(), "a", "x"),
        Err(EditError::Exists { .. })
    ));
    assert!(matches!(edited.push(&root(), "x"), Err(EditError::Kind { .. })));
    assert_eq!(edited.text(), text);
    edited.set(&root().key("f"), "3").expect("used by nobody else");
    assert!(edited.text().ends_with("\nf: &z \"3\"\n"), "{}", edited.text());
}

proptest! {
    /// Whatever is put anywhere reads back, and nothing else has changed: `set` itself checks the latter.
    #[test]
    fn any_text_can_be_put_anywhere(
        place in any::<prop::sample::Index>(),
        value in prop_oneof!["[ -~]{0,12}", "[a\\n \\t#:'\"|,{}\\[\\]&*!-]{0,8}", ".{0,6}"],
    ) {
        let mut edited = document(STYLES);
        let mut paths = Vec::new();
        scalars(edited.root(), root(), &mut paths);
        let path = place.get(&paths);
        let style = match path.of(edited.root()).map(|node| &node.value) {
            Some(Value::Scalar(scalar)) => Some(scalar.style),
            _ => None,
        };
        let result = edited.set(path, value.as_str());
        prop_assert_eq!(result, Ok(()), "{} {:?}", path, style);
        prop_assert_eq!(path.of(edited.root()).and_then(Node::as_str), Some(value.as_str()));
        if style != Some(Style::Literal) && style != Some(Style::Folded) && !STYLES.contains(&value) {
            let comments = |text: &str| text.matches(" # ").count();
            prop_assert!(comments(edited.text()) >= comments(STYLES) || value.contains('#'));
        }
    }

    #[test]
    fn no_edit_brings_the_editor_down(text in "[ab:\\-\\[\\]{}&*'\"|>#! \\n]{0,30}", value in ".{0,5}") {
        if let Ok(document) = Document::parse(text) {
            let mut paths = Vec::new();
            scalars(document.root(), root(), &mut paths);
            for path in paths {
                let mut edited = document.clone();
                if edited.set(&path, value.as_str()).is_err() {
                    prop_assert_eq!(edited.text(), document.text());
                }
                let _ = document.clone().remove(&path);
                if let Some((parent, _)) = path.to_string().rsplit_once('.') {
                    let _ = document.clone().insert(&root().key(parent), "k", "v");
                }
                let _ = document.clone().push(&root(), "v");
            }
        }
    }
}
