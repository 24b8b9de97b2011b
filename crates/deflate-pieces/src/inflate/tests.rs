//! The inflater says of every stream what zlib-rs says of it.

use flate2::{Decompress, FlushDecompress, Status};
use proptest::prelude::*;
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Strategy as ZlibStrategy};

use super::*;

/// What comes of a stream: its content and the number of its bytes, or what is wrong with it.
type Verdict = Result<(Vec<u8>, u64), Fault>;

/// Inflates in steps through a buffer of some size, as [`BlockReader`](crate::BlockReader) does.
fn ours(input: &[u8], size: usize) -> Verdict {
    let mut buffer = vec![0xa5; WINDOW + size + ROOM];
    let (mut content, mut inflater) = (Vec::new(), Inflater::new());
    let (mut start, mut at, mut bit) = (0usize, 0, 0);
    inflater.begin();
    while !inflater.is_at_end() {
        if at + ROOM > buffer.len() {
            let gone = at - WINDOW;
            buffer.copy_within(gone..at, 0);
            (start, at) = (start.saturating_sub(gone), WINDOW);
        }
        let mut out = Output {
            bytes: &mut buffer,
            start,
            at,
        };
        bit = inflater.inflate(input, bit, &mut out, &mut |_, _| {})?;
        let end = out.at;
        content.extend_from_slice(&buffer[at..end]);
        at = end;
    }
    Ok((content, bit.div_ceil(8)))
}

fn zlib(input: &[u8]) -> Verdict {
    let (mut stream, mut content) = (Decompress::new(false), Vec::new());
    loop {
        content.reserve(64 << 10);
        let rest = &input[stream.total_in() as usize..];
        let before = (stream.total_in(), stream.total_out());
        match stream.decompress_vec(rest, &mut content, FlushDecompress::None) {
            Ok(Status::StreamEnd) => return Ok((content, stream.total_in())),
            Ok(_) if before == (stream.total_in(), stream.total_out()) => return Err(Fault::Truncated),
            Ok(_) => {}
            Err(_) => return Err(Fault::Corrupt),
        }
    }
}

fn assert_same(input: &[u8]) {
    let expected = zlib(input);
    for size in [1, 70_000] {
        let verdict = ours(input, size);
        assert!(
            verdict == expected,
            "{:?} instead of {:?} for {input:02x?}",
            verdict.map(|(content, end)| (content.len(), end)),
            expected.map(|(content, end)| (content.len(), end)),
        );
    }
}

fn deflated(content: &[u8], level: i32, strategy: ZlibStrategy, part: usize) -> Vec<u8> {
    let mut stream = Deflate::new_with_config(DeflateConfig {
        level,
        strategy,
        window_bits: -15,
        ..DeflateConfig::default()
    });
    let mut out = vec![0; content.len() * 2 + 4096];
    for part in content.chunks(part.max(1)) {
        let (read, written) = (stream.total_in(), stream.total_out() as usize);
        stream
            .compress(part, &mut out[written..], DeflateFlush::SyncFlush)
            .unwrap();
        assert_eq!(stream.total_in() - read, part.len() as u64);
    }
    let written = stream.total_out() as usize;
    stream
        .compress(&[], &mut out[written..], DeflateFlush::Finish)
        .unwrap();
    out.truncate(stream.total_out() as usize);
    out
}

/// Runs of noise, of a single byte, of few bytes, and of what was there before, near and far.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below.max(1)
    };
    let mut out = Vec::with_capacity(length + 5000);
    while out.len() < length {
        let (run, byte) = (1 + next(4000), next(256) as u8);
        match next(5) {
            0 => out.extend(std::iter::repeat_n(byte, run)),
            1 => out.extend((0..run).map(|_| next(256) as u8)),
            2 => out.extend((0..run).map(|_| b"etaoin shrdlu"[next(13)])),
            kind if !out.is_empty() => {
                let reach = if kind == 3 { 40 } else { 40_000 };
                let distance = 1 + next(out.len().min(reach));
                (0..run).for_each(|_| out.push(out[out.len() - distance]));
            }
            _ => {}
        }
    }
    out.truncate(length);
    out
}

const STRATEGIES: [ZlibStrategy; 5] = [
    ZlibStrategy::Default,
    ZlibStrategy::Filtered,
    ZlibStrategy::HuffmanOnly,
    ZlibStrategy::Rle,
    ZlibStrategy::Fixed,
];

#[test]
fn all_levels_and_strategies_inflate() {
    for (seed, length) in [(1, 0), (2, 1), (3, 300), (4, 70_000), (5, 200_000)] {
        let content = content(seed, length);
        for (level, strategy) in (0..10).flat_map(|level| STRATEGIES.map(|strategy| (level, strategy))) {
            for part in [content.len(), content.len() / 3] {
                let stream = deflated(&content, level, strategy, part);
                for size in [1, 300_000] {
                    let (inflated, end) = ours(&stream, size).unwrap();
                    assert!(inflated == content, "level {level}, {strategy:?}, {size}");
                    assert_eq!(end, stream.len() as u64);
                }
            }
        }
    }
}

