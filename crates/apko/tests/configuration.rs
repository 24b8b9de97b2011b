//! Configurations: how they are read, laid over each other, written, and what is wrong with them.

#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::fs;
use std::path::Path;

use apko::config::{ConfigError, Loaded, load, load_with, parse};

#[test]
fn a_mistake_is_shown_where_it_was_made() {
    let rows = [
        (
            "entrypont: {command: x}",
            "1:1",
            "unknown key `entrypont`",
            Some("did you mean `entrypoint`?"),
        ),
        (
            "contents:\n  package: [x]",
            "2:3",
            "unknown key `package`",
            Some("did you mean `packages`?"),
        ),
        ("contents:\n  packages: x", "2:13", "`packages`", None),
        ("archs: [vax]", "1:9", "unknown architecture `vax`", None),
        ("layering: {budget: many}", "1:20", "`budget`", None),
        (
            "accounts: {users: [{username: a}]}",
            "1:20",
            "the number 0",
            Some("run-as: 0"),
        ),
        ("paths: [{path: /x, uid: -1}]", "1:25", "`uid`", None),
    ];
    for (source, place, message, help) in rows {
        let diagnostic = parse(source).unwrap_err();
        let text = spanned_yaml::render(&diagnostic, "a.yaml", source);
        assert!(text.contains(&format!("a.yaml:{place}")), "{source}: {text}");
        assert!(text.contains(message), "{source}: {text}");
        assert!(help.is_none_or(|help| text.contains(help)), "{source}: {text}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let rows = [
        ("format: zip", "`zip`"),
        ("{format: erofs, layering: {budget: 2}}", "layering"),
        ("layering: {strategy: magic, budget: 2}", "`magic`"),
        ("layering: {strategy: origin}", "budget"),
        ("paths: [{path: /x, type: fifo}]", "`fifo`"),
        ("paths: [{path: /x, type: file}]", "`/x` has neither"),
        ("paths: [{path: /x, type: file, source: a, content: b}]", "`a`"),
        (
            "paths: [{path: /x, type: file, source: there is none}]",
            "No such file",
        ),
        ("paths: [{path: /x, type: directory, content: b}]", "`directory`"),
        ("certificates: {additional: [{name: ../x, content: y}]}", "`../x`"),
        (
            "contents: {runtime_keyring: [{name: a, content: b}, {name: a, content: c}]}",
            "`a`",
        ),
        ("{contents: {baseimage: {image: x}}, cmd: y}", "`cmd`"),
        (
            "accounts: {users: [{username: a, uid: 5},\n {username: a, uid: 6}]}",
            "line 2, column 13",
        ),
        ("accounts: {groups: [{groupname: g}, {groupname: g}]}", "`g`"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.yaml");
    for (source, culprit) in rows {
        fs::write(&path, source).unwrap();
        let error = load(&path, &[]).unwrap_err();
        assert!(matches!(error, ConfigError::Yaml { .. }), "{source}: {error}");
        assert!(error.to_string().contains(culprit), "{source}: {error}");
    }
}

#[test]
fn an_include_is_laid_under_what_includes_it() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("below");
    fs::create_dir(&below).unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write(
        "top.yaml",
        "include: middle.yaml\ncontents: {packages: [top]}\nenvironment: {A: top}\ncmd: top",
    );
    write(
        "below/middle.yaml",
        "include: base.yaml\ncontents: {packages: [middle]}\nenvironment: {A: middle, B: middle}",
    );
    write(
        "below/base.yaml",
        "contents: {packages: [base]}\ncmd: base\nwork-dir: /base\narchs: [amd64]",
    );

    let loaded = load(&directory.path().join("top.yaml"), &[below]).unwrap();
    let configuration = loaded.configuration;
    assert_eq!(configuration.contents.packages, ["base", "middle", "top"]);
    assert_eq!(
        (configuration.cmd.as_str(), configuration.work_dir.as_str()),
        ("top", "/base")
    );
    let environment: Vec<_> = configuration
        .environment
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(environment, ["A=top", "B=middle"]);
    assert_eq!(loaded.files.len(), 3);
}

#[test]
fn a_file_is_read_beside_the_configuration_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    fs::create_dir(directory.path().join("base")).unwrap();
    write("base/motd", "of the base\n");
    write("motd", "own\n");
    write(
        "base/base.yaml",
        "paths: [{path: /etc/base, type: file, source: motd}]",
    );
    write(
        "own.yaml",
        "include: base/base.yaml\npaths: [{path: /etc/own, type: file, source: motd}]",
    );
    let configuration = load(&directory.path().join("own.yaml"), &[directory.path().to_owned()])
        .unwrap()
        .configuration;
    let contents: Vec<_> = configuration
        .paths
        .iter()
        .map(|path| path.file.as_ref().unwrap().bytes())
        .collect();
    assert_eq!(contents, ["of the base\n", "own\n"]);
    let json = serde_json::to_string(&configuration.paths).unwrap();
    assert!(json.contains(&oci_image::Digest::of(b"own\n").hex()), "{json}");
}

#[test]
fn a_configuration_at_a_url_names_no_file_of_this_machine() {
    let serve = |_: &str| Ok("paths: [{path: /x, type: file, source: /etc/passwd}]".to_owned());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.yaml");
    fs::write(&path, "include: https://example.org/base.yaml").unwrap();
    let error = load_with(&path, &[], &serve).unwrap_err().to_string();
    assert!(
        error.contains("/etc/passwd") && error.contains("https://example.org/base.yaml"),
        "{error}"
    );
}

#[test]
fn what_the_go_apko_does_not_know_is_refused_where_only_what_it_knows_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.yaml");
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        let loaded = load_with(&path, &[], &|_| Ok("cmd: x".to_owned())).unwrap();
        loaded.strictly_compatible().map_err(|error| error.to_string())
    };
    for (text, culprit) in [
        (
            "paths:\n  - {path: /x, type: file, content: a}",
            "line 2, column 12: the type `file` of the path `/x`",
        ),
        (
            "contents:\n  packages: [a, '!b']",
            "line 2, column 17: the package to keep out `!b`",
        ),
        (
            "include: https://example.org/a.yaml",
            "line 1, column 10: the inclusion of the URL `https://example.org/a.yaml`",
        ),
    ] {
        let error = check(text).unwrap_err();
        assert!(error.contains(culprit), "{error}");
    }
    check("{contents: {packages: [a]}, paths: [{path: /x, type: directory}]}").unwrap();
}

