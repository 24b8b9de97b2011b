//! EROFS: file systems that the kernel mounts as they lie, in the place of tar archives.
//!
//! What is written is the simple part of the format: no compression, no chunks, blocks of 4096 bytes, small contents
//! inline behind their inodes. The order is that of go-erofs, whose bytes the reference's layers have: superblock,
//! data blocks, inodes. See <https://docs.kernel.org/filesystems/erofs.html>.

mod read;
mod write;

pub use read::{ErofsError, ErofsFile, ErofsFileKind, ErofsImage};
pub use write::write_erofs_layer;

const BLOCK_BITS: u8 = 12;
const BLOCK: usize = 1 << BLOCK_BITS;
const MAGIC: u32 = 0xe0f5_e1e2;
const SUPERBLOCK_AT: usize = 1024;
const SUPERBLOCK: usize = 128;
/// Inodes are numbered by the 32 bytes that they begin at.
const SLOT: usize = 32;
const COMPACT: usize = 32;
const EXTENDED: usize = 64;
const DIRENT: usize = 12;
const XATTR_HEADER: usize = 12;
const XATTR_ENTRY: usize = 4;

/// Content in blocks of its own.
const PLAIN: u16 = 0;
/// Content whose end, shorter than a block, lies behind the inode.
const INLINE: u16 = 2;

const KIND: u16 = 0o170_000;
const FIFO: u16 = 0o010_000;
const CHAR_DEVICE: u16 = 0o020_000;
const DIRECTORY: u16 = 0o040_000;
const BLOCK_DEVICE: u16 = 0o060_000;
const REGULAR: u16 = 0o100_000;
const SYMLINK: u16 = 0o120_000;
const SOCKET: u16 = 0o140_000;

/// The prefixes of extended attributes that are numbers on disk.
const XATTR_PREFIXES: [(u8, &str); 5] = [
    (1, "user."),
    (2, "system.posix_acl_access"),
    (3, "system.posix_acl_default"),
    (4, "trusted."),
    (6, "security."),
];
