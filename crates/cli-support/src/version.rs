//! What a command says of its version.

use std::fmt::Write as _;
use std::io;

use clap::Args;
use serde_json::{Value, json};

/// The arguments of `version`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Version {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Prints the version with the fields and the keys of the Go tools, which have none for the name alone and the number
/// alone: `name` and `version` are ours.
///
/// A packager states what it is built from by `GIT_COMMIT`, `GIT_TREE_STATE` and `BUILD_DATE` in the environment of the
/// compiler.
pub fn print_version(arguments: Version, name: &str, version: &str) -> io::Result<()> {
    let facts = facts(version);
    let text = match arguments.json {
        true => {
            let mut object = json!({ "name": name, "version": version });
            for (_, key, value) in facts {
                object[key] = Value::from(value);
            }
            format!("{object:#}\n")
        }
        false => {
            let mut text = format!("{name} {version}\n\n");
            for (label, _, value) in facts {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{label:<15}{value}");
            }
            text
        }
    };
    crate::print(&text)
}

/// Label, key and value.
fn facts(version: &str) -> [(&'static str, &'static str, String); 6] {
    let stated = |value: Option<&str>| value.unwrap_or("unknown").to_owned();
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        arch => arch,
    };
    [
        ("GitVersion:", "gitVersion", format!("v{version}")),
        ("GitCommit:", "gitCommit", stated(option_env!("GIT_COMMIT"))),
        (
            "GitTreeState:",
            "gitTreeState",
            stated(option_env!("GIT_TREE_STATE")),
        ),
        ("BuildDate:", "buildDate", stated(option_env!("BUILD_DATE"))),
        ("Compiler:", "compiler", "rustc".to_owned()),
        (
            "Platform:",
            "platform",
            format!("{}/{arch}", std::env::consts::OS),
        ),
    ]
}
