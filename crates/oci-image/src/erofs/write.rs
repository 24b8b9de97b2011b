//! Writing a file system in one pass: everything is planned before the first byte goes out.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::ops::Range;

use file_content::Content;
use tarball::{Entry, Header, Kind};

use super::*;
use crate::digest::Hashing;
use crate::layer::LayerError;
use crate::{Descriptor, Layer, media_type};

const XATTR: &str = "SCHILY.xattr.";
const ZEROS: [u8; BLOCK] = [0; BLOCK];
const ROOT: usize = 0;

/// Writes a file system of the members of a layer: each after the directory it is in. Hard links become files of
/// their own, as with the reference. `build_time` in seconds since 1970 is that of the superblock; inodes with the
/// same time take less space.
///
/// # Errors
/// When a member has no directory, or a name or attribute that the format cannot hold, or writing fails.
pub fn write_erofs_layer<W: Write>(
    entries: impl IntoIterator<Item = Entry<Content>>,
    build_time: i64,
    out: W,
) -> Result<(Layer, W), LayerError> {
    let mut plan = Plan::new(build_time);
    for entry in entries {
        plan.add(entry)?;
    }
    plan.lay_out()?;
    let mut out = Hashing::new(out);
    plan.write(&mut out)?;
    let (mut out, digest, size) = out.finish();
    out.flush()?;
    let layer = Layer {
        descriptor: Descriptor::new(media_type::LAYER_EROFS, digest, size),
        diff_id: digest,
        uncompressed_size: size,
    };
    Ok((layer, out))
}

enum Data {
    /// Names and inodes; sorted when the plan is made.
    Directory(Vec<(String, usize)>),
    File(Content),
    Symlink(String),
    Node(u32),
}

struct Inode {
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: u64,
    links: u32,
    xattrs: BTreeMap<String, Vec<u8>>,
    data: Data,
    parent: usize,
    place: Place,
}

/// Where an inode and its content lie.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Bytes from the beginning of the inodes.
    at: usize,
    is_compact: bool,
    is_inline: bool,
    /// The first block of content that is not inline.
    block: u32,
}

struct Plan {
    build_time: u64,
    inodes: Vec<Inode>,
    by_path: HashMap<String, usize>,
    /// The inodes in the order of the disk.
    order: Vec<usize>,
    /// The first block of inodes.
    first: u32,
    /// The length of the inodes in bytes.
    length: usize,
}

fn refused(path: &str, reason: &'static str) -> LayerError {
    LayerError::Erofs {
        path: path.to_owned(),
        reason,
    }
}

impl Plan {
    fn new(build_time: i64) -> Self {
        let root = Inode {
            mode: DIRECTORY | 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            links: 2,
            xattrs: BTreeMap::new(),
            data: Data::Directory(Vec::new()),
            parent: ROOT,
            place: Place::default(),
        };
        Self {
            build_time: build_time.max(0).cast_unsigned(),
            inodes: vec![root],
            by_path: HashMap::from([(String::new(), ROOT)]),
            order: Vec::new(),
            first: 0,
            length: 0,
        }
    }

    fn add(&mut self, entry: Entry<Content>) -> Result<(), LayerError> {
        let Entry { header, content } = entry;
        let path = header.path.trim_end_matches('/').to_owned();
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name.is_empty() || name.len() > 255 {
            return Err(refused(&path, "a name has 1 to 255 bytes"));
        }
        let parent = self.by_path.get(directory).copied();
        let parent = parent.ok_or_else(|| refused(&path, "the directory it is in does not precede it"))?;
        let index = self.inodes.len();
        let Data::Directory(children) = &mut self.inodes[parent].data else {
            return Err(refused(&path, "it lies in something that is no directory"));
        };
        children.push((name.to_owned(), index));
        let inode = self.inode(&header, content, &path, parent)?;
        if inode.mode & KIND == DIRECTORY {
            self.inodes[parent].links += 1;
        }
        self.inodes.push(inode);
        if self.by_path.insert(path.clone(), index).is_some() {
            return Err(refused(&path, "it is there twice"));
        }
        Ok(())
    }

