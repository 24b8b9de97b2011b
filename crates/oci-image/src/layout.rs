//! OCI image layouts: directories with `oci-layout`, `index.json` and `blobs/sha256/`.
//!
//! A layout is written so that a reader, at any moment and after a crash, finds the old contents or the new,
//! never a mixture: everything goes to a temporary directory first and is synchronized to disk.

use crate::config::ImageConfig;
use crate::{BlobSource, Descriptor, Digest, ImageIndex, Index, Manifest, media_type};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The contents of the file `oci-layout`, as go-containerregistry writes it.
const MARKER: &str = "{\n    \"imageLayoutVersion\": \"1.0.0\"\n}";

/// The permissions that are asked for; the process's umask applies.
const FILE_MODE: u32 = 0o666;
const DIR_MODE: u32 = 0o777;

/// A manifest, index or config larger than this is refused.
const MAX_DOCUMENT: u64 = 4 << 20;

/// The annotation that names an entry of a layout's index.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// How deep indexes may nest in a base image.
const MAX_DEPTH: usize = 4;

/// Says why an image could not be written to, or read from, the file system.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A blob cannot be copied; `source` says whether reading or writing failed.
    #[error("cannot copy {} to {}", from.display(), to.display())]
    Copy {
        /// The blob.
        from: PathBuf,
        /// The output.
        to: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A blob is not what its descriptor says.
    #[error("{} has digest {digest} and {size} bytes, but {want} and {want_size} bytes are expected", path.display())]
    Mismatch {
        /// The blob.
        path: PathBuf,
        /// The digest in the descriptor.
        want: Digest,
        /// The size in the descriptor.
        want_size: u64,
        /// The digest found.
        digest: Digest,
        /// The size found.
        size: u64,
    },
    /// A document of the layout cannot be understood.
    #[error("cannot understand {}", path.display())]
    Json {
        /// The document.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// A document of the layout is too large to be one.
    #[error("{} is larger than {MAX_DOCUMENT} bytes", .0.display())]
    TooLarge(PathBuf),
    /// The layout has no image for the architecture.
    #[error("{} has no image for {architecture}", path.display())]
    NoImage {
        /// The layout.
        path: PathBuf,
        /// Go's name of the machine.
        architecture: String,
    },
    /// An image's name cannot be made.
    #[error(transparent)]
    Tag(#[from] crate::ParseTagError),
}

impl LayoutError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Writes an image layout into the directory `dir`.
///
/// A directory that does not exist appears complete or not at all. In one that exists, for example with an
/// earlier layout, blobs are added, and `index.json` is replaced last and at once; everything else stays, as
/// with the reference.
///
/// # Errors
/// When the file system refuses, or a blob does not have its digest. What `dir` held is then still there.
pub fn write_layout(dir: &Path, index: &ImageIndex) -> Result<(), LayoutError> {
    // Follow a link to a directory, and give `.` a name and a parent.
    let dir = match fs::canonicalize(dir) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return write_new(dir, index),
        Err(error) => return Err(LayoutError::io("open", dir)(error)),
    };
    // Beside the output where possible, so that a kill leaves nothing in it.
    let beside = parent(&dir);
    let stage = match same_device(beside, &dir)
        .and_then(|same| if same { stage_in(beside) } else { stage_in(&dir) })
    {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => stage_in(&dir),
        other => other,
    };
    let stage = stage.map_err(LayoutError::io("write into", &dir))?;
    fill(stage.path(), index, true)?;
    move_into(stage.path(), &dir)
}

/// Writes an image layout into a directory that exists, as [`write_layout`] does. What is not complete yet lies in a
/// directory below `stage`, which must be on the file system of `dir`: whoever is killed can clear up there.
///
/// # Errors
/// As of [`write_layout`].
pub fn write_layout_by_way_of(stage: &Path, dir: &Path, index: &ImageIndex) -> Result<(), LayoutError> {
    let stage = stage_in(stage).map_err(LayoutError::io("write into", stage))?;
    fill(stage.path(), index, true)?;
    move_into(stage.path(), dir)
}

/// Writes an image layout into an empty directory that nobody looks into before this returns. Nothing waits until it is on
/// the disk: it is for whoever moves the files on to where they stay.
///
/// # Errors
/// As of [`write_layout`].
pub fn write_layout_unsynced(dir: &Path, index: &ImageIndex) -> Result<(), LayoutError> {
    fill(dir, index, false)
}

/// Makes the layout beside `dir` and renames it.
fn write_new(dir: &Path, index: &ImageIndex) -> Result<(), LayoutError> {
    let parent = parent(dir);
    let stage = stage_in(parent).map_err(LayoutError::io("write into", parent))?;
    fill(stage.path(), index, true)?;
    fs::rename(stage.path(), dir).map_err(LayoutError::io("create", dir))?;
    // The directory has another name now: nothing is left to clean up.
    let _ = stage.keep();
    sync_dir(parent)
}

/// Returns whether files can be renamed from `a` to `b`.
fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(fs::metadata(a)?.dev() == fs::metadata(b)?.dev())
}

