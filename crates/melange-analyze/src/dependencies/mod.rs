//! What a package provides and depends on.

mod commands;
mod kernel;
mod languages;
mod libraries;
pub(crate) mod pkgconfig;

use std::collections::{BTreeMap, BTreeSet};

use crate::{AnalyzeError, PackageTree};

/// Directories whose libraries any program can load.
const LIBRARY_DIRECTORIES: [&str; 4] = ["lib/", "usr/lib/", "lib64/", "usr/lib64/"];

/// The options of a package that leave findings out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// No `cmd:` entries.
    pub no_commands: bool,
    /// Nothing it depends on.
    pub no_depends: bool,
    /// Nothing it provides.
    pub no_provides: bool,
}

/// What the configuration says of a package's dependencies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// What it depends on.
    pub runtime: Vec<String>,
    /// What it provides.
    pub provides: Vec<String>,
}

/// A package to analyse, among those built with it.
pub struct Package<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version with the epoch: `1.2.3-r0`.
    pub version: &'a str,
    /// What to leave out.
    pub options: Options,
    /// What its configuration says already.
    pub declared: &'a Declared,
    /// The names and files of all packages of the build, this one among them, the main package first.
    pub packages: &'a [(&'a str, &'a dyn PackageTree)],
}

impl<'a> Package<'a> {
    fn tree(&self) -> &'a dyn PackageTree {
        self.packages
            .iter()
            .find(|(name, _)| *name == self.name)
            .map_or(&EMPTY as &dyn PackageTree, |(_, tree)| *tree)
    }
}

/// What stands in for a package that is not among those of the build.
static EMPTY: crate::tree::Nothing = crate::tree::Nothing;

/// Dependencies as `.PKGINFO` has them: sorted by bytes, without doubles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// `depend` lines.
    pub runtime: Vec<String>,
    /// `provides` lines.
    pub provides: Vec<String>,
    /// What it ships for its own use, in places where others do not look.
    pub vendored: Vec<String>,
    /// Why each of them was found, in the same order: the first file that it was found by.
    pub reasons: Vec<Reason>,
}

/// Why something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What was found, as in the lists.
    pub entry: String,
    /// The file or directory in the package.
    pub path: String,
    /// What that is to it, as a predicate: `has it in DT_NEEDED`.
    pub because: &'static str,
}

/// What the analysers collect: entries with the first file that they were found by, and what it is to them.
#[derive(Default)]
struct Found {
    runtime: Entries,
    provides: Entries,
    vendored: Entries,
}

