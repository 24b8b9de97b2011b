//! Deflating fast: greedy matches out of a table with the last place of each hash, and a code of its own for each block.
//!
//! It takes two thirds of the time of zlib-rs at level 2, for a size that is a thirtieth larger.

use crate::codes::{Codes, SEQUENCE_END};

/// The levels it stands for.
pub(crate) const LEVELS: std::ops::RangeInclusive<u32> = 1..=2;

const WINDOW: usize = 32 << 10;

/// The shortest match that is looked for, and the longest that can be written.
const SHORTEST: usize = 4;
const LONGEST: usize = 258;

/// How much is compared at once.
const WORD: usize = 8;

const HASH_BITS: u32 = 15;

/// How many matches a block has at most, and how many bytes.
const BLOCK_MATCHES: usize = 12 << 10;
const BLOCK_LENGTH: usize = 128 << 10;

/// Literals, and then a match; its length is 0 at the end of a block.
#[derive(Clone, Copy)]
pub(crate) struct Sequence {
    pub(crate) literals: u32,
    pub(crate) length: u16,
    /// The distance less one.
    pub(crate) distance: u16,
}

/// The last place that a hash was seen at, plus one.
type Table = [u32; 1 << HASH_BITS];

/// Deflates `content[start..]`, which may refer to what is before it, into blocks that are not final and end on a byte
/// boundary, behind what is in `out`.
pub(crate) fn deflate(content: &[u8], start: usize, out: &mut Vec<u8>) {
    let mut finder = Finder {
        content,
        table: Box::new([0; 1 << HASH_BITS]),
    };
    for at in (start.saturating_sub(WINDOW)..start.saturating_sub(SHORTEST)).step_by(2) {
        finder.note(at);
    }
    let mut codes = Codes::new(out);
    let mut sequences = Vec::with_capacity(BLOCK_MATCHES + 1);
    let mut at = start;
    while at < content.len() {
        let block = at;
        at = finder.block(block, &mut sequences);
        codes.block(&content[block..at], &sequences);
        sequences.clear();
    }
    codes.finish();
}

struct Finder<'c> {
    content: &'c [u8],
    table: Box<Table>,
}

impl Finder<'_> {
    /// Takes apart a block that begins at a place; where it ends.
    fn block(&mut self, start: usize, sequences: &mut Vec<Sequence>) -> usize {
        let content = self.content;
        let block_end = content.len().min(start + BLOCK_LENGTH);
        // Behind it there is no room for a word.
        let last = content.len().saturating_sub(WORD - 1).min(block_end);
        let (mut at, mut literals) = (start, start);
        while at < last && sequences.len() < BLOCK_MATCHES {
            let (length, distance) = self.find(at);
            if length == 0 {
                // The longer nothing was found, the less is looked for.
                at += 1 + ((at - literals) >> 6);
                continue;
            }
            sequences.push(Sequence {
                literals: (at - literals) as u32,
                length: length as u16,
                distance: (distance - 1) as u16,
            });
            self.note(at + 1);
            self.note(at + length - 1);
            at += length;
            literals = at;
        }
        // A match may lead beyond the block's end, and so may a step.
        let end = match sequences.len() < BLOCK_MATCHES {
            true => at.clamp(block_end, content.len()),
            false => literals,
        };
        sequences.push(Sequence {
            literals: (end - literals) as u32,
            length: SEQUENCE_END,
            distance: 0,
        });
        end
    }

    /// The length of a match at a place, and its distance; 0 if there is none.
    #[inline(always)]
    fn find(&mut self, at: usize) -> (usize, usize) {
        let word = word(self.content, at);
        let slot = &mut self.table[hash(word)];
        // A place that is none is before all others, and too far away: 0 less one.
        let place = (*slot as usize).wrapping_sub(1);
        *slot = at as u32 + 1;
        let distance = at.wrapping_sub(place);
        if distance <= WINDOW && place < at && self::word(self.content, place) as u32 == word as u32 {
            return (common(self.content, place, at), distance);
        }
        (0, 0)
    }

    #[inline(always)]
    fn note(&mut self, at: usize) {
        self.table[hash(word(self.content, at))] = at as u32 + 1;
    }
}

/// Eight bytes at a place; zeros if there are not so many.
#[inline(always)]
fn word(content: &[u8], at: usize) -> u64 {
    let bytes = content.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Of the first four bytes.
#[inline(always)]
fn hash(word: u64) -> usize {
    ((word as u32).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

/// How many bytes are the same at two places, which begin with the same word of four.
#[inline(always)]
fn common(content: &[u8], a: usize, b: usize) -> usize {
    let most = LONGEST.min(content.len() - b);
    let mut length = SHORTEST;
    while length + WORD <= most {
        let difference = word(content, a + length) ^ word(content, b + length);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += WORD;
    }
    while length < most && content[a + length] == content[b + length] {
        length += 1;
    }
    length
}
