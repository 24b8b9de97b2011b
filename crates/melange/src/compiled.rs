//! From a compiled configuration to the plan of its build.

use std::collections::BTreeMap;
use std::path::Path;

use apk_types::Arch;
use melange_analyze::Options;
use melange_config::types::{self, Accounts, Capability, Cpe, Dependencies, Environment, Scriptlets};
use melange_config::{Compiled, FILE_CAPABILITIES};
use melange_pipeline::builtin;
use melange_pipeline::runner::{Runner, SourceStep, Step, User};

use crate::build::{BuildReport, BuildRequest, Events, build_plan};
use crate::error::BuildError;
use crate::plan::{Copyright, FileCapability, PackagePlan, Plan};
use crate::roots::CachedRoot;
use crate::sandbox::GuestTree;
use crate::sources::SourceTools;

/// Makes build environments: solves, fetches and lays packages down.
pub trait BuildEnvironment {
    /// Lays `environment` down in `root`, an empty directory, for `arch`, or names a tree that lies elsewhere, over
    /// which an overlay can be put if `overlays`. It can do without the packages `spare` where they cannot be had.
    fn lay_down(
        &mut self,
        environment: &Environment,
        spare: &[String],
        arch: Arch,
        root: &Path,
        overlays: bool,
    ) -> Result<Laid, Box<dyn std::error::Error + Send + Sync>>;
}

/// A build environment on disk.
#[derive(Debug, Default)]
pub struct Laid {
    /// The packages it has, pinned (`name=version`) and in the order that `.melange.yaml` records.
    pub packages: Vec<String>,
    /// The spare packages that could not be had.
    pub left_out: Vec<String>,
    /// The trees that are shared with others, each over those after it; none where all was laid down in the root.
    pub shared: Vec<CachedRoot>,
}

/// Builds all packages of a compiled configuration: [`build_plan`] on [`Plan::from_compiled`].
///
/// # Errors
/// With the first thing that fails; nothing is written then, unless it was the writing.
pub fn build(
    compiled: &Compiled,
    request: &BuildRequest,
    environment: &mut dyn BuildEnvironment,
    runner: &dyn Runner,
    events: &mut dyn Events,
) -> Result<BuildReport, BuildError> {
    let compiled = compiled.clone().without_disabled_subpackages();
    let mut plan = Plan::from_compiled(&compiled)?;
    let mut recorded = compiled.clone();
    for name in &request.unrecorded {
        recorded.environment.environment.remove(name);
    }
    plan.configuration = recorded.to_json();
    let own = compiled.subpackages.iter().map(|subpackage| &subpackage.pipeline);
    let steps = own.chain([&compiled.pipeline]).flatten();
    let spare = spare_packages(steps, request.guest.sources.as_ref());
    let mut guest = |root: &Path, overlays: bool| {
        let Laid {
            packages,
            left_out,
            shared,
        } = environment.lay_down(&compiled.environment, &spare, request.arch, root, overlays)?;
        let locked = recorded
            .clone()
            .with_locked_environment(request.arch, packages.clone());
        Ok(GuestTree {
            record: locked.to_yaml(),
            packages,
            left_out,
            shared,
        })
    };
    build_plan(&plan, request, &mut guest, runner, events)
}

impl Plan {
    /// Takes from a configuration what its build needs. Subpackages whose condition does not hold have no part.
    ///
    /// # Errors
    /// When the configuration's `run-as` names no user.
    pub fn from_compiled(compiled: &Compiled) -> Result<Self, BuildError> {
        let package = &compiled.package;
        let tests = |test: &Option<melange_config::Test>| match test {
            Some(test) => test.pipeline.iter().map(|step| step.uses.clone()).collect(),
            None => Vec::new(),
        };
        let mut packages = vec![PackagePlan {
            file_capabilities: file_capabilities(&package.setcap),
            test_pipelines: tests(&compiled.test),
            ..package_plan(package, &compiled.pipeline)
        }];
        for subpackage in compiled
            .subpackages
            .iter()
            .filter(|subpackage| subpackage.enabled)
        {
            packages.push(PackagePlan {
                test_pipelines: tests(&subpackage.test),
                ..package_plan(&subpackage.package, &subpackage.pipeline)
            });
        }
        let copyright = |copyright: &types::Copyright| Copyright {
            license: copyright.license.clone(),
            attestation: copyright.attestation.clone(),
            license_path: copyright.license_path.clone(),
        };
        let accounts = &compiled.environment.accounts;
        let build_user = accounts.users.iter().find(|user| user.name == "build");
        let build_group = accounts.groups.iter().find(|group| group.name == "build");
        Ok(Self {
            version: package.full_version(),
            packages,
            copyright: package.copyright.iter().map(copyright).collect(),
            cpe: cpe(&package.cpe, &package.version),
            environment: compiled.environment.environment.clone(),
            user: run_as(accounts)?,
            build_user: Some(User {
                uid: build_user.map_or(0, |user| user.uid),
                gid: build_group.map_or(0, |group| group.gid),
            }),
            add_capabilities: compiled.capabilities.add.clone(),
            drop_capabilities: compiled.capabilities.drop.clone(),
            is_offline: compiled.capabilities.networking == Some(false),
            timeout: Some(package.timeout).filter(|timeout| !timeout.is_zero()),
            configuration: compiled.to_json(),
        })
    }
}

