//! A file tree as a cpio archive, which the kernel unpacks as its first root.

use std::collections::HashMap;
use std::io::{self, Write};

use apk_rootfs::Tree;
use file_content::Content;
use tarball::Kind;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHAR_DEVICE: u32 = 0o020_000;
const BLOCK_DEVICE: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// Writes a tree as a cpio archive of the form `newc`, with the bytes of the Go apko: a record for `.` first, then the
/// members in a layer's order; all owned by root, with time and inode 0. Hard links become files of their own.
pub fn write_cpio(tree: &Tree, out: impl Write) -> io::Result<()> {
    let mut archive = Archive { out, position: 0 };
    let none = Content::default();
    archive.record(".", DIRECTORY | 0o777, (0, 0), &none)?;
    let mut files: HashMap<String, (u32, Content)> = HashMap::new();
    for member in tree.walk() {
        let (header, content) = (member.entry.header, member.entry.content);
        let (path, mode, device) = (header.path.as_str(), header.mode, header.device);
        match header.kind {
            Kind::Directory => archive.record(path, DIRECTORY | mode, (0, 0), &none)?,
            Kind::Symlink => archive.record(path, SYMLINK | 0o777, (0, 0), &header.link.into())?,
            Kind::CharDevice => archive.record(path, CHAR_DEVICE | mode, device, &none)?,
            Kind::BlockDevice => archive.record(path, BLOCK_DEVICE | mode, device, &none)?,
            Kind::Fifo => archive.record(path, FIFO | mode, (0, 0), &none)?,
            Kind::Regular => {
                archive.record(path, REGULAR | mode, (0, 0), &content)?;
                files.insert(header.path, (mode, content));
            }
            // The walk gives no link before its target.
            Kind::Hardlink => {
                if let Some((mode, content)) = files.get(&header.link) {
                    archive.record(path, REGULAR | mode, (0, 0), content)?;
                }
            }
        }
    }
    archive.record("TRAILER!!!", 0, (0, 0), &none)?;
    archive.out.flush()
}

struct Archive<W> {
    out: W,
    position: u64,
}

impl<W: Write> Archive<W> {
    fn record(
        &mut self,
        name: &str,
        mode: u32,
        (major, minor): (u32, u32),
        content: &Content,
    ) -> io::Result<()> {
        let too_large = || io::Error::other(format!("{name} is too large for a cpio archive"));
        let size = u32::try_from(content.len()).map_err(|_| too_large())?;
        let name_size = u32::try_from(name.len() + 1).map_err(|_| too_large())?;
        // Inode, mode, owner, group, links, time, size, device, device of the node, length of the name, checksum.
        let fields = [0, mode, 0, 0, 0, 0, size, 0, 0, major, minor, name_size, 0];
        let mut header = String::from("070701");
        for field in fields {
            header += &format!("{field:08X}");
        }
        self.write(header.as_bytes())?;
        self.write(name.as_bytes())?;
        self.write(&[0])?;
        self.pad()?;
        content.chunks(|chunk| self.write(&chunk))?;
        self.pad()
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.position += data.len() as u64;
        self.out.write_all(data)
    }

    fn pad(&mut self) -> io::Result<()> {
        let padding = (self.position.wrapping_neg() % 4) as usize;
        self.write(&[0; 3][..padding])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_aligned_and_the_trailer_ends_them() {
        let mut tree = Tree::new();
        tree.mkdir("d", 0o1777).unwrap();
        tree.write_file("d/f", "12345", 0o4755).unwrap();
        tree.symlink("f", "d/l").unwrap();
        tree.char_device("null", 0o666, (1, 3)).unwrap();
        let mut archive = Vec::new();
        write_cpio(&tree, &mut archive).unwrap();
        assert_eq!(archive.len() % 4, 0);
        let text = String::from_utf8_lossy(&archive).into_owned();
        let records: Vec<(&str, &str)> = text
            .match_indices("070701")
            .map(|(at, _)| {
                (
                    &text[at + 14..at + 22],
                    text[at + 110..].split('\0').next().unwrap(),
                )
            })
            .collect();
        let wanted = [
            ("000041FF", "."),
            ("000043FF", "d"),
            ("000089ED", "d/f"),
            ("0000A1FF", "d/l"),
            ("000021B6", "null"),
            ("00000000", "TRAILER!!!"),
        ];
        assert_eq!(records, wanted);
    }
}
