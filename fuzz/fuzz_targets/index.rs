//! Index archives: the bytes are the tar archive inside, or, with a first byte of 0, the file itself. What is read is
//! written and read back the same.
#![no_main]

use apk_index::Index;
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let index = match bytes {
        [0, file @ ..] => Index::open_unverified(file, LIMIT),
        tar => Index::open_unverified(&apk_package::deflate(tar), LIMIT),
    };
    let Ok(index) = index else {
        return;
    };
    // A record of no name is left out, and one with a line break is refused.
    let Ok(archive) = index.to_archive() else {
        return;
    };
    let Ok(again) = Index::open_unverified(&archive, u64::MAX) else {
        unreachable!("what was written cannot be read");
    };
    assert_eq!(again.packages.len(), index.packages.len());
});
