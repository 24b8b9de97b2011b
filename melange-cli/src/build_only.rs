//! Flags that `compile` takes as the Go tool does, though they change nothing of what it prints.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

const VALUES: [&str; 11] = [
    "apk-cache-dir",
    "build-date",
    "cache-dir",
    "cache-source",
    "dependency-log",
    "license",
    "namespace",
    "out-dir",
    "signing-key",
    "trace",
    "workspace-dir",
];

const LISTS: [&str; 4] = [
    "keyring-append",
    "log-policy",
    "package-append",
    "repository-append",
];

const SWITCHES: [&str; 10] = [
    "create-build-log",
    "debug",
    "debug-runner",
    "empty-workspace",
    "fail-on-lint-warning",
    "generate-index",
    "generate-provenance",
    "interactive",
    "rm",
    "strip-origin-name",
];

/// Takes the flags and forgets them.
#[derive(Debug)]
pub(crate) struct BuildOnly;

fn short(name: &str) -> Option<char> {
    match name {
        "keyring-append" => Some('k'),
        "repository-append" => Some('r'),
        "interactive" => Some('i'),
        _ => None,
    }
}

fn argument(name: &'static str) -> Arg {
    Arg::new(name).long(name).short(short(name)).hide(true)
}

impl Args for BuildOnly {
    fn augment_args(command: Command) -> Command {
        let values = VALUES.map(|name| argument(name).action(ArgAction::Append));
        let lists = LISTS.map(|name| argument(name).action(ArgAction::Append).value_delimiter(','));
        let switch = |name| {
            argument(name)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
        };
        command.args(values).args(lists).args(SWITCHES.map(switch))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for BuildOnly {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::Cli;

    #[test]
    fn compile_takes_what_build_takes() {
        let line = "melange compile --arch x86_64 --rm --rm=false -i --generate-index=true -k a,b -r c --out-dir d --license MIT x.yaml";
        let words = line.split(' ').filter(|word| *word != "--rm");
        assert!(Cli::try_parse_from(words).is_ok());
        assert!(Cli::try_parse_from(["melange", "compile", "--arch", "x86_64", "--colour"]).is_err());
    }
}
