//! `cargo xtask workspace-bench`: changes in the example workspace, and what they cost here and with the Go tools that
//! make drives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use apk_types::Arch;
use melange_config::{CompileOptions, Compiled, Step, compile, parse};
use melange_pipeline::PipelineDirectories;

use crate::tools::{At as _, Binaries, printed, require};
use crate::{Outcome, root, workspace};

/// How often each change is made; the shortest time of each counts.
const TURNS: u32 = 3;

/// A change that a person makes: in a file, a text becomes another that has the number of the turn in it.
struct Edit {
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const EDITS: [Edit; 5] = [
    Edit {
        what: "nothing",
        file: "packages/greeter/main.c",
        from: "",
        to: "",
    },
    Edit {
        what: "a comment in a library",
        file: "packages/libgreet/greet.c",
        from: "/* Few languages",
        to: "/* @ Few languages",
    },
    Edit {
        what: "the code of a library",
        file: "packages/libgreet/greet.c",
        from: "Bonjour",
        to: "Bonjour @",
    },
    Edit {
        what: "the code of a tool",
        file: "packages/wordcount/main.c",
        from: "return status;",
        to: "return status ? @ : 0;",
    },
    Edit {
        what: "a page of the site",
        file: "packages/site/index.txt",
        from: "A small site",
        to: "A small site, edition @",
    },
];

pub(crate) fn command(go_melange: &Path, go_apko: &Path) -> Outcome {
    require(&[("make", "make"), ("flock", "util-linux")])?;
    let ours = Binaries::build()?;
    let scratch = tempfile::tempdir()?;
    let directory = scratch.path().join("ours");
    workspace::prepare(&directory, &ours)?;
    let theirs = scratch.path().join("theirs");
    printed(
        Command::new("cp")
            .args(["--recursive", "--preserve"])
            .arg(&directory)
            .arg(&theirs),
    )?;
    write_makefile(&theirs)?;
    let ours = || {
        let mut melange = Command::new(&ours.melange);
        melange.args(["workspace", "build", "--quiet"]);
        melange
            .env("XDG_CACHE_HOME", scratch.path().join("cache"))
            .current_dir(&directory);
        melange
    };
    let go = [("MELANGE", go_melange), ("APKO", go_apko)];
    let go = go.map(|(name, path)| Ok(format!("{name}={}", path.canonicalize().at(path)?.display())));
    let go = go.into_iter().collect::<Outcome<Vec<String>>>()?;
    let jobs = std::thread::available_parallelism()?;
    let make = || {
        let mut make = Command::new("make");
        make.args(["--silent", &format!("--jobs={jobs}")]).args(&go);
        make.current_dir(&theirs);
        make
    };
    println!(
        "{:24} {:>10} {:>10} {:>8}",
        "changed", "here", "with make", "ratio"
    );
    row("everything is new", time(ours())?, time(make())?);
    for edit in &EDITS {
        let mut shortest = [Duration::MAX; 2];
        for turn in 1..=TURNS {
            for place in [&directory, &theirs] {
                edit.make(place, turn)?;
            }
            shortest[0] = shortest[0].min(time(ours())?);
            shortest[1] = shortest[1].min(time(make())?);
        }
        row(edit.what, shortest[0], shortest[1]);
    }
    Ok(())
}

impl Edit {
    /// Makes the change on the file as it is in the example.
    fn make(&self, directory: &Path, turn: u32) -> Outcome {
        if self.from.is_empty() {
            return Ok(());
        }
        let original = root().join(workspace::EXAMPLE).join(self.file);
        let text = fs::read_to_string(&original).at(&original)?;
        let edited = text.replace(self.from, &self.to.replace('@', &turn.to_string()));
        if edited == text {
            return Err(format!("{} has no `{}`", self.file, self.from).into());
        }
        let path = directory.join(self.file);
        fs::write(&path, edited).at(&path)
    }
}

fn row(what: &str, here: Duration, make: Duration) {
    let ratio = make.as_secs_f64() / here.as_secs_f64();
    let (here, make) = (cli_support::time(here), cli_support::time(make));
    println!("{what:24} {here:>10} {make:>10} {ratio:>8.1}");
}

fn time(mut command: Command) -> Outcome<Duration> {
    let start = Instant::now();
    printed(command.stdin(Stdio::null()))?;
    Ok(start.elapsed())
}

/// Copies the Makefile to the workspace and writes what each package and image depends on beside it.
fn write_makefile(workspace: &Path) -> Outcome {
    let makefile = root().join("xtask/workspace/Makefile");
    let images = configurations(&workspace.join("images"))?;
    let all = Packages::read(workspace)?;
    let mut text = String::new();
    let (mut stamps, mut tests) = (String::new(), String::new());
    for (name, path) in &images {
        let asked = packages_of_image(path)?;
        let _ = writeln!(text, "stamps/{name}.image:{}", all.stamps(&asked));
        let _ = write!(stamps, " stamps/{name}.image");
    }
    for (name, package) in &all.compiled {
        let needs = all.stamps(&package.environment.contents.packages);
        let used = used_pipelines(workspace, package);
        let _ = writeln!(
            text,
            "stamps/{name}.package:{needs}{used} $(wildcard packages/{name}/*)"
        );
        let own = package.subpackages.iter().map(|one| (&one.package, &one.test));
        let tested: Vec<String> = std::iter::once((&package.package, &package.test))
            .chain(own)
            .filter_map(|(package, test)| {
                let mut packages = test.as_ref()?.environment.contents.packages.clone();
                packages.push(package.name.clone());
                Some(all.stamps(&packages))
            })
            .collect();
        if !tested.is_empty() {
            let _ = writeln!(text, "stamps/{name}.test:{}", tested.concat());
            let _ = write!(tests, " stamps/{name}.test");
        }
    }
    let prerequisites = workspace.join("prerequisites.mk");
    fs::write(&prerequisites, text).at(&prerequisites)?;
    let rules = fs::read_to_string(&makefile).at(&makefile)?;
    let path = workspace.join("Makefile");
    fs::write(&path, format!("IMAGES ={stamps}\nTESTS ={tests}\n{rules}")).at(&path)
}

/// The configurations of a directory, by their names.
fn configurations(directory: &Path) -> Outcome<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).at(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            found.insert(name, path);
        }
    }
    Ok(found)
}

