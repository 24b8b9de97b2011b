//! Blocks of deflate: the codes of their symbols, and the bits that these make.

use crate::fast::Sequence;
use crate::huffman::{DISTANCE_SYMBOLS, LITLEN_SYMBOLS};

/// The length of a match that is none.
pub(crate) const SEQUENCE_END: u16 = 0;

const LITLENS: usize = 286;
const DISTANCES: usize = 30;
const END: usize = 256;
/// The longest code in bits, and that of the code that lengths are written in.
const LONGEST: usize = 15;
const LENGTHS_LONGEST: usize = 7;
/// The most bytes of a stored block.
const STORED: usize = 65_535;

/// The symbol of each length, from 3 on.
const LENGTH_SYMBOLS: [u8; 256] = {
    let (mut symbols, mut length) = ([0; 256], 0);
    while length < 256 {
        let mut symbol = 28;
        while (LITLEN_SYMBOLS[257 + symbol] >> 16) as usize > length + 3 {
            symbol -= 1;
        }
        symbols[length] = symbol as u8;
        length += 1;
    }
    symbols
};

/// The symbol of a distance less one: for those below 256, and then for every 128th.
const DISTANCE_INDEX: [u8; 512] = {
    let (mut symbols, mut at) = ([0; 512], 0);
    while at < 512 {
        let distance = if at < 256 { at } else { (at - 256) << 7 };
        let mut symbol = 29;
        while (DISTANCE_SYMBOLS[symbol] >> 16) as usize > distance + 1 {
            symbol -= 1;
        }
        symbols[at] = symbol as u8;
        at += 1;
    }
    symbols
};

fn length_symbol(length: u16) -> usize {
    257 + usize::from(LENGTH_SYMBOLS[usize::from(length - 3) & 0xff])
}

fn distance_symbol(distance: u16) -> usize {
    let distance = usize::from(distance);
    let at = if distance < 256 {
        distance
    } else {
        256 + (distance >> 7)
    };
    usize::from(DISTANCE_INDEX[at & 511])
}

/// How many bits stand behind the code of a symbol.
fn extra(symbols: &[u32], symbol: usize) -> u32 {
    symbols[symbol] & 0xff
}

/// Writes blocks.
pub(crate) struct Codes<'o> {
    out: &'o mut Vec<u8>,
    /// Bits that wait, and how many: fewer than eight between two calls.
    word: u64,
    count: u32,
    fixed: Code,
}

/// The codes of literals and lengths, and of distances: each symbol's bits, and how many they are in the uppermost byte.
struct Code {
    litlens: [u32; 288],
    distances: [u32; 32],
}

impl Code {
    fn new(litlens: &[u8], distances: &[u8]) -> Self {
        let mut code = Self {
            litlens: [0; 288],
            distances: [0; 32],
        };
        canonical(litlens, &mut code.litlens);
        canonical(distances, &mut code.distances);
        code
    }

    fn fixed() -> Self {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        Self::new(&lengths, &[5; 32])
    }

    /// The size of a block in bits, but for the extra bits.
    fn size(&self, counts: &Counts) -> u64 {
        let sum = |counts: &[u32], codes: &[u32]| -> u64 {
            let bits = counts.iter().zip(codes);
            bits.map(|(count, code)| u64::from(*count) * u64::from(code >> 24))
                .sum()
        };
        sum(&counts.litlens, &self.litlens) + sum(&counts.distances, &self.distances)
    }
}

/// How often each symbol occurs in a block.
struct Counts {
    litlens: [u32; LITLENS],
    distances: [u32; DISTANCES],
}

impl Counts {
    fn of(content: &[u8], sequences: &[Sequence]) -> Self {
        let (mut litlens, mut distances) = ([0; LITLENS], [0; DISTANCES]);
        // Two tables, so that the same byte twice need not wait for itself.
        let mut others = [0u32; 256];
        let mut at = 0;
        for sequence in sequences {
            let literals = &content[at..at + sequence.literals as usize];
            let mut pairs = literals.chunks_exact(2);
            for pair in &mut pairs {
                litlens[usize::from(pair[0])] += 1;
                others[usize::from(pair[1])] += 1;
            }
            pairs
                .remainder()
                .iter()
                .for_each(|byte| litlens[usize::from(*byte)] += 1);
            at += literals.len() + usize::from(sequence.length);
            if sequence.length != SEQUENCE_END {
                litlens[length_symbol(sequence.length)] += 1;
                distances[distance_symbol(sequence.distance)] += 1;
            }
        }
        litlens
            .iter_mut()
            .zip(others)
            .for_each(|(count, other)| *count += other);
        litlens[END] = 1;
        Self { litlens, distances }
    }

