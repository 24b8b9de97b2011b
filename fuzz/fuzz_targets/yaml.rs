//! YAML: any text becomes a tree or a diagnostic that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(diagnostic) = spanned_yaml::parse(text) {
        let _ = spanned_yaml::render(&diagnostic, "fuzz.yaml", text);
    }
});
