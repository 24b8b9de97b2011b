//! Which linters run on a build's packages, and what becomes of their findings.

use std::path::{Path, PathBuf};

use melange_analyze::PackageTree;
use melange_analyze::lint::{Default as Behaviour, Finding, LINTERS, LintError, Subject, defaults, lint};

use crate::error::BuildError;
use crate::plan::PackagePlan;
use crate::scratch::io_error;

/// Which linters run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linters {
    /// Their findings fail the build.
    pub require: Vec<String>,
    /// Their findings are shown.
    pub warn: Vec<String>,
}

impl Default for Linters {
    fn default() -> Self {
        let names = |behaviour| defaults(behaviour).into_iter().map(str::to_owned).collect();
        Self {
            require: names(Behaviour::Require),
            warn: names(Behaviour::Warn),
        }
    }
}

/// What the linters found in one package.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) shown: Vec<Finding>,
    pub(crate) fatal: Vec<Finding>,
}

impl Linters {
    /// Refuses the name of a linter that there is not.
    pub(crate) fn check(&self, package: &str) -> Result<(), BuildError> {
        let unknown = |name: &&String| !LINTERS.iter().any(|linter| linter.name == **name);
        match self.require.iter().chain(&self.warn).find(unknown) {
            None => Ok(()),
            Some(name) => Err(BuildError::Linter {
                package: package.to_owned(),
                source: LintError::Unknown { name: name.clone() },
            }),
        }
    }

    /// Runs them on a package. A linter that the package leaves out still runs, but its findings are not fatal.
    pub(crate) fn run(&self, package: &PackagePlan, tree: &dyn PackageTree) -> Result<Findings, BuildError> {
        let tests: Vec<&str> = package.test_pipelines.iter().map(String::as_str).collect();
        let subject = Subject {
            name: &package.name,
            tree,
            test_pipelines: &tests,
        };
        let (mut fatal, mut shown): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for name in self.require.iter().chain(&self.warn) {
            let is_fatal = self.require.contains(name) && !package.disabled_linters.contains(name);
            let list = if is_fatal { &mut fatal } else { &mut shown };
            if !list.contains(&name.as_str()) {
                list.push(name);
            }
        }
        let run = |names: &[&str]| {
            lint(&subject, names).map_err(|source| BuildError::Linter {
                package: package.name.clone(),
                source,
            })
        };
        Ok(Findings {
            shown: run(&shown)?,
            fatal: run(&fatal)?,
        })
    }
}

impl Findings {
    /// Writes them as JSON, in the shape of the Go melange, beside the packages; nothing where there are none.
    pub(crate) fn persist(
        &self,
        package: &str,
        version: &str,
        directory: &Path,
    ) -> Result<Option<PathBuf>, BuildError> {
        let all: Vec<&Finding> = self.shown.iter().chain(&self.fatal).collect();
        if all.is_empty() {
            return Ok(None);
        }
        let identity = format!("{package}-{version}");
        let path = directory.join(format!("lint-{identity}.json"));
        let text = melange_analyze::lint::to_json(&identity, &all);
        std::fs::create_dir_all(directory)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(io_error("writing", &path))?;
        Ok(Some(path))
    }
}