    fn extra_bits(&self) -> u64 {
        let sum = |counts: &[u32], symbols: &[u32]| -> u64 {
            let counts = counts.iter().zip(symbols);
            counts
                .map(|(count, symbol)| u64::from(*count) * u64::from(symbol & 0xff))
                .sum()
        };
        sum(&self.litlens[257..], &LITLEN_SYMBOLS[257..]) + sum(&self.distances, &DISTANCE_SYMBOLS)
    }
}

impl<'o> Codes<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            word: 0,
            count: 0,
            fixed: Code::fixed(),
        }
    }

    /// Writes a block in the shortest of the three ways. The sequences cover the content, the last one has no match.
    pub(crate) fn block(&mut self, content: &[u8], sequences: &[Sequence]) {
        let counts = Counts::of(content, sequences);
        let (mut litlens, mut distances) = ([0; LITLENS], [0; DISTANCES]);
        code_lengths(&counts.litlens, LONGEST, &mut litlens);
        code_lengths(&counts.distances, LONGEST, &mut distances);
        let code = Code::new(&litlens, &distances);
        let header = Header::of(&litlens, &distances);
        let extra = counts.extra_bits();
        let dynamic = header.size() + code.size(&counts) + extra;
        let fixed = self.fixed.size(&counts) + extra;
        let stored = (content.len() as u64 + 5 * content.len().div_ceil(STORED) as u64) * 8;
        if stored <= dynamic.min(fixed) {
            for part in content.chunks(STORED) {
                self.stored(part);
            }
        } else if fixed <= dynamic {
            self.push(0b010, 3);
            let code = std::mem::replace(&mut self.fixed, Code::new(&[], &[]));
            self.symbols(content, sequences, &code, fixed);
            self.fixed = code;
        } else {
            self.push(0b100, 3);
            header.write(self);
            self.symbols(content, sequences, &code, dynamic);
        }
    }

    /// Writes at most 48 bits.
    fn push(&mut self, value: u32, bits: u32) {
        self.word |= u64::from(value) << self.count;
        self.count += bits;
        let whole = (self.count / 8) as usize;
        self.out.extend_from_slice(&self.word.to_le_bytes()[..whole]);
        self.word >>= whole * 8;
        self.count %= 8;
    }

    /// Writes symbols that take so many bits.
    fn symbols(&mut self, content: &[u8], sequences: &[Sequence], code: &Code, size: u64) {
        let mut end = self.out.len();
        self.out.resize(end + (size / 8) as usize + 16, 0);
        let out = &mut self.out[..];
        let (mut word, mut count) = (self.word, self.count);
        macro_rules! push {
            ($value:expr, $bits:expr) => {
                word |= ($value as u64) << count;
                count += $bits;
            };
        }
        macro_rules! flush {
            () => {
                out[end..end + 8].copy_from_slice(&word.to_le_bytes());
                end += (count >> 3) as usize;
                word >>= count & !7;
                count &= 7;
            };
        }
        const CODE: u32 = 0xff_ffff;
        let litlens = &code.litlens;
        let mut at = 0;
        for sequence in sequences {
            let literals = &content[at..at + sequence.literals as usize];
            let mut triples = literals.chunks_exact(3);
            for triple in &mut triples {
                for byte in triple {
                    let code = litlens[usize::from(*byte)];
                    push!(code & CODE, code >> 24);
                }
                flush!();
            }
            for byte in triples.remainder() {
                let code = litlens[usize::from(*byte)];
                push!(code & CODE, code >> 24);
            }
            flush!();
            at += literals.len() + usize::from(sequence.length);
            if sequence.length == SEQUENCE_END {
                continue;
            }
            // A length and a distance take at most 48 bits.
            let symbol = length_symbol(sequence.length);
            push!(litlens[symbol] & CODE, litlens[symbol] >> 24);
            let base = LITLEN_SYMBOLS[symbol] >> 16;
            push!(u32::from(sequence.length) - base, extra(&LITLEN_SYMBOLS, symbol));
            let symbol = distance_symbol(sequence.distance);
            push!(code.distances[symbol] & CODE, code.distances[symbol] >> 24);
            let base = DISTANCE_SYMBOLS[symbol] >> 16;
            push!(
                u32::from(sequence.distance) + 1 - base,
                extra(&DISTANCE_SYMBOLS, symbol)
            );
            flush!();
        }
        push!(litlens[END] & CODE, litlens[END] >> 24);
        flush!();
        (self.word, self.count) = (word, count);
        self.out.truncate(end);
    }

    fn stored(&mut self, part: &[u8]) {
        self.push(0, 3);
        self.push(0, (8 - self.count) % 8);
        let length = part.len() as u16;
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(&(!length).to_le_bytes());
        self.out.extend_from_slice(part);
    }

    /// Ends on a byte boundary, by an empty stored block.
    pub(crate) fn finish(mut self) {
        self.stored(&[]);
    }
}

