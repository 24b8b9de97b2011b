//! The command line: the names, types and defaults of the Go tool's flags.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use cli_support::Deferred;
use melange::Linters;

use crate::build_only::BuildOnly;
use crate::guest::GuestArguments;

/// Builds signed apk packages out of declarative pipelines.
#[derive(Debug, Parser)]
#[command(
    name = "melange",
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
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Builds the packages of a configuration
    #[command(after_help = BUILD_EXAMPLES)]
    Build(Deferred<Box<Build>>),
    /// Shows a configuration with everything replaced and resolved, as JSON
    #[command(after_help = crate::compilation::EXAMPLES)]
    Compile(Deferred<Box<Compile>>),
    /// Prints the JSON schema of build configurations
    #[command(after_help = crate::schema::EXAMPLES)]
    Schema,
    /// Brings a configuration to a new version
    #[command(after_help = crate::bump::EXAMPLES)]
    Bump(Deferred<crate::bump::Bump>),
    /// Fills a template from a configuration
    #[command(after_help = crate::query::EXAMPLES)]
    Query(Deferred<crate::query::Query>),
    /// Shows name, version and release of a configuration's package
    #[command(after_help = "Example:\n  melange package-version hello.yaml      # hello-2.12-r0")]
    PackageVersion(Deferred<crate::query::PackageVersion>),
    /// Finds what is wrong or odd in configurations
    #[command(after_help = crate::lint_config::EXAMPLES)]
    LintConfig(Deferred<crate::lint_config::LintConfig>),
    /// Runs the tests of a configuration's packages
    #[command(after_help = crate::test::EXAMPLES)]
    Test(Deferred<Box<crate::test::Test>>),
    /// Enters the guest that a build left behind
    #[command(after_help = crate::enter::EXAMPLES)]
    Enter(Deferred<crate::enter::Enter>),
    /// Packages, tests and images as one graph: builds what a change affects, and nothing else
    #[command(alias = "ws", after_help = crate::workspace::EXAMPLES)]
    Workspace(Deferred<crate::workspace::WorkspaceCommand>),
    /// Says what stands in the way of running steps
    #[command(after_help = crate::doctor::EXAMPLES)]
    Doctor(Deferred<crate::doctor::Doctor>),
    /// Makes a key pair for signing
    #[command(after_help = "Example:\n  melange keygen local.rsa      # writes local.rsa and local.rsa.pub")]
    Keygen(Deferred<Keygen>),
    /// Makes an index of packages
    Index(Deferred<crate::index::IndexPackages>),
    /// Signs packages
    Sign(Deferred<crate::sign::Sign>),
    /// Signs indexes
    SignIndex(Deferred<crate::sign::SignIndex>),
    /// Prints a script that makes a shell complete this command
    #[command(after_help = cli_support::completion_examples("melange"))]
    Completion(Deferred<cli_support::Completion>),
    /// Prints all of this as a page
    #[command(hide = true)]
    ReferencePage,
    /// Shows the version
    Version(Deferred<cli_support::Version>),
}

const BUILD_EXAMPLES: &str = "\
Examples:
  melange build hello.yaml --arch x86_64 --signing-key local.rsa
  melange build hello.yaml --arch host --repository-append packages --keyring-append local.rsa.pub --signing-key local.rsa
  melange build hello.yaml --arch x86_64 --check      # built twice: is it the same?

The packages lie in packages/ARCH, with an index beside them. Their paths are printed to standard output.
Exit status: 0 built, 1 the work failed, 2 the command line or the configuration is wrong.";

