//! Work done by the melange and apko crates.

use std::path::{Path, PathBuf};

use apko::{Additions, Policy, SbomFormat, Store};
use build_graph::Failure;
use melange::{
    ApkoEnvironment, BuildRequest, ChosenPackages, Event, GuestOptions, Linters, RootCache, SigningKey,
    Source, TestRequest,
};
use melange_config::types::Resources;
use melange_pipeline::runner::{Limits, Network, Runner, StepEvent};
use oci_image::{Compression, Tag, Timestamp};
use spdx_sbom::Configuration as Origin;

use crate::builder::{Builder, ImageTask, Installed, Task};
use crate::sources::IGNORE_FILE;

/// Tells what a guest may use of the machine, by what a configuration asks for.
pub type LimitsOf = dyn Fn(Option<&Resources>) -> Limits + Sync + Send;

/// Builds with melange and apko.
pub struct MelangeBuilder {
    /// What runs the steps.
    pub runner: Box<dyn Runner + Sync>,
    /// How careful to be with packages of repositories.
    pub policy: Policy,
    /// Where packages are kept once they were verified.
    pub store: Option<Store>,
    /// Where guest trees are kept.
    pub roots: Option<RootCache>,
    /// How guests are run; network, limits and scratch directory are set for each.
    pub guest: GuestOptions,
    /// What a guest may use of the machine.
    pub limits: Box<LimitsOf>,
    /// What steps see of the network.
    pub network: Network,
    /// The private key for packages.
    pub signing_key: Option<SigningKey>,
    /// The distribution, for package URLs.
    pub namespace: String,
    /// The time of all that is made, in seconds since 1970.
    pub source_date_epoch: i64,
    /// The commit that packages record.
    pub commit: String,
}

impl MelangeBuilder {
    fn guest(
        &self,
        task: &Task<'_>,
        resources: Option<&Resources>,
        scratch: &Path,
    ) -> Result<GuestOptions, Failure> {
        std::fs::create_dir_all(scratch)?;
        let _ = task;
        Ok(GuestOptions {
            scratch: scratch.to_owned(),
            network: self.network,
            limits: (self.limits)(resources),
            ..self.guest.clone()
        })
    }

    fn environment(&self, installed: Installed) -> ApkoEnvironment {
        let Installed {
            packages,
            repositories,
            own,
        } = installed;
        ApkoEnvironment {
            additions: Additions::default(),
            policy: self.policy.clone(),
            store: self.store.clone(),
            roots: self.roots.clone(),
            chosen: Some(ChosenPackages {
                packages,
                repositories,
                changing: Some(own),
            }),
        }
    }
}

fn source(task: &Task<'_>) -> Source {
    match &task.source {
        None => Source::Empty,
        Some(path) => Source::Directory {
            path: path.clone(),
            ignore_file: IGNORE_FILE.to_owned(),
        },
    }
}

/// Writes what happens in a guest to the log.
fn tell(task: &Task<'_>, event: &Event<'_>) {
    match event {
        Event::Pipeline { package } => (task.log)(&format!("── {package}")),
        Event::Step(StepEvent::Started { number, step }) => {
            let label = step.label.as_deref().unwrap_or_default();
            let place = step.location.as_deref().unwrap_or_default();
            (task.log)(format!("┌ step {number} {label}  {place}").trim_end());
        }
        Event::Step(StepEvent::Output { line, .. }) => (task.log)(&format!("│ {line}")),
        Event::Step(StepEvent::Done { took, .. }) => (task.log)(&format!("└ {:.2} s", took.as_secs_f64())),
        Event::Finding { package, finding } => {
            (task.log)(&format!(
                "{package}: linter {}: {}",
                finding.linter, finding.message
            ));
        }
        Event::Warning { message } => (task.log)(&format!("warning: {message}")),
        _ => {}
    }
}

impl Builder for MelangeBuilder {
    fn package(&self, task: &Task<'_>, environment: Installed) -> Result<Vec<PathBuf>, Failure> {
        let scratch = task.directory.join("scratch");
        let package = &task.compiled.package;
        let request = BuildRequest {
            guest: self.guest(task, package.resources.as_ref(), &scratch)?,
            source_date_epoch: self.source_date_epoch,
            namespace: self.namespace.clone(),
            source: source(task),
            signing_key: self.signing_key.clone(),
            configuration: Some(Origin {
                path: task.definition.file.clone(),
                repository_url: "https://unknown/unknown/unknown".to_owned(),
                commit: self.commit.clone(),
                license: "NOASSERTION".to_owned(),
            }),
            linters: Linters::default(),
            index: false,
            ..BuildRequest::new(task.arch, task.directory, &scratch)
        };
        let mut environment = self.environment(environment);
        let mut events = |event: Event<'_>| tell(task, &event);
        let report = melange::build(
            &task.compiled,
            &request,
            &mut environment,
            &*self.runner,
            &mut events,
        )?;
        Ok(report.packages.into_iter().map(|(path, _)| path).collect())
    }

    fn test(&self, task: &Task<'_>, package: &str, environment: Installed) -> Result<(), Failure> {
        let mut compiled = task.compiled.clone();
        // Each test has an environment of its own, which is for this one.
        if compiled.package.name != package {
            compiled.test = None;
        }
        for subpackage in compiled
            .subpackages
            .iter_mut()
            .filter(|one| one.package.name != package)
        {
            subpackage.test = None;
        }
        let resources = compiled
            .package
            .test_resources
            .as_ref()
            .or(compiled.package.resources.as_ref());
        let request = TestRequest {
            arch: task.arch,
            guest: self.guest(task, resources, &task.directory.join("scratch"))?,
            source: source(task),
            package: None,
        };
        let mut environment = self.environment(environment);
        let mut events = |event: Event<'_>| tell(task, &event);
        melange::test(&compiled, &request, &mut environment, &*self.runner, &mut events)?;
        Ok(())
    }

    fn image(&self, task: &ImageTask<'_>, layout: &Path) -> Result<String, Failure> {
        let spool = task.directory.join("spool");
        std::fs::create_dir_all(&spool)?;
        let store = match &self.store {
            Some(store) => store.clone(),
            None => Store::temporary(&spool)?,
        };
        let tag: Tag = format!("{}:latest", task.image.name).parse()?;
        let build_date = Timestamp::from_unix(self.source_date_epoch).unwrap_or_default();
        let request = apko::BuildRequest {
            configuration: &task.image.loaded.configuration,
            additions: &Additions::default(),
            include_paths: &task.image.loaded.include_paths,
            lockfile: None,
            repositories: Some(&task.repositories),
            archs: &task.image.archs,
            policy: &self.policy,
            tag: &tag,
            source_date_epoch: None,
            build_date: &build_date,
            sboms: &[SbomFormat::Spdx],
            store: &store,
            compression: Compression::default(),
            spool: &spool,
        };
        let built = apko::build(&request, &mut |event| {
            if let apko::Event::Warning(message) = event {
                (task.log)(&format!("warning: {message}"));
            }
        })?;
        oci_image::write_layout_unsynced(layout, &built.index)?;
        for sbom in &built.sboms {
            std::fs::write(layout.join(&sbom.name), &sbom.json)?;
        }
        Ok(built.index.digest().to_string())
    }
}
