//! The pipelines that every build can use by name.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use melange_config::{PipelineSource, PipelineText};

macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        /// Name and YAML text of every built-in pipeline, in the order of the names.
        pub const BUILTIN: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../pipelines/", $name, ".yaml")))),*];

        /// What the build script made of each of them.
        static PREPARED: &[&[u8]] =
            &[$(include_bytes!(concat!(env!("OUT_DIR"), "/pipelines/", $name, ".yaml"))),*];
    };
}

embed![
    "R/build",
    "autoconf/configure",
    "autoconf/make",
    "autoconf/make-install",
    "cargo/build",
    "cmake/build",
    "cmake/configure",
    "cmake/install",
    "fetch",
    "git-am",
    "git-checkout",
    "go/build",
    "go/build/v2",
    "go/bump",
    "go/covdata",
    "go/install",
    "llvm/covreport",
    "maven/configure-mirror",
    "maven/pombump",
    "meson/compile",
    "meson/configure",
    "meson/install",
    "npm/install",
    "patch",
    "pecl/install",
    "pecl/phpize",
    "perl/cleanup",
    "perl/make",
    "python/build",
    "python/build-wheel",
    "python/import",
    "python/install",
    "python/test",
    "ruby/build",
    "ruby/clean",
    "ruby/install",
    "split/alldocs",
    "split/bin",
    "split/debug",
    "split/dev",
    "split/infodir",
    "split/lib",
    "split/locales",
    "split/manpages",
    "split/static",
    "strip",
    "xcover/ensure",
    "xcover/profile",
    "xcover/status",
    "xcover/stop",
    "xcover/wait",
];

/// Finds a built-in pipeline by its name, such as `autoconf/make`.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static str> {
    Some(BUILTIN[position(name)?].1)
}

fn position(name: &str) -> Option<usize> {
    BUILTIN.binary_search_by_key(&name, |(name, _)| name).ok()
}

/// How many names are collected for a suggestion, and how deep they lie in a directory.
const MOST_NAMES: usize = 10_000;
const DEEPEST_NAME: usize = 4;

/// Looks pipelines up in directories, the first that has one wins, and then among the built-in.
#[derive(Clone, Debug, Default)]
pub struct PipelineDirectories {
    directories: Vec<PathBuf>,
}

impl PipelineDirectories {
    /// Makes a source of directories; without any, only the built-in pipelines are found.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            directories: directories.into_iter().collect(),
        }
    }
}

impl PipelineSource for PipelineDirectories {
    fn find(&self, name: &str) -> io::Result<Option<PipelineText<'_>>> {
        for directory in &self.directories {
            let path = directory.join(format!("{name}.yaml"));
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    return Ok(Some(PipelineText {
                        path: Cow::Owned(path.display().to_string()),
                        text: Cow::Owned(text),
                        prepared: None,
                    }));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let message = format!("{}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
        Ok(position(name).map(|at| PipelineText {
            path: Cow::Owned(format!("built-in pipeline {name}")),
            text: Cow::Borrowed(BUILTIN[at].1),
            prepared: Some(PREPARED[at]),
        }))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = BUILTIN.iter().map(|(name, _)| (*name).to_owned()).collect();
        for directory in &self.directories {
            collect_names(directory, "", 0, &mut names);
        }
        names
    }
}

/// Collects the names of the pipelines in a directory; what cannot be read has none.
fn collect_names(directory: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.take(MOST_NAMES.saturating_sub(names.len())) {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && depth < DEEPEST_NAME {
            collect_names(&entry.path(), &format!("{prefix}{name}/"), depth + 1, names);
        } else if let Some(name) = name.strip_suffix(".yaml") {
            names.push(format!("{prefix}{name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use melange_config::{CompileOptions, compile, parse, prepare_pipeline};

    use super::{BUILTIN, PREPARED, PipelineDirectories, builtin};

    fn files(directory: &Path, prefix: &str, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).expect("readable") {
            let entry = entry.expect("readable");
            let name = entry.file_name().into_string().expect("a name");
            if entry.path().is_dir() {
                files(&entry.path(), &format!("{prefix}{name}/"), names);
            } else if let Some(name) = name.strip_suffix(".yaml") {
                names.push(format!("{prefix}{name}"));
            }
        }
    }

    #[test]
    fn every_file_is_embedded_and_sorted() {
        let mut names = Vec::new();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
        files(&directory, "", &mut names);
        names.sort_unstable();
        let embedded: Vec<_> = BUILTIN.iter().map(|(name, _)| *name).collect();
        assert_eq!(embedded, names);
        assert!(embedded.iter().all(|name| builtin(name).is_some()));
    }

    #[test]
    fn every_file_is_prepared() {
        for ((name, text), prepared) in BUILTIN.iter().zip(PREPARED) {
            assert_eq!(prepare_pipeline(text, name).expect(name), *prepared, "{name}");
        }
    }

    #[test]
    fn directories_come_before_the_built_in() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("strip.yaml"), "runs: own").expect("written");
        let source = PipelineDirectories::new([directory.path().to_owned()]);
        let configuration = parse(
            "package: {name: a, version: 1, epoch: 0}\npipeline: [{uses: strip}]",
            "test.yaml",
        );
        let options = CompileOptions::new("x86_64".parse().expect("known"));
        let compiled = compile(&configuration.expect("valid"), &options, &source).expect("compiles");
        assert_eq!(compiled.pipeline[0].runs, "own\n");
        let none = compile(
            &parse(
                "package: {name: a, version: 1, epoch: 0}\npipeline: [{uses: none}]",
                "t",
            )
            .expect("valid"),
            &options,
            &BTreeMap::new(),
        );
        assert!(
            none.expect_err("refused")
                .to_string()
                .contains("there is no pipeline `none`")
        );
    }
}
