//! Deflate streams, inflated with a note of their blocks: what zlib-rs makes of them, or a fault where it finds one.
#![no_main]

use std::io::Read;

use deflate_pieces::BlockReader;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;

/// The content of a stream and the number of its bytes, if it is one.
fn zlib(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut stream, mut content) = (Decompress::new(false), Vec::new());
    loop {
        content.reserve(64 << 10);
        let (read, written) = (stream.total_in() as usize, stream.total_out());
        let flush = FlushDecompress::None;
        match stream.decompress_vec(&input[read..], &mut content, flush).ok()? {
            Status::StreamEnd => return Some((content, stream.total_in() as usize)),
            _ if (read, written) == (stream.total_in() as usize, stream.total_out()) => return None,
            _ => {}
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let expected = zlib(bytes);
    match &expected {
        None => member.extend(bytes),
        Some((content, end)) => {
            member.extend(&bytes[..*end]);
            let mut crc = Crc::new();
            crc.update(content);
            member.extend(crc.sum().to_le_bytes());
            member.extend(crc.amount().to_le_bytes());
        }
    }
    let mut inflated = Vec::new();
    let result = BlockReader::new(&member).read_to_end(&mut inflated);
    assert_eq!(result.is_ok(), expected.is_some());
    if let Some((content, _)) = expected {
        assert!(inflated == content);
    }
});