fn package_plan(package: &types::Package, pipeline: &[melange_config::Step]) -> PackagePlan {
    let Dependencies {
        runtime,
        provides,
        replaces,
        provider_priority,
        replaces_priority,
    } = &package.dependencies;
    let options = package.options.unwrap_or_default();
    let scriptlets = package.scriptlets.clone().unwrap_or_default();
    PackagePlan {
        name: package.name.clone(),
        description: package.description.clone(),
        url: package.url.clone(),
        commit: package.commit.clone(),
        steps: pipeline.iter().map(step).collect(),
        runtime: runtime.clone(),
        provides: provides.clone(),
        replaces: replaces.clone(),
        // Compiling has made sure that they are numbers.
        provider_priority: provider_priority.parse().ok(),
        replaces_priority: replaces_priority.parse().ok(),
        options: Options {
            no_commands: options.no_commands,
            no_depends: options.no_depends,
            no_provides: options.no_provides,
        },
        triggers: scriptlets.trigger.paths.clone(),
        scripts: scripts(scriptlets),
        disabled_linters: package.checks.disabled.clone(),
        sources: pipeline
            .iter()
            .enumerate()
            .filter_map(|(place, step)| source(place, step))
            .collect(),
        ..PackagePlan::default()
    }
}

fn scripts(scriptlets: Scriptlets) -> BTreeMap<String, String> {
    let scripts = [
        (".trigger", scriptlets.trigger.script),
        (".pre-install", scriptlets.pre_install),
        (".post-install", scriptlets.post_install),
        (".pre-deinstall", scriptlets.pre_deinstall),
        (".post-deinstall", scriptlets.post_deinstall),
        (".pre-upgrade", scriptlets.pre_upgrade),
        (".post-upgrade", scriptlets.post_upgrade),
    ];
    let scripts = scripts.into_iter().filter(|(_, script)| !script.is_empty());
    scripts.map(|(name, script)| (name.to_owned(), script)).collect()
}

pub(crate) fn step(step: &melange_config::Step) -> Step {
    let label = [&step.name, &step.uses, &step.label]
        .into_iter()
        .find(|label| !label.is_empty());
    Step {
        source: source_step(step),
        label: label.cloned(),
        location: step.location.as_ref().map(ToString::to_string),
        enabled: step.enabled,
        runs: step.runs.clone(),
        working_directory: Some(step.working_directory.clone()).filter(|directory| !directory.is_empty()),
        environment: step.environment.clone(),
        steps: step.pipeline.iter().map(self::step).collect(),
        required_steps: step
            .required_steps
            .map(|steps| usize::try_from(steps).unwrap_or(usize::MAX)),
    }
}

/// The pipelines that get sources, and the package that each needs to do it in a guest.
const SOURCE_PIPELINES: [(&str, &str); 2] = [("fetch", "wget"), ("git-checkout", "git")];

/// What a step does that uses one of the built-in pipelines that get sources, and not another one of the same name.
fn source_step(step: &melange_config::Step) -> Option<SourceStep> {
    let (name, _) = SOURCE_PIPELINES.iter().find(|(name, _)| *name == step.uses)?;
    let inner = step.pipeline.first()?.location.as_ref()?;
    (Some(inner.text.text.as_str()) == builtin(name)).then(|| SourceStep {
        pipeline: step.uses.clone(),
        inputs: step.with.clone(),
    })
}

/// The packages that are in the environment for the sake of steps that may be done outside of the guest.
pub(crate) fn spare_packages<'a>(
    steps: impl IntoIterator<Item = &'a melange_config::Step>,
    tools: Option<&SourceTools>,
) -> Vec<String> {
    let Some(tools) = tools else { return Vec::new() };
    let mut spare = Vec::new();
    let mut left: Vec<_> = steps.into_iter().collect();
    while let Some(step) = left.pop() {
        match source_step(step) {
            Some(source) => {
                let own = SOURCE_PIPELINES
                    .iter()
                    .filter(|(name, _)| *name == source.pipeline && tools.has(name));
                spare.extend(own.map(|(_, package)| (*package).to_owned()));
            }
            None => left.extend(&step.pipeline),
        }
    }
    spare.sort_unstable();
    spare.dedup();
    spare
}