fn stage_in(dir: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(".oci-layout-")
        .permissions(Permissions::from_mode(DIR_MODE))
        .tempdir_in(dir)
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes everything that belongs to the layout into the empty directory `stage`, onto the disk if `sync`.
fn fill(stage: &Path, index: &ImageIndex, sync: bool) -> Result<(), LayoutError> {
    let blobs = blobs(stage);
    fs::create_dir_all(&blobs).map_err(LayoutError::io("create", &blobs))?;
    for image in &index.images {
        for (descriptor, source) in image.blobs() {
            write_blob(&blobs.join(descriptor.digest.hex()), descriptor, &source, sync)?;
        }
    }
    for (name, data) in [("oci-layout", MARKER.as_bytes()), ("index.json", &index.json)] {
        let path = stage.join(name);
        fs::write(&path, data)
            .and_then(|()| synced(&File::open(&path)?, sync))
            .map_err(LayoutError::io("write", &path))?;
    }
    if !sync {
        return Ok(());
    }
    for dir in [&blobs, parent(&blobs), stage] {
        sync_dir(dir)?;
    }
    Ok(())
}

fn synced(file: &File, sync: bool) -> io::Result<()> {
    if sync { file.sync_all() } else { Ok(()) }
}

fn write_blob(
    path: &Path,
    descriptor: &Descriptor,
    source: &BlobSource,
    sync: bool,
) -> Result<(), LayoutError> {
    if path.exists() {
        return Ok(()); // Several images, or layers of one, may share a blob.
    }
    let write = LayoutError::io("write", path);
    // Temporary files are private; blobs are as public as the directory they are in.
    let public = || -> io::Result<u32> { Ok(fs::metadata(parent(path))?.permissions().mode() & FILE_MODE) };
    if let BlobSource::Spool(spool) = source
        && fs::hard_link(spool.as_ref(), path).is_ok()
    {
        return public()
            .and_then(|mode| fs::set_permissions(path, Permissions::from_mode(mode)))
            .and_then(|()| synced(&File::open(path)?, sync))
            .map_err(write);
    }
    let is_as_public = |shared: &Path| -> io::Result<bool> {
        Ok(fs::metadata(shared)?.permissions().mode() & FILE_MODE == public()?)
    };
    if let BlobSource::Shared(shared) = source
        && is_as_public(shared).unwrap_or(false)
        && fs::hard_link(shared, path).is_ok()
    {
        return Ok(());
    }
    let file = File::create_new(path).map_err(LayoutError::io("create", path))?;
    source.copy_to(descriptor, &file, path)?;
    synced(&file, sync).map_err(write)
}

/// Moves a complete layout over what is in `dir`, the file that makes it visible last.
fn move_into(stage: &Path, dir: &Path) -> Result<(), LayoutError> {
    let (from, to) = (blobs(stage), blobs(dir));
    fs::create_dir_all(&to).map_err(LayoutError::io("create", &to))?;
    let rename = |from: &Path, to: &Path| fs::rename(from, to).map_err(LayoutError::io("replace", to));
    for entry in fs::read_dir(&from).map_err(LayoutError::io("list", &from))? {
        let name = entry.map_err(LayoutError::io("list", &from))?.file_name();
        rename(&from.join(&name), &to.join(&name))?;
    }
    sync_dir(&to)?;
    for name in ["oci-layout", "index.json"] {
        rename(&stage.join(name), &dir.join(name))?;
    }
    sync_dir(dir)
}

fn blobs(layout: &Path) -> PathBuf {
    layout.join("blobs").join("sha256")
}

/// Makes renames in `dir` survive a loss of power.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LayoutError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(LayoutError::io("synchronize", dir))
}

