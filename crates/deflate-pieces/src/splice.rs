//! A file cut out of a stream that has other things too.

use std::io::{self, Write};
use std::ops::Range;

use crate::bits::{BitWriter, peek};
use crate::blocks::Block;
use crate::join::deflate_behind;

/// How far back deflate can refer, in bytes.
const WINDOW: u64 = 32 << 10;

/// Files smaller than this are deflated anew, for their edges outweigh what can be copied.
pub const MIN_SPLICE: u64 = 64 << 10;

/// How much is deflated at once.
const CHUNK: u64 = 256 << 10;

/// Writes a piece with the content of `file`, a range of what `stream` inflates to. Blocks inside of it are copied,
/// the edges are deflated at `level`. Returns how many bytes the copied blocks inflate to; 0 means that there were none
/// worth it and all was deflated anew.
///
/// `blocks` are those that a [`BlockReader`](crate::BlockReader) found; `content` fills a buffer with what the stream
/// inflates to from an offset on.
///
/// # Errors
/// When `content` or writing fails.
pub fn splice<W: Write>(
    stream: &[u8],
    blocks: &[Block],
    file: Range<u64>,
    content: &dyn Fn(u64, &mut [u8]) -> io::Result<()>,
    level: u32,
    out: &mut W,
) -> io::Result<u64> {
    let inner = inner(stream, blocks, &file);
    let ends = inner.first().zip(inner.last());
    let Some((first, last)) = ends.filter(|(first, last)| last.output - first.output >= MIN_SPLICE / 2)
    else {
        deflate_range(file.clone(), file.start, content, level, out)?;
        return Ok(0);
    };
    deflate_range(file.start..first.output, file.start, content, level, out)?;
    let mut writer = BitWriter::new(out);
    for pair in inner.windows(2) {
        copy_block(stream, pair[0].bit, pair[1].bit, &mut writer)?;
    }
    writer.finish()?;
    deflate_range(last.output..file.end, file.start, content, level, out)?;
    Ok(last.output - first.output)
}

/// The longest run of blocks that begin inside of the file and cannot refer to what is before it: all but the last
/// are to be copied.
fn inner<'b>(stream: &[u8], blocks: &'b [Block], file: &Range<u64>) -> &'b [Block] {
    let from = blocks.partition_point(|block| block.output < file.start + WINDOW);
    let to = blocks.partition_point(|block| block.output <= file.end);
    let inside = blocks.get(from..to).unwrap_or_default();
    // A member ends with a final block, which cannot be copied; the next one begins anew behind a header.
    let Some(first) = inside.first() else {
        return inside;
    };
    let same_member = inside.partition_point(|block| block.member == first.member);
    let not_final = inside[..same_member]
        .iter()
        .position(|block| peek(stream, block.bit) & 1 == 1)
        .map_or(same_member, |at| at + 1);
    &inside[..not_final]
}

/// Copies a block. A stored block's content begins on a byte boundary of the stream it is in, so it is written anew.
fn copy_block<W: Write>(stream: &[u8], start: u64, end: u64, out: &mut BitWriter<'_, W>) -> io::Result<()> {
    const STORED: u64 = 0;
    if (peek(stream, start) >> 1) & 0b11 != STORED {
        return out.copy(stream, start, end);
    }
    let length_at = (start + 3).div_ceil(8) as usize;
    let end = (end / 8) as usize;
    out.stored(stream.get(length_at + 4..end).unwrap_or_default())
}

/// Deflates a part of a file, which may refer to the part of the file before it.
fn deflate_range<W: Write>(
    part: Range<u64>,
    file_start: u64,
    content: &dyn Fn(u64, &mut [u8]) -> io::Result<()>,
    level: u32,
    out: &mut W,
) -> io::Result<()> {
    if part.is_empty() {
        return Ok(());
    }
    let (mut at, mut buffer, mut deflated) = (part.start, Vec::new(), Vec::new());
    while at < part.end {
        let window = at.saturating_sub(WINDOW).max(file_start);
        let end = part.end.min(at + CHUNK);
        buffer.resize((end - window) as usize, 0);
        content(window, &mut buffer)?;
        deflate_behind(&buffer, (at - window) as usize, level, &mut deflated)?;
        out.write_all(&deflated)?;
        deflated.clear();
        at = end;
    }
    Ok(())
}
