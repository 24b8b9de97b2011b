//! Arguments of commands that are described only once their command is asked for.

use std::ops::Deref;

use clap::builder::Resettable;
use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches};

/// The arguments of a subcommand, which clap is told of when that subcommand is parsed, and not whenever the program
/// starts.
#[derive(Clone, Copy, Debug)]
pub struct Deferred<T>(T);

impl<T> Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| keeping_its_description(command, T::augment_args))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(|command| keeping_its_description(command, T::augment_args_for_update))
    }
}

/// What a command says of itself wins over what its arguments say of themselves, as if it had come after them.
fn keeping_its_description(command: Command, augment: fn(Command) -> Command) -> Command {
    let about = Resettable::from(command.get_about().cloned());
    let long_about = Resettable::from(command.get_long_about().cloned());
    augment(command).about(about).long_about(long_about)
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Commands,
        #[arg(long, global = true)]
        quiet: bool,
    }

    #[derive(Debug, Subcommand)]
    enum Commands {
        /// Copies a file
        Copy(Deferred<Copy>),
    }

    /// What `copy` takes.
    #[derive(Debug, Args)]
    struct Copy {
        from: String,
        #[arg(long, default_value = "here")]
        to: String,
    }

    #[test]
    fn arguments_are_parsed_as_they_would_be_at_once() {
        let Cli { command, quiet } = Cli::try_parse_from(["tool", "copy", "a", "--quiet"]).unwrap();
        let Commands::Copy(copy) = command;
        assert_eq!((copy.from.as_str(), copy.to.as_str(), quiet), ("a", "here", true));
        assert!(Cli::try_parse_from(["tool", "copy"]).is_err());
        assert!(Cli::try_parse_from(["tool", "copy", "a", "--two"]).is_err());
    }

    #[test]
    fn a_command_that_is_not_asked_for_is_described_when_all_is_built() {
        use clap::CommandFactory as _;
        let arguments = |command: &Command| {
            let copy = command.find_subcommand("copy").unwrap();
            copy.get_arguments()
                .filter(|argument| !argument.is_global_set())
                .count()
        };
        let mut command = Cli::command();
        assert_eq!(arguments(&command), 0);
        command.build();
        // With `--help`.
        assert_eq!(arguments(&command), 3);
        let about = command.find_subcommand("copy").and_then(Command::get_about);
        assert_eq!(about.map(ToString::to_string).as_deref(), Some("Copies a file"));
    }
}
