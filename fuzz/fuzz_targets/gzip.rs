//! Gzip members: nothing inflates beyond the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    const LIMIT: u64 = 1 << 16;
    if let Ok(out) = apk_package::inflate("fuzz", bytes, LIMIT) {
        assert!(out.len() as u64 <= LIMIT);
    }
});
