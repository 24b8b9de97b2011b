//! The `melange` command: command line in, stages of the `melange` crate, text out.

mod args;
mod build;
mod build_only;
mod bump;
mod check;
mod compilation;
mod doctor;
mod enter;
mod failing_step;
mod failure;
mod guest;
mod index;
mod keygen;
mod lint_config;
mod query;
mod resources;
mod schema;
mod show;
mod sign;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use cli_support::{EXIT_DONE, Steps, Verbosity};

use crate::args::{Cli, Command};
use crate::failure::{Failure, Outcome};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments
        .next()
        .is_some_and(|command| command == guest::GUEST_COMMAND)
    {
        // This very process becomes the guest's: it must have no threads and read nothing else.
        return melange_pipeline::runner::guest_main(&arguments.collect::<Vec<_>>());
    }
    // Clap ends the program itself: status 2 for a wrong command line, 0 for `--help`.
    let cli = Cli::parse_from(cli_support::go_arguments(
        std::env::args_os().collect(),
        Cli::command,
    ));
    match run(cli) {
        Ok(()) => ExitCode::from(EXIT_DONE),
        Err(failure) => {
            cli_support::print_error(&failure.text);
            ExitCode::from(failure.status)
        }
    }
}

fn run(cli: Cli) -> Outcome {
    let verbosity = match cli.quiet {
        true => Verbosity::Quiet,
        false => Verbosity::from_log_level(&cli.log_level)
            .map_err(|text| Failure::usage(format!("--log-level: {text}")))?,
    };
    let steps = Steps::new(verbosity);
    match cli.command {
        Command::Build(arguments) => build::build(&arguments, &steps),
        Command::Compile(arguments) => compilation::command(&arguments, &steps),
        Command::Bump(arguments) => bump::bump(&arguments, &steps),
        Command::Query(arguments) => query::query(&arguments),
        Command::PackageVersion(arguments) => query::package_version(&arguments),
        Command::Schema => schema::schema(),
        Command::LintConfig(arguments) => lint_config::lint_config(&arguments),
        Command::Test(arguments) => test::test(&arguments, &steps),
        Command::Enter(arguments) => enter::enter(&arguments),
        Command::Workspace(arguments) => workspace::command(&arguments, &steps),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Keygen(arguments) => keygen::keygen(&arguments, &steps),
        Command::Index(arguments) => index::index(&arguments, &steps),
        Command::Sign(arguments) => sign::sign(&arguments, &steps),
        Command::SignIndex(arguments) => sign::sign_index(&arguments, &steps),
        Command::Completion(arguments) => printed(cli_support::print_completion(*arguments, Cli::command())),
        Command::ReferencePage => printed(cli_support::print(&cli_support::reference_page(Cli::command()))),
        Command::Version(arguments) => printed(cli_support::print_version(
            *arguments,
            "melange",
            env!("CARGO_PKG_VERSION"),
        )),
    }
}

fn printed(outcome: std::io::Result<()>) -> Outcome {
    outcome.map_err(|error| Failure::work(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_flags_are_those_of_the_go_tool() {
        let table = include_str!("../tests/go-flags.txt");
        let differences = testkit::go_flags::differences(Cli::command(), table);
        assert_eq!(differences, [""; 0]);
    }
    #[test]
    fn flags_are_written_as_for_the_go_tool() {
        for line in [
            "melange build a.yaml --debug=false --generate-index=1 --rm=f --signing-key= --out-dir a --out-dir b --arch x86_64,aarch64",
            "melange test a.yaml --interactive=false -r a -r b,c --timeout 1h --timeout 2h",
            "melange compile a.yaml --arch x86_64 --rm --generate-provenance=true --log-policy a,b --cache-dir= -i=false",
        ] {
            let words = line.split(' ').map(Into::into).collect();
            let words = cli_support::go_arguments(words, Cli::command);
            assert!(Cli::try_parse_from(&words).is_ok(), "{words:?}");
        }
    }
}
