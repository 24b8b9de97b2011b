//! The packages that a configuration chooses, for the commands that only look at them.

use std::path::PathBuf;

use apk_types::Arch;
use apko::config::Loaded;
use apko::{Policy, Repositories, world};
use clap::Args;
use cli_support::Steps;

use crate::args::{Archs, Sources};
use crate::build::additions;
use crate::failure::Outcome;
use crate::why::Solver;

/// Whose packages, and how they are chosen.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// The image configuration
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) sources: Sources,
    #[command(flatten)]
    pub(crate) archs: Archs,
    #[command(flatten)]
    pub(crate) solver: Solver,
}

impl Selection {
    /// The repositories to choose from, and what is asked for.
    pub(crate) fn open(
        &self,
        loaded: &Loaded,
        archs: &[Arch],
        steps: &Steps,
    ) -> Outcome<(Repositories, Vec<String>)> {
        let configuration = &loaded.configuration;
        let additions = additions(&self.sources, &[]);
        let (client, progress) = self.sources.client(None, steps)?;
        let policy = self.solver.policy(Policy {
            client,
            ..Policy::default()
        });
        let repositories = Repositories::open(configuration, &additions, archs, &policy)?;
        progress.done();
        let world = world(&configuration.clone().with_service_bundle(), &additions);
        Ok((repositories, world))
    }
}
