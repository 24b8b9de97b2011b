//! Build environments made by the apko crate.

use std::path::Path;

use apk_repository::Location;
use apk_types::Arch;
use apko::config::{Accounts, Contents, Group, ImageConfiguration, PathMutation, User};
use apko::{Additions, EnvironmentPlan, Policy, Repositories, ResolveError, Store};
use melange_config::types::Environment;

use crate::compiled::{BuildEnvironment, Laid};
use crate::roots::{CachedRoot, RootCache};

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
    /// Where those come from that often change: they get a tree of their own, over one of all others.
    pub changing: Option<Location>,
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

    fn make(&self, plan: &EnvironmentPlan, store: &Store, directory: &Path) -> Result<(), Failed> {
        let made = plan.install(&self.policy, store)?;
        Ok(apko::lay_down(&made.tree, directory)?)
    }

    /// The trees that an environment consists of: where some of its packages often change, one of these over one of the
    /// others, which stays.
    fn shared(
        &self,
        plan: &EnvironmentPlan,
        roots: &RootCache,
        store: &Store,
    ) -> Result<Vec<CachedRoot>, Failed> {
        let key = plan.key();
        if let Some(whole) = roots.find(&key) {
            return Ok(vec![whole]);
        }
        let changing = self.chosen.as_ref().and_then(|chosen| chosen.changing.as_ref());
        if let Some(others) = changing.and_then(|place| plan.without(place)) {
            let below_key = others.key();
            let below = roots.get(&below_key, |directory| self.make(&others, store, directory))?;
            let mut can_be = true;
            let over = roots.get(&format!("{key}-over-{below_key}"), |directory| {
                let (made, below) = plan.install_beside(&others, &self.policy, store)?;
                can_be = apko::lay_down_over(&made.tree, &below.tree, directory)?;
                can_be
                    .then_some(())
                    .ok_or_else(|| Failed::from("not over this one"))
            });
            if can_be {
                return Ok(vec![over?, below]);
            }
        }
        Ok(vec![
            roots.get(&key, |directory| self.make(plan, store, directory))?,
        ])
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
        let store = match &self.store {
            Some(store) => store.clone(),
            None => Store::temporary(root.parent().unwrap_or(root))?,
        };
        let shared = match self.roots.as_ref().filter(|_| overlays) {
            Some(roots) => self.shared(&plan, roots, &store)?,
            None => {
                self.make(&plan, &store, root)?;
                Vec::new()
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
