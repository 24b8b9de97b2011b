//! Broken and hostile scripts are errors with a place, never crashes.

use std::time::{Duration, Instant};

use shell_format::{parse, strip_comments};

#[test]
fn errors_name_the_place_and_the_token() {
    let table = [
        ("if true; do\n", "1:10: `do` belongs to a loop"),
        ("echo 'a\nb", "1:6: `'` has no closing quote"),
        ("echo \"a\nb", "1:6: `\"` has no closing quote"),
        ("a\nb `c", "2:3: backquote has no closing backquote"),
        ("a\n  )", "2:3: `)` closes no subshell"),
        ("(a", "1:1: `(` has no matching `)`: found the end of the script"),
        ("a &&", "1:3: `&&` must be followed by a statement"),
        ("cat <<E\nx\n", "1:5: here-document has no closing `E`"),
        (
            "case x in a",
            "1:11: the patterns of a `case` are separated by `|`",
        ),
        ("echo ${a", "1:6: `${` has no matching `}`"),
        (
            "echo ${a b}",
            "1:9: ` ` is not an operator of parameter expansions",
        ),
        ("echo ${-x y", "1:9: `-` cannot be followed by a word"),
        ("echo $((1 +))", "1:11: `+` must be followed by an expression"),
        ("fi", "1:1: `fi` belongs to an `if`"),
        ("a;; b", "1:2: `;;` belongs into a `case`"),
        (
            "for 1 in x y; a; done",
            "1:1: `for <header>` must be followed by `do`",
        ),
        ("a (b)", "1:1: `foo(` must be followed by `)`"),
        (
            "{ a; ",
            "1:1: `{` has no matching `}`: found the end of the script",
        ),
        ("f=(a; b)", "1:5: the elements of an array must be words"),
        (
            "> f { a; }",
            "1:1: redirects before compound commands are not known to bash",
        ),
    ];
    for (script, expected) in table {
        let error = parse(script).map(|_| ()).expect_err(script);
        assert_eq!(error.to_string(), expected, "{script}");
    }
}

#[test]
fn errors_show_the_line_as_melange_does() {
    let script = "if [[ uname -m == 'x86_64']]; then";
    let error = strip_comments(script).unwrap_err();
    assert_eq!(
        error.render(script),
        format!("1:13: `-m` is not an operator of tests:\n> {script}\n              ^")
    );
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    let openers = [
        "(",
        "{ ",
        "$(",
        "`",
        "\"$(",
        "${a:-",
        "\"${a:-",
        "$((",
        "$[",
        "(( (",
        "((-",
        "((!",
        "((a=",
        "((2**",
        "((a?",
        "((a[",
        "${a[",
        "[[ ( ",
        "[[ ! ",
        "if ",
        "while ",
        "f() ",
        "function f ",
        "time ",
        "coproc ",
        "! ",
        "case x in a) ",
        "a=(",
        "<(",
        "${ ",
        "let (",
        "$((a?b:",
        "if a; then b; elif ",
        "a | ( ",
        "cat <<E\n$(",
        "a && ! ",
        "( ",
        "! ",
        "2**",
        "-",
        "a[",
    ];
    for opener in openers {
        for count in [45, 95, 5_000] {
            // Either answer is fine; a crash is not.
            let _ = strip_comments(&opener.repeat(count));
            let _ = strip_comments(&format!("[[ {}", opener.repeat(count)));
            let _ = strip_comments(&format!("(( {}", opener.repeat(count)));
        }
    }
}

#[test]
fn balanced_nesting_up_to_the_limit_prints() {
    for (open, inner, close) in [
        ("( ", "a", " )"),
        ("{ ", "a; ", "}; "),
        ("$(", "a", ")"),
        ("\"$(", "a", ")\""),
        ("${a:-", "b", "}"),
        ("if a; then ", "b; ", "fi; "),
    ] {
        let script = format!("{}{inner}{}", open.repeat(30), close.repeat(30));
        assert!(strip_comments(&script).is_ok(), "{script}");
        let script = format!("{}{inner}{}", open.repeat(1000), close.repeat(1000));
        assert!(
            strip_comments(&script)
                .unwrap_err()
                .message
                .contains("nested deeper"),
            "{open}"
        );
    }
}

#[test]
fn long_sequences_are_flat_and_take_linear_time() {
    let count = 20_000;
    let scripts = [
        "a && ".repeat(count) + "b",
        "a | ".repeat(count) + "b",
        "a; ".repeat(count),
        format!("echo $(({}1))", "1 + ".repeat(count)),
        format!("[[ {}a ]]", "a && ".repeat(count)),
        format!("if a; then b; {}fi", "elif a; then b; ".repeat(count)),
        format!("case x in {}esac", "a) b ;; ".repeat(count)),
        format!("a=({})", "x ".repeat(count)),
        format!("echo \"{}\"", "$x ".repeat(count)),
        "cat <<E\nx\nE\n".repeat(count),
        format!("a <<E\n{}E\n", "line $x\n".repeat(count)),
        "a \\\n".repeat(count),
        "# comment\n".repeat(count),
        "f() { a; }\n".repeat(count),
    ];
    for script in scripts {
        let start = Instant::now();
        let printed = strip_comments(&script).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:.40}: {:?}",
            script,
            start.elapsed()
        );
        assert_eq!(strip_comments(&printed).as_ref(), Ok(&printed), "{script:.40}");
    }
}
