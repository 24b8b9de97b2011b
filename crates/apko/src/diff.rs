//! What differs between two lock files or two images.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use apk_rootfs::installed_db::{self, InstalledPackage};
use flate2::read::MultiGzDecoder;
use oci_image::{BaseImage, BlobSource, Descriptor, Digest, ErofsFileKind, ErofsImage, media_type};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tarball::{Header, Kind, Limits};

use crate::lock::Lockfile;

/// Something that is in one or in both, and differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// Its name: a package, a path, a variable.
    pub name: String,
    /// What it was; `None` where it was not there.
    pub before: Option<T>,
    /// What it is; `None` where it is gone.
    pub after: Option<T>,
}

/// What a file of an image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileState {
    /// `file`, `directory`, `symlink`, `device` or `pipe`.
    pub kind: &'static str,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The size of a file in bytes, else 0.
    pub size: u64,
    /// The SHA-256 of a file, the target of a link, the numbers of a device.
    pub content: String,
}

/// What an image or the part of a lock file for one architecture has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Packages and their versions; in lock files the checksum is part of it.
    pub packages: BTreeMap<String, String>,
    /// Paths and files; none in a lock file.
    pub files: BTreeMap<String, FileState>,
    /// How a container is started: `Env.PATH`, `Entrypoint`, `User` and so on; none in a lock file.
    pub settings: BTreeMap<String, String>,
    /// The size of all layers as they are stored, in bytes.
    pub compressed: u64,
    /// The size of all files, in bytes.
    pub size: u64,
    /// The files by which an image describes itself.
    pub(crate) documents: Documents,
}

/// All that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Packages: their versions.
    pub packages: Vec<Change<String>>,
    /// Files.
    pub files: Vec<Change<FileState>>,
    /// How a container is started.
    pub settings: Vec<Change<String>>,
    /// The size of all layers as they are stored, before and after, in bytes.
    pub compressed: (u64, u64),
    /// The size of all files, before and after, in bytes.
    pub size: (u64, u64),
}

impl Diff {
    /// Compares two.
    pub fn between(before: &Contents, after: &Contents) -> Self {
        Self {
            packages: changes(&before.packages, &after.packages),
            files: changes(&before.files, &after.files),
            settings: changes(&before.settings, &after.settings),
            compressed: (before.compressed, after.compressed),
            size: (before.size, after.size),
        }
    }

    /// Whether nothing differs. Sizes follow from the rest, but for compression.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.files.is_empty() && self.settings.is_empty()
    }
}

fn changes<T: Clone + PartialEq>(
    before: &BTreeMap<String, T>,
    after: &BTreeMap<String, T>,
) -> Vec<Change<T>> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let change = |name: &String| {
        let (before, after) = (before.get(name), after.get(name));
        (before != after).then(|| Change {
            name: name.clone(),
            before: before.cloned(),
            after: after.cloned(),
        })
    };
    names.into_iter().filter_map(change).collect()
}

impl Contents {
    /// What each architecture of a lock file has, by apk's name of it.
    pub fn of_lockfile(lockfile: &Lockfile) -> BTreeMap<String, Self> {
        let mut archs: BTreeMap<String, Self> = BTreeMap::new();
        for package in &lockfile.contents.packages {
            let contents = archs.entry(package.architecture.clone()).or_default();
            let version = format!("{} {}", package.version, package.checksum);
            contents.packages.insert(package.name.clone(), version);
        }
        archs
    }

    /// What an image has: its layers are laid over each other.
    ///
    /// # Errors
    /// When a layer cannot be read, or its format is not known.
    pub fn of_image(image: &BaseImage) -> io::Result<Self> {
        let mut contents = Self::default();
        for (descriptor, blob) in &image.layers {
            contents.compressed += descriptor.size;
            let failed = |error: io::Error| {
                io::Error::new(error.kind(), format!("layer {}: {error}", descriptor.digest))
            };
            layer(descriptor, blob, &mut contents.files, &mut contents.documents).map_err(failed)?;
        }
        let packages = contents.installed()?.into_iter();
        contents.packages = packages
            .map(|package| (package.record.name, package.record.version))
            .collect();
        contents.size = contents.files.values().map(|file| file.size).sum();
        contents.settings = settings(image)?;
        Ok(contents)
    }
}

impl Contents {
    /// What is installed, by the image's own database.
    pub(crate) fn installed(&self) -> io::Result<Vec<InstalledPackage>> {
        let database = self.documents.get(installed_db::PATH);
        let database = database.or_else(|| self.documents.get(OLD_DATABASE));
        let text = String::from_utf8_lossy(database.map_or(&[], Vec::as_slice));
        installed_db::parse(&text).map_err(io::Error::other)
    }
}

/// Where the database is in images whose `lib/apk` is a directory.
const OLD_DATABASE: &str = "lib/apk/db/installed";

fn settings(image: &BaseImage) -> io::Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    let config = serde_json::to_value(&image.config.config)?;
    for (key, value) in config.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("Env", serde_json::Value::Array(variables)) => {
                for variable in variables.iter().filter_map(|variable| variable.as_str()) {
                    let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
                    settings.insert(format!("Env.{name}"), value.to_owned());
                }
            }
            ("Labels", serde_json::Value::Object(labels)) => {
                for (name, value) in labels {
                    settings.insert(
                        format!("Labels.{name}"),
                        value.as_str().unwrap_or_default().to_owned(),
                    );
                }
            }
            (_, serde_json::Value::String(text)) => drop(settings.insert(key.clone(), text.clone())),
            (_, value) => drop(settings.insert(key.clone(), value.to_string())),
        }
    }
    Ok(settings)
}

