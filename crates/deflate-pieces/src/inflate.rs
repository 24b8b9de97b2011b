//! Inflating a stream that is in memory as a whole, with a note of where each block begins.
//!
//! Most of a stream goes through a loop that needs no test for the end of the input or of the output, since both are far
//! away; a careful one does the rest.

use crate::huffman::{
    DISTANCE_BITS, DISTANCE_SIZE, DISTANCE_SYMBOLS, END, EXCEPTIONAL, LENGTH_SYMBOLS, LITERAL, LITLEN_BITS,
    LITLEN_SIZE, LITLEN_SYMBOLS, SUBTABLE, make_table,
};

/// How far back deflate can refer, in bytes.
pub(crate) const WINDOW: usize = 32 << 10;

/// How far the output must be from its end for a round of the fast loop: literals, and a copy in whole chunks.
pub(crate) const ROOM: usize = 4 + 258 + 2 * CHUNK;

/// How much of a match is copied at once.
const CHUNK: usize = 16;

/// How many bits a distance can take.
const DISTANCE_MOST: u32 = 15 + 13;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Corrupt,
    Truncated,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// So many bytes of a stored block.
    Stored(usize),
    Codes,
    End,
}

/// Inflates one stream, part after part of its output.
pub(crate) struct Inflater {
    state: State,
    is_final: bool,
    /// Whether the tables are those of blocks with fixed codes.
    is_fixed: bool,
    litlen: Box<[u32; LITLEN_SIZE]>,
    distances: Box<[u32; DISTANCE_SIZE]>,
}

