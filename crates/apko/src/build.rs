//! From a configuration to an image, stage after stage.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apk_rootfs::layers;
use apk_types::{Arch, PackageRecord};
use oci_image::{
    Algorithm, Annotations, BlobSource, Compression, Image, ImageIndex, ImageSpec, Layer, LayerError,
    LayerWriter, Platform, Tag, Timestamp, write_erofs_layer,
};

use file_content::Content;
use tarball::Entry;
use tempfile::{NamedTempFile, TempPath};

use crate::base::{Base, BaseError};
use crate::config::ImageConfiguration;
use crate::install::{FetchedPackage, InstallRequest, InstallationError, Root, Skipped, fetch, install};
use crate::libc::{LibcClash, libc_clashes};
use crate::lock::{LockError, Lockfile, check_world};
use crate::phase::{Clock, Phase};
use crate::plan::{Plan, plan};
use crate::resolve::{Additions, Policy, Repositories, ResolveError, sorted, world};
use crate::sbom::{self, SbomError, SbomFile, SbomFormat};
use crate::store::{FetchError, Store, layer_key};

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildRequest<'a> {
    /// The configuration, complete; annotations of the command line are in it.
    pub configuration: &'a ImageConfiguration,
    /// What the command line adds.
    pub additions: &'a Additions,
    /// Where a base image is looked for, if not in the working directory.
    pub include_paths: &'a [PathBuf],
    /// The exact packages; without it they are chosen.
    pub lockfile: Option<&'a Lockfile>,
    /// The repositories, where they were opened before; not with a lock file.
    pub repositories: Option<&'a Repositories>,
    /// The architectures to build for.
    pub archs: &'a [Arch],
    /// How careful to be.
    pub policy: &'a Policy,
    /// The image's name, which SBOMs mention.
    pub tag: &'a Tag,
    /// The time of the image, whatever is in it, in seconds since 1970: `SOURCE_DATE_EPOCH`.
    pub source_date_epoch: Option<i64>,
    /// The time of the image unless a package is newer.
    pub build_date: &'a Timestamp,
    /// The formats of the SBOMs to make.
    pub sboms: &'a [SbomFormat],
    /// Where packages are kept once they were verified.
    pub store: &'a Store,
    /// How layers are compressed; not for EROFS.
    pub compression: Compression,
    /// Where layers are kept until the image is written.
    pub spool: &'a Path,
}

/// What was built.
#[derive(Debug)]
pub struct Built {
    /// The image, its layers in temporary files.
    pub index: ImageIndex,
    /// The SBOMs: one for each architecture, and one for the index.
    pub sboms: Vec<SbomFile>,
}

