//! Configurations brought to new versions.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;

use melange_config::{BumpError, BumpRequest, Bumped, Fetch, bump};

/// Files by URL.
struct Files(BTreeMap<&'static str, &'static str>);

impl Fetch for Files {
    fn open(&mut self, url: &str) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>> {
        let content = self.0.get(url).ok_or("no such file")?;
        Ok(Box::new(content.as_bytes()))
    }
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const HELLO_256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const HELLO_512: &str = "9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca7\
                         2323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043";

fn bumped(source: &str, version: &str, commit: Option<&str>) -> Result<Bumped, BumpError> {
    let request = BumpRequest {
        version: version.to_owned(),
        expected_commit: commit.map(str::to_owned),
        arch: "x86_64".parse().expect("known"),
    };
    let files = [
        ("https://example.org/demo-2.0.tar.gz", "hello"),
        ("https://example.org/x86_64/2_0/extra", "hello"),
    ];
    bump(source, "demo.yaml", &request, &mut Files(files.into()))
}

fn text(source: &str, version: &str, commit: Option<&str>) -> String {
    bumped(source, version, commit).expect("bumped").text
}

#[test]
fn version_epoch_and_checksums_change_and_nothing_else() {
    let source = "# demo\npackage:\n  name: demo\n  version: '1.9'   # upstream\n  epoch: 3 # rebuilt\n\n\
                  vars:\n  sum: ''\n\nvar-transforms:\n  - {from: '${{package.version}}', match: '\\.', replace: _, to: under}\n\
                  pipeline:\n  # sources\n  - uses: fetch\n    with:\n      expected-sha256: 00 # old\n      \
                  uri: https://example.org/demo-${{package.version}}.tar.gz\n\n  - pipeline:\n    - uses: fetch\n      with:\n        \
                  uri: https://example.org/${{build.arch}}/${{vars.under}}/extra\n        expected-sha512: ${{vars.sum}}\n\
                  \x20   - uses: fetch\n      with:\n        uri: https://example.org/unchecked\n        expected-none: 'yes'\n";
    let bumped = bumped(source, " 2.0 ", None).expect("bumped");
    let want = source
        .replace("version: '1.9'", "version: '2.0'")
        .replace("epoch: 3", "epoch: 0")
        .replace("expected-sha256: 00", &format!("expected-sha256: {HELLO_256}"))
        .replace("sum: ''", &format!("sum: '{HELLO_512}'"));
    assert_eq!(bumped.text, want);
    let paths: Vec<_> = bumped.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "package.version",
            "package.epoch",
            "pipeline[0].with.expected-sha256",
            "vars.sum"
        ]
    );
    assert!(bumped.warnings.is_empty());
}

#[test]
fn the_same_version_gets_another_release() {
    let source = "package:\n  name: demo\n  version: 2.0.1\n  epoch: 3\n";
    assert_eq!(
        text(source, "2.0.1", None),
        source.replace("epoch: 3", "epoch: 4")
    );
    let without = "package:\n  name: demo\n  version: 2.0.1\n";
    assert_eq!(text(without, "2.0.1", None), format!("{without}  epoch: 1\n"));
    assert_eq!(text(without, "2.0.2", None), without.replace("2.0.1", "2.0.2"));
    let number = "package: {name: demo, version: 1.9}\n";
    assert_eq!(
        text(number, "1.10", None),
        "package: {name: demo, version: \"1.10\"}\n"
    );
}

#[test]
fn commits_follow_the_version_where_there_are_several_checkouts() {
    let checkout = |tag: &str| {
        format!(
            "- uses: git-checkout\n  with:\n    repository: r\n    {tag}\n    expected-commit: {}\n",
            "f".repeat(40)
        )
    };
    let head = "package: {name: demo, version: 1.9, epoch: 0}\nvars: {a: 'v${{vars.b}}', b: '${{package.version}}'}\n\
                pipeline:\n";
    let one = format!("{head}{}", checkout("tag: fixed"));
    assert!(text(&one, "2.0", Some(COMMIT)).contains(&format!("expected-commit: {COMMIT}")));
    let followers = ["tag: v${{package.version}}", "tag: ${{vars.a}}", "branch: main"];
    for tag in followers {
        let source = format!("{head}{}{}", checkout("tag: fixed"), checkout(tag));
        let changed = text(&source, "2.0", Some(COMMIT));
        assert!(
            changed.ends_with(&format!("expected-commit: {COMMIT}\n")),
            "{changed}"
        );
        assert_eq!(changed.matches(COMMIT).count(), 1);
        let bumped = bumped(&source, "2.0", None).expect("bumped");
        assert_eq!(
            bumped.warnings,
            ["demo.yaml:13: this is still the commit of the version before"]
        );
    }
}

#[test]
fn subpackages_follow_too() {
    let source = "package: {name: demo, version: '1.9'}\nsubpackages:\n- name: x\n  pipeline:\n  - uses: fetch\n    with:\n      \
                  uri: https://example.org/demo-${{package.version}}.tar.gz\n      expected-sha256: '00'\n\
                  - name: y\n  pipeline:\n  - uses: fetch\n    with: {uri: '${{range.key}}', expected-sha256: '00'}\n";
    let bumped = bumped(source, "2.0", None).expect("bumped");
    assert!(bumped.text.contains(&format!("expected-sha256: '{HELLO_256}'")));
    assert_eq!(
        bumped.warnings,
        ["demo.yaml:12: the checksum is not updated: variable `range.key` is not defined"]
    );
}

#[test]
fn what_cannot_be_bumped_is_refused() {
    let source = |uri: &str| {
        format!(
            "package: {{name: a, version: 1}}\npipeline:\n- uses: fetch\n  with: {{uri: '{uri}', expected-sha256: a}}\n"
        )
    };
    let table = [
        (
            source("x"),
            "bad version",
            None,
            "`bad version` cannot be a package's version",
        ),
        (source("x"), "2", Some("foo"), "`foo` is not a commit"),
        (
            source("x"),
            "2",
            None,
            "demo.yaml:4: the new checksum of x cannot be found",
        ),
        (
            source("${{vars.x}}"),
            "2",
            None,
            "line 4, column 16: variable `vars.x` is not defined",
        ),
        ("packge: {}".to_owned(), "2", None, "`package` section is missing"),
        (
            "package: {name: a, version: &v 1, description: *v}".to_owned(),
            "2",
            None,
            "`package.version` cannot be changed without changing more",
        ),
    ];
    for (source, version, commit, want) in table {
        let error = bumped(&source, version, commit).expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
    }
}
