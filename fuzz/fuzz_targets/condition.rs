//! Conditions: any text is evaluated or refused, and parentheses around it change nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use melange_config::evaluate;

fuzz_target!(|condition: &str| {
    match evaluate(condition) {
        // An empty condition holds, empty parentheses are none; and they may be too deep.
        Ok(holds) if !condition.is_empty() && !condition.contains("((((") => {
            assert_eq!(evaluate(&format!("({condition})")), Ok(holds));
        }
        Ok(_) => {}
        Err(error) => assert!(error.to_string().contains(condition)),
    }
});
