//! Configurations: any text compiles or is refused; what was compiled is YAML and JSON that can be read.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use melange_config::{CompileOptions, compile, lint, parse};

static PIPELINES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let texts = [
        (
            "greet",
            "inputs: {who: {default: nobody}}\nneeds: {packages: [busybox]}\nruns: echo ${{inputs.who}}\n",
        ),
        (
            "outer",
            "inputs: {name: {required: true}}\npipeline: [{uses: greet, with: {who: '${{inputs.name}}'}}]\n",
        ),
        (
            "twice",
            "pipeline: [{uses: outer, with: {name: a}}, {uses: greet}]\n",
        ),
    ];
    texts
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
});

fuzz_target!(|text: &str| {
    let options = CompileOptions::new(apk_types::Arch::X86_64);
    let compiled = parse(text, "fuzz.yaml").and_then(|written| compile(&written, &options, &*PIPELINES));
    match compiled {
        Ok(compiled) => {
            assert!(spanned_yaml::parse(&compiled.to_yaml()).is_ok());
            assert!(serde_json::from_str::<serde_json::Value>(&compiled.to_json()).is_ok());
        }
        Err(error) => assert!(!error.render().is_empty()),
    }
    for finding in lint(text, "fuzz.yaml", &*PIPELINES) {
        assert!(!finding.fault.render().is_empty());
    }
});