    fn inode(
        &self,
        header: &Header,
        content: Content,
        path: &str,
        parent: usize,
    ) -> Result<Inode, LayerError> {
        let mut xattrs: BTreeMap<String, Vec<u8>> = header
            .pax
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(XATTR)?.to_owned(), value.clone())))
            .collect();
        let (kind, data) = match header.kind {
            Kind::Directory => (DIRECTORY, Data::Directory(Vec::new())),
            Kind::Regular => (REGULAR, Data::File(content)),
            Kind::Symlink => (SYMLINK, Data::Symlink(header.link.clone())),
            Kind::CharDevice => (CHAR_DEVICE, Data::Node(device(header.device))),
            Kind::BlockDevice => (BLOCK_DEVICE, Data::Node(device(header.device))),
            Kind::Fifo => (FIFO, Data::Node(0)),
            Kind::Hardlink => {
                let target = self.by_path.get(&header.link).map(|index| &self.inodes[*index]);
                let Some((Data::File(content), target)) = target.map(|target| (&target.data, target)) else {
                    return Err(refused(path, "it is a hard link to no file before it"));
                };
                xattrs.clone_from(&target.xattrs);
                (REGULAR, Data::File(content.clone()))
            }
        };
        for (name, value) in &xattrs {
            if split_xattr(name).1.len() > 255 || value.len() > usize::from(u16::MAX) {
                return Err(refused(path, "an extended attribute is too long"));
            }
        }
        let inode = Inode {
            mode: kind | (header.mode & 0o7777) as u16,
            uid: header.uid,
            gid: header.gid,
            mtime: header.mtime.cast_unsigned(),
            links: if kind == DIRECTORY { 2 } else { 1 },
            xattrs,
            data,
            parent,
            place: Place::default(),
        };
        match inode.xattr_size() > usize::from(u16::MAX) * 4 {
            true => Err(refused(path, "its extended attributes are too long")),
            false => Ok(inode),
        }
    }

    /// Gives each inode its place: depth first, so that what is looked at together lies together. Content goes behind
    /// its inode if both fit into one block.
    fn lay_out(&mut self) -> Result<(), LayerError> {
        let mut pending = vec![ROOT];
        while let Some(index) = pending.pop() {
            self.order.push(index);
            if let Data::Directory(children) = &mut self.inodes[index].data {
                children.sort_unstable();
                pending.extend(children.iter().rev().map(|(_, child)| *child));
            }
        }
        let mut at = 0;
        for index in &self.order {
            let inode = &mut self.inodes[*index];
            let size = inode.size();
            inode.place.is_compact = inode.fits_compact(size, self.build_time);
            let head = inode.head() + inode.xattr_size();
            let is_small = !matches!(inode.data, Data::File(_)) || size + head <= BLOCK;
            let mut is_inline = size > 0 && is_small && (at + head) % BLOCK + size <= BLOCK;
            // An inode does not cross the end of a block.
            if at % BLOCK + inode.head() > BLOCK {
                at = at.next_multiple_of(BLOCK);
            }
            is_inline &= at % BLOCK + head + size <= BLOCK;
            inode.place.at = at;
            inode.place.is_inline = is_inline;
            let trailing = if is_inline { size } else { 0 };
            at += (head + trailing).next_multiple_of(SLOT);
        }
        self.length = at;
        let mut block: u64 = 1;
        for index in &self.order {
            let inode = &mut self.inodes[*index];
            inode.place.block = block as u32;
            block += (inode.plain_size().div_ceil(BLOCK)) as u64;
        }
        self.first = block as u32;
        match u32::try_from(block + self.length.div_ceil(BLOCK) as u64) {
            Ok(_) => Ok(()),
            Err(_) => Err(refused("/", "the layer has more than 2^32 blocks")),
        }
    }

    fn write(&self, out: &mut impl Write) -> Result<(), LayerError> {
        let mut block = vec![0; BLOCK];
        block[SUPERBLOCK_AT..SUPERBLOCK_AT + SUPERBLOCK].copy_from_slice(&self.superblock());
        out.write_all(&block)?;
        for index in &self.order {
            let inode = &self.inodes[*index];
            if inode.plain_size() > 0 {
                let written = self.write_content(*index, out)?;
                out.write_all(&ZEROS[..written.wrapping_neg() % BLOCK])?;
            }
        }
        let mut position = 0;
        for index in &self.order {
            let inode = &self.inodes[*index];
            out.write_all(&ZEROS[..inode.place.at - position])?;
            position = inode.place.at;
            out.write_all(&self.head(inode))?;
            position += inode.head();
            let xattrs = inode.xattr_bytes();
            out.write_all(&xattrs)?;
            position += xattrs.len();
            if inode.place.is_inline {
                position += self.write_content(*index, out)?;
            }
        }
        let end = self.length.next_multiple_of(BLOCK);
        out.write_all(&ZEROS[..end - position])?;
        Ok(())
    }

    fn superblock(&self) -> [u8; SUPERBLOCK] {
        let mut bytes = [0; SUPERBLOCK];
        let blocks = self.first + self.length.div_ceil(BLOCK) as u32;
        put(&mut bytes, 0, MAGIC.to_le_bytes());
        bytes[12] = BLOCK_BITS;
        put(&mut bytes, 14, (self.number(ROOT) as u16).to_le_bytes());
        put(&mut bytes, 16, (self.order.len() as u64).to_le_bytes());
        put(&mut bytes, 24, self.build_time.to_le_bytes());
        put(&mut bytes, 36, blocks.to_le_bytes());
        put(&mut bytes, 40, self.first.to_le_bytes());
        bytes
    }

    fn head(&self, inode: &Inode) -> Vec<u8> {
        let place = inode.place;
        let size = inode.size() as u64;
        let layout = if place.is_inline { INLINE } else { PLAIN };
        let union = match inode.data {
            Data::Node(device) => device,
            _ if inode.plain_size() > 0 => place.block,
            _ => 0,
        };
        let mut bytes = vec![0; inode.head()];
        put(
            &mut bytes,
            0,
            (layout << 1 | u16::from(!place.is_compact)).to_le_bytes(),
        );
        put(&mut bytes, 2, inode.xattr_count().to_le_bytes());
        put(&mut bytes, 4, inode.mode.to_le_bytes());
        put(&mut bytes, 16, union.to_le_bytes());
        if place.is_compact {
            put(&mut bytes, 6, (inode.links as u16).to_le_bytes());
            put(&mut bytes, 8, (size as u32).to_le_bytes());
            put(&mut bytes, 24, (inode.uid as u16).to_le_bytes());
            put(&mut bytes, 26, (inode.gid as u16).to_le_bytes());
        } else {
            put(&mut bytes, 8, size.to_le_bytes());
            put(&mut bytes, 24, inode.uid.to_le_bytes());
            put(&mut bytes, 28, inode.gid.to_le_bytes());
            put(&mut bytes, 32, inode.mtime.to_le_bytes());
            put(&mut bytes, 44, inode.links.to_le_bytes());
        }
        bytes
    }

    /// The number by which directories know an inode.
    fn number(&self, index: usize) -> u64 {
        (self.inodes[index].place.at / SLOT) as u64
    }

    fn write_content(&self, index: usize, out: &mut impl Write) -> Result<usize, LayerError> {
        let inode = &self.inodes[index];
        match &inode.data {
            Data::File(content) => content.chunks(|chunk| Ok::<_, LayerError>(out.write_all(&chunk)?))?,
            Data::Symlink(target) => out.write_all(target.as_bytes())?,
            Data::Directory(_) => out.write_all(&self.dirents(index))?,
            Data::Node(_) => {}
        }
        Ok(inode.size())
    }

    /// The entries of a directory, sorted; each block begins with the fixed parts of its entries, then has their names.
    fn dirents(&self, index: usize) -> Vec<u8> {
        let inode = &self.inodes[index];
        let mut entries: Vec<(&str, usize)> = vec![(".", index), ("..", inode.parent)];
        if let Data::Directory(children) = &inode.data {
            entries.extend(children.iter().map(|(name, child)| (name.as_str(), *child)));
        }
        entries.sort_unstable();
        let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
        let mut bytes = Vec::new();
        for block in dirent_blocks(&names) {
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
            let mut name_at = block.len() * DIRENT;
            for (name, child) in &entries[block.clone()] {
                bytes.extend_from_slice(&self.number(*child).to_le_bytes());
                bytes.extend_from_slice(&(name_at as u16).to_le_bytes());
                bytes.extend_from_slice(&[file_type(self.inodes[*child].mode), 0]);
                name_at += name.len();
            }
            for name in &names[block] {
                bytes.extend_from_slice(name.as_bytes());
            }
        }
        bytes
    }
}