type Entries = BTreeMap<String, (String, &'static str)>;

impl Found {
    fn needs(&mut self, entry: String, path: &str, because: &'static str) {
        self.runtime
            .entry(entry)
            .or_insert_with(|| (path.to_owned(), because));
    }

    fn provides(&mut self, entry: String, path: &str, because: &'static str) {
        self.provides
            .entry(entry)
            .or_insert_with(|| (path.to_owned(), because));
    }

    fn vendors(&mut self, entry: String, path: &str, because: &'static str) {
        self.vendored
            .entry(entry)
            .or_insert_with(|| (path.to_owned(), because));
    }
}

/// Finds what a package provides and needs by looking at its files.
///
/// The rules are those of the Go melange: libraries by their SONAME and `DT_NEEDED` (`so:`, `so-ver:`), commands
/// (`cmd:`), manual and info pages of `-doc` packages, pkg-config modules (`pc:`), Perl, Python and Ruby modules,
/// the interpreters of scripts, and kernels and their modules (`linux:`).
pub fn analyze(package: &Package<'_>) -> Result<Dependencies, AnalyzeError> {
    let mut found = Found::default();
    libraries::analyze(package, &mut found)?;
    commands::provided(package, &mut found);
    languages::documentation(package, &mut found);
    pkgconfig::analyze(package, &mut found);
    languages::perl(package, &mut found);
    languages::python(package, &mut found);
    languages::ruby(package, &mut found);
    commands::interpreters(package, &mut found);
    kernel::analyze(package, &mut found);

    let Options {
        no_commands,
        no_depends,
        no_provides,
    } = package.options;
    if no_commands {
        found.runtime.retain(|entry, _| !entry.starts_with("cmd:"));
        found.provides.retain(|entry, _| !entry.starts_with("cmd:"));
    }
    if no_depends {
        found.runtime.clear();
    }
    if no_provides {
        found.provides.clear();
    }
    let mut reasons = Vec::new();
    let mut list = |entries: Entries| {
        let reason = |(entry, (path, because))| Reason { entry, path, because };
        let first = reasons.len();
        reasons.extend(entries.into_iter().map(reason));
        reasons[first..]
            .iter()
            .map(|reason| reason.entry.clone())
            .collect()
    };
    Ok(Dependencies {
        runtime: list(found.runtime),
        provides: list(found.provides),
        vendored: list(found.vendored),
        reasons,
    })
}

/// Joins what was found to what is declared.
///
/// A need that the package itself provides is left out. One that only a vendored file answers is left out where it
/// was found, and kept where it was declared, which is the way to insist on it.
pub fn merge(declared: &Declared, found: Dependencies) -> Dependencies {
    let needed = without_own(found.runtime, &found.vendored);
    let runtime: BTreeSet<String> = declared.runtime.iter().cloned().chain(needed).collect();
    let provides: BTreeSet<String> = declared.provides.iter().cloned().chain(found.provides).collect();
    let provides: Vec<String> = provides.into_iter().collect();
    Dependencies {
        runtime: without_own(runtime.into_iter().collect(), &provides),
        provides,
        vendored: found.vendored,
        reasons: found.reasons,
    }
}

/// `needs` without those that `own` answers, whatever the versions. A `so-ver:` need loses its version on the way,
/// as it does in the Go melange.
fn without_own(needs: Vec<String>, own: &[String]) -> Vec<String> {
    let own: BTreeSet<&str> = own.iter().filter_map(|entry| entry.split('=').next()).collect();
    needs
        .into_iter()
        .map(|need| match need.starts_with("so-ver:") {
            true => need.split(">=").next().unwrap_or_default().to_owned(),
            false => need,
        })
        .filter(|need| !own.contains(need.as_str()))
        .collect()
}

/// True where the directory that `path` lies in is one of `directories`, which end in a slash.
fn lies_in(path: &str, directories: &[impl AsRef<str>]) -> bool {
    let parent = crate::tree::parent(path);
    directories
        .iter()
        .any(|directory| directory.as_ref() == parent || directory.as_ref().strip_suffix('/') == Some(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_a_package_provides_itself_it_does_not_depend_on() {
        let declared = Declared {
            runtime: strings(&["so:vendored.so.1", "zlib"]),
            provides: strings(&["alias=1"]),
        };
        let found = Dependencies {
            runtime: strings(&["alias", "so:libc.so.6", "so:mine.so.1", "so:other.so.2"]),
            provides: strings(&["so:mine.so.1=1"]),
            vendored: strings(&["so:other.so.2=2", "so:vendored.so.1=1"]),
            reasons: Vec::new(),
        };
        let merged = merge(&declared, found);
        assert_eq!(merged.runtime, ["so:libc.so.6", "so:vendored.so.1", "zlib"]);
        assert_eq!(merged.provides, ["alias=1", "so:mine.so.1=1"]);
    }

    #[test]
    fn directories_are_matched_whole() {
        assert!(lies_in("usr/lib/x", &LIBRARY_DIRECTORIES));
        assert!(!lies_in("usr/lib/sub/x", &LIBRARY_DIRECTORIES));
        assert!(!lies_in("opt/usr/lib/x", &LIBRARY_DIRECTORIES));
        assert!(!lies_in("x", &LIBRARY_DIRECTORIES));
    }
}
