//! Tests of packages: each in an environment of its own, with the package installed.

use std::path::Path;
use std::time::Instant;

use apk_types::Arch;
use melange_config::types::Package;
use melange_config::{Compiled, Test};
use melange_pipeline::runner::{Runner, StepEvent};

use crate::build::{Event, Events, tell_left_out};
use crate::compiled::{BuildEnvironment, Laid, run_as, spare_packages, step};
use crate::error::BuildError;
use crate::sandbox::{GuestOptions, GuestSetup, GuestTree, Sandbox};
use crate::workspace::{Source, copy_sources};

/// How tests are run: all that the configuration does not say.
#[derive(Clone, Debug)]
pub struct TestRequest {
    /// The architecture of the packages.
    pub arch: Arch,
    /// How the guests are run.
    pub guest: GuestOptions,
    /// What the workspace begins with.
    pub source: Source,
    /// What is installed for the main package's test in the place of the package itself.
    pub package: Option<String>,
}

/// Which tests there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestReport {
    /// The packages whose tests passed, in the configuration's order.
    pub passed: Vec<String>,
    /// The packages without a test.
    pub untested: Vec<String>,
}

/// Runs the tests of a configuration's package and of its subpackages.
///
/// Every one has a new environment, so that no test passes because of what another one installed. Subpackages whose
/// condition does not hold have no part.
///
/// # Errors
/// With the first test that fails.
pub fn test(
    compiled: &Compiled,
    request: &TestRequest,
    environment: &mut dyn BuildEnvironment,
    runner: &dyn Runner,
    events: &mut dyn Events,
) -> Result<TestReport, BuildError> {
    runner.check()?;
    let mut report = TestReport::default();
    let subpackages = compiled
        .subpackages
        .iter()
        .filter(|subpackage| subpackage.enabled);
    let subpackages = subpackages.map(|subpackage| (&subpackage.package, &subpackage.test));
    for (package, test) in [(&compiled.package, &compiled.test)]
        .into_iter()
        .chain(subpackages)
    {
        let Some(test) = test.as_ref().filter(|test| !test.pipeline.is_empty()) else {
            report.untested.push(package.name.clone());
            continue;
        };
        let is_main = std::ptr::eq(package, &compiled.package);
        let mut test = test.clone();
        if let Some(other) = request.package.as_ref().filter(|_| is_main) {
            let packages = &mut test.environment.contents.packages;
            packages.retain(|name| *name != package.name);
            packages.push(other.clone());
            packages.sort_unstable();
            packages.dedup();
        }
        let sandbox = Sandbox::new(&request.guest)?;
        test_one(
            compiled,
            package,
            &test,
            request,
            sandbox,
            environment,
            runner,
            events,
        )?;
        report.passed.push(package.name.clone());
    }
    Ok(report)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a test have nothing in common"
)]
fn test_one(
    compiled: &Compiled,
    package: &Package,
    test: &Test,
    request: &TestRequest,
    mut sandbox: Sandbox<'_>,
    environment: &mut dyn BuildEnvironment,
    runner: &dyn Runner,
    events: &mut dyn Events,
) -> Result<(), BuildError> {
    let done = (|| {
        if let Source::Directory { path, ignore_file } = &request.source {
            copy_sources(path, ignore_file, sandbox.workspace())?;
        }
        events.event(Event::Environment);
        let mut variables = compiled.environment.environment.clone();
        variables.extend(test.environment.environment.clone());
        variables
            .entry("HOME".to_owned())
            .or_insert_with(|| "/root".to_owned());
        let setup = GuestSetup {
            environment: variables,
            user: run_as(&test.environment.accounts)?,
            add_capabilities: &compiled.capabilities.add,
            drop_capabilities: &compiled.capabilities.drop,
            is_offline: compiled.capabilities.networking == Some(false),
        };
        let spare = spare_packages(&test.pipeline, request.guest.sources.as_ref());
        let mut guest = |root: &Path, overlays: bool| {
            let Laid {
                packages,
                left_out,
                shared,
            } = environment.lay_down(&test.environment, &spare, request.arch, root, overlays)?;
            Ok(GuestTree {
                record: String::new(),
                packages,
                left_out,
                shared,
            })
        };
        sandbox.start(&mut guest, runner, &setup)?;
        tell_left_out(sandbox.tree(), events);
        events.event(Event::Pipeline {
            package: &package.name,
        });
        let steps: Vec<_> = test.pipeline.iter().map(step).collect();
        let is_main = std::ptr::eq(package, &compiled.package);
        let stop = request.guest.stop_after.as_ref();
        let stop = stop.and_then(|stop| stop.of(&package.name, is_main));
        let timeout = compiled.package.timeout;
        let deadline = (!timeout.is_zero()).then(|| Instant::now() + timeout);
        let mut tell = |event: StepEvent<'_>| events.event(Event::Step(event));
        sandbox
            .run(&steps, (deadline, stop), &mut tell)
            .map_err(|source| BuildError::Test {
                package: package.name.clone(),
                source,
            })
    })();
    if let Some(path) = sandbox.finish(done.is_ok()) {
        events.event(Event::Kept { path: &path });
    }
    done
}
