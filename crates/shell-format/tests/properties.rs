//! Properties of all scripts.

use proptest::prelude::*;
use shell_format::{parse, print_statement, strip_comments};

/// Pieces that make a script awkward when they meet.
const PIECES: &[&str] = &[
    "\n",
    "\\\n",
    "\r\n",
    " ",
    "\t",
    ";",
    ";;",
    "&",
    "&&",
    "||",
    "|",
    "|&",
    "(",
    ")",
    "((",
    "))",
    "{ ",
    "}",
    "`",
    "$(",
    "$((",
    "${",
    "$[",
    "\"",
    "'",
    "$'",
    "$\"",
    "<<E\n",
    "<<-E\n",
    "<<'E'\n",
    "E\n",
    "\n\tE\n",
    "<(",
    ">",
    "2>&1",
    "<<<",
    "#",
    "# c\n",
    "! ",
    "if ",
    "then ",
    "elif ",
    "else ",
    "fi",
    "for x in ",
    "do ",
    "done",
    "while ",
    "case x in ",
    "esac",
    "[[ ",
    " ]]",
    "=~ ",
    "== ",
    "a=",
    "a+=(",
    "a[",
    "]",
    "$x",
    "${x:-",
    "x//",
    "function f ",
    "f() ",
    "let ",
    "time ",
    "coproc ",
    "declare ",
    "@(",
    "\\",
    "é",
    "\u{0}",
    "\u{c}",
    "\u{b}",
    "a",
    "1",
    "+",
    "-",
    "**",
    "++",
    "?",
    ":",
    ",",
    "~",
    "%",
    "^",
    "/",
    ".",
    "*",
];

/// Whatever can be put together from the pieces; mostly not valid.
fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "-x",
        "b=c",
        "\"q $x\"",
        "'s  t'",
        "${y:-z}",
        "*.c",
        "$(d; e)",
        "`g`",
        "$((1+2))",
        "$'t\\n'",
        "h\\ i",
        "\"m\nn\"",
        "'o\n\tp'",
        "$(j |\nk)",
        "<(l)",
        "${q//r/s}",
        "$((u\n+v))",
    ])
    .prop_map(str::to_owned)
}

fn simple() -> impl Strategy<Value = String> {
    let redirect = prop::sample::select(vec!["", "", "", " >f", " 2>&1 > g", " <<<x", " >>h <i"]);
    let blank = prop::sample::select(vec![" ", "  ", "\t", " \\\n  "]);
    (prop::collection::vec((blank, word()), 0..4), redirect).prop_map(|(words, redirect)| {
        let words: String = words
            .into_iter()
            .map(|(blank, word)| blank.to_owned() + &word)
            .collect();
        format!("cmd{words}{redirect}")
    })
}

/// Valid scripts.
fn script() -> impl Strategy<Value = String> {
    let statement = simple().prop_recursive(4, 24, 3, |inner| {
        let separator = || prop::sample::select(vec!["; ", "\n", " # c\n", "\n\n\n", " &\n"]);
        let list = prop::collection::vec((inner.clone(), separator()), 1..3).prop_map(|items| {
            items
                .into_iter()
                .map(|(item, separator)| item + separator)
                .collect::<String>()
        });
        prop_oneof![
            list.clone().prop_map(|list| format!("{{ {list}\n}}")),
            list.clone().prop_map(|list| format!("(\n{list}\n)")),
            list.clone().prop_map(|list| format!("f()\n{{ {list} \n}}")),
            list.clone().prop_map(|list| format!("x=$( {list}\n)")),
            (inner.clone(), list.clone()).prop_map(|(a, list)| format!("if {a}; then {list}\nfi")),
            (inner.clone(), list.clone(), list.clone())
                .prop_map(|(a, b, c)| format!("if {a}\nthen\n# c\n{b}\nelse {c}\nfi >f")),
            (inner.clone(), list.clone()).prop_map(|(a, list)| format!("while {a}; do {list}\ndone")),
            list.clone()
                .prop_map(|list| format!("for i in a  b; do {list}\ndone")),
            list.prop_map(|list| format!("case x in\na | b ) {list}\n;; *) ;; esac")),
            (
                inner.clone(),
                prop::sample::select(vec![" && ", " ||\n", " |\n\n ", " | # c\n"]),
                inner
            )
                .prop_map(|(a, op, b)| format!("{a}{op}{b}")),
        ]
    });
    prop::collection::vec(statement, 0..4).prop_map(|statements| statements.join("\n# between\n\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = strip_comments(&text);
    }

    #[test]
    fn no_pieces_make_it_panic(text in soup()) {
        let _ = strip_comments(&text);
    }

    #[test]
    fn errors_point_into_the_script(text in soup()) {
        if let Err(error) = parse(&text) {
            let lines = text.split('\n').count();
            prop_assert!(error.line >= 1 && error.line as usize <= lines);
            prop_assert!(error.column >= 1 && error.column as usize <= text.len() + 1);
            prop_assert!(error.render(&text).contains('^'));
        }
    }

    #[test]
    fn valid_scripts_print_as_valid_scripts_that_stay(text in script()) {
        let printed = strip_comments(&text).map_err(|e| TestCaseError::fail(e.render(&text)))?;
        prop_assert_eq!(strip_comments(&printed), Ok(printed.clone()));
    }

    #[test]
    fn comments_at_the_ends_of_lines_change_nothing(text in script()) {
        prop_assert_eq!(strip_comments(&format!("# c\n{text} # c\n\n# c")), strip_comments(&text));
    }

    #[test]
    fn the_whole_is_its_statements(text in script()) {
        let script = parse(&text).map_err(|e| TestCaseError::fail(e.render(&text)))?;
        let joined: String = script.statements.iter().map(|s| print_statement(&script, s) + "\n").collect();
        prop_assert_eq!(strip_comments(&text), Ok(joined));
    }
}
