//! Configurations read and compiled: a hundred of a usual size, and the conformance set where it lies beside the project;
//! beside what `sha256sum` takes for the same bytes.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use divan::Bencher;
use melange_config::{CompileOptions, PipelineCache, compile, compile_with, parse};
use tempfile::NamedTempFile;
use testkit::yardstick;

type Pipelines = BTreeMap<String, String>;

/// Configurations of about a hundred lines, none like the other.
static CONFIGURATIONS: LazyLock<Vec<String>> = LazyLock::new(|| (0..100).map(configuration).collect());

static BUILTIN: LazyLock<Pipelines> = LazyLock::new(|| {
    let mut pipelines = Pipelines::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../melange-pipeline/pipelines");
    collect(&directory, "", &mut pipelines);
    pipelines
});

fn configuration(n: usize) -> String {
    let mut text = format!(
        "package:\n  name: package-{n}\n  version: {n}.4.{}\n  epoch: 2\n  description: does what number {n} does\n  \
         copyright:\n    - license: MIT\n  dependencies:\n    runtime:\n      - package-{}\n    provides:\n      \
         - alias-{n}=${{{{package.full-version}}}}\n\nvar-transforms:\n  - from: ${{{{package.version}}}}\n    \
         match: ^(\\d+)\\.(\\d+).*\n    replace: $1_$2\n    to: series\n\nenvironment:\n  contents:\n    packages:\n",
        n % 17,
        n + 1,
    );
    for package in 0..12 {
        writeln!(text, "      - needed-{}", n * 7 + package).unwrap();
    }
    text.push_str(
        "\npipeline:\n  - uses: git-checkout\n    with:\n      repository: https://example.org/${{package.name}}\n      \
         tag: v${{vars.series}}\n      expected-commit: 0123456789abcdef0123456789abcdef01234567\n  \
         - uses: autoconf/configure\n    with:\n      opts: --disable-static --prefix=/usr\n  - uses: autoconf/make\n  \
         - uses: autoconf/make-install\n  - if: ${{build.arch}} == 'x86_64'\n    runs: |\n      # only here\n      \
         for file in ${{targets.destdir}}/usr/bin/*; do\n        chmod 755 \"$file\" || exit 1\n      done\n  \
         - uses: strip\n\nsubpackages:\n",
    );
    for part in ["dev", "manpages", "locales", "static"] {
        writeln!(
            text,
            "  - name: ${{{{package.name}}}}-{part}\n    pipeline:\n      - uses: split/{part}\n    dependencies:\n      \
             runtime:\n        - ${{{{package.name}}}}\n    test:\n      pipeline:\n        - runs: |\n            \
             test -d /usr/share || echo \"${{{{package.version}}}}\""
        )
        .unwrap();
    }
    text.push_str(
        "\nupdate:\n  enabled: true\n  github:\n    identifier: example/package\n    strip-prefix: v\n",
    );
    text
}

/// Collects the pipelines of a directory by their names.
fn collect(directory: &Path, prefix: &str, pipelines: &mut Pipelines) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), pipelines);
        } else if let Some(name) = name.strip_suffix(".yaml") {
            pipelines.insert(name.to_owned(), fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// Reads, compiles and writes configurations; how much was written.
fn compiled(configurations: &[String], pipelines: &Pipelines) -> usize {
    let options = CompileOptions::new("x86_64".parse().unwrap());
    let pipelines = PipelineCache::new(pipelines);
    let json = configurations.iter().map(|text| {
        let written = parse(text, "a.yaml").unwrap();
        compile_with(&written, &options, &pipelines).unwrap().to_json()
    });
    json.map(|json| json.len()).sum()
}

#[divan::bench]
fn parses_100_configurations(bencher: Bencher<'_, '_>) {
    LazyLock::force(&CONFIGURATIONS);
    bencher.bench(|| {
        CONFIGURATIONS
            .iter()
            .filter(|text| parse(text, "a.yaml").is_ok())
            .count()
    });
}

#[divan::bench]
fn compiles_100_configurations(bencher: Bencher<'_, '_>) {
    LazyLock::force(&BUILTIN);
    bencher.bench(|| compiled(&CONFIGURATIONS, &BUILTIN));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn compiles_the_conformance_set(bencher: Bencher<'_, '_>) {
    let Some((configurations, pipelines)) = corpus() else {
        return;
    };
    bencher.bench_local(|| compiled(&configurations, &pipelines));
}

/// The configurations that the reference compiles, and their pipelines.
fn corpus() -> Option<(Vec<String>, Pipelines)> {
    let (directory, files) = common::corpus()?;
    let mut pipelines = BUILTIN.clone();
    collect(&directory.path().join("pipelines"), "", &mut pipelines);
    let options = CompileOptions::new("x86_64".parse().unwrap());
    let compiles = |text: &String| {
        parse(text, "a.yaml").is_ok_and(|written| compile(&written, &options, &pipelines).is_ok())
    };
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let configurations: Vec<_> = texts.filter(compiles).collect();
    eprintln!("{} configurations", configurations.len());
    Some((configurations, pipelines))
}

#[divan::bench]
fn yardstick_sha256sum(bencher: Bencher<'_, '_>) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(CONFIGURATIONS.concat().as_bytes()).unwrap();
    bencher.bench(|| yardstick(&["sha256sum"], file.path()));
}

fn main() {
    divan::main();
}