impl Inode {
    /// The size of its content in bytes.
    fn size(&self) -> usize {
        match &self.data {
            Data::File(content) => usize::try_from(content.len()).unwrap_or(usize::MAX),
            Data::Symlink(target) => target.len(),
            Data::Node(_) => 0,
            Data::Directory(children) => {
                let mut names: Vec<&str> = children.iter().map(|(name, _)| name.as_str()).collect();
                names.extend([".", ".."]);
                names.sort_unstable();
                let blocks = dirent_blocks(&names);
                let last = blocks.last().cloned().unwrap_or_default();
                let size: usize = names[last].iter().map(|name| DIRENT + name.len()).sum();
                (blocks.len() - 1) * BLOCK + size
            }
        }
    }

    /// The size of what lies in blocks of its own.
    fn plain_size(&self) -> usize {
        if self.place.is_inline { 0 } else { self.size() }
    }

    fn fits_compact(&self, size: usize, build_time: u64) -> bool {
        let is_file = matches!(self.data, Data::File(_));
        self.uid <= u32::from(u16::MAX)
            && self.gid <= u32::from(u16::MAX)
            && self.links <= u32::from(u16::MAX)
            && (!is_file || u32::try_from(size).is_ok())
            && self.mtime == build_time
    }

    fn head(&self) -> usize {
        if self.place.is_compact { COMPACT } else { EXTENDED }
    }