/// What happens during a build, for those who watch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// All architectures' packages are known.
    Resolved {
        /// Each architecture and its number of packages.
        packages: &'a [(Arch, usize)],
        /// Repositories that have no index for an architecture.
        without_index: &'a [(Arch, String)],
    },
    /// An architecture's packages are there and verified.
    Fetched {
        /// The architecture.
        arch: Arch,
        /// How many packages.
        packages: usize,
        /// Their size in bytes.
        bytes: u64,
    },
    /// An architecture's image is made.
    Built {
        /// The architecture.
        arch: Arch,
        /// How many layers.
        layers: usize,
        /// The size of the layers in bytes, uncompressed.
        bytes: u64,
        /// The size of the layers in bytes, compressed.
        compressed: u64,
    },
    /// Packages have scripts and triggers, which never run.
    Skipped {
        /// The architecture.
        arch: Arch,
        /// The packages and their scripts.
        packages: &'a [Skipped],
    },
    /// A phase has ended.
    Timed {
        /// The phase.
        phase: Phase,
        /// The architecture; none where it is about all.
        arch: Option<Arch>,
        /// How long it took.
        took: Duration,
    },
    /// Something was passed over.
    Warning(String),
}

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The packages could not be found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A package could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Packages are built for different C libraries.
    #[error("for {arch}: {}", listed(clashes))]
    Libc {
        /// The architecture.
        arch: Arch,
        /// What clashes.
        clashes: Vec<LibcClash>,
    },
    /// The file tree could not be made.
    #[error(transparent)]
    Install(#[from] InstallationError),
    /// The layer could not be written.
    #[error("the layer for {arch}: {source}")]
    Layer {
        /// The architecture.
        arch: Arch,
        /// What is wrong.
        source: LayerError,
    },
    /// A temporary file could not be made or written.
    #[error("{}: {source}", path.display())]
    Spool {
        /// The directory that it is in.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A document of the image cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A command cannot be split as a shell would.
    #[error("`{key}: {command}` cannot be split into words: a quote or an escape is not closed")]
    Command {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        command: String,
    },
    /// A time is out of range.
    #[error("{0} seconds since 1970 is not a time that an image can have")]
    Time(i64),
    /// The SBOM could not be made.
    #[error(transparent)]
    Sbom(#[from] SbomError),
    /// Packages have scripts, and none may be skipped.
    #[error("for {arch}: scripts of packages never run here, but none may be skipped: {}", list(.skipped))]
    Scripts {
        /// The architecture.
        arch: Arch,
        /// The packages and their scripts.
        skipped: Vec<Skipped>,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The base image cannot be had.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The configuration asks for what does not go with what is made of it.
    #[error("`{0}` in the image configuration cannot be had here")]
    Unsupported(&'static str),
}

impl BuildError {
    /// The file of the store that turned out to be damaged.
    fn damaged(&self) -> Option<&Path> {
        match self {
            Self::Layer {
                source: LayerError::Content(error),
                ..
            } => Some(error.path()),
            Self::Install(error) => error.damaged(),
            _ => None,
        }
    }
}

fn list(skipped: &[Skipped]) -> String {
    let texts: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// Builds an image for each architecture, and the index over them.
pub fn build(request: &BuildRequest<'_>, watch: &mut dyn FnMut(Event<'_>)) -> Result<Built, BuildError> {
    let mut clock = Clock::start();
    let (repositories, plans) = plan(request, &mut clock, watch)?;
    let counts: Vec<(Arch, usize)> = plans
        .iter()
        .map(|one| (one.resolution.arch, one.resolution.packages.len()))
        .collect();
    let without_index: Vec<(Arch, String)> = repositories
        .without_index
        .iter()
        .flat_map(|(arch, locations)| locations.iter().map(|location| (*arch, location.to_string())))
        .collect();
    watch(Event::Resolved {
        packages: &counts,
        without_index: &without_index,
    });

    let (mut images, mut sboms) = (Vec::new(), Vec::new());
    let mut newest = (request.build_date.clone(), request.build_date.unix_seconds());
    for plan in &plans {
        // Each round forgets one damaged file of the store.
        let made = loop {
            match build_image(request, &repositories, plan, watch) {
                Err(error) if error.damaged().is_some_and(|path| request.store.forget(path)) => {
                    watch(Event::Warning(format!("{error}; it is made anew")));
                }
                made => break made?,
            }
        };
        sboms.extend(made.sboms);
        if made.created.unix_seconds() > newest.1 {
            newest = (made.created.clone(), made.created.unix_seconds());
        }
        images.push(made.image);
    }
    let mut clock = Clock::start();
    let index = ImageIndex::new(images, &annotations(request.configuration), &newest.0)?;
    if request.sboms.contains(&SbomFormat::Spdx) {
        sboms.push(sbom::index(
            &index,
            request.tag,
            &newest.0,
            request.configuration,
        )?);
    }
    clock.end(Phase::Documents, None, watch);
    Ok(Built { index, sboms })
}

fn listed(clashes: &[LibcClash]) -> String {
    clashes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// The image of one architecture.
struct MadeImage {
    image: Image,
    created: Timestamp,
    sboms: Vec<SbomFile>,
}

fn build_image(
    request: &BuildRequest<'_>,
    repositories: &Repositories,
    plan: &Plan,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<MadeImage, BuildError> {
    let arch = plan.resolution.arch;
    let mut clock = Clock::start();
    let packages = fetch(&plan.resolution, request.policy, request.store)?;
    clock.end(Phase::Packages, Some(arch), watch);
    check_lock(request, plan, &packages)?;
    let records: Vec<_> = packages.iter().map(|package| &package.record).collect();
    let clashes = libc_clashes(&records);
    if request.policy.refuse_libc_clashes && !clashes.is_empty() {
        return Err(BuildError::Libc { arch, clashes });
    }
    for clash in &clashes {
        watch(Event::Warning(format!("for {arch}: {clash}")));
    }
    let skipped: Vec<Skipped> = packages.iter().filter_map(Skipped::of).collect();
    if request.policy.refuse_scripts && !skipped.is_empty() {
        return Err(BuildError::Scripts { arch, skipped });
    }
    watch(Event::Fetched {
        arch,
        packages: packages.len(),
        bytes: packages.iter().map(|package| package.contents.size).sum(),
    });

    let install_request = InstallRequest {
        configuration: &plan.configuration,
        arch,
        repositories,
        world: &plan.world,
        below: plan.base.as_ref().map_or(&[], |base| &base.installed),
        listed_repositories: &request.additions.repositories,
        source_date_epoch: request.source_date_epoch,
        build_date: request.build_date.unix_seconds(),
    };
    if !skipped.is_empty() {
        watch(Event::Skipped {
            arch,
            packages: &skipped,
        });
    }
    let root = install(&install_request, packages)?;
    clock.end(Phase::Tree, Some(arch), watch);
    let created = created(request, root.created)?;
    let layers = write_layers(&root, arch, request.compression, request.store, request.spool)?;
    clock.end(Phase::Layers, Some(arch), watch);
    watch(Event::Built {
        arch,
        layers: layers.len(),
        bytes: layers.iter().map(|(layer, _)| layer.uncompressed_size).sum(),
        compressed: layers.iter().map(|(layer, _)| layer.descriptor.size).sum(),
    });
    let spec = image_spec(&root.configuration, arch, created.clone())?;
    let base = plan.base.as_ref().map(|base| base.image.clone());
    let image = Image::new(&spec, layers, base)?;
    let mut sboms = Vec::new();
    for format in request.sboms {
        let (file, warnings) = sbom::image(
            *format,
            (&root, arch),
            &image,
            request.tag,
            &created,
            request.configuration,
        )?;
        warnings
            .into_iter()
            .for_each(|warning| watch(Event::Warning(warning)));
        sboms.push(file);
    }
    clock.end(Phase::Documents, Some(arch), watch);
    Ok(MadeImage {
        image,
        created,
        sboms,
    })
}

/// Packages from a lock file must be those locked, and be what is asked for.
fn check_lock(
    request: &BuildRequest<'_>,
    plan: &Plan,
    packages: &[FetchedPackage],
) -> Result<(), BuildError> {
    let Some(lockfile) = request.lockfile else {
        return Ok(());
    };
    let arch = plan.resolution.arch;
    lockfile.verify(arch, packages)?;
    let asked = world(
        &request.configuration.clone().with_service_bundle(),
        request.additions,
    );
    let below = plan.base.iter().flat_map(Base::records);
    let records = packages.iter().map(|package| &package.record);
    check_world(&asked, arch, records.chain(below))?;
    Ok(())
}

/// The time of an image; the build date keeps the form it was given in.
fn created(request: &BuildRequest<'_>, seconds: i64) -> Result<Timestamp, BuildError> {
    if seconds == request.build_date.unix_seconds() {
        return Ok(request.build_date.clone());
    }
    Timestamp::from_unix(seconds).ok_or(BuildError::Time(seconds))
}

/// Writes a tree into temporary files: as one layer, or as many as the configuration's `layering` gives.
pub fn write_layers(
    root: &Root,
    arch: Arch,
    compression: Compression,
    store: &Store,
    spool: &Path,
) -> Result<Vec<(Layer, BlobSource)>, BuildError> {
    match &root.configuration.layering {
        Some(layering) if *layering != Default::default() => {
            let records: Vec<&PackageRecord> = root.packages.iter().map(|one| &one.package.record).collect();
            let groups = layers::group(&records, layering.budget as usize);
            let layers = layers::split(&root.tree, &groups, &root.packages);
            layers
                .into_iter()
                .map(|entries| write_layer(|| entries.iter(), arch, compression, store, spool))
                .collect()
        }
        _ => {
            let entries = || root.tree.walk().map(|member| member.entry);
            let layer = match root.configuration.format.as_str() {
                "erofs" => write_erofs(entries(), root.default_time, arch, spool)?,
                _ => write_layer(entries, arch, compression, store, spool)?,
            };
            Ok(vec![layer])
        }
    }
}

fn write_erofs(
    entries: impl IntoIterator<Item = Entry<Content>>,
    time: i64,
    arch: Arch,
    spool: &Path,
) -> Result<(Layer, BlobSource), BuildError> {
    let (file, path) = spool_file(spool)?;
    let out = BufWriter::with_capacity(1 << 20, file);
    let (layer, _) =
        write_erofs_layer(entries, time, out).map_err(|error| layer_error(arch, spool, error))?;
    Ok((layer, path.into()))
}

fn spool_file(spool: &Path) -> Result<(File, TempPath), BuildError> {
    let file = tempfile::NamedTempFile::new_in(spool);
    file.map(NamedTempFile::into_parts)
        .map_err(|source| BuildError::Spool {
            path: spool.to_owned(),
            source,
        })
}

/// Names the directory where that is what failed.
fn layer_error(arch: Arch, spool: &Path, error: LayerError) -> BuildError {
    match error {
        LayerError::Io(source) => BuildError::Spool {
            path: spool.to_owned(),
            source,
        },
        source => BuildError::Layer { arch, source },
    }
}

/// Writes a layer, or takes it from the store if it was made of the same members before. `entries` gives the members, once
/// for the key and once for the layer.
fn write_layer<I: Iterator<Item: Borrow<Entry<Content>>>>(
    entries: impl Fn() -> I,
    arch: Arch,
    compression: Compression,
    store: &Store,
    spool: &Path,
) -> Result<(Layer, BlobSource), BuildError> {
    let failed = |error| layer_error(arch, spool, error);
    let algorithm = match compression.algorithm {
        Algorithm::Gzip => "gzip",
        Algorithm::Zstd => "zstd",
    };
    let key = layer_key(entries(), &format!("{algorithm} {}", compression.level)).map_err(failed)?;
    if let Some(kept) = store.layer(&key) {
        return Ok(kept);
    }
    let (file, path) = spool_file(spool)?;
    let mut writer =
        LayerWriter::with_cache(file, compression, Some(Arc::new(store.clone()))).map_err(failed)?;
    for entry in entries() {
        let Entry { header, content } = entry.borrow();
        writer.append(header, content).map_err(failed)?;
    }
    let (layer, _) = writer.finish().map_err(failed)?;
    let kept = store.keep_layer(&key, &layer, &path);
    Ok((layer, kept.unwrap_or_else(|| path.into())))
}

fn image_spec(
    configuration: &ImageConfiguration,
    arch: Arch,
    created: Timestamp,
) -> Result<ImageSpec, BuildError> {
    let platform = arch.platform();
    let mut spec = ImageSpec::new(Platform::linux(platform.architecture), created);
    spec.platform.variant = platform.variant.unwrap_or_default().to_owned();
    if configuration.format == "erofs" {
        spec.platform.os_features = vec!["erofs".to_owned()];
    }
    let entrypoint = &configuration.entrypoint;
    spec.entrypoint = match entrypoint.shell_fragment.as_str() {
        "" => split("entrypoint.command", &entrypoint.command)?,
        fragment => oci_image::shell_entrypoint(fragment),
    };
    spec.cmd = split("cmd", &configuration.cmd)?;
    spec.environment = configuration.environment.clone();
    spec.user = configuration.accounts.run_as.clone();
    spec.working_dir = configuration.work_dir.clone();
    spec.volumes = Some(sorted([&configuration.volumes])).filter(|volumes| !volumes.is_empty());
    spec.stop_signal = configuration.stop_signal.clone();
    spec.annotations = annotations(configuration);
    Ok(spec)
}

fn split(key: &'static str, command: &str) -> Result<Vec<String>, BuildError> {
    shlex::split(command).ok_or_else(|| BuildError::Command {
        key,
        command: command.to_owned(),
    })
}

/// The configuration's annotations; `vcs-url` gives those of source and revision where it has both.
fn annotations(configuration: &ImageConfiguration) -> Annotations {
    let source = configuration.vcs_url.split_once('@');
    Annotations {
        custom: configuration.annotations.clone(),
        source: source.map(|(url, revision)| (url.to_owned(), revision.to_owned())),
    }
}
