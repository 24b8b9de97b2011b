//! Bits in the order of deflate: the lowest bit of a byte comes first.

use std::io::{self, Write};

/// Up to 56 bits of `input` at a place; zeros where the input has ended.
pub(crate) fn peek(input: &[u8], bit: u64) -> u64 {
    let byte = (bit / 8) as usize;
    let word = match input.get(byte..byte + 8) {
        Some(bytes) => bytes.try_into().map_or(0, u64::from_le_bytes),
        None => {
            let mut padded = [0; 8];
            let rest = input.get(byte..).unwrap_or_default();
            padded[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(padded)
        }
    };
    (word >> (bit % 8)) & MASK
}

const MASK: u64 = (1 << STEP) - 1;

/// How many bits go at once: seven bytes, so that up to seven waiting bits have room beside them.
const STEP: u64 = 56;

/// Writes bits.
pub(crate) struct BitWriter<'w, W> {
    out: &'w mut W,
    buffer: Vec<u8>,
    waiting: u64,
    /// How many bits wait: fewer than eight.
    count: u32,
}

impl<'w, W: Write> BitWriter<'w, W> {
    const CAPACITY: usize = 64 << 10;

    pub(crate) fn new(out: &'w mut W) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(Self::CAPACITY),
            waiting: 0,
            count: 0,
        }
    }

    /// Copies the bits from `start` to `end`.
    pub(crate) fn copy(&mut self, input: &[u8], start: u64, end: u64) -> io::Result<()> {
        let mut at = start;
        while end - at >= STEP {
            self.waiting |= peek(input, at) << self.count;
            self.buffer.extend_from_slice(&self.waiting.to_le_bytes()[..7]);
            self.waiting >>= STEP;
            at += STEP;
            if self.buffer.len() > Self::CAPACITY - 8 {
                self.flush_buffer()?;
            }
        }
        let rest = end - at;
        self.push(peek(input, at) & ((1 << rest) - 1), rest as u32)
    }

    /// Writes the lowest bits of a value, at most 56.
    fn push(&mut self, value: u64, bits: u32) -> io::Result<()> {
        self.waiting |= value << self.count;
        self.count += bits;
        let bytes = (self.count / 8) as usize;
        self.buffer
            .extend_from_slice(&self.waiting.to_le_bytes()[..bytes]);
        self.waiting = self.waiting.checked_shr(bytes as u32 * 8).unwrap_or(0);
        self.count %= 8;
        Ok(())
    }

    /// Writes a stored block that is not final: at most 65,535 bytes, which begin on a byte boundary. An empty one
    /// brings what follows onto a byte boundary.
    pub(crate) fn stored(&mut self, content: &[u8]) -> io::Result<()> {
        const HEADER: u32 = 3;
        self.push(0, HEADER)?;
        self.push(0, (8 - self.count) % 8)?;
        let length = content.len() as u16;
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&(!length).to_le_bytes());
        self.flush_buffer()?;
        self.out.write_all(content)
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Ends on a byte boundary, by an empty stored block.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.stored(&[])
    }
}
