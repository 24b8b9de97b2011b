//! The command line: the names, types and defaults of the Go tool's flags.

use std::path::PathBuf;

use apk_repository::ClientOptions;
use apko::Policy;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use cli_support::{Deferred, Network};
use oci_image::Algorithm;

use crate::{
    clean, diff, dot, erofs, install_keys, load, lock, login, publish, rootfs, sbom, show_config,
    show_packages, why,
};

/// Builds OCI images out of apk packages.
///
/// Packages are fetched, verified and laid into a file tree; none of their scripts run, so that the same
/// inputs give the same bytes.
#[derive(Debug, Parser)]
#[command(
    name = "apko",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    args_override_self = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How much is said: debug, info, warn or error
    #[arg(long, global = true, default_value = "INFO", value_name = "LEVEL")]
    pub(crate) log_level: String,

    /// Says nothing but errors and the result
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// The directory to work in
    #[arg(long, short = 'C', global = true, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Builds an image from a configuration
    #[command(after_help = BUILD_EXAMPLES)]
    Build(Deferred<Build>),
    /// Builds the file tree of a configuration into a tar archive
    #[command(name = "build-minirootfs", after_help = rootfs::MINIROOTFS_EXAMPLES)]
    BuildMinirootfs(Deferred<rootfs::Rootfs>),
    /// Builds the file tree of a configuration into a cpio archive, as the kernel unpacks it
    #[command(name = "build-cpio", after_help = rootfs::CPIO_EXAMPLES)]
    BuildCpio(Deferred<rootfs::Rootfs>),
    /// Writes down the exact packages of a configuration
    #[command(after_help = lock::EXAMPLES)]
    Lock(Deferred<lock::Lock>),
    /// Shows a configuration with everything it includes
    #[command(after_help = show_config::EXAMPLES)]
    ShowConfig(Deferred<show_config::ShowConfig>),
    /// Prints the JSON schema of image configurations
    #[command(after_help = show_config::SCHEMA_EXAMPLES)]
    Schema,
    /// Shows the packages that a configuration installs, in the order of installation
    #[command(after_help = show_packages::FORMATS)]
    ShowPackages(Deferred<show_packages::ShowPackages>),
    /// Draws the packages of a configuration as a graph in the DOT language
    #[command(after_help = dot::EXAMPLES)]
    Dot(Deferred<dot::Dot>),
    /// Tells what differs between two lock files or two images
    #[command(after_help = diff::EXAMPLES)]
    Diff(Deferred<diff::DiffArguments>),
    /// Writes the software bill of materials of an image that exists
    #[command(after_help = sbom::EXAMPLES)]
    Sbom(Deferred<sbom::Sbom>),
    /// Builds an image and sends it to a registry
    #[command(after_help = publish::EXAMPLES)]
    Publish(Deferred<publish::Publish>),
    /// Keeps a user name and password for a registry
    #[command(after_help = login::EXAMPLES)]
    Login(Deferred<login::Login>),
    /// Loads an archive into docker or podman
    #[command(after_help = load::EXAMPLES)]
    Load(Deferred<load::Load>),
    /// Looks into EROFS layers and mounts them
    #[command(after_help = erofs::EXAMPLES)]
    Erofs(Deferred<erofs::Erofs>),
    /// Tells how a package comes to be installed
    #[command(after_help = why::WHY_EXAMPLES)]
    Why(Deferred<why::Question>),
    /// Tells why a package, or a version of it, is not installed
    #[command(after_help = why::WHY_NOT_EXAMPLES)]
    WhyNot(Deferred<why::Question>),
    /// Installs the keys that a system's repositories announce
    #[command(after_help = install_keys::EXAMPLES)]
    InstallKeys(Deferred<install_keys::InstallKeys>),
    /// Removes what is cached
    #[command(after_help = clean::EXAMPLES)]
    Clean(Deferred<clean::Clean>),
    /// Prints a script that makes a shell complete this command
    #[command(after_help = cli_support::completion_examples("apko"))]
    Completion(Deferred<cli_support::Completion>),
    /// Prints all of this as a page
    #[command(hide = true)]
    ReferencePage,
    /// Shows the version
    Version(Deferred<cli_support::Version>),
}

const BUILD_EXAMPLES: &str = "\
Examples:
  apko build web.yaml web:1.0 web.tar              # an archive for `docker load`
  apko build web.yaml web:1.0 out/                 # an OCI layout, if the directory exists
  apko build --arch x86_64,aarch64 web.yaml web:1.0 web.tar
  apko build --json web.yaml web:1.0 out/          # an object for each step, the last with the digest

The image's digest is printed to standard output. Exit status: 0 built, 1 the work failed,
2 the command line or the configuration is wrong.";

/// Where packages come from, beside the configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sources {
    /// Further keys to trust
    #[arg(long, short, value_delimiter = ',', value_name = "KEY")]
    pub(crate) keyring_append: Vec<String>,
    /// Further repositories for the build alone
    #[arg(long, short, value_delimiter = ',', value_name = "REPOSITORY")]
    pub(crate) build_repository_append: Vec<String>,
    /// Further repositories, listed in the image
    #[arg(long, short, value_delimiter = ',', value_name = "REPOSITORY")]
    pub(crate) repository_append: Vec<String>,
    /// The directory of the cache of packages and indexes
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Uses no network: what is not in the cache cannot be had
    #[arg(long)]
    pub(crate) offline: bool,
    /// Refuses configurations with what the Go apko does not know
    #[arg(long)]
    pub(crate) strict_compat: bool,
    #[command(flatten)]
    pub(crate) network: Network,
}