#[test]
fn an_include_that_leads_back_is_refused_with_its_chain() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = [directory.path().to_owned()];
    fs::write(directory.path().join("a.yaml"), "include: b.yaml").unwrap();
    fs::write(directory.path().join("b.yaml"), "include: a.yaml").unwrap();
    let error = load(Path::new("a.yaml"), &prefix).unwrap_err();
    let ConfigError::Cycle { chain } = &error else {
        panic!("{error}")
    };
    assert_eq!(chain.len(), 3);
    assert!(error.to_string().contains("b.yaml"));
}

/// What is at the URLs of the tests below.
fn fetch(url: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    match url {
        "https://example.org/conf/middle.yaml" => Ok("include: ../base.yaml\ncmd: middle".to_owned()),
        "https://user:secret@example.org/login.yaml" => Ok("include: /base.yaml".to_owned()),
        "https://example.org/base.yaml" => Ok("contents: {packages: [base]}\nwork-dir: /base".to_owned()),
        "https://example.org/loop.yaml" => Ok("include: https://example.org/loop.yaml".to_owned()),
        _ => Err("404".into()),
    }
}

fn load_including(include: &str) -> Result<Loaded, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.yaml");
    fs::write(&path, format!("include: {include}\n")).unwrap();
    load_with(&path, &[], &fetch)
}

#[test]
fn a_url_is_included_and_what_is_there_includes_from_there() {
    let loaded = load_including("https://example.org/conf/middle.yaml").unwrap();
    assert_eq!(loaded.configuration.contents.packages, ["base"]);
    assert_eq!(loaded.configuration.cmd, "middle");
    assert_eq!(loaded.configuration.work_dir, "/base");
    assert_eq!(
        loaded.files[1..],
        [
            Path::new("https://example.org/conf/middle.yaml"),
            Path::new("https://example.org/base.yaml")
        ]
    );
    let origins = loaded.origins();
    let command = origins.iter().find(|origin| origin.key == "cmd").unwrap();
    assert_eq!(command.file, Path::new("https://example.org/conf/middle.yaml"));
}

