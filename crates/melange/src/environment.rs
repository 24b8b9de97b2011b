//! Build environments made by the apko crate.

use std::path::Path;

use apk_types::Arch;
use apko::config::{Accounts, Contents, Group, ImageConfiguration, PathMutation, User};
use apko::{Additions, EnvironmentPlan, Policy, Repositories, ResolveError, Store};
use melange_config::types::Environment;

use crate::compiled::{BuildEnvironment, Laid};
use crate::roots::RootCache;

/// Resolves, verifies and lays build environments down with apko.
#[derive(Clone, Debug, Default)]
pub struct ApkoEnvironment {
    /// Keys, repositories and packages beside those of the configuration.
    pub additions: Additions,
    /// How careful to be.
    pub policy: Policy,
    /// Where packages are kept from one environment to the next; `None` keeps them as long as it takes.
    pub store: Option<Store>,
    /// Where trees are kept from one environment to the next, for runners that can put overlays over them.
    pub roots: Option<RootCache>,
    /// What every environment consists of, where that was found out before.
    pub chosen: Option<ChosenPackages>,
}

/// The packages of an environment that was solved before.
#[derive(Clone, Debug)]
pub struct ChosenPackages {
    /// The packages, `NAME=VERSION`.
    pub packages: Vec<String>,
    /// Where these are.
    pub repositories: Repositories,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl ApkoEnvironment {
    /// Chooses the packages: with the spare ones if that can be, else without, and then tells which these are.
    fn plan(
        &self,
        environment: &Environment,
        spare: &[String],
        arch: Arch,
    ) -> Result<(EnvironmentPlan, Vec<String>), Failed> {
        let mut configuration = configuration(environment);
        let plan = |configuration: &ImageConfiguration| {
            apko::plan_environment(configuration, &self.additions, arch, &self.policy)
        };
        match plan(&configuration) {
            Err(error @ apko::BuildError::Resolve(ResolveError::Unsolvable { .. })) if !spare.is_empty() => {
                configuration
                    .contents
                    .packages
                    .retain(|package| !spare.contains(package));
                match plan(&configuration) {
                    Ok(plan) => Ok((plan, spare.to_vec())),
                    Err(_) => Err(error.into()),
                }
            }
            planned => Ok((planned?, Vec::new())),
        }
    }
}

impl ApkoEnvironment {
    fn plan_of(
        &self,
        chosen: &ChosenPackages,
        environment: &Environment,
        arch: Arch,
    ) -> Result<EnvironmentPlan, Failed> {
        let mut configuration = configuration(environment);
        configuration.contents.packages.clone_from(&chosen.packages);
        let repositories = chosen.repositories.clone();
        Ok(apko::plan_environment_from(
            &configuration,
            &self.additions,
            arch,
            repositories,
        )?)
    }
}

impl BuildEnvironment for ApkoEnvironment {
    fn lay_down(
        &mut self,
        environment: &Environment,
        spare: &[String],
        arch: Arch,
        root: &Path,
        overlays: bool,
    ) -> Result<Laid, Failed> {
        if environment.contents.base_image.is_some() {
            return Err("`environment.contents.baseimage` is not supported yet".into());
        }
        let (plan, left_out) = match &self.chosen {
            None => self.plan(environment, spare, arch)?,
            Some(chosen) => (self.plan_of(chosen, environment, arch)?, Vec::new()),
        };
        let lay_down = |directory: &Path| -> Result<(), Failed> {
            let store = match &self.store {
                Some(store) => store.clone(),
                None => Store::temporary(root.parent().unwrap_or(root))?,
            };
            let made = plan.install(&self.policy, &store)?;
            Ok(apko::lay_down(&made.tree, directory)?)
        };
        let shared = match self.roots.as_ref().filter(|_| overlays) {
            Some(roots) => Some(roots.get(&plan.key(), lay_down)?),
            None => {
                lay_down(root)?;
                None
            }
        };
        let packages = plan.locked.contents.packages;
        Ok(Laid {
            packages,
            left_out,
            shared,
        })
    }
}

/// What matters of an environment where programs run in it: entry point, annotations and the like are for images.
fn configuration(environment: &Environment) -> ImageConfiguration {
    let contents = &environment.contents;
    let user = |user: &melange_config::types::User| User {
        name: user.name.clone(),
        uid: user.uid,
        gid: user.gid,
        shell: user.shell.clone(),
        home: if user.home.is_empty() {
            format!("/home/{}", user.name)
        } else {
            user.home.clone()
        },
    };
    let group = |group: &melange_config::types::Group| Group {
        name: group.name.clone(),
        gid: group.gid,
        members: group.members.clone(),
    };
    let path = |path: &melange_config::types::PathMutation| PathMutation {
        path: path.path.clone(),
        kind: path.kind.clone(),
        uid: path.uid,
        gid: path.gid,
        permissions: path.permissions,
        source: path.source.clone(),
        recursive: path.recursive,
        ..PathMutation::default()
    };
    ImageConfiguration {
        contents: Contents {
            build_repositories: contents.build_repositories.clone(),
            repositories: contents.repositories.clone(),
            keyring: contents.keyring.clone(),
            packages: contents.packages.clone(),
            ..Contents::default()
        },
        accounts: Accounts {
            run_as: environment.accounts.run_as.clone(),
            users: environment.accounts.users.iter().map(user).collect(),
            groups: environment.accounts.groups.iter().map(group).collect(),
        },
        environment: environment.environment.clone(),
        paths: environment.paths.iter().map(path).collect(),
        ..ImageConfiguration::default()
    }
}
