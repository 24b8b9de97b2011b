//! A directory on disk as a layer.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use file_content::{Content, FileRange, Stored};
use tarball::{Header, Kind};

use crate::{Compression, Layer, LayerError, LayerWriter};

/// Writes a layer with all that lies in a directory: files, directories and symbolic links, names in byte order.
///
/// Modes are those on disk. Owners are root and all times are `mtime`, in seconds since 1970; hard links become files
/// and extended attributes are left out. So the layer depends on the files alone, not on who put them there and
/// when. One file is open at a time, and none is in memory as a whole.
///
/// # Errors
/// When a file cannot be read, changes meanwhile, is neither of the three or has a name that is not UTF-8, and as
/// [`LayerWriter::append`].
pub fn write_directory_layer<W: Write + Send + 'static>(
    directory: &Path,
    mtime: i64,
    out: W,
    compression: Compression,
) -> Result<(Layer, W), LayerError> {
    let mut writer = LayerWriter::new(out, compression)?;
    let mut pending = children(directory, "")?;
    while let Some((path, name)) = pending.pop() {
        let failed = failed(&path);
        let meta = fs::symlink_metadata(&path).map_err(&failed)?;
        let (header, content) = member(&path, &name, &meta, mtime).map_err(&failed)?;
        writer.append(&header, &content)?;
        if meta.is_dir() {
            pending.append(&mut children(&path, &name)?);
        }
    }
    writer.finish()
}

/// The paths of what lies in a directory, and their names in the layer; the first one last.
fn children(directory: &Path, above: &str) -> Result<Vec<(PathBuf, String)>, LayerError> {
    let mut children = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| failed(&path)(io::Error::other("its name is not UTF-8")))?;
        let name = match above {
            "" => name.to_owned(),
            _ => format!("{above}/{name}"),
        };
        children.push((path, name));
    }
    children.sort_unstable_by(|(_, a), (_, b)| b.cmp(a));
    Ok(children)
}

fn member(path: &Path, name: &str, meta: &Metadata, mtime: i64) -> io::Result<(Header, Content)> {
    let mut header = Header {
        path: name.to_owned(),
        mode: meta.permissions().mode() & 0o7777,
        mtime,
        ..Header::new(Kind::Directory)
    };
    let mut content = Content::from("");
    if meta.is_symlink() {
        header.kind = Kind::Symlink;
        let target = fs::read_link(path)?.into_os_string().into_string();
        header.link = target.map_err(|_| io::Error::other("its target is not UTF-8"))?;
    } else if meta.is_file() {
        header.kind = Kind::Regular;
        header.size = meta.len();
        let file = File::open(path)?;
        let mut hash = blake3::Hasher::new();
        io::copy(&mut &file, &mut hash)?;
        let range = FileRange::new(Arc::new(file), path.into(), 0..meta.len());
        content = Stored::new(range, hash.finalize().into(), None).into();
    } else if !meta.is_dir() {
        return Err(io::Error::other("it is no file, directory or symbolic link"));
    }
    Ok((header, content))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> LayerError + '_ {
    move |source| LayerError::File {
        path: path.to_owned(),
        source,
    }
}
