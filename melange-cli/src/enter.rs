//! `melange enter`: back into the guest that a build left behind.

use std::env;
use std::path::PathBuf;

use clap::Args;
use melange::KeptGuest;
use melange_pipeline::runner::ExitStatus;

use crate::failure::{Failure, Outcome};
use crate::guest::runners;

pub(crate) const EXAMPLES: &str = "\
Examples:
  melange build hello.yaml --rm=false            # says where the guest stays
  melange enter /tmp/melange-kept-x1y2z3
  melange enter /tmp/melange-kept-x1y2z3 -- make -C src

Remove the directory when it is of no use any more.
Exit status: that of the command, 1 if there is no such guest.";

#[derive(Debug, Args)]
pub(crate) struct Enter {
    /// The directory that the guest was left in
    directory: PathBuf,
    /// What to run there; a shell if not given
    #[arg(last = true)]
    command: Vec<String>,
}

pub(crate) fn enter(arguments: &Enter) -> Outcome {
    let failed = |error: &dyn std::error::Error| Failure::work(cli_support::chain(error));
    let guest = KeptGuest::read(&arguments.directory).map_err(|error| failed(&error))?;
    let runners = runners();
    let runner = runners.iter().find(|runner| runner.name() == guest.runner());
    let runner = runner.ok_or_else(|| Failure::work(format!("there is no runner `{}`", guest.runner())))?;
    let terminal = env::var("TERM").unwrap_or_else(|_| "xterm-256color".to_owned());
    let status = guest
        .enter(&**runner, &arguments.command, &terminal)
        .map_err(|error| failed(&error))?;
    match status {
        status if status.is_success() => Ok(()),
        ExitStatus::Code(code) => Err(Failure {
            status: u8::try_from(code).unwrap_or(1),
            ..Failure::work(format!("the command ended with {status}"))
        }),
        ExitStatus::Signal(_) => Err(Failure::work(format!("the command ended with {status}"))),
    }
}
