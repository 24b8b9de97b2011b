//! What hostile archives cost in memory, against their bytes.

#![allow(clippy::unwrap_used)]

use tarball::{Header, Kind, Limits, Members, Writer};

/// An archive with a member that has as many records as fit in so many bytes.
fn records(bytes: usize) -> Vec<u8> {
    let mut header = Header {
        path: "a".into(),
        ..Header::new(Kind::Regular)
    };
    for number in 0..bytes / 8 {
        header.pax.insert(format!("{number:x}"), vec![]);
    }
    let mut writer = Writer::new(Vec::new());
    writer.append(&header, b"").unwrap();
    writer.finish().unwrap()
}

#[test]
fn records_take_a_multiple_of_their_bytes() {
    let archive = records(500_000);
    let allocated = allocation_counter::measure(|| {
        let mut members = Members::new(&archive[..], &Limits::default());
        assert!(members.next_member().unwrap().is_some());
    });
    let factor = allocated.bytes_max as f64 / archive.len() as f64;
    assert!(factor < 64.0, "{factor}");
}

#[test]
fn records_beyond_the_limit_are_not_read() {
    let archive = records(2_000_000);
    let allocated = allocation_counter::measure(|| {
        let mut members = Members::new(&archive[..], &Limits::default());
        let error = members.next_member().err().unwrap().to_string();
        assert!(error.contains("exceeds the limit of 1048576"), "{error}");
    });
    assert!(allocated.bytes_max < 1 << 16, "{allocated:?}");
}

#[test]
fn a_stated_size_allocates_nothing() {
    let header = Header {
        path: "a".into(),
        size: 1 << 40,
        ..Header::new(Kind::Regular)
    };
    let mut archive = Vec::new();
    header.encode(&mut archive).unwrap();
    let allocated = allocation_counter::measure(|| {
        assert!(tarball::read(archive.clone().into(), &Limits::default()).is_err());
    });
    assert!(allocated.bytes_max < 1 << 16, "{allocated:?}");
}
