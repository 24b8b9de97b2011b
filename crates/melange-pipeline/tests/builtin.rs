//! Each of the built-in pipelines: what it says of itself, what it does with its inputs, what it needs.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use melange_config::{CompileOptions, Compiled, Step, compile, parse};
use melange_pipeline::{BUILTIN, PipelineDirectories, builtin};
use spanned_yaml::Node;

const CONTEXT: &str = "/home/build/melange-out/part";

/// Compiles a step of a subpackage that uses a pipeline.
fn compiled(name: &str, with: &BTreeMap<String, String>) -> Compiled {
    let with: String = with
        .iter()
        .map(|(name, value)| format!("      {name}: '{value}'\n"))
        .collect();
    let source = format!(
        "package: {{name: whole, version: 1.2.3, epoch: 4}}\n\
         subpackages:\n- name: part\n  pipeline:\n  - uses: {name}\n    with:\n{with}"
    );
    let written = parse(&source, "test.yaml").unwrap();
    let options = CompileOptions::new("aarch64".parse().unwrap());
    let compiled = compile(&written, &options, &PipelineDirectories::default());
    compiled
        .map_err(|error| format!("{name}: {}", error.render()))
        .unwrap()
}

/// The scripts of a step and of the steps in it.
fn scripts(step: &Step) -> String {
    let inner: String = step.pipeline.iter().map(scripts).collect();
    format!("{}{inner}", step.runs)
}

fn file(name: &str) -> Node {
    spanned_yaml::parse(builtin(name).unwrap()).unwrap()
}

fn inputs(file: &Node) -> Vec<(String, &Node)> {
    let inputs = file.get("inputs").and_then(Node::as_map).unwrap_or_default();
    let named = inputs
        .iter()
        .map(|(name, input)| (name.as_str().unwrap().to_owned(), input));
    named.collect()
}

fn is_required(input: &Node) -> bool {
    input.get("required").and_then(Node::as_bool) == Some(true)
}

/// A value that can be told in a script.
fn value(input: &str) -> String {
    match input {
        "expected-commit" => "c0ffee".repeat(7)[..40].to_owned(),
        "expected-sha256" => "5ha256".replace('h', "0").replace('s', "1").repeat(11)[..64].to_owned(),
        "expected-sha512" => "a512".repeat(32),
        input => format!("given-{input}"),
    }
}

#[test]
fn each_tells_its_purpose_and_describes_its_inputs() {
    for (name, text) in BUILTIN {
        let purpose = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# "))
            .unwrap_or_default();
        assert!(purpose.ends_with('.') && purpose.len() > 20, "{name}: {purpose}");
        let file = file(name);
        assert!(file.get("name").and_then(Node::as_str).is_some(), "{name}");
        for (input, node) in inputs(&file) {
            let description = node.get("description").and_then(Node::as_str).unwrap_or_default();
            assert!(
                description.trim().ends_with('.'),
                "{name}: {input}: {description}"
            );
        }
    }
}

/// Inputs that are for people, for the SBOM or kept for configurations that give them.
const NOT_IN_SCRIPTS: [(&str, &str); 9] = [
    ("R/build", "package"),
    ("R/build", "version"),
    ("fetch", "purl-name"),
    ("fetch", "purl-version"),
    ("fetch", "reason"),
    ("git-checkout", "reason"),
    ("git-checkout", "type-hint"),
    ("go/build/v2", "vendor"),
    ("xcover/stop", "package"),
];

#[test]
fn each_input_reaches_a_script_or_what_is_needed() {
    let mut unused = Vec::new();
    for (name, _) in BUILTIN {
        let file = file(name);
        let with: BTreeMap<_, _> = inputs(&file)
            .into_iter()
            .map(|(input, _)| (input.clone(), value(&input)))
            .collect();
        let compiled = compiled(name, &with);
        assert_eq!(compiled.warnings, Vec::<String>::new(), "{name}");
        let step = &compiled.subpackages[0].pipeline[0];
        let text = format!("{}{:?}", scripts(step), compiled.environment.contents.packages);
        let missing = with.iter().filter(|(_, value)| !text.contains(value.as_str()));
        unused.extend(missing.map(|(input, _)| (*name, input.clone())));
    }
    let unused: Vec<_> = unused
        .iter()
        .map(|(name, input)| (*name, input.as_str()))
        .collect();
    assert_eq!(unused, NOT_IN_SCRIPTS);
}