/// What an image's configuration asks for.
fn packages_of_image(path: &Path) -> Outcome<Vec<String>> {
    let image = spanned_yaml::parse(&fs::read_to_string(path).at(path)?)?;
    let packages = image
        .get("contents")
        .and_then(|contents| contents.get("packages"));
    let packages = packages.and_then(spanned_yaml::Node::as_seq).unwrap_or_default();
    Ok(packages
        .iter()
        .filter_map(|package| package.as_str().map(str::to_owned))
        .collect())
}

/// The files of the workspace's own pipelines that a package uses.
fn used_pipelines(workspace: &Path, package: &Compiled) -> String {
    let mut names = BTreeSet::new();
    let own = package.subpackages.iter().map(|subpackage| &subpackage.pipeline);
    let mut rest: Vec<&Step> = std::iter::once(&package.pipeline).chain(own).flatten().collect();
    while let Some(step) = rest.pop() {
        names.insert(&step.uses);
        rest.extend(&step.pipeline);
    }
    let paths = names.iter().map(|name| format!("pipelines/{name}.yaml"));
    let paths = paths.filter(|path| workspace.join(path).is_file());
    paths.map(|path| format!(" {path}")).collect()
}

/// The packages of the workspace.
struct Packages {
    compiled: BTreeMap<String, Compiled>,
    /// For each package and subpackage, whose it is and what it depends on.
    built: BTreeMap<String, (String, Vec<String>)>,
}

impl Packages {
    fn read(workspace: &Path) -> Outcome<Self> {
        let pipelines = PipelineDirectories::new(vec![workspace.join("pipelines")]);
        let mut packages = Self {
            compiled: BTreeMap::new(),
            built: BTreeMap::new(),
        };
        for (name, path) in configurations(&workspace.join("packages"))? {
            let text = fs::read_to_string(&path).at(&path)?;
            let configuration = parse(&text, &path.display().to_string())?;
            let compiled = compile(&configuration, &CompileOptions::new(Arch::X86_64), &pipelines)?;
            let own = compiled.subpackages.iter().map(|subpackage| &subpackage.package);
            for package in std::iter::once(&compiled.package).chain(own) {
                let needs = package.dependencies.runtime.clone();
                packages.built.insert(package.name.clone(), (name.clone(), needs));
            }
            packages.compiled.insert(name, compiled);
        }
        Ok(packages)
    }

    /// The stamps of packages and of what they depend on, as far as the workspace builds them.
    fn stamps(&self, packages: &[String]) -> String {
        let mut origins = BTreeSet::new();
        let mut rest: Vec<&String> = packages.iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(dependency) = rest.pop() {
            let name = dependency.split(['=', '<', '>', '~']).next().unwrap_or_default();
            if let Some((origin, needs)) = self.built.get(name)
                && seen.insert(name)
            {
                origins.insert(origin);
                rest.extend(needs);
            }
        }
        origins
            .iter()
            .map(|origin| format!(" stamps/{origin}.package"))
            .collect()
    }
}
