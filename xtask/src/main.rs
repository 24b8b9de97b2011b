//! Development commands of the workspace: `cargo xtask COMMAND`.

mod analysis;
mod apk_client;
mod bench;
mod busybox;
mod conformance;
mod conformance_cache;
mod debian;
mod docs;
mod images;
mod lint;
mod package;
mod quickstart;
mod realworld;
mod reference;
mod registry;
mod repeat;
mod repository;
mod run_image;
mod services;
mod synthetic;
mod tests;
mod tools;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask COMMAND

  quickstart [DIR]   key, local repository, package, image, container: the whole way (DIR: ./quickstart)
  workspace [DIR]    the example workspace, with a key and a C compiler to build it with (DIR: ./workspace)
  test [NAME]        every test: unit, documentation, end to end; or those whose name contains NAME
  realworld [NAME]   software that people use: built, tested, installed into images and run; or what contains NAME
  nodebb [ARCHIVE]   the forum of examples/nodebb in a container, from the archive of its release (fetched if not given)
  bench [APKO]       the benches as ratios to gzip -d and sha256sum, and show-packages against another apko
  synthetic DIR      a repository of 2,000 packages and configurations of images of it, to see how cost grows
  workspace-bench MELANGE APKO
                     changes in the example workspace, here and with Go tools that make drives
  workspace-kill N   kills N builds of the example workspace, and has the next one end each
  lint               formatting, clippy and documentation without warnings, dependencies
  reference          writes the reference pages of docs/ anew from the code
  analysis [DIR]     what is found in ELF files against readelf, for the packages below DIR; in Alpine's packages, against
                     what those say of themselves
  conformance        the conformance sets against conformance.toml, where they lie beside the project

Each fetches what it needs with apt when run as root, else says what to install.
";

/// What every command ends with: an error is a text for the person who ran it.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["quickstart"] => quickstart::command(Path::new("quickstart")),
        ["quickstart", directory] if !directory.starts_with('-') => quickstart::command(Path::new(directory)),
        ["workspace"] => workspace::command(Path::new("workspace")),
        ["workspace", directory] if !directory.starts_with('-') => workspace::command(Path::new(directory)),
        ["test"] => tests::command(""),
        ["test", name] if !name.starts_with('-') => tests::command(name),
        ["realworld"] => realworld::command(""),
        ["realworld", name] if !name.starts_with('-') => realworld::command(name),
        ["nodebb"] => realworld::nodebb(None),
        ["nodebb", archive] if !archive.starts_with('-') => realworld::nodebb(Some(Path::new(archive))),
        ["bench"] => bench::command(None),
        ["bench", peer] if !peer.starts_with('-') => bench::command(Some(Path::new(peer))),
        ["analysis"] => analysis::command(None),
        ["analysis", repository] if !repository.starts_with('-') => {
            analysis::command(Some(Path::new(repository)))
        }
        ["synthetic", directory] if !directory.starts_with('-') => synthetic::command(Path::new(directory)),
        ["workspace-bench", melange, apko] => workspace::bench::command(Path::new(melange), Path::new(apko)),
        ["workspace-kill", times] if times.parse::<u32>().is_ok() => {
            workspace::trouble::command(times.parse().unwrap_or_default())
        }
        ["lint"] => lint::command(),
        ["reference"] => reference::command(),
        ["conformance"] => conformance::command(),
        _ => {
            print!("{HELP}");
            let asked = matches!(arguments[..], ["help" | "--help" | "-h"]);
            return ExitCode::from(if asked {
                cli_support::EXIT_DONE
            } else {
                cli_support::EXIT_USAGE
            });
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli_support::print_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The top of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_owned)
}
