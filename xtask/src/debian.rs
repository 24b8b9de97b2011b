//! Debian's packages as apks: a repository of real software that a build can take its guest from.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apk_types::Arch;
use melange::{
    BuildRequest, DiskTree, GuestTree, Linters, OUTPUT, PackagePlan, Plan, SigningKey, Source, build_plan,
};
use melange_analyze::{Declared, Options, Package};
use melange_pipeline::runner as pipeline;

use crate::Outcome;
use crate::tools::{At as _, printed, run};

/// The time of all packages.
const EPOCH: i64 = 1_700_000_000;

/// Has apt look at what Debian offers, not at what is installed on this machine.
const AS_OFFERED: &str = "-oDir::State::status=/dev/null";

/// A repository in the making.
pub(crate) struct Debian {
    /// What is downloaded stays here.
    pub(crate) directory: PathBuf,
    /// The repository.
    pub(crate) repository: PathBuf,
    pub(crate) key: PathBuf,
    /// What the packages say that they are for. They are this machine's whatever it is.
    pub(crate) arch: Arch,
}

impl Debian {
    /// Packs packages of Debian and all that they depend on, but for those that are there already.
    pub(crate) fn add(&self, names: &[&str]) -> Outcome {
        self.add_only(&closure(names)?)
    }

    /// Packs these packages of Debian and no others, but for those that are there already. What they depend on
    /// beyond them is left out.
    pub(crate) fn add_only(&self, names: &BTreeSet<String>) -> Outcome {
        let debs = self.directory.join("debs");
        fs::create_dir_all(&debs).at(&debs)?;
        let stamp = |name: &str| self.directory.join("packed").join(name);
        fs::create_dir_all(stamp("")).at(&stamp(""))?;
        let missing: Vec<&String> = names.iter().filter(|name| !stamp(name).exists()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        eprintln!("packing {} packages of Debian", missing.len());
        for some in missing.chunks(40) {
            printed(
                Command::new("apt-get")
                    .args([AS_OFFERED, "download", "-q"])
                    .args(some)
                    .current_dir(&debs),
            )?;
        }
        for entry in fs::read_dir(&debs).at(&debs)? {
            let file = entry?.path();
            let name = self.pack(&file, names)?;
            fs::write(stamp(&name), "").at(&stamp(&name))?;
            fs::remove_file(&file).at(&file)?;
        }
        Ok(())
    }

    /// Makes something unless it was made before.
    pub(crate) fn once(&self, name: &str, make: impl FnOnce() -> Outcome) -> Outcome {
        let stamp = self.directory.join("packed").join(name);
        if stamp.exists() {
            return Ok(());
        }
        make()?;
        fs::write(&stamp, "").at(&stamp)
    }

    /// Packs one package. What it depends on is what Debian says; what it provides, its libraries.
    fn pack(&self, deb: &Path, known: &BTreeSet<String>) -> Outcome<String> {
        let field = |name: &str| printed(Command::new("dpkg-deb").arg("--field").arg(deb).arg(name));
        let name = field("Package")?.trim().to_owned();
        let version = version(field("Version")?.trim());
        let depends = format!("{},{}", field("Pre-Depends")?, field("Depends")?);
        let mut runtime: Vec<String> = depends
            .split(',')
            .filter_map(|entry| alternative(entry, known))
            .collect();
        runtime.sort();
        runtime.dedup();
        self.make(&name, &version, runtime, Vec::new(), |directory| {
            run(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(directory))
        })?;
        Ok(name)
    }

    /// Makes a package of what `fill` puts into its directory.
    pub(crate) fn make(
        &self,
        name: &str,
        version: &str,
        runtime: Vec<String>,
        mut provides: Vec<String>,
        fill: impl FnOnce(&Path) -> Outcome,
    ) -> Outcome {
        let workspace = tempfile::tempdir_in(&self.directory)?;
        let directory = workspace.path().join(OUTPUT).join(name);
        fs::create_dir_all(&directory).at(&directory)?;
        fill(&directory)?;
        provides.extend(libraries(workspace.path(), name, version)?);
        let plan = Plan {
            version: version.to_owned(),
            packages: vec![PackagePlan {
                name: name.to_owned(),
                runtime,
                provides,
                options: Options {
                    no_depends: true,
                    ..Options::default()
                },
                ..PackagePlan::default()
            }],
            ..Plan::default()
        };
        let mut request = BuildRequest::new(self.arch, &self.repository, &self.directory);
        request.guest.workspace = Some(workspace.path().to_owned());
        request.source = Source::Empty;
        request.source_date_epoch = EPOCH;
        request.signing_key = Some(SigningKey::load(&self.key)?);
        request.linters = Linters {
            require: Vec::new(),
            warn: Vec::new(),
        };
        let mut guest = |_: &Path, _: bool| Ok(GuestTree::default());
        let mut events = |_: melange::Event<'_>| {};
        build_plan(&plan, &request, &mut guest, &Nothing, &mut events)?;
        Ok(())
    }
}

/// The libraries and pkg-config modules of a package, in Debian's directories too, where others would not look.
fn libraries(workspace: &Path, name: &str, version: &str) -> Outcome<Vec<String>> {
    let tree = DiskTree::read(workspace, name)?;
    let packages = [(name, &tree as &dyn melange_analyze::PackageTree)];
    let found = melange_analyze::analyze(&Package {
        name,
        version,
        options: Options::default(),
        declared: &Declared::default(),
        packages: &packages,
    })?;
    let multiarch = |path: &str| path.contains("/x86_64-linux-gnu/") && path.split('/').count() <= 5;
    let reasons = found.reasons.into_iter();
    let vendored = reasons.filter(|reason| found.vendored.contains(&reason.entry) && multiarch(&reason.path));
    Ok(vendored.map(|reason| reason.entry).collect())
}

/// All packages that these depend on, those that exist in no more than name left out.
fn closure(names: &[&str]) -> Outcome<BTreeSet<String>> {
    let mut depends = Command::new("apt-cache");
    depends.args([
        AS_OFFERED,
        "depends",
        "--recurse",
        "--no-recommends",
        "--no-suggests",
        "--no-conflicts",
    ]);
    depends
        .args(["--no-breaks", "--no-replaces", "--no-enhances"])
        .args(names);
    let lines = printed(&mut depends)?;
    let all: BTreeSet<&str> = lines
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()))
        .collect();
    let all = all.into_iter().filter(|name| !name.contains(':'));
    let shown = printed(
        Command::new("apt-cache")
            .args([AS_OFFERED, "show", "--no-all-versions"])
            .args(all),
    )?;
    Ok(shown
        .lines()
        .filter_map(|line| line.strip_prefix("Package: "))
        .map(str::to_owned)
        .collect())
}

