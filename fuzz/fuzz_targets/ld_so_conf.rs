//! ld.so.conf, and ELF files as ldconfig looks at them.
#![no_main]

use apk_rootfs::ldso;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for line in String::from_utf8_lossy(bytes).lines() {
        let _ = ldso::directive(line);
    }
    let _ = ldso::inspect(bytes);
});
