//! Shell scripts: any text is formatted or refused; what was formatted is a script still.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &str| {
    match shell_format::strip_comments(script) {
        Ok(stripped) => drop(shell_format::strip_comments(&stripped)),
        Err(error) => drop(error.render(script)),
    }
});
