//! Whatever compressed a stream, a file cut out of it inflates to that file, between any other pieces.

#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};

use deflate_pieces::{Block, BlockReader, InflateError, Joiner, MIN_SPLICE, Piece, deflate, splice};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use proptest::prelude::*;

/// Content that is repetitive, random, and in between, in runs.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::with_capacity(length + (1 << 17));
    while out.len() < length {
        let run = (next() % (1 << 17)) as usize;
        match next() % 4 {
            0 => out.resize(out.len() + run, next() as u8),
            1 => out.extend((0..run).map(|_| next() as u8)),
            2 => out.extend((0..run).map(|_| b"etaoin shrdlu"[(next() % 13) as usize])),
            _ => {
                let from = next() as usize % (out.len() + 1);
                let copied = out[from..out.len().min(from + run)].to_vec();
                out.extend(copied);
            }
        }
    }
    out.truncate(length);
    out
}

/// Compresses with a sync flush after each part, as parallel compressors do; each of `members` ends a gzip member.
fn compress(content: &[u8], level: u32, part: usize, members: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for member in content.chunks(content.len().div_ceil(members).max(1)) {
        let builder = GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra([1, 2, 3]);
        let mut encoder: GzEncoder<Vec<u8>> = builder.write(Vec::new(), Compression::new(level));
        for part in member.chunks(part) {
            encoder.write_all(part).unwrap();
            encoder.flush().unwrap();
        }
        out.extend(encoder.finish().unwrap());
    }
    out
}

fn blocks(stream: &[u8], expected: &[u8]) -> Vec<Block> {
    let mut reader = BlockReader::new(stream);
    let mut inflated = Vec::new();
    reader.read_to_end(&mut inflated).unwrap();
    assert!(inflated == expected);
    reader.blocks().to_vec()
}

fn cut(stream: &[u8], blocks: &[Block], content: &[u8], file: std::ops::Range<usize>) -> (Vec<u8>, u64) {
    let read = |offset: u64, buffer: &mut [u8]| {
        buffer.copy_from_slice(&content[offset as usize..][..buffer.len()]);
        Ok(())
    };
    let mut out = Vec::new();
    let range = file.start as u64..file.end as u64;
    let copied = splice(stream, blocks, range, &read, 6, &mut out).unwrap();
    (out, copied)
}

fn gunzip(stream: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(stream).read_to_end(&mut out)?;
    Ok(out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_spliced_file_is_the_file(
        seed in any::<u64>(),
        length in 1usize..2_000_000,
        level in 0u32..10,
        part in prop_oneof![Just(usize::MAX), 10_000usize..400_000],
        members in 1usize..3,
        ends in (0.0..1.0f64, 0.0..1.0f64),
    ) {
        let content = content(seed, length);
        let stream = compress(&content, level, part.min(length), members);
        let blocks = blocks(&stream, &content);
        let mut ends = [ends.0, ends.1].map(|part| (length as f64 * part) as usize);
        ends.sort_unstable();
        let file = &content[ends[0]..ends[1]];
        let (piece, copied) = cut(&stream, &blocks, &content, ends[0]..ends[1]);
        prop_assert!(copied <= file.len() as u64);

        let (before, after) = (&content[..length.min(70_000)], b"after");
        let mut joiner = Joiner::new(Vec::new()).unwrap();
        let (deflated, first) = deflate(before, &[], level).unwrap();
        joiner.append(&deflated, first).unwrap();
        joiner.append(&piece, Piece::of(file)).unwrap();
        let (deflated, last) = deflate(after, file.get(file.len().saturating_sub(100)..).unwrap(), 1).unwrap();
        joiner.append(&deflated, last).unwrap();
        prop_assert!(gunzip(&joiner.finish().unwrap()).unwrap() == [before, file, after].concat());
        prop_assert!(cut(&stream, &blocks, &content, ends[0]..ends[1]).0 == piece);
    }

    #[test]
    fn what_is_deflated_inflates(
        seed in any::<u64>(),
        length in prop_oneof![0usize..600, 0usize..700_000],
        before in prop_oneof![Just(0usize), 0usize..100_000],
        level in prop_oneof![Just(2u32), 0u32..10],
    ) {
        let content = content(seed, before + length);
        let (dictionary, rest) = content.split_at(before);
        let mut joiner = Joiner::new(Vec::new()).unwrap();
        let (deflated, first) = deflate(dictionary, &[], 1).unwrap();
        joiner.append(&deflated, first).unwrap();
        let (deflated, second) = deflate(rest, dictionary, level).unwrap();
        joiner.append(&deflated, second).unwrap();
        prop_assert!(deflated.len() <= length + length / 1000 + 30);
        prop_assert!(gunzip(&joiner.finish().unwrap()).unwrap() == content);
    }

    #[test]
    fn no_stream_makes_it_panic(mut stream in proptest::collection::vec(any::<u8>(), 0..2000), real in any::<bool>()) {
        if real {
            let mut whole = compress(&content(7, 100_000), 6, 30_000, 2);
            for (at, byte) in stream.iter().enumerate().step_by(40) {
                let place = (at * 977 + usize::from(*byte)) % whole.len();
                whole[place] ^= byte;
            }
            stream = whole;
        }
        let mut reader = BlockReader::new(&stream);
        let _ = io::copy(&mut reader, &mut io::sink());
    }
}

#[test]
fn most_of_a_large_file_is_copied() {
    let content = content(3, 8_000_000);
    for (level, part) in [(6, usize::MAX), (9, 1 << 20), (2, usize::MAX)] {
        let stream = compress(&content, level, part.min(content.len()), 1);
        let blocks = blocks(&stream, &content);
        let (piece, copied) = cut(&stream, &blocks, &content, 1_000_000..7_000_000);
        assert!(copied > 5_500_000, "level {level}: {copied}");
        assert!(piece.len() < stream.len());
    }
}

#[test]
fn a_small_file_is_deflated_anew() {
    let content = content(5, 1_000_000);
    let stream = compress(&content, 6, content.len(), 1);
    let small = 100_000..100_000 + MIN_SPLICE as usize / 2;
    let (piece, copied) = cut(&stream, &blocks(&stream, &content), &content, small.clone());
    assert_eq!(copied, 0);
    assert_eq!(piece, deflate(&content[small], &[], 6).unwrap().0);
}

#[test]
fn faults_are_told_apart() {
    let whole = compress(&content(1, 50_000), 6, 20_000, 1);
    let fault = |stream: &[u8]| {
        let error = io::copy(&mut BlockReader::new(stream), &mut io::sink()).unwrap_err();
        *error.get_ref().unwrap().downcast_ref::<InflateError>().unwrap()
    };
    let mut wrong_crc = whole.clone();
    *wrong_crc.last_mut().unwrap() ^= 1;
    let mut garbage = whole.clone();
    garbage.extend(b"garbage");
    assert_eq!(fault(b""), InflateError::Truncated(0));
    assert_eq!(fault(&whole[..5]), InflateError::Truncated(5));
    assert_eq!(fault(&whole[..200]), InflateError::Truncated(200));
    assert_eq!(
        fault(&whole[..whole.len() - 3]),
        InflateError::Truncated(whole.len() - 3)
    );
    assert_eq!(fault(&wrong_crc), InflateError::Corrupt(whole.len() - 8));
    assert_eq!(fault(&garbage), InflateError::NotGzip(whole.len()));
    assert_eq!(fault(b"not gzip at all"), InflateError::NotGzip(0));
}
