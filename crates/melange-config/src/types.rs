//! The parts of a configuration that look the same as written and compiled.
//!
//! An empty string, list or map stands for a key that is absent, as in the reference's types.

use std::collections::BTreeMap;
use std::time::Duration;

/// Strings by name, in the order of the names.
pub type StringMap = BTreeMap<String, String>;

/// The `package` section: what is known of the package before it is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// The name.
    pub name: String,
    /// The version without the release.
    pub version: String,
    /// The release: how often this version was built anew.
    pub epoch: u64,
    /// One line for people.
    pub description: String,
    /// Free values for other tools.
    pub annotations: StringMap,
    /// The project's page.
    pub url: String,
    /// The commit of the configuration's repository.
    pub commit: String,
    /// The architectures it may be built for, in apk's names; empty for all.
    pub target_architecture: Vec<String>,
    /// The licences.
    pub copyright: Vec<Copyright>,
    /// What it needs and offers, beyond what analysis finds.
    pub dependencies: Dependencies,
    /// Switches of the analysis.
    pub options: Option<PackageOptions>,
    /// Scripts run by the package manager.
    pub scriptlets: Option<Scriptlets>,
    /// Linters to leave out.
    pub checks: Checks,
    /// What vulnerability databases call it.
    pub cpe: Cpe,
    /// File capabilities to set.
    pub setcap: Vec<Capability>,
    /// How long the build may take; zero for no limit.
    pub timeout: Duration,
    /// What the build needs of a machine.
    pub resources: Option<Resources>,
    /// What the tests need of a machine.
    pub test_resources: Option<Resources>,
}

impl Package {
    /// Returns version and release, `1.2.3-r4`.
    #[must_use]
    pub fn full_version(&self) -> String {
        format!("{}-r{}", self.version, self.epoch)
    }

    /// Tells whether it may be built for an architecture, by apk's name of it.
    #[must_use]
    pub fn targets(&self, apk_arch: &str) -> bool {
        let listed = &self.target_architecture;
        listed.is_empty() || listed == &["all"] || listed.iter().any(|arch| arch == apk_arch)
    }
}

/// The licence of some of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copyright {
    /// The paths it is about.
    pub paths: Vec<String>,
    /// Who says so.
    pub attestation: String,
    /// The SPDX expression.
    pub license: String,
    /// Where its text lies in the workspace.
    pub license_path: String,
    /// What the detection of licences should find.
    pub detection_override: String,
}

/// Dependencies in apk's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// What must be installed with it.
    pub runtime: Vec<String>,
    /// What it stands for.
    pub provides: Vec<String>,
    /// Whose files it may overwrite.
    pub replaces: Vec<String>,
    /// Decides between providers of the same name; an integer.
    pub provider_priority: String,
    /// Decides between owners of the same file; an integer.
    pub replaces_priority: String,
}

/// Switches of the analysis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackageOptions {
    /// Provide nothing that was found.
    pub no_provides: bool,
    /// Depend on nothing that was found.
    pub no_depends: bool,
    /// Provide no commands.
    pub no_commands: bool,
    /// Depend on shared libraries without their versions.
    pub no_versioned_shlib_deps: bool,
}

/// Scripts run by the package manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scriptlets {
    /// Run when something changes below a path.
    pub trigger: Trigger,
    /// Run before the installation.
    pub pre_install: String,
    /// Run after the installation.
    pub post_install: String,
    /// Run before the removal.
    pub pre_deinstall: String,
    /// Run after the removal.
    pub post_deinstall: String,
    /// Run before an upgrade.
    pub pre_upgrade: String,
    /// Run after an upgrade.
    pub post_upgrade: String,
}

/// A script and the paths it watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trigger {
    /// The script.
    pub script: String,
    /// The paths, with wildcards.
    pub paths: Vec<String>,
}

/// Linters to leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Their names.
    pub disabled: Vec<String>,
}

