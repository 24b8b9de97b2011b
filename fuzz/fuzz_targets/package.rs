//! Packages: whole files, or control and data sections that are compressed and joined here. All ways to read one say the
//! same of it.
#![no_main]

use std::io::{Cursor, Read as _};

use apk_package::{Expected, Limits, PkgInfo, VerifiedReader, control_section, open, read_info, split};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// Whether all of it can be read, and how many members it has.
fn streamed(file: &[u8], limits: &Limits) -> Option<usize> {
    let mut reader = VerifiedReader::open(Cursor::new(file), &Expected::anything("fuzz"), limits).ok()?;
    let mut count = 0;
    while let Some(mut member) = reader.next_member().ok()? {
        member.read_to_end(&mut Vec::new()).ok()?;
        count += 1;
    }
    Some(count)
}

fuzz_target!(|parts: (Option<Option<&[u8]>>, &[u8], &[u8])| {
    let limits = Limits { control: 1 << 20, data: 1 << 20, ..Limits::default() };
    let file = match parts {
        (None, file, _) => file.to_vec(),
        (Some(Some(signature)), control, data) => {
            let sections = [signature, control, data].map(apk_package::deflate);
            sections.concat()
        }
        // With a true hash, so that the data is looked at.
        (Some(None), control, data) => {
            let data = [apk_package::deflate(control), data.to_vec()].concat();
            let info = PkgInfo { data_hash: sha256(&data), ..PkgInfo::default() };
            let Ok(control) = control_section(&info, &[], 0) else {
                return;
            };
            [control, data].concat()
        }
    };
    let _ = split(&file, &limits);
    let _ = read_info("fuzz", &mut &file[..], &limits);
    let opened = open(Bytes::from(file.clone()), &Expected::anything("fuzz"), &limits);
    assert_eq!(opened.ok().map(|package| package.data.len()), streamed(&file, &limits));
});

fn sha256(data: &[u8]) -> String {
    use sha2::Digest as _;
    apk_types::Checksum::Sha256(sha2::Sha256::digest(data).into()).to_hex()
}
