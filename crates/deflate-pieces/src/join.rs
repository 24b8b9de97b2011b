//! Pieces, and the gzip member made of them.

use std::io::{self, Write};

use flate2::{Compress, Compression, FlushCompress};

use crate::fast;

/// What must be known of a run of deflate blocks to join it with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How many bytes it inflates to.
    pub length: u64,
    /// Their CRC-32.
    pub crc: u32,
}

impl Piece {
    /// Of a content in memory.
    pub fn of(content: &[u8]) -> Self {
        Self {
            length: content.len() as u64,
            crc: crc32fast::hash(content),
        }
    }
}

/// Deflates a content into a piece that ends on a byte boundary. It may refer to `dictionary`, which must come right before it
/// wherever it is used; an empty one makes a piece that goes anywhere.
///
/// Level 0 stores; 1 and 2 are the same and fast; the others are those of zlib.
///
/// # Errors
/// None for valid levels, 0 to 9.
pub fn deflate(content: &[u8], dictionary: &[u8], level: u32) -> io::Result<(Vec<u8>, Piece)> {
    let mut out = Vec::with_capacity(content.len() / 3 + 64);
    match dictionary {
        [] => deflate_behind(content, 0, level, &mut out)?,
        _ => deflate_behind(&[dictionary, content].concat(), dictionary.len(), level, &mut out)?,
    }
    Ok((out, Piece::of(content)))
}

/// Deflates `content[start..]`, which may refer to what is before it, behind what is in `out`.
pub(crate) fn deflate_behind(content: &[u8], start: usize, level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    if fast::LEVELS.contains(&level) {
        fast::deflate(content, start, out);
        return Ok(());
    }
    let (dictionary, mut content) = content.split_at(start);
    let mut stream = Compress::new(Compression::new(level.min(9)), false);
    if !dictionary.is_empty() {
        stream.set_dictionary(dictionary).map_err(io::Error::other)?;
    }
    loop {
        out.reserve((content.len() / 2).clamp(64, 1 << 20));
        let before = stream.total_in();
        stream
            .compress_vec(content, out, FlushCompress::Sync)
            .map_err(io::Error::other)?;
        content = &content[(stream.total_in() - before) as usize..];
        // Room left over is how the library says that it has nothing more to give.
        if content.is_empty() && out.len() < out.capacity() {
            return Ok(());
        }
    }
}

/// Writes a gzip member made of pieces. Its header is the same everywhere and always: no time, no name, unknown
/// system.
pub struct Joiner<W> {
    out: W,
    crc: crc32fast::Hasher,
    length: u64,
}

impl<W: Write> Joiner<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When writing fails.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        Ok(Self {
            out,
            crc: crc32fast::Hasher::new(),
            length: 0,
        })
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// When writing fails.
    pub fn append(&mut self, deflated: &[u8], piece: Piece) -> io::Result<()> {
        self.note(piece);
        self.out.write_all(deflated)
    }

    /// Takes note of a piece whose bytes are written into [`Joiner::out`] beside it.
    pub fn note(&mut self, piece: Piece) {
        self.crc
            .combine(&crc32fast::Hasher::new_with_initial_len(piece.crc, piece.length));
        self.length += piece.length;
    }

    /// What it writes into.
    pub fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the member with an empty final block and the trailer.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[3, 0])?;
        self.out.write_all(&self.crc.finalize().to_le_bytes())?;
        self.out.write_all(&(self.length as u32).to_le_bytes())?;
        Ok(self.out)
    }
}
