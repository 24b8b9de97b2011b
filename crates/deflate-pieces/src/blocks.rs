//! Inflating, with a note of where each block begins.

use std::io::{self, BufRead, Read};

use crate::inflate::{Fault, Inflater, Output, ROOM, WINDOW};

/// How much is inflated at once.
const PART: usize = 256 << 10;

/// Where a deflate block begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The number of bytes that all before it inflates to.
    pub output: u64,
    /// Its place in the input in bits.
    pub bit: u64,
    /// The gzip member it belongs to, from 0. Blocks of different members do not follow each other in the input.
    pub member: u32,
}

/// Why a stream cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// There is no gzip member where one should begin.
    #[error("no gzip stream at byte {0}")]
    NotGzip(usize),
    /// The deflate stream is malformed, or does not have the length and CRC-32 of its trailer.
    #[error("corrupt deflate stream before byte {0}")]
    Corrupt(usize),
    /// The input ends before the stream does.
    #[error("the gzip stream ends too early, at byte {0}")]
    Truncated(usize),
}

impl From<InflateError> for io::Error {
    fn from(error: InflateError) -> Self {
        let kind = match error {
            InflateError::Truncated(_) => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Inflates all gzip members of a slice, one after the other. Uses 320 KiB, and 24 bytes for each block.
///
/// Errors are [`InflateError`] inside of [`io::Error`].
pub struct BlockReader<'a> {
    input: &'a [u8],
    /// The next bit of it.
    bit: u64,
    inflater: Inflater,
    /// The window, and what was inflated behind it.
    buffer: Box<[u8]>,
    /// What was inflated and not consumed yet: a part of the buffer.
    start: usize,
    end: usize,
    /// Where in the buffer this member began; its beginning if that is long ago.
    base: usize,
    output: u64,
    blocks: Vec<Block>,
    member: u32,
    member_start: u64,
    crc: crc32fast::Hasher,
    /// After an error there is nothing to go on with.
    failed: Option<InflateError>,
}

impl<'a> BlockReader<'a> {
    /// Starts at the first byte of `input`, which must be a gzip member.
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            bit: 0,
            inflater: Inflater::new(),
            buffer: vec![0; WINDOW + PART + ROOM].into_boxed_slice(),
            start: 0,
            end: 0,
            base: 0,
            output: 0,
            blocks: Vec::new(),
            member: 0,
            member_start: 0,
            crc: crc32fast::Hasher::new(),
            failed: None,
        }
    }

    /// The blocks that began until now, in their order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// How many bytes of what the stream inflates to were consumed.
    pub fn position(&self) -> u64 {
        self.output - (self.end - self.start) as u64
    }

    /// Inflates some more; nothing at the end of the input.
    fn inflate(&mut self) -> Result<(), InflateError> {
        while self.start == self.end {
            if self.inflater.is_at_end() && !self.begin_member()? {
                return Ok(());
            }
            self.slide();
            let (before, output, member) = (self.end, self.output, self.member);
            let mut out = Output {
                bytes: &mut self.buffer,
                start: self.base,
                at: before,
            };
            let blocks = &mut self.blocks;
            let mut begins = |bit, at: usize| {
                blocks.push(Block {
                    output: output + (at - before) as u64,
                    bit,
                    member,
                });
            };
            let inflated = self.inflater.inflate(self.input, self.bit, &mut out, &mut begins);
            self.end = out.at;
            self.output += (self.end - before) as u64;
            self.bit = inflated.map_err(|fault| match fault {
                Fault::Corrupt => InflateError::Corrupt((self.bit / 8) as usize),
                Fault::Truncated => InflateError::Truncated(self.input.len()),
            })?;
            self.crc.update(&self.buffer[before..self.end]);
            if self.inflater.is_at_end() {
                self.end_member()?;
            }
        }
        Ok(())
    }

    /// Makes room for more behind the window.
    fn slide(&mut self) {
        if self.end + ROOM > self.buffer.len() {
            let gone = self.end - WINDOW;
            self.buffer.copy_within(gone..self.end, 0);
            self.base = self.base.saturating_sub(gone);
            (self.start, self.end) = (WINDOW, WINDOW);
        }
    }

    /// The byte in the input that the next member or trailer begins with.
    fn byte(&self) -> usize {
        self.bit.div_ceil(8) as usize
    }

    fn begin_member(&mut self) -> Result<bool, InflateError> {
        let at = self.byte();
        if at == self.input.len() {
            return match at {
                0 => Err(InflateError::Truncated(0)),
                _ => Ok(false),
            };
        }
        let length = header_length(&self.input[at..], at)?;
        self.bit = (at + length) as u64 * 8;
        self.inflater.begin();
        self.crc = crc32fast::Hasher::new();
        self.member_start = self.output;
        self.base = self.end;
        Ok(true)
    }

    fn end_member(&mut self) -> Result<(), InflateError> {
        let at = self.byte();
        let trailer = self
            .input
            .get(at..at + 8)
            .ok_or(InflateError::Truncated(self.input.len()))?;
        let length = (self.output - self.member_start) as u32;
        let crc = std::mem::take(&mut self.crc).finalize();
        if trailer[..4] != crc.to_le_bytes() || trailer[4..] != length.to_le_bytes() {
            return Err(InflateError::Corrupt(at));
        }
        self.bit = (at + 8) as u64 * 8;
        self.member += 1;
        Ok(())
    }
}

impl BufRead for BlockReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        if let Err(error) = self.inflate() {
            self.failed = Some(error);
            return Err(error.into());
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start = self.end.min(self.start + amount);
    }
}

impl Read for BlockReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// The length of the header of a gzip member; `position` is for errors.
fn header_length(input: &[u8], position: usize) -> Result<usize, InflateError> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;

    let truncated = InflateError::Truncated(position + input.len());
    let magic = [0x1f, 0x8b, 8];
    if !input.starts_with(&magic[..input.len().min(3)]) {
        return Err(InflateError::NotGzip(position));
    }
    let fixed = input.first_chunk::<10>().ok_or(truncated)?;
    let flags = fixed[3];
    if flags & RESERVED != 0 {
        return Err(InflateError::NotGzip(position));
    }
    let mut length = fixed.len();
    if flags & EXTRA != 0 {
        let size = input.get(length..length + 2).ok_or(truncated)?;
        length += 2 + usize::from(u16::from_le_bytes([size[0], size[1]]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let rest = input.get(length..).ok_or(truncated)?;
            length += 1 + rest.iter().position(|byte| *byte == 0).ok_or(truncated)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        length += 2;
    }
    if length > input.len() {
        return Err(truncated);
    }
    Ok(length)
}