/// The lengths of a block's codes, as they are written: runs of the same length are one symbol.
struct Header {
    litlens: usize,
    distances: usize,
    /// Symbols with their extra bits.
    symbols: Vec<(u8, u8)>,
    codes: [u32; 19],
    /// How many lengths of these codes are written.
    given: usize,
}

const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// How many extra bits the symbols of runs have.
fn run_bits(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

impl Header {
    fn of(litlens: &[u8; LITLENS], distances: &[u8; DISTANCES]) -> Self {
        let used = |lengths: &[u8], least: usize| {
            let last = lengths.iter().rposition(|length| *length > 0);
            last.map_or(0, |last| last + 1).max(least)
        };
        let (litlen_count, distance_count) = (used(litlens, 257), used(distances, 1));
        let lengths = [&litlens[..litlen_count], &distances[..distance_count]].concat();
        let mut symbols = Vec::with_capacity(lengths.len());
        for run in lengths.chunk_by(|a, b| a == b) {
            let (length, mut left) = (run[0], run.len());
            if length > 0 {
                symbols.push((length, 0));
                left -= 1;
            }
            while left > 0 {
                let (symbol, now) = match (length, left) {
                    (_, 1 | 2) => (length, 1),
                    (0, 3..=10) => (17, left),
                    (0, _) => (18, left.min(138)),
                    _ => (16, left.min(6)),
                };
                let least = match symbol {
                    16 | 17 => 3,
                    18 => 11,
                    _ => now,
                };
                symbols.push((symbol, (now - least) as u8));
                left -= now;
            }
        }
        let mut counts = [0; 19];
        symbols
            .iter()
            .for_each(|(symbol, _)| counts[usize::from(*symbol)] += 1);
        let (mut own, mut codes) = ([0; 19], [0; 19]);
        code_lengths(&counts, LENGTHS_LONGEST, &mut own);
        canonical(&own, &mut codes);
        let last = ORDER.iter().rposition(|symbol| own[*symbol] > 0);
        Self {
            litlens: litlen_count,
            distances: distance_count,
            symbols,
            codes,
            given: last.map_or(0, |last| last + 1).max(4),
        }
    }

    fn size(&self) -> u64 {
        let bits = |(symbol, _): &(u8, u8)| (self.codes[usize::from(*symbol)] >> 24) + run_bits(*symbol);
        let symbols: u64 = self.symbols.iter().map(|symbol| u64::from(bits(symbol))).sum();
        14 + 3 * self.given as u64 + symbols
    }

    fn write(&self, out: &mut Codes<'_>) {
        out.push(self.litlens as u32 - 257, 5);
        out.push(self.distances as u32 - 1, 5);
        out.push(self.given as u32 - 4, 4);
        for symbol in &ORDER[..self.given] {
            out.push(self.codes[*symbol] >> 24, 3);
        }
        for (symbol, extra) in &self.symbols {
            let code = self.codes[usize::from(*symbol)];
            out.push(code & 0xff_ffff, code >> 24);
            out.push(u32::from(*extra), run_bits(*symbol));
        }
    }
}

/// The lengths of a code of the least size with at most `longest` bits. There are always two codes at least, so that
/// the code is complete.
fn code_lengths(counts: &[u32], longest: usize, lengths: &mut [u8]) {
    let mut symbols: Vec<(u32, u16)> = Vec::with_capacity(counts.len());
    symbols.extend(
        counts
            .iter()
            .zip(0..)
            .filter(|(count, _)| **count > 0)
            .map(|(count, symbol)| (*count, symbol)),
    );
    for symbol in 0.. {
        if symbols.len() >= 2 {
            break;
        }
        if !symbols.iter().any(|(_, used)| *used == symbol) {
            symbols.push((1, symbol));
        }
    }
    symbols.sort_unstable();
    // Two queues, both in the order of their counts: the symbols, and the pairs made until now.
    let leaves = symbols.len();
    let mut weights: Vec<u32> = Vec::with_capacity(leaves);
    let mut parents = vec![0usize; 2 * leaves - 1];
    let (mut leaf, mut pair) = (0, 0);
    while weights.len() < leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let take_leaf =
                leaf < leaves && weights.get(pair).is_none_or(|weight| symbols[leaf].0 <= *weight);
            let node = if take_leaf {
                weight += symbols[leaf].0;
                leaf += 1;
                leaf - 1
            } else {
                weight += weights[pair];
                pair += 1;
                leaves + pair - 1
            };
            parents[node] = leaves + weights.len();
        }
        weights.push(weight);
    }
    // From the root, the last pair, down to the symbols.
    let mut depths = vec![0usize; 2 * leaves - 1];
    let mut numbers = [0usize; LONGEST + 1];
    for node in (0..2 * leaves - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
        if node < leaves {
            numbers[depths[node].min(longest)] += 1;
        }
    }
    // Codes that were cut take more room than there is: others are made longer until all fit.
    let room = |numbers: &[usize; LONGEST + 1]| -> usize {
        (1..=longest)
            .map(|length| numbers[length] << (longest - length))
            .sum()
    };
    let mut excess = room(&numbers) - (1 << longest);
    while excess > 0 {
        let Some(length) = (1..longest).rev().find(|length| numbers[*length] > 0) else {
            break;
        };
        numbers[length] -= 1;
        numbers[length + 1] += 2;
        numbers[longest] -= 1;
        excess -= 1;
    }
    let mut symbols = symbols.iter();
    for length in (1..=longest).rev() {
        for (_, symbol) in symbols.by_ref().take(numbers[length]) {
            lengths[usize::from(*symbol)] = length as u8;
        }
    }
}