/// What a configuration is compiled for.
#[derive(Clone, Debug, Args)]
pub(crate) struct Compilation {
    /// Build options to enable
    #[arg(long, value_delimiter = ',', value_name = "OPTION")]
    pub(crate) build_option: Vec<String>,
    /// Files with environment variables for the steps
    #[arg(long, value_delimiter = ',', value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// A file with variables for the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) vars_file: Option<PathBuf>,
    /// A directory with pipelines
    #[arg(long, value_name = "DIR")]
    pub(crate) pipeline_dir: Option<PathBuf>,
    /// The commit of the configuration; the repository's HEAD if not given
    #[arg(long, value_name = "COMMIT")]
    pub(crate) git_commit: Option<String>,
    /// The URL of the configuration's repository
    #[arg(long, value_name = "URL")]
    pub(crate) git_repo_url: Option<String>,
    /// The most time a build may take, such as 90s or 1h30m
    #[arg(long, value_name = "TIME", value_parser = cli_support::parse_duration)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// The processors that a build may use, such as 2 or 500m
    #[arg(long)]
    pub(crate) cpu: Option<String>,
    /// The memory that a build may use, such as 4Gi
    #[arg(long)]
    pub(crate) memory: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The build configuration; .melange.yaml or melange.yaml if not given
    pub(crate) config: Option<PathBuf>,
    /// Architectures, or `host`; all if not given
    #[arg(long, value_delimiter = ',')]
    pub(crate) arch: Vec<String>,
    #[command(flatten)]
    pub(crate) compilation: Compilation,
    /// Further packages for the build environment
    #[arg(long, value_delimiter = ',', value_name = "PACKAGE")]
    pub(crate) package_append: Vec<String>,
    /// The private key to sign with
    #[arg(long, value_name = "KEY")]
    pub(crate) signing_key: Option<PathBuf>,
    /// The directory that gets the packages, in one of its own for each architecture
    #[arg(long, default_value = "./packages/", value_name = "DIR")]
    pub(crate) out_dir: PathBuf,
    /// Whether to write an index of the packages
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) generate_index: bool,
    /// The directory with sources; the configuration's if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) source_dir: Option<PathBuf>,
    /// Begins with an empty workspace
    #[arg(long)]
    pub(crate) empty_workspace: bool,
    /// The time of all that is made (RFC 3339); SOURCE_DATE_EPOCH wins over it
    #[arg(long, value_name = "TIME")]
    pub(crate) build_date: Option<String>,
    /// The distribution, for package URLs
    #[arg(long, default_value = "unknown")]
    pub(crate) namespace: String,
    /// The licence of the configuration itself
    #[arg(long, default_value = "NOASSERTION")]
    pub(crate) license: String,
    /// Leaves the origin out, for bootstrapping
    #[arg(long)]
    pub(crate) strip_origin_name: bool,
    /// The C library of host triplets
    #[arg(long, default_value = "gnu", value_name = "LIBC", value_parser = ["gnu", "musl"])]
    pub(crate) override_host_triplet_libc_substitution_flavor: String,
    /// Linters whose findings fail the build; an empty text for none
    #[arg(long, value_delimiter = ',', value_name = "LINTER", default_values_t = Linters::default().require)]
    pub(crate) lint_require: Vec<String>,
    /// Linters whose findings are shown; an empty text for none
    #[arg(long, value_delimiter = ',', value_name = "LINTER", default_values_t = Linters::default().warn)]
    pub(crate) lint_warn: Vec<String>,
    /// Ignored, as by the Go tool
    #[arg(long, hide = true)]
    pub(crate) fail_on_lint_warning: bool,
    /// A directory that the steps see as /var/cache/melange, if it exists
    #[arg(long, default_value = "./melange-cache/", value_name = "DIR")]
    pub(crate) cache_dir: PathBuf,
    /// Removes the guest in the end
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) cleanup: bool,
    /// Adds a line for each package, ARCH|ORIGIN|NAME|VERSION, to packages.log in the working directory
    #[arg(long)]
    pub(crate) create_build_log: bool,
    /// Writes what was found out about dependencies to FILE.ARCH, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) dependency_log: Option<PathBuf>,
    /// Writes a SLSA provenance beside each package, as NAME-VERSION.attest.tar.gz
    #[arg(long)]
    pub(crate) generate_provenance: bool,
    /// Writes a CycloneDX document beside each package, as NAME-VERSION.cdx.json
    #[arg(long)]
    pub(crate) generate_cyclonedx: bool,
    /// Writes the linters' findings beside the packages, as lint-NAME-VERSION.json
    #[arg(long)]
    pub(crate) persist_lint_results: bool,
    /// Says which file each generated dependency comes from
    #[arg(long)]
    pub(crate) explain: bool,
    /// Builds everything a second time, in other directories, at another time, with another umask and number of
    /// processors, and fails where that does not give the same bytes
    #[arg(long)]
    pub(crate) check: bool,
    /// Writes how long each step took, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// The model of the processor, for runners of virtual machines
    #[arg(long, hide = true)]
    pub(crate) cpumodel: Option<String>,
    /// The space on disk, for runners of virtual machines
    #[arg(long, hide = true)]
    pub(crate) disk: Option<String>,
    #[command(flatten)]
    pub(crate) guest: GuestArguments,
}

#[derive(Debug, Args)]
pub(crate) struct Compile {
    /// The build configuration; .melange.yaml or melange.yaml if not given
    pub(crate) config: Option<PathBuf>,
    /// The architecture
    #[arg(long)]
    pub(crate) arch: String,
    #[command(flatten)]
    pub(crate) compilation: Compilation,
    /// The directory with sources, which compiling does not look at
    #[arg(long, value_name = "DIR")]
    pub(crate) source_dir: Option<PathBuf>,
    /// What would run the steps
    #[arg(long)]
    pub(crate) runner: Option<String>,
    /// Prints what is wrong as JSON too, one fault a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) build_only: BuildOnly,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The file for the private key; the public key gets the ending .pub
    #[arg(default_value = "melange.rsa")]
    pub(crate) file: PathBuf,
    /// The size of the key in bits
    #[arg(long, default_value_t = 4096, value_name = "BITS")]
    pub(crate) key_size: usize,
}
