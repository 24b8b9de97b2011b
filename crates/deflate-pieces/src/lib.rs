//! Deflate streams taken apart at file boundaries, and joined again without deflating anew.
//!
//! A [`Piece`] is a run of deflate blocks that stands by itself: it starts and ends on a byte boundary, refers to
//! nothing before its start, and is not final. Pieces in any order, joined by a [`Joiner`], are one valid gzip
//! member (RFC 1951 and 1952). Pieces come from [`deflate`], or by [`splice`] out of a stream that somebody else
//! compressed: [`BlockReader`] inflates that stream and notes where its blocks begin; the blocks that lie inside of a
//! file, and too far from its start to refer to what is before it, are copied bit by bit; only the edges
//! of the file are deflated anew. The same input always gives the same bytes.
//!
//! It reads no archives and opens no files.
//!
//! ```
//! use deflate_pieces::{BlockReader, Joiner, deflate, splice};
//! use std::io::{Read, Write};
//!
//! // A stream of which the bytes from 100 to 900,100 are a file.
//! let text: Vec<u8> = (0..1_000_000u32).map(|i| (i.wrapping_mul(i) >> 13) as u8).collect();
//! let file = 100..900_100u64;
//! let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(9));
//! encoder.write_all(&text)?;
//! let stream = encoder.finish()?;
//!
//! let mut reader = BlockReader::new(&stream);
//! std::io::copy(&mut reader, &mut std::io::sink())?;
//! let content = |offset: u64, buffer: &mut [u8]| {
//!     buffer.copy_from_slice(&text[offset as usize..][..buffer.len()]);
//!     Ok(())
//! };
//! let mut cut = Vec::new();
//! let copied = splice(&stream, reader.blocks(), file.clone(), &content, 6, &mut cut)?;
//! assert!(copied > 0);
//!
//! let mut joiner = Joiner::new(Vec::new())?;
//! let (hello, piece) = deflate(b"hello, ", &[], 6)?;
//! joiner.append(&hello, piece)?;
//! let content = &text[100..900_100];
//! joiner.append(&cut, deflate_pieces::Piece::of(content))?;
//! let joined = joiner.finish()?;
//! let mut out = Vec::new();
//! flate2::read::GzDecoder::new(&joined[..]).read_to_end(&mut out)?;
//! assert_eq!(out, [b"hello, ", content].concat());
//! # Ok::<(), std::io::Error>(())
//! ```

mod bits;
mod blocks;
mod codes;
mod fast;
mod huffman;
mod inflate;
mod join;
mod splice;

pub use blocks::{Block, BlockReader, InflateError};
pub use join::{Joiner, Piece, deflate};
pub use splice::{MIN_SPLICE, splice};
