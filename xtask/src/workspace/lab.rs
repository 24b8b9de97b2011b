//! Copies of the example workspace in which checks change things, and what a build did there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use apk_types::Arch;
use serde_json::Value;

use crate::Outcome;
use crate::tools::{At as _, Binaries, printed, run};
use crate::workspace::marks::Marks;
use crate::workspace::{BASE, KEY, base, prepare};

/// The example, built once.
pub(crate) struct Lab {
    pub(crate) binaries: Binaries,
    pub(crate) marks: Marks,
    /// The first build.
    pub(crate) first: Run,
    directory: tempfile::TempDir,
}

/// The workspace before the first build, and after it.
pub(crate) const FRESH: &str = "fresh";
const BUILT: &str = "built";

impl Lab {
    pub(crate) fn new(binaries: &Binaries) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let mut lab = Self {
            binaries: binaries.clone(),
            marks: Marks::new()?,
            first: Run::default(),
            directory,
        };
        let fresh = Site {
            root: lab.path(FRESH),
            lab: &lab,
        };
        prepare(&fresh.root, binaries)?;
        for path in yaml_files(&fresh.path("packages"))? {
            let text = fs::read_to_string(&path).at(&path)?;
            fs::write(&path, lab.marks.add_to(&text)).at(&path)?;
        }
        // Steps leave marks over the network; all copies share the repository of tools.
        fresh.edit("workspace.yaml", "network: none", "network: host")?;
        fresh.edit("workspace.yaml", "[base]", "[../base]")?;
        fs::rename(fresh.path(BASE), lab.path(BASE)).at(&lab.path(BASE))?;
        let first = lab.copy(FRESH, BUILT)?.build(&[])?;
        first.expect_success()?;
        lab.first = first;
        Ok(lab)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes the repository of tools for another architecture, too.
    pub(crate) fn base_for(&self, arch: Arch) -> Outcome {
        base(&self.path(BASE), &self.path(FRESH).join(KEY), arch)
    }

    /// A copy of the workspace as it was after the first build.
    pub(crate) fn site(&self, name: &str) -> Outcome<Site<'_>> {
        self.copy(BUILT, name)
    }

    /// A copy of a workspace under another name.
    pub(crate) fn copy(&self, from: &str, name: &str) -> Outcome<Site<'_>> {
        let root = self.path(name);
        let mut cp = Command::new("cp");
        cp.args(["--recursive", "--preserve", "--reflink=auto"]);
        run(cp.arg(self.path(from)).arg(&root))?;
        Ok(Site { lab: self, root })
    }
}

fn yaml_files(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)
        .at(directory)?
        .collect::<Result<Vec<_>, _>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        .collect();
    found.sort();
    Ok(found)
}

/// A workspace.
pub(crate) struct Site<'l> {
    pub(crate) lab: &'l Lab,
    pub(crate) root: PathBuf,
}

