//! `apko erofs`: looking into EROFS layers and mounting them.

mod list;
mod mount;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use cli_support::Steps;
use oci_image::{BlobSource, media_type, read_layout_tag};

use crate::failure::{Failure, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko build --format erofs web.yaml web:1.0 out/
  apko erofs ls out/
  apko erofs mount out/ /mnt/web       # the files are in /mnt/web/merged
  apko erofs umount /mnt/web

SOURCE is an EROFS file, or an OCI layout (PATH or PATH:TAG); `erofs:`, `oci:` and `oci-dir:` in front say which.";

#[derive(Debug, Args)]
pub(crate) struct Erofs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the files of an image as `tar -tv` does
    Ls(Ls),
    /// Mounts an image
    Mount(Mount),
    /// Takes down what `apko erofs mount` has mounted
    Umount(Umount),
}

#[derive(Debug, Args)]
struct Ls {
    /// An EROFS file or an OCI layout
    source: String,
    /// The architecture of the image in the layout
    #[arg(long, default_value = "host")]
    arch: String,
}

#[derive(Debug, Args)]
struct Mount {
    /// An EROFS file or an OCI layout
    source: String,
    /// Where to mount it; below it lie `merged`, and `layers`, `upper` and `work` where they are needed
    dest: PathBuf,
    /// The architecture of the image in the layout
    #[arg(long, default_value = "host")]
    arch: String,
    /// Who mounts: the kernel, erofsfuse, or the kernel if this is root
    #[arg(long, default_value = "auto")]
    mode: Mode,
    /// Takes writes, into DEST/upper
    #[arg(long)]
    rw: bool,
}

#[derive(Debug, Args)]
struct Umount {
    /// Where it is mounted
    dest: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Auto,
    Kernel,
    Fuse,
}

pub(crate) fn erofs(arguments: &Erofs, steps: &Steps) -> Outcome {
    match &arguments.command {
        Command::Ls(arguments) => list::ls(&layers(&Source::parse(&arguments.source)?, &arguments.arch)?),
        Command::Mount(arguments) => mount::mount(arguments, steps),
        Command::Umount(arguments) => mount::umount(&arguments.dest, steps),
    }
}

/// Where file systems come from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Layout { path: PathBuf, tag: Option<String> },
}

impl Source {
    fn parse(text: &str) -> Outcome<Self> {
        if let Some(path) = text.strip_prefix("erofs:") {
            return Ok(Self::File(path.into()));
        }
        let forced = text
            .strip_prefix("oci-dir:")
            .or_else(|| text.strip_prefix("oci:"));
        let path = Path::new(forced.unwrap_or(text));
        let is_layout = |path: &Path| path.join("oci-layout").is_file();
        if is_layout(path) {
            return Ok(Self::Layout {
                path: path.to_owned(),
                tag: None,
            });
        }
        if forced.is_none() && path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        match forced.unwrap_or(text).rsplit_once(':') {
            Some((path, tag)) if !tag.is_empty() && is_layout(Path::new(path)) => Ok(Self::Layout {
                path: path.into(),
                tag: Some(tag.to_owned()),
            }),
            _ => Err(Failure::usage(format!(
                "`{text}` is neither an EROFS file nor an OCI layout"
            ))),
        }
    }
}

/// The files of the layers, lowest first.
fn layers(source: &Source, arch: &str) -> Outcome<Vec<PathBuf>> {
    let (path, tag) = match source {
        Source::File(path) => return Ok(vec![path.clone()]),
        Source::Layout { path, tag } => (path, tag),
    };
    let archs = cli_support::parse_archs(&[arch.to_owned()])
        .map_err(|text| Failure::usage(format!("--arch: {text}")))?;
    let [arch] = archs[..] else {
        return Err(Failure::usage("--arch: name one architecture"));
    };
    let image = read_layout_tag(path, tag.as_deref(), arch.platform().architecture)
        .map_err(|error| Failure::work(&error))?;
    let layer = |(descriptor, blob): (oci_image::Descriptor, BlobSource)| match blob {
        BlobSource::File(path) if descriptor.media_type == media_type::LAYER_EROFS => Ok(path),
        _ => Err(Failure::usage(format!(
            "{}: a layer has the media type {}: only images built with `--format erofs` can be read",
            path.display(),
            descriptor.media_type
        ))),
    };
    image.layers.into_iter().map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let layout = directory.path().join("out");
        std::fs::create_dir(&layout).unwrap();
        std::fs::write(layout.join("oci-layout"), "{}").unwrap();
        let file = directory.path().join("layer");
        std::fs::write(&file, "").unwrap();
        let (layout_text, file_text) = (layout.display().to_string(), file.display().to_string());
        let of_layout = |tag: Option<&str>| Source::Layout {
            path: layout.clone(),
            tag: tag.map(str::to_owned),
        };
        let rows = [
            (layout_text.clone(), of_layout(None)),
            (format!("oci:{layout_text}"), of_layout(None)),
            (format!("oci-dir:{layout_text}:1.0"), of_layout(Some("1.0"))),
            (format!("{layout_text}:1.0"), of_layout(Some("1.0"))),
            (file_text.clone(), Source::File(file.clone())),
            (format!("erofs:{file_text}"), Source::File(file.clone())),
        ];
        for (text, source) in rows {
            assert_eq!(Source::parse(&text).unwrap(), source, "{text}");
        }
        for text in ["", "nowhere", &format!("oci:{file_text}")] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
    }
}
