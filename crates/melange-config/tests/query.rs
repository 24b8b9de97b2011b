//! Templates filled from a configuration. The expected texts are what Go's text/template makes.

use melange_config::{QueryError, parse, query, query_json};

const SOURCE: &str = "
package:
  name: demo
  version: 1.2.3
  epoch: 4
  target-architecture: [x86_64, aarch64]
  copyright: [{license: MIT}]
  dependencies: {runtime: [a, 'b=${{package.full-version}}']}
vars: {x-y: one, z: two}
data: [{name: r, items: {k1: v1, k2: v2}}]
pipeline:
- uses: fetch
  with: {uri: 'https://example.org/${{vars.z}}'}
subpackages:
- range: r
  name: demo-${{range.key}}
  description: ${{range.value}}
- name: demo-doc
  if: ${{build.arch}} == 'x86_64'
update: {enabled: true, github: {identifier: o/r, use-tag: true}}
";

fn ask(template: &str) -> Result<String, QueryError> {
    let configuration = parse(SOURCE, "demo.yaml").expect("valid");
    query(&configuration, "x86_64".parse().expect("known"), template)
}

#[test]
fn templates_are_filled_as_by_go() {
    let table = [
        ("plain {} }}", "plain {} }}"),
        (
            "{{ .Package.Name }}-{{ .Package.Version }}-r{{ .Package.Epoch }}",
            "demo-1.2.3-r4",
        ),
        ("{{.Package.FullVersion}} {{.Name}}", "1.2.3-r4 demo"),
        (
            "{{.Package.TargetArchitecture}} {{.Vars}}",
            "[x86_64 aarch64] map[x-y:one z:two]",
        ),
        (
            "{{range .Subpackages}}<{{.Name}} {{.Description}}>{{end}}",
            "<demo-k1 v1><demo-k2 v2><demo-doc >",
        ),
        (
            "{{range $i, $s := .Subpackages}}{{if $i}}, {{end}}{{$s.Name}}{{end}}",
            "demo-k1, demo-k2, demo-doc",
        ),
        ("{{range $k, $v := .Vars}}{{$k}}={{$v}};{{end}}", "x-y=one;z=two;"),
        ("{{range .Package.Checks.Disabled}}x{{else}}none{{end}}", "none"),
        (
            "{{index .Vars \"x-y\"}} {{.Vars.z}} {{.Vars.none}} {{index .Vars \"none\"}}|",
            "one two <no value> |",
        ),
        ("{{(index .Pipeline 0).With.uri}}", "https://example.org/two"),
        (
            "{{len .Subpackages}} {{.Subpackages | len | printf \"%d!\"}}",
            "3 3!",
        ),
        (
            "{{if and .Update.Enabled (eq .Package.Version \"1.2.3\")}}yes{{else}}no{{end}}",
            "yes",
        ),
        ("{{if not .Test}}no test{{end}}", "no test"),
        (
            "{{if eq .Package.Epoch 1}}1{{else if gt .Package.Epoch 3}}big{{else}}small{{end}}",
            "big",
        ),
        (
            "{{with .Update.GitHubMonitor}}{{.Identifier}} {{.UseTags}}{{end}}{{with .Test}}x{{else}}-{{end}}",
            "o/r true-",
        ),
        ("a  {{- /* gone */ -}}  b {{- \" c \" }} d", "ab c  d"),
        (
            "{{printf \"%s|%v|%q|%t|%%\" .Package.Name .Package.Epoch \"a\\\"b\" true}}",
            "demo|4|\"a\\\"b\"|true|%",
        ),
        ("{{print 1 2 \"x\" 3}} {{println \"y\"}}", "1 2x3 y\n"),
        (
            "{{$x := 1}}{{range .Subpackages}}{{$x = 2}}{{end}}{{$x}} {{$.Name}}",
            "2 demo",
        ),
        (
            "{{range .Subpackages}}{{if eq .Name \"demo-k2\"}}{{continue}}{{end}}{{.Name}} {{end}}",
            "demo-k1 demo-doc ",
        ),
        (
            "{{range .Subpackages}}{{if eq .Name \"demo-k2\"}}{{break}}{{end}}{{.Name}} {{end}}",
            "demo-k1 ",
        ),
        (
            "{{or .Package.URL \"none\"}} {{and 1 0}} {{slice .Package.Name 1 3}}",
            "none 0 em",
        ),
        ("{{index .Package.Dependencies.Runtime 1}}", "b=1.2.3-r4"),
        (
            "{{`raw`}}{{ne 1 2}}{{lt \"a\" \"b\"}}{{ge 2 2}}",
            "rawtruetruetrue",
        ),
    ];
    for (template, want) in table {
        let got = ask(template).map_err(|error| error.to_string());
        assert_eq!(got.as_deref(), Ok(want), "{template}");
    }
}

#[test]
fn wrong_templates_say_where_and_what() {
    let table = [
        (
            "{{ .Package.Nmae }}",
            "column 4 of the template: there is no field `.Nmae`; did you mean `.Name`?",
        ),
        (
            "{{ .Package }}",
            "column 4 of the template: this is a whole section",
        ),
        ("ä{{ .Name", "column 10 of the template: `}}` is missing here"),
        ("{{ if .Name }}x", "`if` has no `end`"),
        ("{{ end }}", "there is no block to end here"),
        ("{{ }}", "a value is missing here"),
        ("{{ nope .Name }}", "there is no function `nope`"),
        ("{{ $x }}", "variable `$x` is not defined"),
        ("{{ .Name.First }}", "`.First` is asked of a text"),
        ("{{ eq 1 \"1\" }}", "`eq` cannot compare a number with a text"),
        ("{{ template \"x\" }}", "`template` is not known here"),
        (
            "{{ range .Name }}{{ end }}",
            "`range` goes over lists and maps, not a text",
        ),
        ("{{ index .Pipeline 7 }}", "the list has no item 7"),
        ("{{ \"open }}", "the quote is not closed"),
        ("{{ printf \"%s\" }}", "`printf` has too few values"),
        ("{{ .Name 1 }}", "takes no arguments"),
        ("{{ slice .Name 3 1 }}", "a bound of `slice` is outside"),
    ];
    for (template, want) in table {
        let error = ask(template).expect_err(template).to_string();
        assert!(error.contains(want), "{template}: {error}");
    }
    assert!(ask(&"{{ if 1 }}".repeat(100_000)).is_err());
    assert!(ask(&format!("{{{{ {} }}}}", "(".repeat(100_000))).is_err());
}

#[test]
fn json_is_made_of_one_expression_or_of_everything() {
    let configuration = parse(SOURCE, "demo.yaml").expect("valid");
    let arch = "x86_64".parse().expect("known");
    let json = |template| query_json(&configuration, arch, template);
    let dependencies = json(Some("{{ .Package.Dependencies.Runtime }}")).expect("JSON");
    assert_eq!(dependencies, r#"["a","b=1.2.3-r4"]"#);
    let all: serde_json::Value = serde_json::from_str(&json(None).expect("JSON")).expect("valid");
    assert_eq!(all["Package"]["Epoch"], 4);
    assert!(all["Test"].is_null());
    assert!(json(Some("x {{ .Name }}")).is_err());
}
