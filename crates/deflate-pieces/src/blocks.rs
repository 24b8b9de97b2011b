//! Inflating, with a note of where each block begins.

use std::io::{self, BufRead, Read};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The window is a part of it; a power of two, as the inflater asks.
const RING: usize = 256 << 10;

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

/// Inflates all gzip members of a slice, one after the other. Uses 256 KiB, and 24 bytes for each block.
///
/// Errors are [`InflateError`] inside of [`io::Error`].
pub struct BlockReader<'a> {
    input: &'a [u8],
    position: usize,
    inflater: Box<DecompressorOxide>,
    ring: Box<[u8]>,
    /// What was inflated and not consumed yet: a part of the ring.
    start: usize,
    end: usize,
    output: u64,
    blocks: Vec<Block>,
    member: u32,
    member_start: u64,
    crc: crc32fast::Hasher,
    inside: bool,
}

impl<'a> BlockReader<'a> {
    /// Starts at the first byte of `input`, which must be a gzip member.
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            position: 0,
            inflater: Box::default(),
            ring: vec![0; RING].into_boxed_slice(),
            start: 0,
            end: 0,
            output: 0,
            blocks: Vec::new(),
            member: 0,
            member_start: 0,
            crc: crc32fast::Hasher::new(),
            inside: false,
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

    fn note_block(&mut self, bit: u64) {
        self.blocks.push(Block {
            output: self.output,
            bit,
            member: self.member,
        });
    }

    /// Inflates some more; nothing at the end of the input.
    fn inflate(&mut self) -> Result<(), InflateError> {
        while self.start == self.end {
            if !self.inside && !self.begin_member()? {
                return Ok(());
            }
            let at = self.end % RING;
            let input = &self.input[self.position..];
            let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
            let (status, read, written) = decompress(&mut self.inflater, input, &mut self.ring, at, flags);
            self.position += read;
            (self.start, self.end) = (at, at + written);
            self.output += written as u64;
            self.crc.update(&self.ring[at..at + written]);
            match status {
                TINFLStatus::BlockBoundary => {
                    let unread = self
                        .inflater
                        .block_boundary_state()
                        .map_or(0, |state| state.num_bits);
                    self.note_block(self.position as u64 * 8 - u64::from(unread));
                }
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Done => self.end_member()?,
                TINFLStatus::NeedsMoreInput | TINFLStatus::FailedCannotMakeProgress => {
                    return Err(InflateError::Truncated(self.input.len()));
                }
                _ => return Err(InflateError::Corrupt(self.position)),
            }
        }
        Ok(())
    }

    fn begin_member(&mut self) -> Result<bool, InflateError> {
        if self.position == self.input.len() {
            return match self.position {
                0 => Err(InflateError::Truncated(0)),
                _ => Ok(false),
            };
        }
        self.position += header_length(&self.input[self.position..], self.position)?;
        self.inflater.init();
        self.crc = crc32fast::Hasher::new();
        self.member_start = self.output;
        self.note_block(self.position as u64 * 8);
        self.inside = true;
        Ok(true)
    }

    fn end_member(&mut self) -> Result<(), InflateError> {
        let trailer = self
            .input
            .get(self.position..self.position + 8)
            .ok_or(InflateError::Truncated(self.input.len()))?;
        let length = (self.output - self.member_start) as u32;
        let crc = std::mem::take(&mut self.crc).finalize();
        if trailer[..4] != crc.to_le_bytes() || trailer[4..] != length.to_le_bytes() {
            return Err(InflateError::Corrupt(self.position));
        }
        self.position += 8;
        self.member += 1;
        self.inside = false;
        Ok(())
    }
}

impl BufRead for BlockReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inflate()?;
        Ok(&self.ring[self.start..self.end])
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