type Files = BTreeMap<String, FileState>;
type Documents = BTreeMap<String, Vec<u8>>;

fn layer(
    descriptor: &Descriptor,
    blob: &BlobSource,
    files: &mut Files,
    kept: &mut Documents,
) -> io::Result<()> {
    let BlobSource::File(path) = blob else {
        return Err(io::Error::other("it does not lie in a file"));
    };
    let kind = descriptor.media_type.as_str();
    match kind {
        media_type::LAYER_EROFS => erofs(path, files, kept),
        _ if kind.ends_with("gzip") => tar(
            MultiGzDecoder::new(BufReader::new(File::open(path)?)),
            files,
            kept,
        ),
        _ if kind.ends_with("zstd") => tar(zstd::Decoder::new(File::open(path)?)?, files, kept),
        _ if kind.ends_with(".tar") => tar(File::open(path)?, files, kept),
        _ => Err(io::Error::other(format!(
            "layers of the type {kind} cannot be read"
        ))),
    }
}

fn tar(source: impl Read, files: &mut Files, kept: &mut Documents) -> io::Result<()> {
    let content = |header: &Header, content: &mut io::Take<&mut BufReader<_>>| {
        let mut sink = Sink::of(&header.path, kept);
        io::copy(content, &mut sink)?;
        Ok(sink.digest())
    };
    let reader = BufReader::with_capacity(1 << 16, source);
    let entries = tarball::read_stream(reader, &Limits::default(), content).map_err(io::Error::other)?;
    for entry in entries {
        let header = entry.header;
        let path = header.path.trim_end_matches('/').to_owned();
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if let Some(hidden) = name.strip_prefix(".wh.") {
            let hidden = match (directory, hidden) {
                (_, ".wh..opq") => directory.to_owned(),
                ("", hidden) => hidden.to_owned(),
                (directory, hidden) => format!("{directory}/{hidden}"),
            };
            hide(files, &hidden, name != ".wh..wh..opq");
            continue;
        }
        let (kind, content) = match header.kind {
            Kind::Regular => ("file", entry.content),
            Kind::Directory => ("directory", String::new()),
            Kind::Symlink => ("symlink", header.link.clone()),
            Kind::Hardlink => {
                if let Some(target) = files.get(&header.link).cloned() {
                    files.insert(path, target);
                }
                continue;
            }
            Kind::CharDevice | Kind::BlockDevice => {
                ("device", format!("{},{}", header.device.0, header.device.1))
            }
            Kind::Fifo => ("pipe", String::new()),
        };
        let state = FileState {
            kind,
            mode: header.mode,
            uid: header.uid,
            gid: header.gid,
            size: header.size,
            content,
        };
        files.insert(path, state);
    }
    Ok(())
}

fn hide(files: &mut Files, path: &str, with_itself: bool) {
    let below = format!("{path}/");
    files.retain(|known, _| !(known.starts_with(&below) || with_itself && known == path));
}

fn erofs(path: &Path, files: &mut Files, kept: &mut Documents) -> io::Result<()> {
    let mut image = ErofsImage::open(BufReader::new(File::open(path)?)).map_err(io::Error::other)?;
    for file in image.files().map_err(io::Error::other)? {
        let (kind, size, content) = match &file.kind {
            _ if file.path.is_empty() => continue,
            ErofsFileKind::Directory => ("directory", 0, String::new()),
            ErofsFileKind::Regular(size) => {
                let mut sink = Sink::of(&file.path, kept);
                image.copy(&file, &mut sink).map_err(io::Error::other)?;
                ("file", *size, sink.digest())
            }
            ErofsFileKind::Symlink(target) => ("symlink", 0, target.clone()),
            ErofsFileKind::CharDevice(0, 0) => {
                hide(files, &file.path, true);
                continue;
            }
            ErofsFileKind::CharDevice(major, minor) | ErofsFileKind::BlockDevice(major, minor) => {
                ("device", 0, format!("{major},{minor}"))
            }
            ErofsFileKind::Fifo | ErofsFileKind::Socket => ("pipe", 0, String::new()),
        };
        let state = FileState {
            kind,
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            size,
            content,
        };
        files.insert(file.path, state);
    }
    Ok(())
}

/// Takes a content in: it is hashed, and kept if the image describes itself by it.
struct Sink<'a> {
    hasher: Sha256,
    kept: Option<&'a mut Vec<u8>>,
}

impl<'a> Sink<'a> {
    fn of(path: &str, kept: &'a mut Documents) -> Self {
        let path = path.trim_start_matches("./");
        let is_document = matches!(
            path,
            installed_db::PATH | OLD_DATABASE | "etc/os-release" | "usr/lib/os-release"
        ) || path.starts_with("var/lib/db/sbom/");
        let kept = is_document.then(|| {
            let document = kept.entry(path.to_owned()).or_default();
            document.clear();
            document
        });
        Self {
            hasher: Sha256::new(),
            kept,
        }
    }

    fn digest(self) -> String {
        let digest: [u8; 32] = self.hasher.finalize().into();
        Digest::from(digest).to_string()
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.hasher.update(data);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(data);
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