#[test]
fn defaults_are_filled_in_and_required_inputs_are_asked_for() {
    for (name, _) in BUILTIN {
        let file = file(name);
        let required = inputs(&file).into_iter().filter(|(_, input)| is_required(input));
        let with: BTreeMap<_, _> = required
            .map(|(input, _)| (input.clone(), value(&input)))
            .collect();
        let compiled = compiled(name, &with);
        let step = &compiled.subpackages[0].pipeline[0];
        let scripts = scripts(step);
        assert!(
            !scripts.is_empty() && !scripts.contains("${{"),
            "{name}: {scripts}"
        );
        let Some(missing) = with.keys().next() else {
            continue;
        };
        let source = format!("package: {{name: a, version: 1}}\npipeline: [{{uses: {name}}}]\n");
        let options = CompileOptions::new("x86_64".parse().unwrap());
        let error = compile(
            &parse(&source, "a.yaml").unwrap(),
            &options,
            &PipelineDirectories::default(),
        );
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains(&format!("pipeline `{name}` needs the input `")),
            "{message}, as {missing} is not given"
        );
    }
}

/// The pipeline, its inputs, a part of its script, and what it needs.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static [&'static str],
);

#[rustfmt::skip]
const TABLE: [Row; 51] = [
    ("R/build", &[("package", "a"), ("version", "1"), ("path", "src")], "install.packages('src', lib = '$library/'", &["R", "R-dev", "R-doc", "busybox"]),
    ("autoconf/configure", &[("opts", "--without-x")], "--host=aarch64-unknown-linux-gnu", &["autoconf", "automake", "libtool"]),
    ("autoconf/make", &[("dir", "sub"), ("targets", "all docs")], "make -C \"sub\" -j$(nproc) V=1 all docs", &["make"]),
    ("autoconf/make-install", &[("opts", "X=1")], "make -C \".\" install DESTDIR=\"/home/build/melange-out/part\" V=1 X=1", &["make"]),
    ("cargo/build", &[("output", "tool"), ("opts", "--release --locked")], "cargo auditable build --target-dir target --release --locked", &["build-base", "busybox", "cargo-auditable", "rust"]),
    ("cmake/build", &[("opts", "--target x")], "cmake --build output --target x", &["cmake", "ninja"]),
    ("cmake/configure", &[("output-dir", "out")], "cmake -B out -G Ninja", &["cmake", "ninja"]),
    ("cmake/install", &[], "DESTDIR=\"/home/build/melange-out/part\" cmake --install output", &["cmake", "ninja"]),
    ("fetch", &[("uri", "https://example.org/a.tar.gz"), ("strip-components", "2")], "'--strip-components=2' --no-same-owner -C '.'", &["wget"]),
    ("git-am", &[("patches", "a.patch b.patch")], "echo \"a.patch b.patch\" | xargs git am", &["git"]),
    ("git-checkout", &[("repository", "https://example.org/a"), ("tag", "v1.2.3")], "tag=\"v1.2.3\"", &["git"]),
    ("go/build", &[("packages", "./cmd"), ("output", "tool"), ("go-package", "go-1.24")], "-o \"/home/build/melange-out/part/usr/bin/tool\"", &["go-1.24", "build-base", "busybox", "ca-certificates-bundle"]),
    ("go/build/v2", &[("output", "tool"), ("tags", "x")], "-tags \"netgo,osusergo,x\"", &["busybox", "ca-certificates-bundle"]),
    ("go/bump", &[("deps", "example.org/a@v1.2.3")], "--packages \"example.org/a@v1.2.3\"", &["git", "gobump"]),
    ("go/covdata", &[("cover-dir", "/tmp/c")], "go tool covdata func -i /tmp/c", &["go", "busybox", "jq"]),
    ("go/install", &[("package", "example.org/a"), ("version", "v1")], "version=\"v1\"", &["go", "busybox", "build-base", "ca-certificates-bundle", "git"]),
    ("llvm/covreport", &[("package", "llvm-20"), ("object", "/usr/bin/x")], "object=\"/usr/bin/x\"", &["llvm-20"]),
    ("maven/configure-mirror", &[], "settings.xml", &["busybox"]),
    ("maven/pombump", &[("pom", "sub/pom.xml")], "pom=\"sub/pom.xml\"", &["busybox", "pombump"]),
    ("meson/compile", &[], "meson compile -C output -j $(nproc)", &["meson"]),
    ("meson/configure", &[("opts", "-Dx=y")], "meson setup . output --prefix=/usr --wrap-mode=nodownload -Dx=y", &["meson"]),
    ("meson/install", &[("output-dir", "out")], "meson install -C out", &["meson"]),
    ("npm/install", &[("package", "left-pad"), ("version", "1.3.0")], "install -g \"left-pad@1.3.0\" -prefix \"$prefix\"", &["busybox", "nodejs", "npm", "npm"]),
    ("patch", &[("patches", "a.patch")], "a.patch", &["patch"]),
    ("pecl/install", &[("extension", "redis")], "\"extension=redis.so\" >\"$settings/redis.ini\"", &["automake", "busybox"]),
    ("pecl/phpize", &[("php-config", "php-config8")], "./configure --prefix=/usr --with-php-config=php-config8", &["autoconf", "busybox"]),
    ("perl/cleanup", &[], "find \"/home/build/melange-out/part\" \\( -name perllocal.pod", &["busybox"]),
    ("perl/make", &[], "perl -I. Makefile.PL INSTALLDIRS=vendor", &["busybox", "perl"]),
    ("python/build", &[], "setup.py build", &["busybox", "python3"]),
    ("python/build-wheel", &[], "-m installer -d \"/home/build/melange-out/part\" dist/*.whl", &["busybox", "py3-build", "py3-installer", "python3"]),
    ("python/import", &[("import", "numpy")], "one=\"numpy\"", &["wolfi-base"]),
    ("python/install", &[], "setup.py install --prefix=/usr --root=\"/home/build/melange-out/part\"", &["busybox", "python3"]),
    ("python/test", &[("command", "python3 -c 1")], "python3 -c 1", &["wolfi-base"]),
    ("ruby/build", &[("gem", "rake"), ("opts", "--strict")], "gem build rake.gemspec ${output:+--output \"$output\"} --strict", &["busybox", "ca-certificates-bundle"]),
    ("ruby/clean", &[], "gems=\"/home/build/melange-out/part/$(ruby -e 'puts Gem.default_dir')\"", &["busybox", "ca-certificates-bundle"]),
    ("ruby/install", &[("gem", "rake"), ("version", "13")], "file='rake-13.gem'", &["busybox", "ca-certificates-bundle"]),
    ("split/alldocs", &[], "from=\"/home/build/melange-out/whole\"", &["busybox"]),
    ("split/bin", &[("package", "other")], "from=\"/home/build/melange-out/other\"", &["busybox"]),
    ("split/debug", &[("package", "other")], "from=\"/home/build/melange-out/other\"", &["binutils", "busybox", "scanelf"]),
    ("split/dev", &[("prefix", "/opt/x")], "prefix=\"/opt/x\"", &["busybox"]),
    ("split/infodir", &[], "to=\"/home/build/melange-out/part\"", &["busybox"]),
    ("split/lib", &[("patterns", "libx.so")], "echo \"libx.so\" | while read -r pattern", &["busybox"]),
    ("split/locales", &[], "to=\"/home/build/melange-out/part\"", &["busybox"]),
    ("split/manpages", &[], "from=\"/home/build/melange-out/whole\"", &["busybox"]),
    ("split/static", &[], "to=\"/home/build/melange-out/part\"", &["busybox"]),
    ("strip", &[("opts", "-s")], "strip -s \"$file\"", &["binutils", "scanelf"]),
    ("xcover/ensure", &[("min-coverage", "80")], "least=\"80\"", &["busybox", "jq", "xcover"]),
    ("xcover/profile", &[("executable-path", "/usr/bin/x")], "--path /usr/bin/x", &["busybox", "xcover"]),
    ("xcover/status", &[], "xcover status", &["busybox", "xcover"]),
    ("xcover/stop", &[], "xcover stop", &["busybox"]),
    ("xcover/wait", &[("wait-timeout", "5")], "xcover wait --timeout 5s", &["busybox", "xcover"]),
];

#[test]
fn each_makes_its_script_of_its_inputs_and_brings_what_it_needs() {
    let names: Vec<_> = TABLE.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, BUILTIN.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut odd = Vec::new();
    for (name, with, part, needs) in TABLE {
        let with = with
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let compiled = compiled(name, &with.collect());
        let scripts = scripts(&compiled.subpackages[0].pipeline[0]);
        if !scripts.contains(part) {
            odd.push(format!("{name}: {part}\n{scripts}"));
        }
        let packages = &compiled.environment.contents.packages;
        // What a pipeline uses needs things too.
        assert_eq!(packages[..needs.len()], *needs, "{name}");
        assert!(
            !scripts.contains("melange-out") || scripts.contains(CONTEXT),
            "{name}"
        );
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

#[test]
fn what_a_pipeline_uses_brings_its_own_needs() {
    let compiled = compiled("go/build/v2", &BTreeMap::new());
    assert_eq!(
        compiled.environment.contents.packages,
        ["busybox", "ca-certificates-bundle", "binutils", "scanelf"]
    );
    let step = &compiled.subpackages[0].pipeline[0];
    assert!(scripts(step).contains("strip -g \"$file\""));
}
