//! One gzip member out of a slice, with a limit on what it inflates to.
//!
//! The sections of a package are told apart by where a member ends, so the end must be exact: this is why the
//! header and trailer are read here (RFC 1952) and only the deflate stream is left to the library.

use std::io::Write;

use flate2::{Compression, Crc, Decompress, FlushDecompress, GzBuilder, Status};

use crate::Problem;

/// How much input is given to the inflater at once: small enough that its output is in the cache when it is summed up.
const CHUNK: usize = 64 << 10;

/// Deflate cannot shrink data by more than this factor.
const MAX_RATIO: usize = 1032;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Inflates the member at the start of `input` and appends its content to `out`, which may grow up to `limit`
/// bytes. Returns the compressed length.
pub(crate) fn inflate_member(
    section: &'static str,
    input: &[u8],
    out: &mut Vec<u8>,
    limit: u64,
) -> Result<usize, Problem> {
    let mut position = header_length(section, input)?;
    let mut inflater = Decompress::new(false);
    let mut crc = Crc::new();
    let content_start = out.len();
    loop {
        if out.len() == out.capacity() {
            grow(section, out, input.len(), limit)?;
        }
        let chunk = &input[position..input.len().min(position + CHUNK)];
        let (in_before, out_before) = (inflater.total_in(), out.len());
        let status = inflater
            .decompress_vec(chunk, out, FlushDecompress::None)
            .map_err(|_| Problem::Corrupt { section })?;
        position += (inflater.total_in() - in_before) as usize;
        crc.update(&out[out_before..]);
        if out.len() as u64 > limit {
            return Err(Problem::TooLarge { section, limit });
        }
        match status {
            Status::StreamEnd => break,
            _ if position == input.len() && out.len() < out.capacity() => {
                return Err(Problem::Truncated { section });
            }
            _ => {}
        }
    }
    let trailer = input
        .get(position..position + 8)
        .ok_or(Problem::Truncated { section })?;
    let length = (out.len() - content_start) as u32;
    if trailer[..4] != crc.sum().to_le_bytes() || trailer[4..] != length.to_le_bytes() {
        return Err(Problem::Corrupt { section });
    }
    Ok(position + 8)
}

/// Inflates all members of `input`, which must be whole and nothing else; the reference's data sections may
/// have several.
///
/// `section` is what errors call the input, `limit` the most bytes it may inflate to.
pub fn inflate(section: &'static str, input: &[u8], limit: u64) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::new();
    let stated = input
        .last_chunk::<4>()
        .map_or(0, |size| u32::from_le_bytes(*size)) as usize;
    let plausible = stated.min(input.len().saturating_mul(MAX_RATIO));
    if stated as u64 <= limit {
        // One byte to spare: a full buffer would be taken for one that must grow.
        reserve(section, &mut out, plausible + 1)?;
    }
    let mut rest = input;
    loop {
        let length = inflate_member(section, rest, &mut out, limit)?;
        rest = &rest[length..];
        if rest.is_empty() {
            return Ok(out);
        }
        if !rest.starts_with(&MAGIC) {
            return Err(Problem::TrailingGarbage {
                section,
                bytes: rest.len(),
            });
        }
    }
}

/// Makes room for more, by doubling, but not beyond one byte more than the limit.
fn grow(section: &'static str, out: &mut Vec<u8>, input: usize, limit: u64) -> Result<(), Problem> {
    let room = usize::try_from(limit.saturating_add(1))
        .unwrap_or(usize::MAX)
        .saturating_sub(out.len());
    let wanted = out.len().max(input.saturating_mul(2)).clamp(1 << 12, 1 << 28);
    match wanted.min(room) {
        0 => Err(Problem::TooLarge { section, limit }),
        wanted => reserve(section, out, wanted),
    }
}

fn reserve(section: &'static str, out: &mut Vec<u8>, wanted: usize) -> Result<(), Problem> {
    out.try_reserve_exact(wanted)
        .map_err(|_| Problem::OutOfMemory { section })
}

/// The length of the member's header.
fn header_length(section: &'static str, input: &[u8]) -> Result<usize, Problem> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;

    let truncated = || Problem::Truncated { section };
    if !input.starts_with(&MAGIC[..input.len().min(2)]) {
        return Err(Problem::NotGzip { section });
    }
    let fixed = input.first_chunk::<10>().ok_or_else(truncated)?;
    let flags = fixed[3];
    if fixed[2] != 8 || flags & RESERVED != 0 {
        return Err(Problem::NotGzip { section });
    }
    let mut length = fixed.len();
    if flags & EXTRA != 0 {
        let size = input.get(length..length + 2).ok_or_else(truncated)?;
        length += 2 + usize::from(u16::from_le_bytes([size[0], size[1]]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let rest = input.get(length..).ok_or_else(truncated)?;
            length += 1 + rest.iter().position(|byte| *byte == 0).ok_or_else(truncated)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        length += 2;
    }
    if length > input.len() {
        return Err(truncated());
    }
    Ok(length)
}

/// How hard control and signature sections are compressed: what both tools do.
const LEVEL: u32 = 6;

/// Compresses a whole section, with a header that is the same everywhere and always: no time, no name, unknown
/// system.
pub fn deflate(content: &[u8]) -> Vec<u8> {
    const UNKNOWN_SYSTEM: u8 = 255;
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(UNKNOWN_SYSTEM)
        .write(Vec::new(), Compression::new(LEVEL));
    // Writing to memory cannot fail.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}
