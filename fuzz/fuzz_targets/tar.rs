//! Tar archives: read in memory and member by member they are the same; members that are read can be written, and are
//! read back.
#![no_main]

use std::io::Read as _;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tarball::{Limits, Members, Writer};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { members: 1000, metadata: 1 << 16 };
    let read = tarball::read(Bytes::copy_from_slice(bytes), &limits);
    let mut members = Members::new(bytes, &limits);
    let mut count = 0;
    let streamed = loop {
        match members.next_member() {
            Ok(Some(mut member)) => {
                let mut content = Vec::new();
                let is_whole = member.read_to_end(&mut content).is_ok();
                if let (true, Ok(entries)) = (is_whole, &read) {
                    assert_eq!(entries[count].header, *member.header());
                    assert_eq!(entries[count].content, content);
                }
                count += 1;
            }
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert_eq!(streamed, read.is_ok());
    let Ok(entries) = read else {
        return;
    };
    assert_eq!(count, entries.len());
    let mut writer = Writer::new(Vec::new());
    if entries.iter().any(|entry| writer.append(&entry.header, &entry.content).is_err()) {
        return;
    }
    let Ok(archive) = writer.finish() else {
        return;
    };
    let _ = tarball::read(Bytes::from(archive), &Limits::default());
});
