//! `melange test`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use cli_support::Steps;
use melange::{Event, Source, TestReport, TestRequest, test as run_tests};
use melange_config::Libc;
use melange_pipeline::runner::Cancel;

use crate::args::Compilation;
use crate::compilation::{compiled, configuration_path, env_file_values, read};
use crate::failing_step::Subject;
use crate::failure::{Failure, Outcome, print};
use crate::guest::{GuestArguments, source_tools};
use crate::show::{Interrupts, Show};

pub(crate) const EXAMPLES: &str = "\
Examples:
  melange test hello.yaml --arch x86_64 --repository-append packages --keyring-append local.rsa.pub
  melange test hello.yaml hello-nightly --arch host -r packages -k local.rsa.pub

Each package is tested in an environment of its own, with nothing installed but the package and what its test asks for.
The names of the packages that passed are printed to standard output.
Exit status: 0 all tests passed, 1 one failed, 2 the command line or the configuration is wrong.";

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The build configuration, which holds the tests; .melange.yaml or melange.yaml if not given
    config: Option<PathBuf>,
    /// The package to install for the test of the main package, if not that package itself
    package: Option<String>,
    /// Architectures, or `host`; all if not given
    #[arg(long, value_delimiter = ',')]
    arch: Vec<String>,
    /// Options to enable
    #[arg(long, value_delimiter = ',', value_name = "OPTION")]
    test_option: Vec<String>,
    /// Files with environment variables for the steps
    #[arg(long, value_delimiter = ',', value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Further packages for each of the environments
    #[arg(long, value_delimiter = ',', value_name = "PACKAGE")]
    test_package_append: Vec<String>,
    /// Fails where a package has no test
    #[arg(long)]
    require_tests: bool,
    /// A directory with files for the workspace
    #[arg(long, value_name = "DIR")]
    source_dir: Option<PathBuf>,
    /// A directory that the steps see as /var/cache/melange, if it exists
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// The most time each test may take, such as 90s or 1h30m
    #[arg(long, value_name = "TIME", value_parser = cli_support::parse_duration)]
    timeout: Option<std::time::Duration>,
    /// The processors that tests may use, such as 2 or 500m
    #[arg(long)]
    cpu: Option<String>,
    /// The memory that tests may use, such as 4Gi
    #[arg(long)]
    memory: Option<String>,
    /// The model of the processor, for runners of virtual machines
    #[arg(long, hide = true)]
    cpumodel: Option<String>,
    /// The space on disk, for runners of virtual machines
    #[arg(long, hide = true)]
    disk: Option<String>,
    #[command(flatten)]
    guest: GuestArguments,
}

impl Test {
    fn compilation(&self) -> Compilation {
        Compilation {
            build_option: self.test_option.clone(),
            env_file: self.env_file.clone(),
            vars_file: None,
            pipeline_dir: None,
            git_commit: None,
            git_repo_url: None,
            timeout: self.timeout,
            cpu: self.cpu.clone(),
            memory: self.memory.clone(),
        }
    }
}

pub(crate) fn test(arguments: &Test, steps: &Steps) -> Outcome {
    arguments.guest.check_terminal()?;
    let path = configuration_path(arguments.config.as_deref())?;
    let configuration = read(&path)?;
    let cancel = Cancel::default();
    let interrupts = Interrupts::watch(&cancel)?;
    let runner = arguments.guest.runner(steps);
    let compilation = arguments.compilation();
    let archs = cli_support::parse_archs(&arguments.arch);
    for arch in archs.map_err(|text| Failure::usage(format!("--arch: {text}")))? {
        if !configuration.package.targets(arch.apk_name()) {
            steps.warn(&format!(
                "{} is not tested for {arch}: not one of its target architectures",
                path.display()
            ));
            continue;
        }
        let start = Instant::now();
        let pipelines = &arguments.guest.pipeline_dirs;
        let compiled = compiled(&configuration, &path, arch, Libc::Gnu, &compilation, pipelines)?;
        compiled.warnings.iter().for_each(|warning| steps.warn(warning));
        let resources = compiled
            .package
            .test_resources
            .as_ref()
            .or(compiled.package.resources.as_ref());
        let mut guest = arguments.guest.options(arch, resources, &cancel)?;
        guest.cache.clone_from(&arguments.cache_dir);
        let values = env_file_values(&compilation)?;
        guest.hidden = arguments.guest.hide_env_file.texts(values.values());
        let shared = &arguments.guest;
        let (mut environment, progress) =
            shared.environment(&arguments.test_package_append, steps, &cancel)?;
        guest.sources = Some(source_tools(&environment));
        let request = TestRequest {
            arch,
            guest,
            source: arguments
                .source_dir
                .clone()
                .map_or(Source::Empty, |path| Source::Directory {
                    path,
                    ignore_file: ".melangeignore".to_owned(),
                }),
            package: arguments.package.clone(),
        };
        let name = format!(
            "{}-{}.test",
            compiled.package.name,
            compiled.package.full_version()
        );
        let mut show = Show::new(steps, &interrupts, String::new()).with_log(
            arguments.guest.log_dir.as_deref(),
            arch,
            &name,
        )?;
        let mut events = |event: Event<'_>| {
            progress.done();
            show.show(&event);
        };
        let result = run_tests(&compiled, &request, &mut environment, &*runner, &mut events);
        if interrupts.happened() {
            return Err(Failure::interrupted());
        }
        let TestReport { passed, untested } = result.map_err(|error| {
            let subject = Subject {
                version: compiled.package.full_version(),
                arch,
                log: show.log(),
                is_interactive: shared.is_interactive(),
            };
            subject.failure(error)
        })?;
        if arguments.require_tests && !untested.is_empty() {
            return Err(Failure::work(format!(
                "there is no test of {}",
                untested.join(", ")
            )));
        }
        for package in &untested {
            steps.detail(&format!("{package} has no test"));
        }
        for package in &passed {
            steps.done("Tested", &format!("{package} ({arch})"), start.elapsed());
        }
        print(
            &passed
                .iter()
                .map(|package| format!("{package}\n"))
                .collect::<String>(),
        )?;
    }
    Ok(())
}
