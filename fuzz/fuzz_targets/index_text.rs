//! The text of an index: records are read back as they were written.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(packages) = apk_index::parse(text) else {
        return;
    };
    let Ok(written) = apk_index::write(&packages) else {
        return;
    };
    let Ok(again) = apk_index::parse(&written) else {
        unreachable!("what was written cannot be read: {written}");
    };
    assert_eq!(apk_index::write(&again).ok(), Some(written));
});