/// The numbers of a Debian version, which no suffix makes invalid for apk.
fn version(debian: &str) -> String {
    let without_epoch = debian.split_once(':').map_or(debian, |(_, rest)| rest);
    let (upstream, revision) = without_epoch.rsplit_once('-').unwrap_or((without_epoch, "0"));
    let digits = |text: &str, also: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_digit() || also.contains(*c))
            .collect()
    };
    let upstream = digits(upstream, ".");
    let upstream = upstream.trim_end_matches('.');
    let upstream = if upstream.is_empty() { "0" } else { upstream };
    let release = digits(revision, "");
    let release = if release.is_empty() { "0" } else { &release };
    format!("{upstream}-r{release}")
}

/// The first of a dependency's alternatives that is known.
fn alternative(dependency: &str, known: &BTreeSet<String>) -> Option<String> {
    let names = dependency
        .split('|')
        .filter_map(|entry| entry.split_whitespace().next());
    let names = names.map(|name| name.split(':').next().unwrap_or(name));
    names
        .filter(|name| known.contains(*name))
        .map(str::to_owned)
        .next()
}

/// The file of the source that Debian's package is built from, as its authors released it.
pub(crate) fn source(package: &str, directory: &Path) -> Outcome<PathBuf> {
    let home = directory.join("sources").join(package);
    fs::create_dir_all(&home).at(&home)?;
    let original = || -> Outcome<Option<PathBuf>> {
        let entries = fs::read_dir(&home)?.collect::<Result<Vec<_>, _>>()?;
        let files = entries.into_iter().map(|entry| entry.path());
        Ok(files.into_iter().find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.contains(".orig.tar.") && !name.ends_with(".asc")
        }))
    };
    if let Some(path) = original()? {
        return Ok(path);
    }
    let lists = directory.join("apt");
    let options = source_lists(&lists)?;
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(&options).args(arguments).current_dir(&home);
        printed(&mut apt)
    };
    if !lists.join("updated").exists() {
        apt(&["update"])?;
        fs::write(lists.join("updated"), "")?;
    }
    let fetched = apt(&["source", "--download-only", package]);
    // Of what belongs to a source package, one file counts here.
    match original()? {
        Some(path) => Ok(path),
        None => Err(match fetched {
            Ok(_) => format!("apt-get source {package} left no original archive").into(),
            Err(error) => error,
        }),
    }
}

