//! The command line of `melange workspace`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

pub(crate) const EXAMPLES: &str = "\
Examples:
  melange workspace plan                       # what would be built, and why
  melange workspace build --keep-going
  melange workspace explain greeter            # why it would be built, or why not
  melange workspace affected --since main      # what a branch can affect
  melange workspace graph --format html > graph.html

A workspace is a directory with a workspace.yaml, or one of melange configurations without one.
Exit status: 0 done, 1 the work failed, 2 the command line or a configuration is wrong, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct WorkspaceCommand {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows what a build would do, and why
    Plan(Plan),
    /// Builds what a change affects: packages, tests and images
    Build(Box<Build>),
    /// Runs the tests that a change affects, with the packages that they need
    Test(Box<Build>),
    /// Shows who needs whom
    Graph(Graph),
    /// Says why something would be built, or why not
    Explain(Explain),
    /// Lists what changed files can affect
    Affected(Affected),
    /// Says how things are: what is built, what is not, and which versions are published with another content
    Status(Status),
    /// Removes results that nothing needs
    Gc(Gc),
}

/// Which workspace, and how its repositories are reached.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The workspace; the nearest directory from here upwards with a workspace.yaml if not given
    #[arg(long, short = 'C', value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Further repositories, beside those of workspace.yaml
    #[arg(long, short, value_delimiter = ',', value_name = "REPOSITORY")]
    pub(crate) repository_append: Vec<String>,
    /// Further keys to trust
    #[arg(long, short, value_delimiter = ',', value_name = "KEY")]
    pub(crate) keyring_append: Vec<String>,
    /// Takes indexes whose signature is missing or wrong
    #[arg(long)]
    pub(crate) ignore_signatures: bool,
    /// Uses no network for repositories: what is not in the cache cannot be had
    #[arg(long)]
    pub(crate) offline: bool,
    /// The directory of the cache of packages and guests; `apko` in XDG_CACHE_HOME or ~/.cache if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) apk_cache_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) http: cli_support::Network,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Packages, tests and images; all if none is given
    #[arg(value_name = "NODE")]
    pub(crate) nodes: Vec<String>,
    /// How many are built at the same time, for the estimate; as many as there are processors if not given
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZero<usize>>,
    /// Prints the plan as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Packages, tests and images; all if none is given, and only then are repository and index brought up to date
    #[arg(value_name = "NODE")]
    pub(crate) nodes: Vec<String>,
    /// How many are built at the same time; as many as there are processors if not given
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZero<usize>>,
    /// Goes on with what does not need that which failed
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Prints what happens as JSON, one event a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Directory that the steps see as /var/cache/melange, if it exists
    #[arg(long, default_value = "./melange-cache/", value_name = "DIR")]
    pub(crate) cache_dir: PathBuf,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// The language of Graphviz
    Dot,
    /// As Markdown pages show it
    Mermaid,
    /// For programs
    Json,
    /// A page of its own, with search
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// Packages, tests and images, with what they need; all if none is given
    #[arg(value_name = "NODE")]
    pub(crate) nodes: Vec<String>,
    /// How it is written
    #[arg(long, value_enum, default_value = "dot")]
    pub(crate) format: GraphFormat,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A package, a test (`test:NAME`) or an image
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    /// Prints all inputs and what changed as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true)]
pub(crate) struct What {
    /// Files that are others than in a revision of the git repository
    #[arg(long, value_name = "GIT_REV")]
    pub(crate) since: Option<String>,
    /// Files, relative to the workspace
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) paths: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Affected {
    #[command(flatten)]
    pub(crate) what: What,
    /// Prints the nodes as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// A repository: packages are reported whose content is another one than what it has under the same version
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) published: Option<String>,
    /// Raises the epochs of those packages in their configurations, comments kept
    #[arg(long, requires = "published")]
    pub(crate) bump_epochs: bool,
    /// Prints it as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// How long results are kept that no node has now
    #[arg(long, default_value = "30d", value_name = "TIME", value_parser = cli_support::parse_duration)]
    pub(crate) older_than: std::time::Duration,
    #[command(flatten)]
    pub(crate) place: Place,
}