#[test]
fn what_is_behind_a_stream_is_not_read() {
    let mut stream = deflated(b"hello, hello", 6, ZlibStrategy::Fixed, 100);
    let end = stream.len() as u64;
    stream.extend([0xff; 100]);
    assert_eq!(ours(&stream, 1), Ok((b"hello, hello".to_vec(), end)));
}

#[test]
fn a_stream_cut_anywhere_is_truncated() {
    let content = content(9, 9_000);
    for (level, strategy) in [0, 1, 6, 9]
        .iter()
        .flat_map(|level| STRATEGIES.map(|one| (*level, one)))
    {
        let stream = deflated(&content, level, strategy, 4_000);
        for end in 0..stream.len() {
            assert_eq!(
                ours(&stream[..end], 1),
                Err(Fault::Truncated),
                "{level}, {strategy:?}, {end}"
            );
        }
    }
}

#[test]
fn every_flipped_bit_is_judged_as_by_zlib() {
    for (level, strategy) in [
        (0, ZlibStrategy::Default),
        (6, ZlibStrategy::Default),
        (9, ZlibStrategy::HuffmanOnly),
        (6, ZlibStrategy::Fixed),
    ] {
        let mut stream = deflated(&content(12, 2_000), level, strategy, 1_500);
        for bit in 0..stream.len() * 8 {
            stream[bit / 8] ^= 1 << (bit % 8);
            assert_same(&stream);
            stream[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Writes bits, the lowest first.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    count: usize,
}

impl Writer {
    fn bits(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            self.bytes[self.count / 8] |= ((value >> bit & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
    }
}

/// A block with codes of these lengths, each of 15 bits at most, and then anything.
fn block(litlens: &[u8], distances: &[u8], then: &[u8]) -> Vec<u8> {
    // Lengths of 0 to 12 are written in four bits, the others in five.
    const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let mut out = Writer::default();
    out.bits(0b101, 3);
    out.bits(litlens.len() as u32 - 257, 5);
    out.bits(distances.len() as u32 - 1, 5);
    out.bits(15, 4);
    ORDER
        .iter()
        .for_each(|symbol| out.bits(if *symbol <= 12 { 4 } else { 5 }, 3));
    for length in litlens.iter().chain(distances).map(|length| u32::from(*length)) {
        match length {
            0..=12 => out.bits(length.reverse_bits() >> 28, 4),
            _ => out.bits((26 + length - 13).reverse_bits() >> 27, 5),
        }
    }
    then.iter().for_each(|byte| out.bits(u32::from(*byte), 8));
    out.bytes
}

/// The lengths of a complete code of some symbols, by splitting codes in two.
fn complete(symbols: usize, choices: &[u16]) -> Vec<u8> {
    let mut lengths = vec![0u8];
    let mut choices = choices.iter().cycle().map(|choice| usize::from(*choice));
    while lengths.len() < symbols {
        let start = choices.next().unwrap_or(0);
        let splits = |at: &usize| lengths[*at] < 15;
        let Some(at) = (0..lengths.len())
            .map(|by| (start + by) % lengths.len())
            .find(splits)
        else {
            break;
        };
        lengths[at] += 1;
        lengths.push(lengths[at]);
    }
    lengths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn codes_of_all_kinds_are_judged_as_by_zlib(
        symbols in (2usize..=286, 0usize..=30),
        choices in proptest::collection::vec(any::<u16>(), 1..300),
        at in any::<u16>(),
        changed in proptest::option::of((0usize..316, 0u8..16)),
        then in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut litlens = complete(symbols.0, &choices);
        litlens.resize(286, 0);
        litlens.rotate_right(usize::from(at) % 286);
        // The end must have a code.
        if litlens[256] == 0 && let Some(other) = litlens.iter().position(|length| *length > 0) {
            litlens.swap(256, other);
        }
        let mut distances = match symbols.1 {
            0 => vec![0],
            1 => vec![1],
            _ => complete(symbols.1, &choices),
        };
        if let Some((place, length)) = changed {
            let count = distances.len();
            match place.checked_sub(286) {
                Some(place) => distances[place % count] = length,
                None => litlens[place] = length,
            }
        }
        assert_same(&block(&litlens, &distances, &then));
    }

    #[test]
    fn noise_is_judged_as_by_zlib(mut stream in proptest::collection::vec(any::<u8>(), 1..400), kind in 0u8..3) {
        stream[0] = stream[0] & !0b111 | 1 | kind << 1;
        assert_same(&stream);
    }

    #[test]
    fn damage_is_judged_as_by_zlib(
        seed in any::<u64>(),
        length in 1usize..60_000,
        level in 0i32..10,
        strategy in 0usize..5,
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
    ) {
        let mut stream = deflated(&content(seed, length), level, STRATEGIES[strategy], length / 2 + 1);
        for (at, byte) in damage {
            let at = at % stream.len();
            stream[at] ^= byte;
        }
        assert_same(&stream);
    }
}