/// The codes of these lengths in the order of their bits in a stream, each with its length in the uppermost byte.
fn canonical(lengths: &[u8], codes: &mut [u32]) {
    let mut next = 0u32;
    for length in 1..=LONGEST as u8 {
        next <<= 1;
        for (_, code) in lengths.iter().zip(&mut *codes).filter(|(of, _)| **of == length) {
            *code = next.reverse_bits() >> (32 - u32::from(length)) | u32::from(length) << 24;
            next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_complete_however_uneven_the_counts_are() {
        // Each as many as the two before it together: the deepest code there can be.
        let mut deep = vec![1u32, 1];
        (2..40).for_each(|at| deep.push(deep[at - 1] + deep[at - 2]));
        let cases = [vec![0; 30], vec![0, 0, 7], vec![5, 9], vec![1; 286], deep];
        for (counts, longest) in cases.iter().flat_map(|counts| [(counts, LONGEST), (counts, 9)]) {
            let mut lengths = vec![0; counts.len().max(2)];
            code_lengths(counts, longest, &mut lengths);
            let used = lengths.iter().filter(|length| **length > 0);
            let room: usize = used.map(|length| 1 << (longest - usize::from(*length))).sum();
            assert_eq!(room, 1 << longest, "{counts:?}");
            assert!(
                counts
                    .iter()
                    .zip(&lengths)
                    .all(|(count, length)| *count == 0 || *length > 0)
            );
            let by_count =
                |a: usize, b: usize| counts[b] == 0 || counts[a] <= counts[b] || lengths[a] <= lengths[b];
            assert!((0..counts.len()).all(|a| (0..counts.len()).all(|b| by_count(a, b))));
        }
    }
}