/// Options that have apt look for sources where this machine looks for packages, but for security updates: their
/// original archive is that of the release.
fn source_lists(directory: &Path) -> Outcome<Vec<String>> {
    let parts = directory.join("parts");
    for made in [&parts, &directory.join("lists/partial")] {
        fs::create_dir_all(made).at(made)?;
    }
    let debian = Path::new("/etc/apt/sources.list.d/debian.sources");
    let text = fs::read_to_string(debian).at(debian)?;
    let stanzas = text.split("\n\n").filter(|stanza| !stanza.contains("-security"));
    let stanzas: Vec<String> = stanzas
        .map(|stanza| stanza.replace("Types: deb\n", "Types: deb-src\n"))
        .collect();
    fs::write(parts.join("debian.sources"), stanzas.join("\n\n") + "\n")?;
    Ok(vec![
        "-oDir::Etc::sourcelist=/dev/null".to_owned(),
        format!("-oDir::Etc::sourceparts={}", parts.display()),
        format!("-oDir::State::lists={}", directory.join("lists").display()),
    ])
}

/// A sandbox for what is packed without any step.
struct Nothing;

impl pipeline::Runner for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }

    fn check(&self) -> Result<(), pipeline::Unavailable> {
        Ok(())
    }

    fn start(&self, _: pipeline::SessionSpec) -> Result<Box<dyn pipeline::Session>, pipeline::RunnerError> {
        Ok(Box::new(Self))
    }
}

impl pipeline::Session for Nothing {
    fn exec(
        &mut self,
        _: &pipeline::Command,
        _: &mut dyn pipeline::OutputSink,
    ) -> Result<pipeline::ExitStatus, pipeline::RunnerError> {
        Ok(pipeline::ExitStatus::Code(1))
    }

    fn attach(&mut self, _: &pipeline::Command) -> Result<pipeline::ExitStatus, pipeline::RunnerError> {
        Ok(pipeline::ExitStatus::Code(1))
    }

    fn copy_in(
        &mut self,
        _: &pipeline::HostPath,
        _: &pipeline::GuestPath,
    ) -> Result<(), pipeline::RunnerError> {
        Ok(())
    }

    fn copy_out(
        &mut self,
        _: &pipeline::GuestPath,
        _: &pipeline::HostPath,
    ) -> Result<(), pipeline::RunnerError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_debian_version_becomes_an_apk_version() {
        let table = [
            ("1:1.35.0-4+deb12u1+b1", "1.35.0-r4"),
            ("2.1.28+dfsg-10+deb12u1", "2.1.28-r10"),
            ("20230311+deb12u1", "20230311-r0"),
            ("4.19.0-rc1-2", "4.19.0-r2"),
        ];
        for (debian, apk) in table {
            assert_eq!(super::version(debian), apk, "{debian}");
        }
    }
}
