//! The commands of the documentation, run as they stand there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apk_types::Arch;
use testkit::RegistryServer;

use crate::package::Signer;
use crate::quickstart::{KEY, public};
use crate::tests::{Verdict, World};
use crate::tools::{At as _, is_root, printed, run};
use crate::{Outcome, repository, root};

/// What a page takes for granted, as commands that come before its own.
const BEFORE: [(&str, &str); 9] = [
    ("docs/apko/files.md", "mv block-0.yaml web.yaml"),
    ("docs/cache.md", "apko show-packages web.yaml"),
    (
        "docs/indexes.md",
        "rm local.rsa local.rsa.pub; cp -r packages/x86_64 x86_64",
    ),
    ("docs/apko/architectures.md", "mkdir out"),
    // The registry of the page is one that these checks start.
    ("docs/apko/publish.md", "mkdir sboms; docker() { :; }"),
    ("docs/apko/lock.md", "apko lock --output old.lock.json web.yaml"),
    (
        "docs/workspace/tutorial.md",
        "mv packages base; rm web.yaml\n\
         git() { command git -c user.name=A -c user.email=a@example.org \"$@\"; }",
    ),
    ("docs/melange/variables.md", "mv block-0.yaml hello.yaml"),
    (
        "docs/apko/outputs.md",
        "mkdir out out-1.0 out-1.1\n\
         apko build web.yaml web:1.0 out-1.0/\n\
         apko build --annotations a:b web.yaml web:1.1 out-1.1/",
    ),
];

/// A registry as pages call it; what runs gets another port.
const REGISTRY: &str = "localhost:5000";

/// Pages whose commands cannot run here, and why.
const NOT_HERE: [(&str, &str); 1] = [("docs/repositories.md", "asks servers of others for their keys")];

const CONFIGURATION: &str = "\
contents:
  keyring: [local.rsa.pub]
  repositories: [./packages]
  packages: [busybox]
entrypoint:
  command: /bin/sh
archs: [x86_64]
";

/// Runs the `console` blocks of each page, and has `apko show-config` or `melange compile` read the `yaml` blocks.
pub(crate) fn check(world: &World) -> Outcome<Verdict> {
    if !is_root() {
        return Ok(Verdict::Skipped(
            "a page mounts a layer, which root may".to_owned(),
        ));
    }
    let scratch = world.scratch("docs")?;
    let packages = scratch.join("packages");
    let signer = Signer::load(&world.first(KEY))?;
    for arch in [Arch::X86_64, Arch::Aarch64] {
        repository::bootstrap(&packages, arch, &signer)?;
    }
    let mut commands = 0;
    for page in pages()? {
        let name = page.strip_prefix(root())?.display().to_string();
        let text = fs::read_to_string(&page).at(&page)?;
        let directory = scratch.join(name.replace('/', "-"));
        prepare(&directory, world, &packages)?;
        for (number, block) in blocks(&text, "yaml").enumerate() {
            let path = directory.join(format!("block-{number}.yaml"));
            fs::write(&path, block).at(&path)?;
            let wrong = |error: &dyn std::fmt::Display| format!("{name}: {error}");
            let is_package = block.lines().any(|line| line == "package:");
            let (program, arguments): (_, &[&str]) = match name.split('/').nth(1) {
                Some("workspace") if !is_package => {
                    let read = melange_workspace::settings::parse(block);
                    read.map_err(|faults| wrong(&format!("{faults:?}")))?;
                    continue;
                }
                section if is_package || section == Some("melange") => {
                    (world.melange_binary(), &["compile", "--arch", "x86_64"])
                }
                _ => (world.apko_binary(), &["show-config"]),
            };
            let mut read = Command::new(program);
            read.args(arguments);
            printed(read.arg(&path)).map_err(|error| wrong(&error))?;
        }
        if NOT_HERE.iter().any(|(page, _)| *page == name) {
            continue;
        }
        let typed: Vec<&str> = blocks(&text, "console")
            .flat_map(str::lines)
            // A command goes on in lines that begin as a shell's do.
            .filter_map(|line| line.strip_prefix("$ ").or_else(|| line.strip_prefix("> ")))
            .collect();
        if typed.is_empty() {
            continue;
        }
        let (_, before) = BEFORE
            .iter()
            .find(|(page, _)| *page == name)
            .ok_or_else(|| format!("{name} has commands; say in xtask what they take for granted"))?;
        let registry = RegistryServer::start();
        let typed_here = typed.join("\n").replace(REGISTRY, &registry.authority());
        shell(world, &directory, &format!("{before}\n{typed_here}"))
            .map_err(|error| format!("{name}: {error}"))?;
        commands += typed.len();
    }
    match commands {
        0 => Err("no page has any commands".into()),
        _ => Ok(Verdict::Passed),
    }
}

/// The pages of the book, as its summary lists them.
pub(crate) fn pages() -> Outcome<Vec<PathBuf>> {
    let summary = root().join("docs/SUMMARY.md");
    let text = fs::read_to_string(&summary).at(&summary)?;
    let names = text
        .lines()
        .filter_map(|line| line.split_once("](")?.1.strip_suffix(')'));
    Ok(names.map(|name| root().join("docs").join(name)).collect())
}

/// The blocks of a page in one language.
fn blocks<'t>(page: &'t str, language: &str) -> impl Iterator<Item = &'t str> {
    let begin = format!("```{language}\n");
    let mut rest = page;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&begin)?;
        let (block, behind) = behind.split_once("```")?;
        rest = behind;
        Some(block)
    })
}

/// A directory in which the commands of a page make sense: a configuration, a repository of two architectures, a key.
fn prepare(directory: &Path, world: &World, packages: &Path) -> Outcome {
    fs::create_dir(directory).at(directory)?;
    for file in [world.first(KEY), public(&world.first(KEY))] {
        let name = file.file_name().unwrap_or_default();
        fs::copy(&file, directory.join(name)).at(&file)?;
    }
    let path = directory.join("web.yaml");
    fs::write(&path, CONFIGURATION).at(&path)?;
    run(Command::new("cp").arg("--recursive").arg(packages).arg(directory))
}

fn shell(world: &World, directory: &Path, script: &str) -> Outcome {
    let programs = world.apko_binary().parent().unwrap_or(directory);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-eu", "-c", script])
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("XDG_CACHE_HOME", directory.join("cache"))
        .env("HOME", directory)
        .current_dir(directory);
    // What it prints is shown where it fails.
    printed(&mut shell).map(drop)
}
