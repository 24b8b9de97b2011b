//! `apko sbom`.

use std::path::PathBuf;

use apko::{SbomFormat, sbom_of_image};
use clap::{Args, ValueEnum};
use cli_support::Steps;
use oci_image::{LayoutError, read_layout_tag};

use crate::build::{print, write_file};
use crate::failure::{Failure, Outcome};

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko sbom out/                                 # SPDX of this machine's architecture, to standard output
  apko sbom --format cyclonedx --arch all --output sboms/ out/";

#[derive(Debug, Args)]
pub(crate) struct Sbom {
    /// The directory of an OCI layout
    image: PathBuf,
    /// Architectures, `host` or `all`; several need --output
    #[arg(long, value_delimiter = ',', default_value = "host")]
    arch: Vec<String>,
    /// The format
    #[arg(long, default_value = "spdx")]
    format: Format,
    /// The image's repository, which the document mentions
    #[arg(long, default_value = "image")]
    name: String,
    /// The directory to write to, instead of standard output
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Formats of software bills of materials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// SPDX 2.3
    Spdx,
    /// CycloneDX 1.6
    Cyclonedx,
}

impl From<Format> for SbomFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Spdx => Self::Spdx,
            Format::Cyclonedx => Self::CycloneDx,
        }
    }
}

pub(crate) fn sbom(arguments: &Sbom, steps: &Steps) -> Outcome {
    let archs = cli_support::parse_archs(&arguments.arch)
        .map_err(|text| Failure::usage(format!("--arch: {text}")))?;
    let mut files = Vec::new();
    let mut missing = None;
    for arch in archs {
        let image = match read_layout_tag(&arguments.image, None, arch.platform().architecture) {
            Ok(image) => image,
            Err(error @ LayoutError::NoImage { .. }) => {
                missing = Some(error);
                continue;
            }
            Err(error) => return Err(Failure::work(&error)),
        };
        let (file, warnings) = sbom_of_image(arguments.format.into(), &image, arch, &arguments.name)
            .map_err(|error| Failure::at(&arguments.image, &error))?;
        warnings.iter().for_each(|warning| steps.warn(warning));
        files.push(file);
    }
    match (&arguments.output, &files[..]) {
        (_, []) => {
            let nothing = || Failure::usage("--arch: no architecture");
            Err(missing.map_or_else(nothing, |error| Failure::work(&error)))
        }
        (Some(directory), files) => files
            .iter()
            .try_for_each(|file| write_file(&directory.join(&file.name), &file.json)),
        (None, [file]) => print(&String::from_utf8_lossy(&file.json)),
        (None, _) => Err(Failure::usage(
            "several documents need a directory: give --output",
        )),
    }
}
