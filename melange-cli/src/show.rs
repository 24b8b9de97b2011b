//! How builds and tests are shown, and what a person's Ctrl-C does to them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anstream::eprintln;
use apk_types::Arch;
use cli_support::{Steps, size, time};
use melange::Event;
use melange_pipeline::runner::{Cancel, StepEvent};

use crate::failure::{Failure, Outcome};

/// Whether somebody ended the work, and whether the terminal belongs to a shell in the guest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupts {
    happened: Arc<AtomicBool>,
    in_shell: Arc<AtomicBool>,
}

impl Interrupts {
    /// Ends running steps on Ctrl-C and on a request to terminate. Ctrl-C in a guest's shell is that shell's matter.
    pub(crate) fn watch(cancel: &Cancel) -> Outcome<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let interrupts = Self::default();
        let signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]);
        let mut signals =
            signals.map_err(|error| Failure::work(format!("signals cannot be watched: {error}")))?;
        let (cancel, own) = (cancel.clone(), interrupts.clone());
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if signal == SIGINT && own.in_shell.load(Ordering::Relaxed) {
                    continue;
                }
                own.happened.store(true, Ordering::Relaxed);
                cancel.cancel();
            }
        });
        Ok(interrupts)
    }

    pub(crate) fn happened(&self) -> bool {
        self.happened.load(Ordering::Relaxed)
    }
}

/// Shows the events of a build or a test.
pub(crate) struct Show<'a> {
    steps: &'a Steps,
    interrupts: Interrupts,
    /// Set before each line where several architectures are built at once.
    prefix: String,
    package: String,
    log: Option<(PathBuf, File)>,
    trace: Option<&'a Mutex<File>>,
    explains: bool,
    start: Instant,
}

impl<'a> Show<'a> {
    pub(crate) fn new(steps: &'a Steps, interrupts: &Interrupts, prefix: String) -> Self {
        Self {
            steps,
            interrupts: interrupts.clone(),
            prefix,
            package: String::new(),
            log: None,
            trace: None,
            explains: false,
            start: Instant::now(),
        }
    }

    /// Also writes what the steps say to `DIRECTORY/ARCH/NAME.log`.
    pub(crate) fn with_log(mut self, directory: Option<&Path>, arch: Arch, name: &str) -> Outcome<Self> {
        if let Some(directory) = directory {
            let directory = directory.join(arch.apk_name());
            let path = directory.join(format!("{name}.log"));
            let file = fs::create_dir_all(&directory).and_then(|()| File::create(&path));
            let file = file.map_err(|error| Failure::at(&path, &error))?;
            self.log = Some((path, file));
        }
        Ok(self)
    }

    /// Also writes how long each step took to a file, one JSON object a line.
    pub(crate) fn with_trace(mut self, trace: Option<&'a Mutex<File>>) -> Self {
        self.trace = trace;
        self
    }

    /// Also says why each dependency was found.
    pub(crate) fn with_reasons(mut self, explains: bool) -> Self {
        self.explains = explains;
        self
    }

    /// Where the log lies, if there is one.
    pub(crate) fn log(&self) -> Option<&Path> {
        self.log.as_ref().map(|(path, _)| path.as_path())
    }

    fn line(&mut self, text: &str) {
        if self.steps.shows_steps() {
            eprintln!("{}{text}", self.prefix);
        }
        if let Some((_, log)) = &mut self.log {
            // What is shown is what counts; a full disk shows elsewhere.
            let _ = writeln!(log, "{text}");
        }
    }

    fn step(&mut self, event: &StepEvent<'_>) {
        match event {
            StepEvent::Started { number, step } => {
                let label = step
                    .label
                    .as_deref()
                    .map(|label| format!(" {label}"))
                    .unwrap_or_default();
                let place = step
                    .location
                    .as_deref()
                    .map(|place| format!("  {place}"))
                    .unwrap_or_default();
                self.line(&format!(
                    "  ┌ {} step {number}{label}{place}",
                    self.package.clone()
                ));
            }
            StepEvent::Output { line, .. } => self.line(&format!("  │ {line}")),
            StepEvent::Done { number, step, took } => {
                self.interrupts.in_shell.store(false, Ordering::Relaxed);
                self.line(&format!("  └ {}", time(*took)));
                if let Some(trace) = self.trace {
                    let start = self.start.elapsed().saturating_sub(*took);
                    let span = serde_json::json!({
                        "package": self.package,
                        "step": number,
                        "name": step.label,
                        "location": step.location,
                        "start_seconds": start.as_secs_f64(),
                        "duration_seconds": took.as_secs_f64(),
                    });
                    let mut trace = trace.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    let _ = writeln!(trace, "{span}");
                }
            }
            StepEvent::Shell { failure, workdir, .. } => {
                self.interrupts.in_shell.store(true, Ordering::Relaxed);
                if let Some(failure) = failure {
                    self.line(&format!("  └ {}", cli_support::chain(*failure)));
                }
                eprintln!(
                    "A shell in the guest at {workdir}: `exit 0` goes on with the next step, `exit 1` gives up."
                );
            }
        }
    }

    /// Shows one event.
    pub(crate) fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Step(event) => self.step(event),
            Event::Pipeline { package } => (*package).clone_into(&mut self.package),
            Event::Finding { package, finding } => {
                let text = format!("{package}: linter {}: {}", finding.linter, finding.message);
                self.steps.warn(&text);
            }
            Event::Analyzed { package, found } if self.explains => {
                for reason in &found.reasons {
                    let list = [(&found.runtime, "needs"), (&found.provides, "provides")];
                    let verb = list.iter().find(|(list, _)| list.contains(&reason.entry));
                    let verb = verb.map_or("vendors", |(_, verb)| verb);
                    eprintln!(
                        "{package} {verb} {}: {} {}",
                        reason.entry, reason.path, reason.because
                    );
                }
            }
            Event::Warning { message } => self.steps.warn(message),
            Event::Kept { path } => {
                self.line(&format!("the guest and the workspace stay in {}", path.display()));
                self.line(&format!(
                    "enter the guest again with:\n  melange enter {}",
                    path.display()
                ));
            }
            _ => {}
        }
    }
}

/// A package in a few words.
pub(crate) fn describe(record: &apk_types::PackageRecord, arch: Arch) -> String {
    format!(
        "{} {} ({arch})  {}",
        record.name,
        record.version,
        size(record.size)
    )
}
