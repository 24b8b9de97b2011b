//! What reads the code without running it.

use std::process::Command;

use crate::tools::run;
use crate::{Outcome, root};

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.18";

pub(crate) fn command() -> Outcome {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(root());
        command
    };
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]))?;
    run(cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings"))?;
    deny()
}

/// Licences, bans and sources need no network; advisories need their database, which is not everywhere.
fn deny() -> Outcome {
    let deny = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.arg("deny").args(arguments).current_dir(root());
        command
    };
    if crate::tools::printed(&mut deny(&["--version"])).is_err() {
        eprintln!("installing cargo-deny");
        let install = [
            "install",
            "cargo-deny",
            "--version",
            CARGO_DENY,
            "--locked",
            "--debug",
            "--quiet",
        ];
        run(Command::new("cargo").args(install))?;
    }
    run(&mut deny(&["check", "licenses", "bans", "sources"]))?;
    if let Err(error) = run(&mut deny(&["check", "advisories"])) {
        eprintln!("skipped: the advisory database could not be had, or names a dependency ({error})");
    }
    Ok(())
}