    fn xattr_size(&self) -> usize {
        let entry = |(name, value): (&String, &Vec<u8>)| {
            (XATTR_ENTRY + split_xattr(name).1.len() + value.len()).next_multiple_of(4)
        };
        match self.xattrs.is_empty() {
            true => 0,
            false => XATTR_HEADER + self.xattrs.iter().map(entry).sum::<usize>(),
        }
    }

    /// The size of the attributes as inodes have it: in units of 4 bytes, the header counting for one.
    fn xattr_count(&self) -> u16 {
        match self.xattr_size() {
            0 => 0,
            size => ((size - XATTR_HEADER) / 4 + 1) as u16,
        }
    }

    fn xattr_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.xattrs.is_empty() {
            return bytes;
        }
        // No filter of names, no shared attributes.
        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        for (name, value) in &self.xattrs {
            let (index, rest) = split_xattr(name);
            bytes.extend_from_slice(&[rest.len() as u8, index]);
            bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
            bytes.extend_from_slice(rest.as_bytes());
            bytes.extend_from_slice(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }
}

/// Splits sorted names into those that fit into a block each with their entries.
fn dirent_blocks(names: &[&str]) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (index, name) in names.iter().enumerate() {
        let size = DIRENT + name.len();
        if used + size > BLOCK {
            blocks.push(start..index);
            (start, used) = (index, 0);
        }
        used += size;
    }
    blocks.push(start..names.len());
    blocks
}

fn split_xattr(name: &str) -> (u8, &str) {
    XATTR_PREFIXES
        .iter()
        .find_map(|(index, prefix)| Some((*index, name.strip_prefix(prefix)?)))
        .unwrap_or((0, name))
}

/// A device number as Linux encodes it in 32 bits.
fn device((major, minor): (u32, u32)) -> u32 {
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12
}

fn file_type(mode: u16) -> u8 {
    match mode & KIND {
        REGULAR => 1,
        DIRECTORY => 2,
        CHAR_DEVICE => 3,
        BLOCK_DEVICE => 4,
        FIFO => 5,
        SOCKET => 6,
        _ => 7,
    }
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}
