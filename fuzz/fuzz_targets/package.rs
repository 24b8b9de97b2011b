//! Packages: whole files, or control and data sections that are compressed and joined here.
#![no_main]

use apk_package::{Expected, Limits, open, read_info, split};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: (Option<&[u8]>, &[u8], &[u8])| {
    let limits = Limits { control: 1 << 20, data: 1 << 20, ..Limits::default() };
    let file = match parts {
        (None, file, _) => file.to_vec(),
        (Some(signature), control, data) => {
            let sections = [signature, control, data].map(apk_package::deflate);
            sections.concat()
        }
    };
    let _ = split(&file, &limits);
    let _ = read_info("fuzz", &mut &file[..], &limits);
    let _ = open(Bytes::from(file), &Expected::anything("fuzz"), &limits);
});