/// What archives may hold at most, in bytes; -1 lifts a limit.
#[derive(Clone, Debug, Args)]
pub(crate) struct Limits {
    /// The largest inflated control section
    #[arg(
        long,
        default_value_t = 10_485_760,
        allow_negative_numbers = true,
        value_name = "BYTES"
    )]
    pub(crate) max_apk_control_size: i64,
    /// The largest inflated data section
    #[arg(
        long,
        default_value_t = 17_179_869_184,
        allow_negative_numbers = true,
        value_name = "BYTES"
    )]
    pub(crate) max_apk_data_size: i64,
    /// The largest inflated index
    #[arg(
        long,
        default_value_t = 314_572_800,
        allow_negative_numbers = true,
        value_name = "BYTES"
    )]
    pub(crate) max_apkindex_decompressed_size: i64,
    /// The largest answer of a server
    #[arg(
        long,
        default_value_t = 8_589_934_592,
        allow_negative_numbers = true,
        value_name = "BYTES"
    )]
    pub(crate) max_http_response_size: i64,
}

impl Limits {
    pub(crate) fn of_policy(&self, policy: &mut Policy) {
        set(&mut policy.index_limit, self.max_apkindex_decompressed_size);
        set(&mut policy.package_limits.control, self.max_apk_control_size);
        set(&mut policy.package_limits.data, self.max_apk_data_size);
    }

    pub(crate) fn of_answers(&self, options: &mut ClientOptions) {
        set(&mut options.max_response_size, self.max_http_response_size);
        set(
            &mut options.max_document_size,
            self.max_apkindex_decompressed_size,
        );
    }
}

/// 0 stands for the default, -1 for no limit, as in the Go tool.
fn set(limit: &mut u64, wanted: i64) {
    if wanted != 0 {
        *limit = u64::try_from(wanted).unwrap_or(u64::MAX);
    }
}

/// The architectures to work for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Archs {
    /// Architectures, `host` or `all`; those of the configuration if not given, all if it has none
    #[arg(long, value_delimiter = ',')]
    pub(crate) arch: Vec<String>,
}

/// What compresses layers.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LayerCompression {
    /// Read by everything
    Gzip,
    /// Smaller, and faster to unpack
    Zstd,
}

impl From<LayerCompression> for Algorithm {
    fn from(compression: LayerCompression) -> Self {
        match compression {
            LayerCompression::Gzip => Self::Gzip,
            LayerCompression::Zstd => Self::Zstd,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The image configuration
    pub(crate) config: PathBuf,
    /// The image's name and tag
    pub(crate) tag: String,
    /// An existing directory for an OCI layout, else the archive to write
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) making: Making,
}

/// How an image is made, wherever it goes.
#[derive(Debug, Args)]
pub(crate) struct Making {
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) archs: Archs,
    #[command(flatten)]
    pub(crate) solver: why::Solver,
    #[command(flatten)]
    pub(crate) limits: Limits,
    /// Further packages to install
    #[arg(long, short, value_delimiter = ',', value_name = "PACKAGE")]
    pub(crate) package_append: Vec<String>,
    /// Annotations to add, KEY:VALUE
    #[arg(long, value_delimiter = ',', value_name = "KEY:VALUE")]
    pub(crate) annotations: Vec<String>,
    /// The format of the layers, in the place of the configuration's: `tar` or `erofs`
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// What compresses tar layers. It does not change what is in them, their diff IDs
    #[arg(long, value_name = "HOW", default_value = "gzip")]
    pub(crate) layer_compression: LayerCompression,
    /// The time of the image (RFC 3339), unless a package is newer
    #[arg(long, value_name = "TIME")]
    pub(crate) build_date: Option<String>,
    /// Where to look for files that are not in the working directory
    #[arg(long, value_delimiter = ',', value_name = "DIR")]
    pub(crate) include_paths: Vec<PathBuf>,
    /// Installs the packages of this lock file, made by `apko lock`
    #[arg(long, value_name = "FILE")]
    pub(crate) lockfile: Option<PathBuf>,
    /// Takes indexes whose signature is missing or wrong
    #[arg(long)]
    pub(crate) ignore_signatures: bool,
    /// Whether to write software bills of materials
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) sbom: bool,
    /// The directory for them; `build` writes to the working directory if it is not given, `publish` nowhere
    #[arg(long, value_name = "DIR")]
    pub(crate) sbom_path: Option<PathBuf>,
    /// Their formats
    #[arg(long, value_delimiter = ',', default_value = "spdx")]
    pub(crate) sbom_formats: Vec<sbom::Format>,
    /// Fails where a package has scripts that an installation by apk would run
    #[arg(long)]
    pub(crate) fail_on_skipped_scripts: bool,
    /// Fails where packages are built for different C libraries, which is a warning otherwise
    #[arg(long)]
    pub(crate) strict: bool,
    /// Tells in the end where the time went; with --json as objects too
    #[arg(long)]
    pub(crate) timings: bool,
    /// Prints the steps as JSON, an object a line, instead of the digest
    #[arg(long)]
    pub(crate) json: bool,
    /// Whether to look up the version control's URL
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) vcs: bool,
}
