//! Huffman codes as tables: the next bits of a stream are an index, and the entry says what they mean.
//!
//! An entry has in its bits 0 to 7 how many bits of the stream it takes, extra bits included, in 8 to 11 how many of
//! them are the code, in 12 to 15 and 31 what it is, and in 16 to 30 a value: a literal, the base of a length or
//! distance, or where a subtable begins.

use crate::inflate::Fault;

/// The value is a literal byte.
pub(crate) const LITERAL: u32 = 1 << 31;
/// None of literal, length, and distance; one of the three below.
pub(crate) const EXCEPTIONAL: u32 = 1 << 15;
/// The code goes on in a subtable: the value is its place, bits 8 to 11 are the number of its index bits.
pub(crate) const SUBTABLE: u32 = 1 << 14;
/// The end of the block.
pub(crate) const END: u32 = 1 << 13;
/// Nothing has this code.
const INVALID: u32 = EXCEPTIONAL | 1;

/// The longest code in bits.
const LONGEST: usize = 15;

/// Index bits and sizes of the tables. A complete code of as many symbols as there are needs fewer entries for its
/// subtables than there is room for; a size that is a power of two needs no bounds checks.
pub(crate) const LITLEN_BITS: u32 = 11;
pub(crate) const LITLEN_SIZE: usize = 4096;
pub(crate) const DISTANCE_BITS: u32 = 8;
pub(crate) const DISTANCE_SIZE: usize = 512;

/// The entry's bits for literals, the end, and lengths: without the length of the code.
const fn litlen(symbol: usize) -> u32 {
    const BASES: [u16; 29] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163,
        195, 227, 258,
    ];
    match symbol {
        0..256 => LITERAL | (symbol as u32) << 16,
        256 => EXCEPTIONAL | END,
        257..286 => {
            let at = symbol - 257;
            let extra = match at {
                0..8 | 28 => 0,
                _ => at as u32 / 4 - 1,
            };
            (BASES[at] as u32) << 16 | extra
        }
        _ => EXCEPTIONAL,
    }
}

/// The entry's bits for distances, without the length of the code.
const fn distance(symbol: usize) -> u32 {
    match symbol as u32 {
        at @ 0..4 => (at + 1) << 16,
        at @ 4..30 => {
            let extra = at / 2 - 1;
            (((2 + at % 2) << extra) + 1) << 16 | extra
        }
        _ => EXCEPTIONAL,
    }
}

/// What the symbols of a code mean.
pub(crate) const LITLEN_SYMBOLS: [u32; 288] = {
    let (mut symbols, mut symbol) = ([0; 288], 0);
    while symbol < symbols.len() {
        symbols[symbol] = litlen(symbol);
        symbol += 1;
    }
    symbols
};
pub(crate) const DISTANCE_SYMBOLS: [u32; 32] = {
    let (mut symbols, mut symbol) = ([0; 32], 0);
    while symbol < symbols.len() {
        symbols[symbol] = distance(symbol);
        symbol += 1;
    }
    symbols
};
/// Of the code that the lengths of the others are written in.
pub(crate) const LENGTH_SYMBOLS: [u32; 19] = {
    let (mut symbols, mut symbol) = ([0; 19], 0);
    while symbol < symbols.len() {
        symbols[symbol] = (symbol as u32) << 16;
        symbol += 1;
    }
    symbols
};

/// Makes the table of a canonical code from the lengths of its symbols' codes. As in zlib, a code must be complete, but
/// for one that has a single code of one bit, and one that has none; what has no code then is a fault where it occurs.
pub(crate) fn make_table(
    lengths: &[u8],
    symbols: &[u32],
    index_bits: u32,
    table: &mut [u32],
) -> Result<(), Fault> {
    let mut counts = [0u32; LONGEST + 1];
    lengths
        .iter()
        .for_each(|length| counts[usize::from(*length)] += 1);
    counts[0] = 0;
    let mut next_codes = [0u32; LONGEST + 1];
    let mut code = 0;
    for length in 1..=LONGEST {
        code = (code + counts[length - 1]) << 1;
        next_codes[length] = code;
        if code + counts[length] > 1 << length {
            return Err(Fault::Corrupt);
        }
    }
    let is_complete = code + counts[LONGEST] == 1 << LONGEST;
    if !is_complete {
        if counts[2..].iter().any(|count| *count > 0) {
            return Err(Fault::Corrupt);
        }
        table[..1 << index_bits].fill(INVALID);
    }
    if counts[index_bits as usize + 1..].iter().any(|count| *count > 0) {
        make_subtables(lengths, next_codes, index_bits, table);
    }
    for (length, symbol) in lengths.iter().zip(symbols).filter(|(length, _)| **length > 0) {
        let code = reversed(&mut next_codes, *length);
        let length = u32::from(*length);
        let (first, end, length) = match length.checked_sub(index_bits) {
            None | Some(0) => (code, 1 << index_bits, length),
            Some(rest) => {
                let subtable = table[code & ((1 << index_bits) - 1)];
                let start = (subtable >> 16) as usize;
                (
                    start + (code >> index_bits),
                    start + (1 << (subtable >> 8 & 0xf)),
                    rest,
                )
            }
        };
        // The extra bits are there already.
        let entry = symbol + (length << 8 | length);
        let slots = table[first..end].iter_mut();
        slots.step_by(1 << length).for_each(|slot| *slot = entry);
    }
    Ok(())
}

/// Makes room for the subtables of codes that are longer than an index.
fn make_subtables(lengths: &[u8], mut next_codes: [u32; LONGEST + 1], index_bits: u32, table: &mut [u32]) {
    let mut longest = [0u8; 1 << LITLEN_BITS];
    for length in lengths.iter().filter(|length| **length > 0) {
        let longest = &mut longest[reversed(&mut next_codes, *length) & ((1 << index_bits) - 1)];
        *longest = (*longest).max(*length);
    }
    let mut end = 1 << index_bits;
    for (slot, longest) in table.iter_mut().zip(&longest[..1 << index_bits]) {
        if let Some(bits @ 1..) = u32::from(*longest).checked_sub(index_bits) {
            *slot = end << 16 | EXCEPTIONAL | SUBTABLE | bits << 8 | index_bits;
            end += 1 << bits;
        }
    }
}

/// The next code of a length, in the order of its bits in a stream.
fn reversed(next_codes: &mut [u32; LONGEST + 1], length: u8) -> usize {
    let next = &mut next_codes[usize::from(length)];
    let code = *next;
    *next += 1;
    (code.reverse_bits() >> (32 - u32::from(length))) as usize
}
