//! The image that another one is built upon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use apk_rootfs::Installed;
use apk_rootfs::installed_db;
use apk_types::{Arch, PackageRecord};
use oci_image::LayoutError;

use crate::config::{ImageConfiguration, resolve_path};

/// A base image for one architecture, and what is installed in it.
#[derive(Clone, Debug)]
pub struct Base {
    /// Its configuration and layers.
    pub image: oci_image::BaseImage,
    /// The packages of its layers.
    pub installed: Vec<Installed>,
}

/// The base image of each architecture, none where a configuration has none.
pub(crate) type Bases = BTreeMap<Arch, Base>;

/// Why a base image could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// The layout cannot be read, or has no image for the architecture.
    #[error("the base image: {0}")]
    Image(#[from] LayoutError),
    /// What is installed in it cannot be read.
    #[error("what is installed in the base image: {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is installed in it is not written as an installed database.
    #[error("what is installed in the base image: {}: {source}", path.display())]
    Installed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: installed_db::ParseError,
    },
}

impl Base {
    /// Reads the base image that a configuration names, `None` where it names none: an OCI layout, and beside it a
    /// directory with `ARCH/APKINDEX`, which is the installed database of its layers.
    pub fn read(
        configuration: &ImageConfiguration,
        include_paths: &[PathBuf],
        arch: Arch,
    ) -> Result<Option<Self>, BaseError> {
        let Some(wanted) = &configuration.contents.baseimage else {
            return Ok(None);
        };
        let layout = resolve_path(Path::new(&wanted.image), include_paths);
        let image = oci_image::read_layout(&layout, arch.platform().architecture)?;
        let path = resolve_path(Path::new(&wanted.apkindex), include_paths)
            .join(arch.apk_name())
            .join("APKINDEX");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(BaseError::Read { path, source }),
        };
        match installed_db::carry_over(&text) {
            Ok(installed) => Ok(Some(Self { image, installed })),
            Err(source) => Err(BaseError::Installed { path, source }),
        }
    }

    /// Reads the base image of each architecture.
    pub(crate) fn read_all(
        configuration: &ImageConfiguration,
        include_paths: &[PathBuf],
        archs: &[Arch],
    ) -> Result<Bases, BaseError> {
        let mut bases = Bases::new();
        for arch in archs {
            if let Some(base) = Self::read(configuration, include_paths, *arch)? {
                bases.insert(*arch, base);
            }
        }
        Ok(bases)
    }

    /// What is known of its packages.
    pub fn records(&self) -> impl Iterator<Item = &PackageRecord> + Clone {
        self.installed.iter().map(|one| &one.package.record)
    }

    /// Its packages at their versions, as entries of a world.
    pub fn world(&self) -> impl Iterator<Item = String> {
        self.records().map(|one| format!("{}={}", one.name, one.version))
    }

    /// Whether it has a package of that name.
    pub fn has(&self, name: &str) -> bool {
        self.records().any(|one| one.name == name)
    }
}
