//! Index archives: the bytes are the tar archive inside, or, with a first byte of 0, the file itself.
#![no_main]

use apk_index::Index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = match bytes {
        [0, file @ ..] => Index::open_unverified(file, 1 << 20),
        tar => Index::open_unverified(&apk_package::deflate(tar), 1 << 20),
    };
});