/// The output: what is before `at` is there, what is before `start` belongs to something else.
pub(crate) struct Output<'o> {
    pub(crate) bytes: &'o mut [u8],
    pub(crate) start: usize,
    pub(crate) at: usize,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            state: State::End,
            is_final: false,
            is_fixed: false,
            litlen: Box::new([0; LITLEN_SIZE]),
            distances: Box::new([0; DISTANCE_SIZE]),
        }
    }

    /// Gets ready for another stream.
    pub(crate) fn begin(&mut self) {
        self.state = State::Header;
        self.is_final = false;
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.state == State::End
    }

    /// Goes on at a bit of the input until the stream ends or less than [`ROOM`] is left of the output, and gives the
    /// bit behind what was read. `begins` is told of the blocks that begin: their bit, and their place in the output.
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        bit: u64,
        out: &mut Output<'_>,
        begins: &mut dyn FnMut(u64, usize),
    ) -> Result<u64, Fault> {
        let mut bits = Bits::new(input, bit);
        while self.state != State::End && out.at + ROOM <= out.bytes.len() {
            match self.state {
                State::Header => {
                    begins(bits.position(), out.at);
                    self.header(&mut bits)?;
                }
                State::Stored(left) => {
                    let rest = bits.rest();
                    let now = left.min(out.bytes.len() - out.at);
                    let stored = rest.get(..now).ok_or(Fault::Truncated)?;
                    out.bytes[out.at..out.at + now].copy_from_slice(stored);
                    out.at += now;
                    bits = Bits::new(input, (input.len() - rest.len() + now) as u64 * 8);
                    self.state = match left - now {
                        0 => self.behind_block(),
                        left => State::Stored(left),
                    };
                }
                State::Codes => {
                    let is_end = self.fast(&mut bits, out)? || self.careful(&mut bits, out)?;
                    if is_end {
                        self.state = self.behind_block();
                    }
                }
                State::End => {}
            }
        }
        Ok(bits.position())
    }

    fn behind_block(&self) -> State {
        match self.is_final {
            true => State::End,
            false => State::Header,
        }
    }

    fn header(&mut self, bits: &mut Bits<'_>) -> Result<(), Fault> {
        self.is_final = bits.take(1)? == 1;
        self.state = match bits.take(2)? {
            0 => {
                bits.align();
                let (length, complement) = (bits.take(16)?, bits.take(16)?);
                if length != complement ^ 0xffff {
                    return Err(Fault::Corrupt);
                }
                match length {
                    0 => self.behind_block(),
                    length => State::Stored(length as usize),
                }
            }
            1 => {
                if !self.is_fixed {
                    self.make_fixed()?;
                }
                State::Codes
            }
            2 => {
                self.is_fixed = false;
                self.read_codes(bits)?;
                State::Codes
            }
            _ => return Err(Fault::Corrupt),
        };
        Ok(())
    }

    fn make_fixed(&mut self) -> Result<(), Fault> {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.is_fixed = true;
        make_table(&lengths, &LITLEN_SYMBOLS, LITLEN_BITS, &mut self.litlen[..])?;
        make_table(
            &[5; 32],
            &DISTANCE_SYMBOLS,
            DISTANCE_BITS,
            &mut self.distances[..],
        )
    }

    /// Reads the codes of a block with codes of its own.
    fn read_codes(&mut self, bits: &mut Bits<'_>) -> Result<(), Fault> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        const INDEX_BITS: u32 = 7;
        const LAST: usize = 256;
        let litlens = bits.take(5)? as usize + 257;
        let distances = bits.take(5)? as usize + 1;
        let given = bits.take(4)? as usize + 4;
        if litlens > 286 || distances > 30 {
            return Err(Fault::Corrupt);
        }
        let mut lengths = [0u8; 19];
        for at in &ORDER[..given] {
            lengths[*at] = bits.take(3)? as u8;
        }
        let mut table = [0u32; 1 << INDEX_BITS];
        make_table(&lengths, &LENGTH_SYMBOLS, INDEX_BITS, &mut table)?;
        let mut lengths = [0u8; 286 + 30];
        let (mut at, end) = (0, litlens + distances);
        while at < end {
            bits.refill();
            let entry = table[bits.word as usize & ((1 << INDEX_BITS) - 1)];
            bits.consume(entry)?;
            if entry & EXCEPTIONAL != 0 {
                return Err(Fault::Corrupt);
            }
            let (value, times) = match entry >> 16 {
                16 if at == 0 => return Err(Fault::Corrupt),
                16 => (lengths[at - 1], 3 + bits.take(2)?),
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (length as u8, 1),
            };
            let to = at + times as usize;
            if to > end {
                return Err(Fault::Corrupt);
            }
            lengths[at..to].fill(value);
            at = to;
        }
        if lengths[LAST] == 0 {
            return Err(Fault::Corrupt);
        }
        let (litlens, distances) = lengths[..end].split_at(litlens);
        make_table(litlens, &LITLEN_SYMBOLS, LITLEN_BITS, &mut self.litlen[..])?;
        make_table(
            distances,
            &DISTANCE_SYMBOLS,
            DISTANCE_BITS,
            &mut self.distances[..],
        )
    }

    /// Goes on while the ends of input and output are far away; whether it came to the end of the block.
    #[inline(never)]
    fn fast(&self, bits: &mut Bits<'_>, out: &mut Output<'_>) -> Result<bool, Fault> {
        let (litlen, distances) = (&*self.litlen, &*self.distances);
        let (input, start) = (bits.input, out.start);
        let (mut word, mut count, mut next) = (bits.word, bits.count, bits.next);
        let mut at = out.at;
        let bytes = &mut *out.bytes;
        // A round reads from at most two places.
        let ends = (bytes.len().checked_sub(ROOM), input.len().checked_sub(16));
        let (Some(last), Some(last_next)) = ends else {
            return Ok(false);
        };
        // Fills the word up to at least 56 bits. What is above `count` are bits of the input too: to bring them in
        // once more changes nothing.
        macro_rules! refill {
            () => {
                let chunk = input.get(next..).and_then(<[u8]>::first_chunk);
                word |= u64::from_le_bytes(*chunk.ok_or(Fault::Truncated)?) << count;
                next += (63 - count as usize) >> 3;
                count |= 56;
            };
        }
        macro_rules! consume {
            ($bits:expr) => {
                word >>= $bits & 0x3f;
                count -= $bits & 0x3f;
            };
        }
        macro_rules! literal {
            ($entry:expr) => {
                consume!($entry);
                bytes[at] = ($entry >> 16) as u8;
                at += 1;
            };
        }
        let is_end = loop {
            if at > last || next > last_next {
                break false;
            }
            refill!();
            let mut entry = litlen[word as usize & ((1 << LITLEN_BITS) - 1)];
            // Three literals of the table and the longest length take no more than the word has.
            if entry & LITERAL != 0 {
                literal!(entry);
                entry = litlen[word as usize & ((1 << LITLEN_BITS) - 1)];
                if entry & LITERAL != 0 {
                    literal!(entry);
                    entry = litlen[word as usize & ((1 << LITLEN_BITS) - 1)];
                    if entry & LITERAL != 0 {
                        literal!(entry);
                        continue;
                    }
                }
            }
            if entry & EXCEPTIONAL != 0 {
                if entry & SUBTABLE != 0 {
                    consume!(entry);
                    entry = litlen[subtable_index(entry, word) & (LITLEN_SIZE - 1)];
                }
                if entry & LITERAL != 0 {
                    literal!(entry);
                    continue;
                }
                if entry & EXCEPTIONAL != 0 {
                    consume!(entry);
                    if entry & END == 0 {
                        return Err(Fault::Corrupt);
                    }
                    break true;
                }
            }
            let length = value(entry, word);
            consume!(entry);
            if count < DISTANCE_MOST {
                refill!();
            }
            let mut entry = distances[word as usize & ((1 << DISTANCE_BITS) - 1)];
            if entry & EXCEPTIONAL != 0 {
                if entry & SUBTABLE != 0 {
                    consume!(entry);
                    entry = distances[subtable_index(entry, word) & (DISTANCE_SIZE - 1)];
                }
                if entry & EXCEPTIONAL != 0 {
                    return Err(Fault::Corrupt);
                }
            }
            let distance = value(entry, word);
            consume!(entry);
            if distance > at - start {
                return Err(Fault::Corrupt);
            }
            copy_match(bytes, at, distance, length);
            at += length;
        };
        (bits.word, bits.count, bits.next) = (word, count, next);
        out.at = at;
        Ok(is_end)
    }

    /// The same wherever the input ends.
    fn careful(&self, bits: &mut Bits<'_>, out: &mut Output<'_>) -> Result<bool, Fault> {
        while out.at + ROOM <= out.bytes.len() {
            let (entry, length) = bits.symbol(&self.litlen[..], LITLEN_BITS)?;
            if entry & LITERAL != 0 {
                out.bytes[out.at] = (entry >> 16) as u8;
                out.at += 1;
                continue;
            }
            if entry & EXCEPTIONAL != 0 {
                return match entry & END {
                    0 => Err(Fault::Corrupt),
                    _ => Ok(true),
                };
            }
            let (entry, distance) = bits.symbol(&self.distances[..], DISTANCE_BITS)?;
            if entry & EXCEPTIONAL != 0 || distance > out.at - out.start {
                return Err(Fault::Corrupt);
            }
            copy_match(out.bytes, out.at, distance, length);
            out.at += length;
        }
        Ok(false)
    }
}

