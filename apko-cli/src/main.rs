//! The `apko` command: command line in, stages of the `apko` crate, text out.

mod args;
mod build;
mod clean;
mod conflict;
mod diff;
mod dot;
mod erofs;
mod failure;
mod install_keys;
mod load;
mod lock;
mod login;
mod network;
mod publish;
mod report;
mod rootfs;
mod sbom;
mod selection;
mod show_config;
mod show_packages;
mod spool;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use cli_support::{EXIT_DONE, EXIT_USAGE, Steps, Verbosity};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::args::{Cli, Command};
use crate::failure::{Failure, Outcome};

/// What is known of a package outlives the buffers that it was read with. The system's allocator puts one between the
/// others, and so cannot use their place for a larger one again; this one keeps sizes apart.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    raise_file_limit();
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
        false => Verbosity::from_log_level(&cli.log_level).map_err(|text| Failure {
            text: format!("--log-level: {text}"),
            status: EXIT_USAGE,
        })?,
    };
    if let Some(directory) = &cli.workdir {
        std::env::set_current_dir(directory)
            .map_err(|error| Failure::usage(format!("--workdir {}: {error}", directory.display())))?;
    }
    let steps = Steps::new(verbosity);
    match cli.command {
        Command::Build(arguments) => build::build(&arguments, &steps),
        Command::BuildMinirootfs(arguments) => rootfs::minirootfs(&arguments, &steps),
        Command::BuildCpio(arguments) => rootfs::cpio(&arguments, &steps),
        Command::Lock(arguments) => lock::lock(&arguments, &steps),
        Command::ShowConfig(arguments) => show_config::show_config(&arguments, &steps),
        Command::ShowPackages(arguments) => show_packages::show_packages(&arguments, &steps),
        Command::Dot(arguments) => dot::dot(&arguments, &steps),
        Command::Diff(arguments) => diff::diff(&arguments),
        Command::Schema => show_config::schema(),
        Command::Sbom(arguments) => sbom::sbom(&arguments, &steps),
        Command::Publish(arguments) => publish::publish(&arguments, &steps),
        Command::Login(arguments) => login::login(&arguments, &steps),
        Command::Load(arguments) => load::load(&arguments, &steps),
        Command::Erofs(arguments) => erofs::erofs(&arguments, &steps),
        Command::Why(question) => why::why(&question, &steps),
        Command::WhyNot(question) => why::why_not(&question, &steps),
        Command::InstallKeys(arguments) => install_keys::install_keys(&arguments, &steps),
        Command::Clean(arguments) => clean::clean(&arguments),
        Command::Completion(arguments) => printed(cli_support::print_completion(*arguments, Cli::command())),
        Command::ReferencePage => build::print(&cli_support::reference_page(Cli::command())),
        Command::Version(arguments) => printed(cli_support::print_version(
            *arguments,
            "apko",
            env!("CARGO_PKG_VERSION"),
        )),
    }
}

/// Each package of an image is an open file: as many as the system allows, not as many as it gives at first.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is not granted, an image of very many packages fails with the system's reason.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn printed(outcome: std::io::Result<()>) -> Outcome {
    outcome.map_err(|error| Failure::work(&error))
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
            "apko build a.yaml a:1 a.tar --sbom=0 --vcs=true --offline=false --cache-dir= -k a,b -k c --arch x86_64 --arch aarch64",
            "apko build a.yaml a:1 a.tar --sbom-path a --sbom-path b",
            "apko --log-level warn lock a.yaml --output=a.json --ignore-signatures=T --workdir=x",
        ] {
            let words = line.split(' ').map(Into::into).collect();
            let words = cli_support::go_arguments(words, Cli::command);
            assert!(Cli::try_parse_from(&words).is_ok(), "{words:?}");
        }
    }
}
