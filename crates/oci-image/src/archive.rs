//! Archives for `docker load`: one tar with configs, layers and a `manifest.json` that names them.
//!
//! As with the reference, the archive holds the manifests and the index too, so that an image's digest can
//! be restored from it.

use crate::layout::{LayoutError, parent, sync_dir, temporary_in};
use crate::{BlobSource, Descriptor, Image, ImageIndex, Tag};
use bytes::Bytes;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tarball::{BLOCK, Header, Kind};

/// What `docker load` reads first: which files of the archive make up which image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Loadable {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes a `docker load` archive of all images of `index` to the file `path`.
///
/// Each image is tagged with each of `tags` and its architecture: `name:tag-amd64`; an only image has `name:tag` too. The
/// file appears complete or
/// not at all; a device or pipe at `path` is written to directly.
///
/// # Errors
/// When the file system refuses, a blob does not have its digest, or a tag becomes too long.
pub fn write_archive(path: &Path, index: &ImageIndex, tags: &[Tag]) -> Result<(), LayoutError> {
    // Follow a link to a file instead of replacing it.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    write_archive_by_way_of(parent(path), path, index, tags)
}

/// Writes an archive as [`write_archive`] does. What is not complete yet is a file in `stage`, which must be on the file
/// system of `path`: whoever is killed can clear up there.
///
/// # Errors
/// As of [`write_archive`].
pub fn write_archive_by_way_of(
    stage: &Path,
    path: &Path,
    index: &ImageIndex,
    tags: &[Tag],
) -> Result<(), LayoutError> {
    let special = fs::metadata(path).is_ok_and(|meta| !meta.is_file());
    if special {
        let file = File::options()
            .write(true)
            .open(path)
            .map_err(LayoutError::io("open", path))?;
        return archive(file, path, index, tags);
    }
    // Follow a link to a file instead of replacing it.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = temporary_in(stage)?;
    archive(temporary.as_file(), path, index, tags)?;
    temporary
        .as_file()
        .sync_all()
        .map_err(LayoutError::io("write", path))?;
    temporary
        .persist(path)
        .map_err(|e| LayoutError::io("create", path)(e.error))?;
    sync_dir(parent(path))
}

/// Writes the archive to any writer. `path` is what errors name.
fn archive(out: impl Write, path: &Path, index: &ImageIndex, tags: &[Tag]) -> Result<(), LayoutError> {
    let mut tar = Tar {
        out: BufWriter::with_capacity(1 << 20, out),
        path,
    };
    let mut seen = HashSet::new();
    for image in &index.images {
        tar.memory(&image.manifest.config.digest.to_string(), &image.config_json)?;
        for (layer, blob) in image.manifest.layers.iter().zip(&image.layers) {
            if seen.insert(layer.digest) {
                tar.blob(&layer_file(layer), layer, blob)?;
            }
        }
    }
    let json = |value: &_| {
        let source = |source| LayoutError::Json {
            path: path.to_owned(),
            source,
        };
        go_json::to_vec(value).map(Bytes::from).map_err(source)
    };
    tar.memory("manifest.json", &json(&loadables(index, tags)?)?)?;
    for image in &index.images {
        tar.memory(&image.digest().to_string(), &image.manifest_json)?;
    }
    tar.memory("index.json", &index.json)?;
    tar.finish()
}

/// Returns the entries of `manifest.json`, ordered by their tags.
fn loadables(index: &ImageIndex, tags: &[Tag]) -> Result<Vec<Loadable>, LayoutError> {
    let mut loadables = Vec::with_capacity(index.images.len());
    for (image, suffix) in index.images.iter().zip(suffixes(&index.images)) {
        let named: Result<Vec<_>, _> = tags.iter().map(|tag| tag.with_suffix(&suffix)).collect();
        let mut repo_tags: Vec<_> = named?.iter().map(Tag::to_string).collect();
        if index.images.len() == 1 {
            repo_tags.extend(tags.iter().map(Tag::to_string));
        }
        repo_tags.sort();
        repo_tags.dedup();
        loadables.push(Loadable {
            config: image.manifest.config.digest.to_string(),
            repo_tags,
            layers: image.manifest.layers.iter().map(layer_file).collect(),
        });
    }
    loadables.sort_by(|a, b| a.repo_tags.cmp(&b.repo_tags));
    Ok(loadables)
}

/// Returns what each image's tag ends in: its architecture, and its variant where several have the same
/// architecture. (The reference leaves the variant out, so that one image of `arm` hides the other.)
fn suffixes(images: &[Image]) -> Vec<String> {
    let architectures = || images.iter().map(|image| image.config.architecture.as_str());
    let mut count = BTreeMap::new();
    architectures().for_each(|a| *count.entry(a).or_insert(0) += 1);
    images
        .iter()
        .map(|image| {
            match (
                count[image.config.architecture.as_str()],
                image.config.variant.as_str(),
            ) {
                (1, _) | (_, "") => format!("-{}", image.config.architecture),
                (_, variant) => format!("-{}_{variant}", image.config.architecture),
            }
        })
        .collect()
}

/// Returns the name that gunzip and old versions of Docker expect of a layer.
fn layer_file(layer: &Descriptor) -> String {
    let kind = match layer.media_type.rsplit(['.', '+']).next() {
        Some("zstd") => "tar.zst",
        Some("tar") => "tar",
        _ => "tar.gz",
    };
    format!("{}.{kind}", layer.digest.hex())
}

/// Writes files without owner or time.
struct Tar<'a, W: Write> {
    out: BufWriter<W>,
    path: &'a Path,
}

impl<W: Write> Tar<'_, W> {
    fn memory(&mut self, name: &str, data: &Bytes) -> Result<(), LayoutError> {
        self.blob(name, &Descriptor::of("", data), &BlobSource::Memory(data.clone()))
    }

    fn blob(&mut self, name: &str, descriptor: &Descriptor, source: &BlobSource) -> Result<(), LayoutError> {
        let header = Header {
            path: name.to_owned(),
            mode: 0o644,
            size: descriptor.size,
            ..Header::new(Kind::Regular)
        };
        let mut block = Vec::with_capacity(BLOCK);
        header
            .encode(&mut block)
            .map_err(|e| LayoutError::io("write", self.path)(io::Error::other(e)))?;
        self.write(&block)?;
        source.copy_to(descriptor, &mut self.out, self.path)?;
        let padding = descriptor.size.wrapping_neg() % BLOCK as u64;
        self.write(&[0; BLOCK][..padding as usize])
    }

    fn finish(mut self) -> Result<(), LayoutError> {
        self.write(&[0; 2 * BLOCK])?;
        self.out.flush().map_err(LayoutError::io("write", self.path))
    }

    fn write(&mut self, data: &[u8]) -> Result<(), LayoutError> {
        self.out
            .write_all(data)
            .map_err(LayoutError::io("write", self.path))
    }
}