/// The fields of a CPE 2.3 name, without version and update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpe {
    /// `a` for an application, `o` for an operating system.
    pub part: String,
    /// Who makes it.
    pub vendor: String,
    /// What it is.
    pub product: String,
    /// The edition.
    pub edition: String,
    /// The language.
    pub language: String,
    /// The software edition.
    pub sw_edition: String,
    /// The software it runs on.
    pub target_sw: String,
    /// The hardware it runs on.
    pub target_hw: String,
    /// Anything else.
    pub other: String,
}

/// File capabilities of a path, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// The file.
    pub path: String,
    /// Flags (`+ep`) by comma-separated capabilities.
    pub add: StringMap,
    /// Why it is needed.
    pub reason: String,
}

/// What a build or a test needs of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Processors.
    pub cpu: String,
    /// The processor's model.
    pub cpu_model: String,
    /// Memory.
    pub memory: String,
    /// Disk space.
    pub disk: String,
}

/// Capabilities the runner's process gets or loses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// To add.
    pub add: Vec<String>,
    /// To drop.
    pub drop: Vec<String>,
    /// Whether steps have the network; as the build is asked for if not given.
    pub networking: Option<bool>,
}

/// Makes a variable out of another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VarTransform {
    /// A text with variables, such as `${{package.version}}`.
    pub from: String,
    /// The regular expression.
    pub pattern: String,
    /// What replaces every match, with `$1` or `${name}` for groups.
    pub replace: String,
    /// The name of the new variable, used as `${{vars.NAME}}`.
    pub to: String,
}

/// A deviation from the build that the command line switches on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOption {
    /// Variables it sets.
    pub vars: StringMap,
    /// Packages it adds to the build environment.
    pub add: Vec<String>,
    /// Packages it removes from the build environment.
    pub remove: Vec<String>,
}

/// The environment a build or a test runs in: an image configuration of apko.
///
/// Only what the reference keeps of it; layering, format and certificates have no meaning here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// What is installed.
    pub contents: Contents,
    /// What the image would start.
    pub entrypoint: Entrypoint,
    /// The image's arguments.
    pub cmd: String,
    /// The signal that stops it.
    pub stop_signal: String,
    /// Its working directory.
    pub work_dir: String,
    /// Its users and groups.
    pub accounts: Accounts,
    /// Its architectures, in OCI's names.
    pub archs: Vec<String>,
    /// Environment variables.
    pub environment: StringMap,
    /// Files to make or change.
    pub paths: Vec<PathMutation>,
    /// Where the sources are.
    pub vcs_url: String,
    /// Annotations of the image.
    pub annotations: StringMap,
    /// Another configuration to start from.
    pub include: String,
    /// Volumes of the image.
    pub volumes: Vec<String>,
}

/// What is installed and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Repositories used for the build alone.
    pub build_repositories: Vec<String>,
    /// Repositories.
    pub repositories: Vec<String>,
    /// Keys of the repositories.
    pub keyring: Vec<String>,
    /// The packages asked for.
    pub packages: Vec<String>,
    /// An image to build upon.
    pub base_image: Option<BaseImage>,
}

/// An image to build upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseImage {
    /// Its OCI layout.
    pub image: String,
    /// The index of what is installed in it.
    pub apk_index: String,
}

/// What an image starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrypoint {
    /// `service-bundle` or nothing.
    pub kind: String,
    /// The command.
    pub command: String,
    /// Shell text instead of a command.
    pub shell_fragment: String,
    /// Commands of services by their name.
    pub services: StringMap,
}

/// Users and groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Whom things run as; a name or a number.
    pub run_as: String,
    /// The users.
    pub users: Vec<User>,
    /// The groups.
    pub groups: Vec<Group>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The number of the group.
    pub gid: Option<u32>,
    /// The shell.
    pub shell: String,
    /// The home directory.
    pub home: String,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// The number.
    pub gid: u32,
    /// The members' names.
    pub members: Vec<String>,
}

/// A file to make or change in an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathMutation {
    /// The path.
    pub path: String,
    /// `directory`, `empty-file`, `hardlink`, `symlink` or `permissions`.
    pub kind: String,
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The mode.
    pub permissions: u32,
    /// What a link points to.
    pub source: String,
    /// Whether everything below changes too.
    pub recursive: bool,
}
