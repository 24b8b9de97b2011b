//! The scripts of `testdata` print as the reference prints them.

use std::path::Path;

use shell_format::strip_comments;

/// Name, script and expected text of each case.
fn cases() -> Vec<(String, String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory).expect("testdata") {
        let path = entry.expect("entry of testdata").path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            let name = path.display().to_string();
            let read = |path: &Path| std::fs::read_to_string(path).expect("a script and its expected text");
            cases.push((name, read(&path), read(&path.with_extension("expected"))));
        }
    }
    assert!(cases.len() > 20, "testdata is missing");
    cases
}

#[test]
fn scripts_print_as_the_reference_prints_them() {
    for (name, script, expected) in cases() {
        let printed =
            strip_comments(&script).unwrap_or_else(|error| panic!("{name}: {}", error.render(&script)));
        assert_eq!(printed, expected, "{name}");
    }
}

#[test]
fn printed_scripts_print_as_themselves() {
    for (name, _, expected) in cases() {
        assert_eq!(strip_comments(&expected).as_ref(), Ok(&expected), "{name}");
    }
}

#[test]
fn line_endings_of_dos_change_nothing() {
    for (name, script, expected) in cases() {
        let dos = script.replace("\r\n", "\n").replace('\n', "\r\n");
        let printed = strip_comments(&dos).unwrap_or_else(|error| panic!("{name}: {}", error.render(&dos)));
        assert_eq!(printed.replace("\r\n", "\n"), expected, "{name}");
    }
}

/// What the reference breaks and this crate keeps.
#[test]
fn scripts_keep_their_meaning() {
    let table = [
        ("if x=$(a &); then b; fi", "if x=$(a &); then b; fi\n"),
        ("cat <<E; echo x\nbody\nE\n", "cat <<E\nbody\nE\necho x\n"),
        (
            "cat <<'A'; cat <<'B'\na\nA\nb\nB\n",
            "cat <<'A'\na\nA\ncat <<'B'\nb\nB\n",
        ),
        (
            "cat <<'E' | sort \\\n # c \\\n -u\nx\nE\n",
            "cat <<'E' | sort \\\n\t\\\n\t-u\nx\nE\n",
        ),
    ];
    for (script, expected) in table {
        assert_eq!(strip_comments(script).as_deref(), Ok(expected), "{script}");
    }
}