/// Opens a temporary file in a directory, with the permissions of an ordinary new file.
pub(crate) fn temporary_in(directory: &Path) -> Result<tempfile::NamedTempFile, LayoutError> {
    tempfile::Builder::new()
        .prefix(".oci-image-")
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(directory)
        .map_err(LayoutError::io("write into", directory))
}

/// The image that another one is built upon.
#[derive(Debug, Clone, Default)]
pub struct BaseImage {
    /// The config, from which the new one is made.
    pub config: ImageConfig,
    /// The layers, lowest first, and where their blobs lie.
    pub layers: Vec<(Descriptor, BlobSource)>,
    /// Points at the manifest, where it was read from one.
    pub manifest: Option<Descriptor>,
    /// The manifest's annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Reads the image for `architecture` (Go's name of the machine) from the image layout `dir`.
///
/// Config, manifest and indexes are verified here, layers when they are copied.
///
/// # Errors
/// When there is no such image, or something in the layout is missing, damaged or too large.
pub fn read_layout(dir: &Path, architecture: &str) -> Result<BaseImage, LayoutError> {
    read_layout_tag(dir, None, architecture)
}

/// As [`read_layout`], among the entries of the layout's index whose annotation
/// `org.opencontainers.image.ref.name` is `tag`, where one is given.
///
/// # Errors
/// As [`read_layout`].
pub fn read_layout_tag(dir: &Path, tag: Option<&str>, architecture: &str) -> Result<BaseImage, LayoutError> {
    let path = dir.join("index.json");
    let mut index: Index = parse(&path, &read_document(&path)?)?;
    if let Some(tag) = tag {
        let name = |entry: &Descriptor| entry.annotations.get(REF_NAME).map(String::as_str) == Some(tag);
        index.manifests.retain(name);
    }
    find(dir, &index, architecture, MAX_DEPTH)?.ok_or_else(|| LayoutError::NoImage {
        path: dir.to_owned(),
        architecture: architecture.to_owned(),
    })
}

fn find(
    dir: &Path,
    index: &Index,
    architecture: &str,
    depth: usize,
) -> Result<Option<BaseImage>, LayoutError> {
    for entry in &index.manifests {
        match entry.media_type.as_str() {
            media_type::INDEX | media_type::DOCKER_MANIFEST_LIST if depth > 0 => {
                let index = read_verified(dir, entry)?;
                if let Some(image) = find(dir, &index, architecture, depth - 1)? {
                    return Ok(Some(image));
                }
            }
            media_type::MANIFEST | media_type::DOCKER_MANIFEST => {
                let manifest: Manifest = read_verified(dir, entry)?;
                let config: ImageConfig = read_verified(dir, &manifest.config)?;
                if config.architecture == architecture {
                    let blobs = blobs(dir);
                    let blob = |layer: &Descriptor| BlobSource::File(blobs.join(layer.digest.hex()));
                    return Ok(Some(BaseImage {
                        config,
                        manifest: Some(entry.clone()),
                        layers: manifest
                            .layers
                            .into_iter()
                            .map(|l| (l.clone(), blob(&l)))
                            .collect(),
                        annotations: manifest.annotations,
                    }));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

fn read_verified<T: DeserializeOwned>(dir: &Path, descriptor: &Descriptor) -> Result<T, LayoutError> {
    let path = blobs(dir).join(descriptor.digest.hex());
    let data = read_document(&path)?;
    let (digest, size) = (Digest::of(&data), data.len() as u64);
    if (digest, size) != (descriptor.digest, descriptor.size) {
        let (want, want_size) = (descriptor.digest, descriptor.size);
        return Err(LayoutError::Mismatch {
            path,
            want,
            want_size,
            digest,
            size,
        });
    }
    parse(&path, &data)
}

fn read_document(path: &Path) -> Result<Vec<u8>, LayoutError> {
    use io::Read;
    let mut data = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_DOCUMENT + 1).read_to_end(&mut data))
        .map_err(LayoutError::io("read", path))?;
    if data.len() as u64 > MAX_DOCUMENT {
        return Err(LayoutError::TooLarge(path.to_owned()));
    }
    Ok(data)
}

fn parse<T: DeserializeOwned>(path: &Path, json: &[u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(json).map_err(|source| LayoutError::Json {
        path: path.to_owned(),
        source,
    })
}