/// Where an entry of a subtable is; the index bits of the table before it are consumed.
#[inline(always)]
fn subtable_index(entry: u32, word: u64) -> usize {
    (entry >> 16) as usize + (word as usize & ((1 << (entry >> 8 & 0xf)) - 1))
}

/// A length or distance with its extra bits, which are behind the code.
#[inline(always)]
fn value(entry: u32, word: u64) -> usize {
    let taken = word & ((1 << (entry & 0x3f)) - 1);
    (entry >> 16) as usize + (taken >> (entry >> 8 & 0xf)) as usize
}

/// Copies a match in whole chunks, up to two [`CHUNK`]s too many.
#[inline(always)]
fn copy_match(bytes: &mut [u8], at: usize, distance: usize, length: usize) {
    let from = at - distance;
    if distance >= CHUNK {
        // Most matches are no longer than two chunks, and which are is hard to foretell.
        copy_chunk(bytes, from, at);
        copy_chunk(bytes, from + CHUNK, at + CHUNK);
        for done in (2 * CHUNK..length).step_by(CHUNK) {
            copy_chunk(bytes, from + done, at + done);
        }
    } else if distance == 1 {
        let byte = bytes[from];
        bytes[at..at + length].fill(byte);
    } else {
        for done in 0..length {
            bytes[at + done] = bytes[from + done];
        }
    }
}

#[inline(always)]
fn copy_chunk(bytes: &mut [u8], from: usize, to: usize) {
    let mut chunk = [0; CHUNK];
    chunk.copy_from_slice(&bytes[from..from + CHUNK]);
    bytes[to..to + CHUNK].copy_from_slice(&chunk);
}

/// The input by bits.
struct Bits<'i> {
    input: &'i [u8],
    /// The bits that come next, the lowest first.
    word: u64,
    /// How many of them count.
    count: u32,
    /// The byte of the input behind them.
    next: usize,
}

impl<'i> Bits<'i> {
    fn new(input: &'i [u8], bit: u64) -> Self {
        let mut bits = Self {
            input,
            word: 0,
            count: 0,
            next: (bit / 8) as usize,
        };
        bits.refill();
        let before = (bit % 8) as u32;
        bits.word >>= before;
        bits.count = bits.count.saturating_sub(before);
        bits
    }

    /// The next bit in the input.
    fn position(&self) -> u64 {
        self.next as u64 * 8 - u64::from(self.count)
    }

    /// What comes after whole bytes.
    fn rest(&self) -> &'i [u8] {
        &self.input[self.next - (self.count / 8) as usize..]
    }

    fn refill(&mut self) {
        while self.count < 56
            && let Some(byte) = self.input.get(self.next)
        {
            self.word |= u64::from(*byte) << self.count;
            self.count += 8;
            self.next += 1;
        }
    }

    fn consume(&mut self, entry: u32) -> Result<(), Fault> {
        let bits = entry & 0x3f;
        self.count = self.count.checked_sub(bits).ok_or(Fault::Truncated)?;
        self.word >>= bits;
        Ok(())
    }

    /// A number of at most 16 bits.
    fn take(&mut self, bits: u32) -> Result<u32, Fault> {
        self.refill();
        let value = self.word as u32 & ((1 << bits) - 1);
        self.consume(bits)?;
        Ok(value)
    }

    /// Passes over the rest of a byte.
    fn align(&mut self) {
        let rest = self.count % 8;
        self.word >>= rest;
        self.count -= rest;
    }

    /// The next entry of a table, and its value.
    fn symbol(&mut self, table: &[u32], index_bits: u32) -> Result<(u32, usize), Fault> {
        self.refill();
        let mut entry = table[self.word as usize & ((1 << index_bits) - 1)];
        if entry & EXCEPTIONAL != 0 && entry & SUBTABLE != 0 {
            self.consume(entry)?;
            entry = table[subtable_index(entry, self.word)];
        }
        let value = value(entry, self.word);
        self.consume(entry)?;
        Ok((entry, value))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