/// What the pipelines that fetch sources say of them.
fn source(place: usize, step: &melange_config::Step) -> Option<spdx_sbom::Source> {
    let input = |name: &str| step.with.get(name).cloned().unwrap_or_default();
    match step.uses.as_str() {
        "fetch" => Some(spdx_sbom::Source::Fetch {
            step: place,
            uri: input("uri"),
            sha256: input("expected-sha256"),
            sha512: input("expected-sha512"),
            name: input("purl-name"),
            version: input("purl-version"),
        }),
        "git-checkout" => Some(spdx_sbom::Source::Git {
            step: place,
            repository: input("repository"),
            branch: input("branch"),
            tag: input("tag"),
            commit: input("expected-commit"),
        }),
        _ => None,
    }
}

fn file_capabilities(setcap: &[Capability]) -> BTreeMap<String, FileCapability> {
    let mut files: BTreeMap<String, FileCapability> = BTreeMap::new();
    for Capability { path, add, .. } in setcap {
        for (names, flags) in add {
            let known = FILE_CAPABILITIES
                .iter()
                .filter(|(known, _)| names.split(',').any(|name| name == *known));
            let mask = known.fold(0, |mask, (_, bit)| mask | 1 << bit);
            let set = |flag| if flags.contains(flag) { mask } else { 0 };
            let file = files.entry(path.clone()).or_default();
            file.effective |= set('e');
            file.permitted |= set('p');
            file.inheritable |= set('i');
        }
    }
    files
}

/// The CPE 2.3 name, where vendor and product are given.
fn cpe(cpe: &Cpe, version: &str) -> Option<String> {
    if cpe.vendor.is_empty() || cpe.product.is_empty() {
        return None;
    }
    let part = if cpe.part.is_empty() { "a" } else { &cpe.part };
    let any = |field: &String| {
        if field.is_empty() {
            "*".to_owned()
        } else {
            field.clone()
        }
    };
    let rest = [
        &cpe.edition,
        &cpe.language,
        &cpe.sw_edition,
        &cpe.target_sw,
        &cpe.target_hw,
        &cpe.other,
    ];
    let rest = rest.map(any).join(":");
    Some(format!(
        "cpe:2.3:{part}:{}:{}:{version}:*:{rest}",
        cpe.vendor, cpe.product
    ))
}

/// The numbers of the user that `run-as` names, by its name or its number.
pub(crate) fn run_as(accounts: &Accounts) -> Result<Option<User>, BuildError> {
    let name = accounts.run_as.as_str();
    let number = name.parse::<u32>().ok();
    let is_meant = |user: &&types::User| user.name == name || Some(user.uid) == number;
    match (name, accounts.users.iter().find(is_meant), number) {
        ("", ..) => Ok(None),
        ("root" | "0", ..) => Ok(Some(User { uid: 0, gid: 0 })),
        // A user without a group has, as the Go melange has it, a group of the same number.
        (_, Some(user), _) => Ok(Some(User {
            uid: user.uid,
            gid: user.gid.unwrap_or(user.uid),
        })),
        (_, None, Some(number)) => Ok(Some(User {
            uid: number,
            gid: number,
        })),
        (_, None, None) => Err(BuildError::Configuration {
            reason: format!("`run-as` names the user `{name}`, which `accounts` does not define"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_join_the_sets_of_all_entries_for_a_file() {
        let entry = |names: &str, flags: &str| Capability {
            path: "/usr/bin/x".to_owned(),
            add: BTreeMap::from([(names.to_owned(), flags.to_owned())]),
            reason: "because".to_owned(),
        };
        let files = file_capabilities(&[
            entry("cap_net_raw,cap_net_admin", "+ep"),
            entry("cap_sys_admin", "+i"),
        ]);
        assert_eq!(
            files["/usr/bin/x"],
            FileCapability {
                effective: 0x3000,
                permitted: 0x3000,
                inheritable: 0x20_0000,
            }
        );
    }

    #[test]
    fn run_as_finds_users_by_name_and_number() {
        let mut accounts = Accounts {
            users: vec![types::User {
                name: "me".to_owned(),
                uid: 7,
                gid: Some(8),
                ..types::User::default()
            }],
            ..Accounts::default()
        };
        let user = |uid, gid| Some(User { uid, gid });
        for (name, wanted) in [
            ("", None),
            ("root", user(0, 0)),
            ("me", user(7, 8)),
            ("7", user(7, 8)),
            ("9", user(9, 9)),
        ] {
            accounts.run_as = name.to_owned();
            assert_eq!(run_as(&accounts).unwrap(), wanted, "{name}");
        }
        accounts.run_as = "nobody".to_owned();
        assert!(run_as(&accounts).unwrap_err().to_string().contains("`nobody`"));
    }
}