#[test]
fn what_is_included_from_a_url_can_be_pinned() {
    let text = "contents: {packages: [base]}\nwork-dir: /base";
    let digest = oci_image::Digest::of(text.as_bytes()).hex();
    load_including(&format!("https://example.org/base.yaml#sha256={digest}")).unwrap();
    let error = load_including("https://example.org/base.yaml#sha256=00ff").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&digest) && text.contains("but 00ff is included"),
        "{text}"
    );
}

#[test]
fn an_include_from_a_url_fails_with_the_url_but_no_password() {
    let rows = [
        ("https://example.org/gone.yaml", "https://example.org/gone.yaml"),
        (
            "https://example.org/loop.yaml",
            "https://example.org/loop.yaml -> https://example.org/loop.yaml",
        ),
        (
            "https://user:secret@example.org/gone.yaml",
            "https://example.org/gone.yaml",
        ),
    ];
    for (include, culprit) in rows {
        let text = load_including(include).unwrap_err().to_string();
        assert!(text.contains(culprit) && !text.contains("secret"), "{text}");
    }
    let loaded = load_including("https://user:secret@example.org/login.yaml").unwrap();
    assert_eq!(loaded.files[1], Path::new("https://example.org/login.yaml"));
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Path::new("not/there.yaml"), &[]).unwrap_err();
    assert!(error.to_string().contains("not/there.yaml"));
}

/// What is printed reads back as the same configuration.
#[test]
fn a_configuration_reads_back_as_printed() {
    let source = r#"
contents:
  build_repositories: [https://example.org/build]
  repositories: ["@edge https://example.org/edge"]
  keyring: [keys/a.rsa.pub]
  runtime_keyring: [{name: k, content: "a\nb\n"}]
  packages: [busybox~1.36, "yes", "1.10"]
entrypoint: {type: service-bundle, services: {web: "httpd -f"}}
cmd: "echo 'two words'"
stop-signal: SIGINT
work-dir: /srv
accounts:
  run-as: "1000"
  users: [{username: web, uid: 1000, gid: 0, shell: /bin/sh, homedir: /srv}]
  groups: [{groupname: web, gid: 1000, members: [web]}]
archs: [x86_64, arm/v7]
environment: {A: "null", B: "0x10"}
paths:
  - {path: /a, type: directory, uid: 0, permissions: 0o755, recursive: true}
  - {path: /a/b, type: file, content: "1\n2\n"}
annotations: {title: "a: b"}
volumes: [/data]
layering: {strategy: origin, budget: 3}
certificates: {additional: [{name: c, content: x}], providers: [p]}
"#;
    let configuration = parse(source).unwrap();
    assert_eq!(parse(&configuration.to_yaml()).unwrap(), configuration);
}

#[test]
fn each_value_is_traced_to_where_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let base =
        "contents:\n  packages: [musl]\nenvironment:\n  A: base\n  B: base\ncmd: base\nvcs-url: base\n";
    let own = "include: base.yaml\ncontents:\n  packages:\n    - busybox\nenvironment: {A: own}\ncmd: own\n";
    fs::write(path("base.yaml"), base).unwrap();
    fs::write(path("own.yaml"), own).unwrap();
    let loaded = load(&path("own.yaml"), &[directory.path().to_owned()]).unwrap();
    let origins: Vec<(String, String, String, u32)> = loaded
        .origins()
        .into_iter()
        .map(|origin| {
            let file = origin.file.file_name().unwrap().to_string_lossy().into_owned();
            (origin.key, origin.value, file, origin.line)
        })
        .collect();
    let row =
        |key: &str, value: &str, file: &str, line| (key.to_owned(), value.to_owned(), file.to_owned(), line);
    let wanted = [
        row("contents.packages[0]", "musl", "base.yaml", 2),
        row("contents.packages[1]", "busybox", "own.yaml", 4),
        row("cmd", "own", "own.yaml", 6),
        row("environment.A", "own", "own.yaml", 5),
        row("environment.B", "base", "base.yaml", 5),
        row("include", "base.yaml", "own.yaml", 1),
    ];
    assert_eq!(origins, wanted);
    assert_eq!(loaded.configuration.contents.packages, ["musl", "busybox"]);
}
