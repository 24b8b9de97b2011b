//! Variables and transforms: any texts as values, patterns and scripts compile or are refused with a message.
//!
//! The input is cut at null characters into the texts.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use melange_config::{CompileOptions, compile, parse};
use spanned_yaml::{EmitValue, emit};

fuzz_target!(|input: &str| {
    let mut texts = input.split('\0');
    let mut text = || EmitValue::from(texts.next().unwrap_or_default());
    let map = |entries: Vec<(&str, EmitValue)>| {
        EmitValue::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    };
    let variables = map(vec![("a", text()), ("b", text())]);
    let transform = map(vec![
        ("from", text()),
        ("match", text()),
        ("replace", text()),
        ("to", "c".into()),
    ]);
    let range = map(vec![("name", "r".into()), ("items", map(vec![("k", text())]))]);
    let with = map(vec![("who", text()), ("whom", text())]);
    let step = map(vec![("if", text()), ("uses", "greet".into()), ("with", with)]);
    let script = map(vec![("runs", text())]);
    let subpackage = map(vec![
        ("name", "s".into()),
        ("range", "r".into()),
        ("description", text()),
        ("if", text()),
        ("pipeline", EmitValue::Seq(vec![script.clone()])),
    ]);
    let package = map(vec![
        ("name", "a".into()),
        ("version", "1.2.3".into()),
        ("description", text()),
    ]);
    let configuration = map(vec![
        ("package", package),
        ("vars", variables),
        ("var-transforms", EmitValue::Seq(vec![transform])),
        ("data", EmitValue::Seq(vec![range])),
        ("pipeline", EmitValue::Seq(vec![step, script])),
        ("subpackages", EmitValue::Seq(vec![subpackage])),
    ]);
    let pipelines = BTreeMap::from([(
        "greet".to_owned(),
        "inputs: {who: {required: true}, whom: {default: '${{inputs.who}}'}}\n\
         needs: {packages: ['${{inputs.whom}}']}\nruns: echo ${{inputs.who}} ${{vars.c}}\n"
            .to_owned(),
    )]);
    let options = CompileOptions::new(apk_types::Arch::X86_64);
    let compiled = parse(&emit(&configuration, 2), "fuzz.yaml")
        .and_then(|written| compile(&written, &options, &pipelines));
    match compiled {
        Ok(compiled) => drop(compiled.to_json()),
        Err(error) => assert!(!error.render().is_empty()),
    }
});
