//! What reads the code without running it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{self, printed, run};
use crate::{Outcome, root};

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

pub(crate) fn command() -> Outcome {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(root());
        command
    };
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    crate::reference::check()?;
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
    let program = cargo_deny()?;
    let check = |what: &[&str]| {
        let mut command = Command::new(&program);
        command
            .args(["--log-level", "error", "check", "--hide-inclusion-graph"])
            .args(what)
            .current_dir(root());
        command
    };
    run(&mut check(&["licenses", "bans", "sources"]))?;
    let output = check(&["advisories"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false if said.contains("failed to fetch advisory database") => {
            println!("skipped: the advisory database cannot be had here");
            Ok(())
        }
        false => Err(format!("cargo deny check advisories\n{said}").into()),
    }
}

/// The program, installed below the target directory where it is not in the search path.
fn cargo_deny() -> Outcome<PathBuf> {
    let is_right = |program: &PathBuf| {
        printed(Command::new(program).arg("--version"))
            .is_ok_and(|version| version.trim().ends_with(CARGO_DENY))
    };
    let target = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .map(Path::to_owned);
    let tools = target
        .ok_or("cargo's target directory is not to be found")?
        .join("tools");
    let installed = tools.join("bin/cargo-deny");
    let candidates = [tools::find("cargo-deny"), Some(installed.clone())];
    if let Some(program) = candidates.into_iter().flatten().find(is_right) {
        return Ok(program);
    }
    eprintln!("installing cargo-deny {CARGO_DENY}");
    let mut install = Command::new("cargo");
    install.args([
        "install",
        "cargo-deny",
        "--version",
        CARGO_DENY,
        "--locked",
        "--debug",
        "--quiet",
        "--root",
    ]);
    run(install.arg(&tools))?;
    Ok(installed)
}
