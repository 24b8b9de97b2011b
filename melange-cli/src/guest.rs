//! What building and testing share on the command line: where steps run and what they see.

use std::collections::BTreeMap;
use std::env;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use apk_repository::Client;
use apk_types::Arch;
use apko::{Additions, Policy, Store};
use clap::{ArgAction, Args, ValueEnum};
use cli_support::{Progress, Steps};
use melange::{ApkoEnvironment, GuestOptions, RootCache, SourceTools, StopAfter};
use melange_config::types::Resources;
use melange_pipeline::runner::{Bubblewrap, Cancel, Helper, Native, Network, Runner};

use crate::failure::{Failure, Outcome};
use crate::resources::limits;

/// How many guest trees are kept.
pub(crate) const KEPT_TREES: usize = 6;

/// The hidden command that enters guests.
pub(crate) const GUEST_COMMAND: &str = "guest-main";

/// What runs the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunnerName {
    /// The program bwrap
    Bubblewrap,
    /// Namespaces made by melange itself
    Native,
}

/// What the steps see of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkName {
    /// The host's
    Host,
    /// Nothing but a loopback device
    None,
}

/// Which variables of `--env-file` are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HiddenVariables {
    /// All of them
    All,
    /// Those whose names speak of a secret, such as GITHUB_TOKEN
    Secrets,
    /// None of them
    None,
}

/// What names of variables have in them that hold secrets.
const SECRET_WORDS: [&str; 13] = [
    "AUTH",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "COOKIE",
    "CREDENTIAL",
    "LOGIN",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "PRIVATE",
    "SECRET",
    "TOKEN",
];

impl HiddenVariables {
    /// Whether packages do not tell a variable.
    pub(crate) fn hides(self, name: &str) -> bool {
        let name = name.to_ascii_uppercase();
        match self {
            Self::All => true,
            Self::Secrets => SECRET_WORDS.iter().any(|word| name.contains(word)) || name.ends_with("_KEY"),
            Self::None => false,
        }
    }

    /// The texts that logs do not show, of a file's values.
    pub(crate) fn texts<'a>(self, values: impl Iterator<Item = &'a String>) -> Vec<String> {
        let whole = |value: &&String| self != Self::None && value.len() > 2;
        let mut texts = Vec::new();
        for value in values.filter(whole) {
            texts.push(value.clone());
            // Output comes line by line.
            let lines = value
                .lines()
                .filter(|line| line.len() > 7 && line.len() < value.len());
            texts.extend(lines.map(str::to_owned));
        }
        texts
    }
}

/// The guest that steps run in.
#[derive(Debug, Args)]
pub(crate) struct GuestArguments {
    /// Directories with pipelines
    #[arg(long, value_delimiter = ',', value_name = "DIR")]
    pub(crate) pipeline_dirs: Vec<PathBuf>,
    /// Further keys to trust for the environment
    #[arg(long, short, value_delimiter = ',', value_name = "KEY")]
    pub(crate) keyring_append: Vec<String>,
    /// Further repositories for the environment
    #[arg(long, short, value_delimiter = ',', value_name = "REPOSITORY")]
    pub(crate) repository_append: Vec<String>,
    /// Takes indexes whose signature is missing or wrong
    #[arg(long)]
    pub(crate) ignore_signatures: bool,
    /// What runs the steps; bubblewrap where it works, else native
    #[arg(long, value_enum)]
    pub(crate) runner: Option<RunnerName>,
    /// What the steps see of the network
    #[arg(long, default_value = "host", value_enum)]
    pub(crate) network: NetworkName,
    /// Uses no network for the environment's packages: what is not in the cache cannot be had
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) http: cli_support::Network,
    /// Prints each command of the steps
    #[arg(long)]
    pub(crate) debug: bool,
    /// Keeps the guest and the workspace
    #[arg(long)]
    pub(crate) debug_runner: bool,
    /// Removes the guest and the workspace in the end
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) rm: bool,
    /// Opens a shell in the guest where a step fails; `exit 0` there goes on with the next step
    #[arg(long, short)]
    pub(crate) interactive: bool,
    /// Opens that shell after this step in any case: 3, 3.1, or PACKAGE:3 for one of a subpackage
    #[arg(long, value_name = "STEP")]
    pub(crate) at_step: Option<String>,
    /// Ignored, as by the Go tool: a directory to fill the cache from
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) cache_source: Option<PathBuf>,
    /// The directory of the cache of packages and guests; `apko` in XDG_CACHE_HOME or ~/.cache if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) apk_cache_dir: Option<PathBuf>,
    /// The directory that gets the workspace, in one of its own for each architecture; it stays where a step fails. A
    /// temporary one if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace_dir: Option<PathBuf>,
    /// Which variables of --env-file packages and provenance do not tell; logs tell no values, but with `none`
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "all", default_value = "secrets", value_name = "WHICH")]
    pub(crate) hide_env_file: HiddenVariables,
    /// A directory that gets what the steps write, in one file for each configuration; `logs` in that of --out-dir if
    /// not given, none for tests
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
}

/// The process that this program starts to enter a guest.
pub(crate) fn helper() -> Helper {
    Helper::new("/proc/self/exe", [GUEST_COMMAND])
}

/// All runners, the preferred first. What one tried is known to those that are asked for later.
pub(crate) fn runners() -> [Box<dyn Runner + Sync>; 2] {
    static RUNNERS: OnceLock<(Bubblewrap, Native)> = OnceLock::new();
    let (bubblewrap, native) = RUNNERS.get_or_init(|| {
        let path = env::var_os("PATH");
        let bubblewrap = Bubblewrap::find(path.as_deref()).with_helper(helper());
        (bubblewrap, Native::new(helper()))
    });
    [Box::new(bubblewrap.clone()), Box::new(native.clone())]
}