impl Site<'_> {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Outcome<String> {
        fs::read_to_string(self.path(name)).at(&self.path(name))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Outcome {
        fs::write(self.path(name), text).at(&self.path(name))
    }

    /// Replaces a text in a file, where it must be.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) -> Outcome {
        let text = self.read(name)?;
        match text.contains(from) {
            true => self.write(name, &text.replace(from, to)),
            false => Err(format!("{name} has no `{from}`").into()),
        }
    }

    pub(crate) fn remove(&self, name: &str) -> Outcome {
        fs::remove_file(self.path(name)).at(&self.path(name))
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Outcome {
        fs::rename(self.path(from), self.path(to)).at(&self.path(from))
    }

    /// `melange workspace` with arguments, in this workspace.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut melange = Command::new(&self.lab.binaries.melange);
        melange.arg("workspace").args(arguments).current_dir(&self.root);
        melange
            .env("XDG_CACHE_HOME", self.lab.path("cache"))
            .stdin(Stdio::null());
        melange
    }

    /// What such a command printed to standard output.
    pub(crate) fn printed(&self, arguments: &[&str]) -> Outcome<String> {
        printed(&mut self.command(arguments))
    }

    /// `melange workspace build` with further arguments; sees what it really did.
    pub(crate) fn build(&self, arguments: &[&str]) -> Outcome<Run> {
        let mut melange = self.command(&["build", "--json"]);
        self.watched(melange.args(arguments))
    }

    /// Runs a command and sees what was built meanwhile.
    pub(crate) fn watched(&self, command: &mut Command) -> Outcome<Run> {
        self.lab.marks.take();
        let before = self.images()?;
        let start = Instant::now();
        let output = command.output()?;
        let took = start.elapsed();
        let after = self.images()?;
        let changed = after
            .iter()
            .filter(|(name, digest)| before.get(*name) != Some(digest));
        let images = changed.map(|(name, _)| name.clone()).collect();
        let marks = self.lab.marks.take();
        let (tests, packages) = marks.into_iter().partition(|mark| mark.starts_with("test "));
        Ok(Run {
            packages,
            tests,
            images,
            events: events(&output.stdout),
            took,
            output: Some(output),
        })
    }

    /// The digest of each image that lies in the workspace.
    pub(crate) fn images(&self) -> Outcome<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let Ok(entries) = fs::read_dir(self.path("oci")) else {
            return Ok(found);
        };
        for entry in entries {
            let path = entry?.path();
            let index = path.join("index.json");
            let text = fs::read_to_string(&index).at(&index)?;
            found.insert(name_of(&path), text);
        }
        Ok(found)
    }

    /// The SHA-256 of each package of the repository, and of the images' indexes: all that a build is for.
    pub(crate) fn results(&self) -> Outcome<String> {
        let mut find = Command::new("sh");
        find.args([
            "-c",
            "find repository oci -name '*.apk' -o -name index.json | sort | xargs sha256sum",
        ]);
        printed(find.current_dir(&self.root))
    }

    /// The names of the packages in the repository's directory.
    pub(crate) fn packages(&self, arch: &str) -> Outcome<Vec<String>> {
        let directory = self.path("repository").join(arch);
        let entries = fs::read_dir(&directory)
            .at(&directory)?
            .collect::<Result<Vec<_>, _>>()?;
        let names = entries.iter().map(|entry| name_of(&entry.path()));
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".apk")).collect();
        names.sort();
        Ok(names)
    }

    /// Fails unless the repository has a package whose file begins so, or has none.
    pub(crate) fn expect_package(&self, arch: &str, begin: &str, is_there: bool) -> Outcome {
        let packages = self.packages(arch)?;
        match packages.iter().any(|name| name.starts_with(begin)) == is_there {
            true => Ok(()),
            false => Err(format!("of {begin}, the repository has: {packages:?}").into()),
        }
    }

    /// The configurations of packages, with their texts.
    pub(crate) fn configurations(&self) -> Outcome<Vec<(String, String)>> {
        let paths = yaml_files(&self.path("packages"))?;
        let read = |path: PathBuf| Ok((path.display().to_string(), fs::read_to_string(&path).at(&path)?));
        paths.into_iter().map(read).collect()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> Outcome<String> {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
            .args(arguments);
        printed(git.current_dir(&self.root))
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The events that a command printed, one JSON object a line.
pub(crate) fn events(printed: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(printed);
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// What a build did.
#[derive(Default)]
pub(crate) struct Run {
    /// The packages whose steps ran, as they said themselves.
    pub(crate) packages: Vec<String>,
    /// The tests whose steps ran, `test NAME`.
    pub(crate) tests: Vec<String>,
    /// The images that became others.
    pub(crate) images: Vec<String>,
    pub(crate) events: Vec<Value>,
    pub(crate) took: Duration,
    pub(crate) output: Option<Output>,
}

impl Run {
    pub(crate) fn stderr(&self) -> String {
        let output = self.output.as_ref();
        output
            .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Option<i32> {
        self.output.as_ref().and_then(|output| output.status.code())
    }

    pub(crate) fn expect_success(&self) -> Outcome {
        match self.status() {
            Some(0) => Ok(()),
            status => Err(format!("it ended with {status:?}:\n{}", self.stderr()).into()),
        }
    }

    /// Fails unless the command failed and said all of `words`.
    pub(crate) fn expect_failure(&self, words: &[&str]) -> Outcome {
        let said = self.stderr();
        if self.status().is_none_or(|status| status == 0) {
            return Err(format!("it ended with {:?}, and should not: {said}", self.status()).into());
        }
        match words.iter().find(|word| !said.contains(*word)) {
            None => Ok(()),
            Some(word) => Err(format!("nothing is said of `{word}`:\n{said}").into()),
        }
    }

    /// Fails unless the steps of exactly these packages ran.
    pub(crate) fn expect_built(&self, packages: &[&str]) -> Outcome {
        let mut packages = packages.to_vec();
        packages.sort_unstable();
        match self.packages == packages {
            true => Ok(()),
            false => {
                let found = &self.packages;
                Err(format!(
                    "the packages {found:?} were built, not {packages:?}\n{}",
                    self.stderr()
                )
                .into())
            }
        }
    }

    /// Fails unless exactly these were built: packages by the marks of their steps and by what the command says,
    /// images by what lies there now.
    pub(crate) fn expect(&self, packages: &[&str], images: &[&str]) -> Outcome {
        self.expect_success()?;
        self.expect_built(packages)?;
        let mut images = images.to_vec();
        images.sort_unstable();
        if self.images != images {
            return Err(format!("the images {:?} became others, not {images:?}", self.images).into());
        }
        let told = (self.told("package", "built"), self.told("image", "built"));
        match told.0 == self.packages && told.1 == images {
            true => Ok(()),
            false => Err(format!(
                "{:?} and {images:?} were built, but the events say {told:?}",
                self.packages
            )
            .into()),
        }
    }

    /// Fails unless nothing was built, and exactly these images became others, as they were at an earlier time.
    pub(crate) fn expect_restored(&self, images: &[&str]) -> Outcome {
        self.expect_success()?;
        self.expect_built(&[])?;
        let built = self.told("image", "built");
        match self.images == images && built.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "{:?} became others and {built:?} were built, not {images:?}",
                self.images
            )
            .into()),
        }
    }

    /// The nodes of a kind that ended so, as the events say. Packages are named as their marks are.
    pub(crate) fn told(&self, kind: &str, ending: &str) -> Vec<String> {
        let finished = self.events.iter().filter(|event| event["ending"] == ending);
        let names =
            finished.filter_map(|event| event["node"].as_str()?.strip_prefix(kind)?.strip_prefix(':'));
        let mut names: Vec<String> = names
            .map(|name| name.trim_end_matches("@x86_64").replace('@', "."))
            .collect();
        names.sort();
        names
    }
}
