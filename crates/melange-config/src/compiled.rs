//! The configuration compiled for one architecture: every value is concrete.

use std::collections::BTreeMap;
use std::sync::Arc;

use apk_types::Arch;

use crate::source::Location;
use crate::types::{BuildOption, Capabilities, Environment, Package, StringMap, VarTransform};
use crate::update::Update;

/// A build with all variables replaced and all pipelines resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// The package.
    pub package: Package,
    /// The environment of the build, with everything the steps need.
    pub environment: Environment,
    /// Capabilities of the runner's process.
    pub capabilities: Capabilities,
    /// The steps that build the package.
    pub pipeline: Vec<Step>,
    /// Packages made of parts of the build, ranges expanded.
    pub subpackages: Vec<Subpackage>,
    /// Where new versions come from.
    pub update: Update,
    /// The variables, options applied.
    pub vars: StringMap,
    /// How further variables were made.
    pub var_transforms: Vec<VarTransform>,
    /// The options there are.
    pub options: BTreeMap<String, BuildOption>,
    /// The test of the package.
    pub test: Option<Test>,
    /// What looks like a mistake and is none to the reference, for people.
    pub warnings: Vec<String>,
}

/// A step, or a pipeline of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Where it is written.
    pub location: Option<Arc<Location>>,
    /// The condition, variables replaced.
    pub condition: String,
    /// Whether the condition holds; an absent one does.
    pub enabled: bool,
    /// Its name for people.
    pub name: String,
    /// The named pipeline that `pipeline` was made from.
    pub uses: String,
    /// The inputs that differ from their defaults.
    pub with: StringMap,
    /// The shell script, without comments.
    pub runs: String,
    /// The steps in it.
    pub pipeline: Vec<Step>,
    /// Packages it needs, where they have not gone into the environment's list.
    pub needs: Option<Vec<String>>,
    /// A label.
    pub label: String,
    /// How many of its steps must run.
    pub required_steps: Option<i64>,
    /// Its working directory; relative to the workspace.
    pub working_directory: String,
    /// Environment variables.
    pub environment: StringMap,
}

/// A package made of parts of the build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subpackage {
    /// Where its name is written.
    pub location: Option<Arc<Location>>,
    /// The condition as the reference records it.
    pub condition: String,
    /// Whether the condition holds; an absent one does.
    pub enabled: bool,
    /// Its own steps.
    pub pipeline: Vec<Step>,
    /// Its test.
    pub test: Option<Test>,
    /// Name, dependencies and so on; version, epoch and the like are the main package's.
    pub package: Package,
}

/// The test of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// The environment it runs in, with the package and what the steps need.
    pub environment: Environment,
    /// Its steps.
    pub pipeline: Vec<Step>,
}

impl Compiled {
    /// Drops the subpackages whose condition does not hold, as a build does before it starts.
    #[must_use]
    pub fn without_disabled_subpackages(mut self) -> Self {
        self.subpackages.retain(|subpackage| subpackage.enabled);
        self
    }

    /// Puts the solved environment in place of the wanted one, as the packages record it: the
    /// exact packages (`name=version`), the architecture, and home directories for all users.
    #[must_use]
    pub fn with_locked_environment(mut self, arch: Arch, packages: Vec<String>) -> Self {
        self.environment.contents.packages = packages;
        self.environment.archs = vec![arch.go_name().to_owned()];
        for user in &mut self.environment.accounts.users {
            if user.home.is_empty() {
                user.home = format!("/home/{}", user.name);
            }
        }
        self
    }
}