impl GuestArguments {
    /// The runner that was asked for, or the first that works.
    pub(crate) fn runner(&self, steps: &Steps) -> Box<dyn Runner + Sync> {
        let [bubblewrap, native] = runners();
        match self.runner {
            Some(RunnerName::Bubblewrap) => bubblewrap,
            Some(RunnerName::Native) => native,
            None if bubblewrap.check().is_err() && native.check().is_ok() => {
                steps.detail("steps run in the native runner, for bubblewrap cannot be used");
                native
            }
            None => bubblewrap,
        }
    }

    /// Whether shells open, which needs a person at a terminal.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive || self.at_step.is_some()
    }

    /// Refuses to open shells where nobody could type into them.
    pub(crate) fn check_terminal(&self) -> Outcome {
        match self.is_interactive() && !std::io::stdin().is_terminal() {
            true => Err(Failure::usage(
                "--interactive and --at-step need a terminal to open a shell on",
            )),
            false => Ok(()),
        }
    }

    /// The guest's options for one architecture.
    pub(crate) fn options(
        &self,
        arch: Arch,
        resources: Option<&Resources>,
        cancel: &Cancel,
    ) -> Outcome<GuestOptions> {
        let terminal = env::var("TERM").unwrap_or_else(|_| "xterm-256color".to_owned());
        Ok(GuestOptions {
            workspace: self
                .workspace_dir
                .as_ref()
                .map(|directory| directory.join(arch.apk_name())),
            network: match self.network {
                NetworkName::Host => Network::Host,
                NetworkName::None => Network::None,
            },
            limits: limits(resources)?,
            trace: self.debug,
            interactive: self.is_interactive(),
            stop_after: self.at_step.as_deref().map(stop_after).transpose()?,
            shell_environment: BTreeMap::from([("TERM".to_owned(), terminal)]),
            keep: self.debug_runner || !self.rm,
            cancel: cancel.clone(),
            ..GuestOptions::new(env::temp_dir())
        })
    }

    /// What makes the guests, and what shows how their packages are fetched.
    pub(crate) fn environment(
        &self,
        packages: &[String],
        steps: &Steps,
        cancel: &Cancel,
    ) -> Outcome<(ApkoEnvironment, Progress)> {
        let variable = |name: &str| env::var(name).ok();
        let (mut options, progress) = self
            .http
            .options(&variable, steps)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let cache = self.http.cache(self.apk_cache_dir.as_deref(), steps);
        options.cache.clone_from(&cache);
        options.offline = self.offline;
        options.http.cancel = cancel.switch();
        options.http.user_agent = concat!("melange/", env!("CARGO_PKG_VERSION")).to_owned();
        let environment = ApkoEnvironment {
            roots: cache
                .as_ref()
                .map(|cache| RootCache::new(cache.root().join("guests"), KEPT_TREES)),
            store: cache.map(Store::new),
            additions: Additions {
                keys: self.keyring_append.clone(),
                build_repositories: self.repository_append.clone(),
                repositories: Vec::new(),
                packages: packages.to_vec(),
            },
            policy: Policy {
                client: Client::new(options),
                ignore_signatures: self.ignore_signatures,
                ..Policy::default()
            },
            chosen: None,
        };
        Ok((environment, progress))
    }
}

/// Reads `3`, `3.1` or `PACKAGE:3`.
fn stop_after(text: &str) -> Outcome<StopAfter> {
    let (package, number) = match text.rsplit_once(':') {
        Some((package, number)) => (Some(package.to_owned()), number),
        None => (None, text),
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match number.split('.').all(is_number) {
        true => Ok(StopAfter {
            package,
            number: number.to_owned(),
        }),
        false => Err(Failure::usage(format!(
            "--at-step: `{text}` is not a step such as 3, 3.1 or PACKAGE:3"
        ))),
    }
}

/// What gets sources outside of guests: whoever fetches packages, and the git of this machine.
pub(crate) fn source_tools(environment: &ApkoEnvironment) -> SourceTools {
    SourceTools::new(environment.policy.client.clone(), env::var_os("PATH").as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_whose_names_speak_of_secrets_are_hidden() {
        for name in [
            "GITHUB_TOKEN",
            "npm_auth",
            "DbPassword",
            "SIGNING_KEY",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(HiddenVariables::Secrets.hides(name), "{name}");
        }
        for name in ["KEYBOARD", "GOFLAGS", "FROM_FILE"] {
            assert!(!HiddenVariables::Secrets.hides(name), "{name}");
        }
        let value = "-----BEGIN-----\nabcdefgh\n".to_owned();
        let texts = HiddenVariables::Secrets.texts([&value, &"on".to_owned()].into_iter());
        assert_eq!(texts, [value.as_str(), "-----BEGIN-----", "abcdefgh"]);
        assert!(HiddenVariables::None.texts([&value].into_iter()).is_empty());
    }

    #[test]
    fn a_step_to_stop_after_may_be_one_of_a_subpackage() {
        let read = |text| stop_after(text).map(|stop| (stop.package, stop.number));
        assert_eq!(read("3.1").unwrap(), (None, "3.1".to_owned()));
        assert_eq!(
            read("hello-doc:2").unwrap(),
            (Some("hello-doc".to_owned()), "2".to_owned())
        );
        for text in ["", "x", "3.", "a:"] {
            assert!(stop_after(text).is_err(), "{text}");
        }
    }
}
