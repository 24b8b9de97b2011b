//! The running of a compiled pipeline: shell scripts in order, with their conditions, directories and variables.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Cancel, Command, ExitStatus, GuestPath, OutputSink, RunnerError, Session, Stream};

/// The directory in the guest that steps start in and where packages grow, under `melange-out`.
pub const WORKSPACE: &str = "/home/build";

/// The `PATH` of every step that sets none itself.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin";

/// How many of a failing step's last lines its error keeps.
const KEPT_LINES: usize = 20;

/// What sandboxes end with when they cannot start a program.
const NO_PROGRAM: [i32; 4] = [1, 125, 126, 127];

/// One step with all values concrete: a script, steps below it, or both (the script runs first).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What users call it: its name, or the pipeline it uses.
    pub label: Option<String>,
    /// Where it is written: `melange.yaml:12`, where that is known.
    pub location: Option<String>,
    /// Whether its condition holds; if not, it and all below it are left out.
    pub enabled: bool,
    /// The script, which may be empty.
    pub runs: String,
    /// Where it starts, from [`WORKSPACE`]; made if it is missing.
    pub working_directory: Option<String>,
    /// Variables of this step and of those below.
    pub environment: BTreeMap<String, String>,
    /// What the step does, where that can be done outside of the guest, too: then nothing of the step runs inside.
    pub source: Option<SourceStep>,
    /// The steps below.
    pub steps: Vec<Step>,
    /// How many of the steps below must run.
    pub required_steps: Option<usize>,
}

/// A step that gets sources: a built-in pipeline and its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStep {
    /// `fetch` or `git-checkout`.
    pub pipeline: String,
    /// The inputs that differ from their defaults.
    pub inputs: BTreeMap<String, String>,
}

/// Gets sources in the place of a guest, which needs no network and no programs for it then.
pub trait Sources {
    /// Whether it can do what the step asks for; if not, the guest does.
    fn takes(&self, step: &SourceStep, workdir: &GuestPath) -> bool;

    /// Does it in a directory of the guest; false where the guest has to go on, as far as it is not done yet. It ends
    /// early when the deadline is over or `cancel` is set.
    fn get(
        &self,
        step: &SourceStep,
        workdir: &GuestPath,
        limits: (Option<Instant>, &Cancel),
        sink: &mut dyn OutputSink,
    ) -> Result<bool, SourceError>;
}

/// Why sources could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The time ran out, or the work was ended.
    #[error(transparent)]
    Ended(RunnerError),
    /// Something went wrong with them.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// How steps are run.
#[derive(Clone, Default)]
pub struct StepOptions {
    /// Scripts print each command (`set -x`).
    pub trace: bool,
    /// When the whole pipeline is given up.
    pub deadline: Option<Instant>,
    /// What ends it early.
    pub cancel: Cancel,
    /// A failing step opens a shell in the guest on this program's terminal. Where that shell ends well, the step
    /// counts as done.
    pub interactive: bool,
    /// The number of a step that such a shell opens after, even if it does not fail.
    pub shell_after: Option<String>,
    /// Variables that such a shell has beside the step's, `TERM` among them.
    pub shell_environment: BTreeMap<String, String>,
    /// Texts that are shown as `***` wherever a step writes them.
    pub hidden: Vec<String>,
    /// What gets sources outside of the guest.
    pub sources: Option<Arc<dyn Sources>>,
}

/// What the running of steps tells.
#[derive(Clone, Copy, Debug)]
pub enum StepEvent<'a> {
    /// A step with a script begins.
    Started {
        /// Its number, as in [`StepError::number`].
        number: &'a str,
        /// The step.
        step: &'a Step,
    },
    /// Its script wrote a line.
    Output {
        /// Where to.
        stream: Stream,
        /// The line, without its line feed.
        line: &'a str,
    },
    /// It failed, or is the one to stop at, and a shell opens in the guest.
    Shell {
        /// Its number.
        number: &'a str,
        /// How it failed, if it did.
        failure: Option<&'a StepFailure>,
        /// The directory that the shell starts in.
        workdir: &'a str,
    },
    /// Its script came to a good end.
    Done {
        /// Its number.
        number: &'a str,
        /// The step.
        step: &'a Step,
        /// How long it ran.
        took: Duration,
    },
}

/// Takes the events of running steps as they come.
pub trait StepEvents {
    /// Takes one event.
    fn event(&mut self, event: StepEvent<'_>);
}

impl<F: FnMut(StepEvent<'_>)> StepEvents for F {
    fn event(&mut self, event: StepEvent<'_>) {
        self(event);
    }
}

/// Which step failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("step {number}{described}{located} failed after {:.1} s", .took.as_secs_f64(),
        described = bracketed(" ", self.label.as_deref(), "`"), located = bracketed(" at ", self.location.as_deref(), ""))]
pub struct StepError {
    /// The step's number among its siblings, from 1, behind those of the steps around it: `3`, `3.1`.
    pub number: String,
    /// How many steps the pipeline has, without those below others.
    pub of: usize,
    /// Its name or the pipeline it uses.
    pub label: Option<String>,
    /// Where it is written.
    pub location: Option<String>,
    /// How long it ran.
    pub took: Duration,
    /// What happened.
    #[source]
    pub failure: StepFailure,
}

fn bracketed(before: &str, text: Option<&str>, quote: &str) -> String {
    text.map_or_else(String::new, |text| format!("{before}{quote}{text}{quote}"))
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepFailure {
    /// Its script ended with a bad status.
    #[error("{status}{}", tail(.last_lines))]
    Exit {
        /// The status.
        status: ExitStatus,
        /// The last lines it wrote, oldest first.
        last_lines: Vec<String>,
    },
    /// Too few of the steps below it ran.
    #[error("{required} of its steps must run, but {ran} did")]
    RequiredSteps {
        /// How many must run.
        required: usize,
        /// How many did.
        ran: usize,
    },
    /// The guest has no shell, or one that this machine cannot run.
    #[error("the guest's /bin/sh does not run here{}", tail(.last_lines))]
    NoShell {
        /// The last lines of the runner, oldest first.
        last_lines: Vec<String>,
    },
    /// Sources could not be had.
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// The sandbox failed, or the time ran out.
    #[error("the script did not come to its end{}", tail(.last_lines))]
    Runner {
        /// What the runner says.
        source: RunnerError,
        /// The last lines the step wrote, oldest first.
        last_lines: Vec<String>,
    },
}

fn tail(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str("\n    ");
        text.push_str(line);
    }
    if !text.is_empty() {
        text.insert_str(0, "; its last lines were:");
    }
    text
}

/// Runs steps one after another until one fails.
///
/// Each script runs in a `/bin/sh` of its own with `set -e -o pipefail`, in its working directory, which is made
/// first, with [`DEFAULT_PATH`] and the variables of the steps around it. This is the Go melange's behaviour, but
/// that a step without a script starts no shell, and that the caller's umask has no part in what is built.
pub fn run_steps(
    session: &mut dyn Session,
    steps: &[Step],
    options: &StepOptions,
    events: &mut dyn StepEvents,
) -> Result<(), Box<StepError>> {
    let environment = BTreeMap::from([("PATH".to_owned(), DEFAULT_PATH.to_owned())]);
    let mut run = Run {
        of: steps.len(),
        last_shell: String::new(),
        session,
        options,
        events,
    };
    for (index, step) in steps.iter().enumerate() {
        run.step(step, &(index + 1).to_string(), &environment)?;
    }
    Ok(())
}

struct Run<'a> {
    of: usize,
    /// The number of the step that a shell was opened after last, empty for none.
    last_shell: String,
    session: &'a mut dyn Session,
    options: &'a StepOptions,
    events: &'a mut dyn StepEvents,
}

impl Run<'_> {
    /// Runs a step and those below it; tells whether its condition let it.
    fn step(
        &mut self,
        step: &Step,
        number: &str,
        outer: &BTreeMap<String, String>,
    ) -> Result<bool, Box<StepError>> {
        if !step.enabled {
            return Ok(false);
        }
        let start = Instant::now();
        let of = self.of;
        let fail = |failure| {
            Box::new(StepError {
                number: number.to_owned(),
                of,
                label: step.label.clone(),
                location: step.location.clone(),
                took: start.elapsed(),
                failure,
            })
        };
        let mut environment = outer.clone();
        environment.extend(step.environment.clone());
        let is_whole = self.own_part(step, number, &environment).map_err(fail)?;
        let mut ran = 0;
        for (index, inner) in step.steps.iter().enumerate().filter(|_| !is_whole) {
            ran += usize::from(self.step(inner, &format!("{number}.{}", index + 1), &environment)?);
        }
        match step.required_steps {
            Some(required) if required != ran && !is_whole => {
                return Err(fail(StepFailure::RequiredSteps { required, ran }));
            }
            _ => {}
        }
        let had_shell = self.last_shell.starts_with(number);
        if self.options.shell_after.as_deref() == Some(number) && !had_shell {
            self.shell(step, number, &environment, None).map_err(fail)?;
        }
        Ok(true)
    }

    /// Does what a step does itself; true where nothing is left for those below it.
    fn own_part(
        &mut self,
        step: &Step,
        number: &str,
        environment: &BTreeMap<String, String>,
    ) -> Result<bool, StepFailure> {
        let sources = self.options.sources.clone();
        let source = step.source.as_ref().zip(sources);
        let source = source.filter(|(source, sources)| sources.takes(source, &workdir(step)));
        if source.is_none() && step.runs.trim().is_empty() && step.working_directory.is_none() {
            return Ok(false);
        }
        let start = Instant::now();
        self.events.event(StepEvent::Started { number, step });
        let done = match source {
            Some((source, sources)) => self.source(step, source, &*sources),
            None => self.script(step, environment).map(|()| false),
        };
        let is_whole = match done {
            Ok(is_whole) => is_whole,
            Err(failure) => {
                self.shell(step, number, environment, Some(failure))?;
                step.source.is_some()
            }
        };
        let took = start.elapsed();
        self.events.event(StepEvent::Done { number, step, took });
        Ok(is_whole)
    }

    fn script(&mut self, step: &Step, environment: &BTreeMap<String, String>) -> Result<(), StepFailure> {
        let workspace = GuestPath::new(WORKSPACE);
        let workdir = workdir(step);
        let command = Command {
            argv: vec![
                "/bin/sh".to_owned(),
                "-c".to_owned(),
                script(&step.runs, workdir.as_str(), self.options.trace),
            ],
            environment: environment.clone(),
            workdir: workspace,
            deadline: self.options.deadline,
            cancel: self.options.cancel.clone(),
        };
        let mut keeper = Keeper {
            events: &mut *self.events,
            hidden: &self.options.hidden,
            last_lines: VecDeque::with_capacity(KEPT_LINES),
        };
        match self.session.exec(&command, &mut keeper) {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => {
                let last_lines = keeper.last_lines.into();
                Err(match self.has_shell(status) {
                    true => StepFailure::Exit { status, last_lines },
                    false => StepFailure::NoShell { last_lines },
                })
            }
            Err(source) => Err(StepFailure::Runner {
                source,
                last_lines: keeper.last_lines.into(),
            }),
        }
    }

    /// Whether the guest's shell runs at all, after a command of it ended badly.
    fn has_shell(&mut self, status: ExitStatus) -> bool {
        if !matches!(status, ExitStatus::Code(code) if NO_PROGRAM.contains(&code)) {
            return true;
        }
        let trial = Command {
            cancel: self.options.cancel.clone(),
            ..Command::new(["/bin/sh", "-c", ":"])
        };
        let trial = self.session.exec(&trial, &mut |_: Stream, _: &str| {});
        trial.is_ok_and(ExitStatus::is_success) || self.options.cancel.is_cancelled()
    }

    /// Gets sources outside of the guest.
    fn source(
        &mut self,
        step: &Step,
        source: &SourceStep,
        sources: &dyn Sources,
    ) -> Result<bool, StepFailure> {
        let mut keeper = Keeper {
            events: &mut *self.events,
            hidden: &self.options.hidden,
            last_lines: VecDeque::with_capacity(KEPT_LINES),
        };
        let limits = (self.options.deadline, &self.options.cancel);
        let done = sources.get(source, &workdir(step), limits, &mut keeper);
        done.map_err(|error| match error {
            SourceError::Failed(error) => StepFailure::Source(error),
            SourceError::Ended(source) => StepFailure::Runner {
                source,
                last_lines: keeper.last_lines.into(),
            },
        })
    }

    /// Lets a person look around in the guest as a failing step left it, where that is wanted.
    fn shell(
        &mut self,
        step: &Step,
        number: &str,
        environment: &BTreeMap<String, String>,
        failure: Option<StepFailure>,
    ) -> Result<(), StepFailure> {
        if !self.options.interactive || self.options.cancel.is_cancelled() {
            return failure.map_or(Ok(()), Err);
        }
        let workdir = workdir(step);
        self.events.event(StepEvent::Shell {
            number,
            failure: failure.as_ref(),
            workdir: workdir.as_str(),
        });
        let script = format!("cd {}; exec /bin/sh", quote(workdir.as_str()));
        let mut command = Command::new(["/bin/sh", "-c", &script]);
        command.cancel = self.options.cancel.clone();
        number.clone_into(&mut self.last_shell);
        command.environment.clone_from(environment);
        command.environment.extend(self.options.shell_environment.clone());
        match self.session.attach(&command) {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => Err(failure.unwrap_or(StepFailure::Exit {
                status,
                last_lines: Vec::new(),
            })),
            Err(source) => Err(StepFailure::Runner {
                source,
                last_lines: Vec::new(),
            }),
        }
    }
}

/// Hands lines on and keeps the last ones.
struct Keeper<'a> {
    events: &'a mut dyn StepEvents,
    hidden: &'a [String],
    last_lines: VecDeque<String>,
}

impl OutputSink for Keeper<'_> {
    fn line(&mut self, stream: Stream, line: &str) {
        let line = &*mask(line, self.hidden);
        if self.last_lines.len() == KEPT_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line.to_owned());
        self.events.event(StepEvent::Output { stream, line });
    }
}

/// A line without the texts that nobody shall see.
fn mask<'a>(line: &'a str, hidden: &[String]) -> Cow<'a, str> {
    let found = hidden
        .iter()
        .filter(|text| !text.is_empty() && line.contains(&***text));
    found.fold(Cow::Borrowed(line), |line, text| {
        Cow::Owned(line.replace(text, "***"))
    })
}

/// Where a step's script starts.
fn workdir(step: &Step) -> GuestPath {
    GuestPath::new(WORKSPACE).join(step.working_directory.as_deref().unwrap_or_default())
}

/// The script as the shell gets it.
fn script(runs: &str, workdir: &str, trace: bool) -> String {
    let workdir = quote(workdir);
    let trace = if trace { "x" } else { "" };
    format!(
        "umask 022\nset -e{trace}o pipefail\n[ -d {workdir} ] || mkdir -p {workdir}\ncd {workdir}\n{runs}\nexit 0",
    )
}

/// `text` as one word of a shell, whatever it holds.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{HostPath, OutputSink};

    /// A session that notes the commands and fails those whose script has `break` in it.
    #[derive(Default)]
    struct Notes(Vec<Command>);

    impl Session for Notes {
        fn exec(&mut self, command: &Command, sink: &mut dyn OutputSink) -> Result<ExitStatus, RunnerError> {
            self.0.push(command.clone());
            sink.line(Stream::Stderr, "some output");
            Ok(ExitStatus::Code(i32::from(command.argv[2].contains("break")) * 7))
        }

        fn attach(&mut self, command: &Command) -> Result<ExitStatus, RunnerError> {
            let status = ExitStatus::Code(i32::from(command.environment["ANSWER"] != "yes"));
            self.0.push(command.clone());
            Ok(status)
        }

        fn copy_in(&mut self, _: &HostPath, _: &GuestPath) -> Result<(), RunnerError> {
            Ok(())
        }

        fn copy_out(&mut self, _: &GuestPath, _: &HostPath) -> Result<(), RunnerError> {
            Ok(())
        }
    }

    fn step(runs: &str) -> Step {
        Step {
            enabled: true,
            runs: runs.to_owned(),
            ..Step::default()
        }
    }

    fn run(steps: &[Step]) -> (Notes, Result<(), Box<StepError>>) {
        let mut notes = Notes::default();
        let result = run_steps(&mut notes, steps, &StepOptions::default(), &mut |_: StepEvent<
            '_,
        >| {});
        (notes, result)
    }

    #[test]
    fn a_script_gets_its_preamble_directory_and_variables() {
        let outer = Step {
            environment: BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "1".to_owned())]),
            steps: vec![Step {
                environment: BTreeMap::from([("B".to_owned(), "2".to_owned())]),
                working_directory: Some("it's here".to_owned()),
                ..step("echo hi")
            }],
            ..step("")
        };
        let (notes, result) = run(&[outer]);
        result.unwrap();
        let [command] = &notes.0[..] else {
            panic!("{:?}", notes.0)
        };
        let dir = r"'/home/build/it'\''s here'";
        assert_eq!(
            command.argv[2],
            format!("umask 022\nset -eo pipefail\n[ -d {dir} ] || mkdir -p {dir}\ncd {dir}\necho hi\nexit 0")
        );
        let environment: Vec<_> = command
            .environment
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(environment, ["A=1", "B=2", &format!("PATH={DEFAULT_PATH}")]);
    }

    #[test]
    fn a_failing_step_is_named_with_its_status_and_output() {
        let inner = Step {
            label: Some("compile".to_owned()),
            location: Some("melange.yaml:12".to_owned()),
            ..step("break")
        };
        let outer = Step {
            steps: vec![step("fine"), inner],
            ..step("")
        };
        let (notes, result) = run(&[step("fine"), outer, step("never")]);
        assert_eq!(notes.0.len(), 3);
        let error = result.unwrap_err();
        let text = error.to_string();
        assert_eq!(text, "step 2.2 `compile` at melange.yaml:12 failed after 0.0 s");
        assert_eq!(
            error.failure.to_string(),
            "exit status 7; its last lines were:\n    some output"
        );
    }

    #[test]
    fn a_shell_at_a_failing_step_decides_whether_the_build_goes_on() {
        for (answer, commands) in [("yes", 3), ("no", 2)] {
            let mut notes = Notes::default();
            let options = StepOptions {
                interactive: true,
                shell_environment: BTreeMap::from([("ANSWER".to_owned(), answer.to_owned())]),
                ..StepOptions::default()
            };
            let mut events = Vec::new();
            let mut sink = |event: StepEvent<'_>| events.push(format!("{event:?}"));
            let result = run_steps(&mut notes, &[step("break"), step("fine")], &options, &mut sink);
            assert_eq!(result.is_ok(), answer == "yes");
            assert_eq!(notes.0.len(), commands);
            assert!(events[2].starts_with("Shell"), "{events:?}");
        }
    }

    #[test]
    fn the_step_to_stop_after_opens_one_shell_whether_it_fails_or_not() {
        for script in ["fine", "break"] {
            let mut notes = Notes::default();
            let options = StepOptions {
                interactive: true,
                shell_after: Some("1".to_owned()),
                shell_environment: BTreeMap::from([("ANSWER".to_owned(), "yes".to_owned())]),
                ..StepOptions::default()
            };
            let mut ignore = |_: StepEvent<'_>| {};
            run_steps(&mut notes, &[step(script), step("fine")], &options, &mut ignore).unwrap();
            assert_eq!(notes.0.len(), 3, "{script}");
        }
    }

    /// Sources that are got outside of the guest, but for those of one pipeline, which are left half done.
    struct Elsewhere;

    impl Sources for Elsewhere {
        fn takes(&self, step: &SourceStep, _: &GuestPath) -> bool {
            step.pipeline != "other"
        }

        fn get(
            &self,
            step: &SourceStep,
            _: &GuestPath,
            _: (Option<Instant>, &Cancel),
            _: &mut dyn OutputSink,
        ) -> Result<bool, SourceError> {
            match step.pipeline.as_str() {
                "broken" => Err(SourceError::Failed("a wrong checksum".into())),
                pipeline => Ok(pipeline == "whole"),
            }
        }
    }

    #[test]
    fn sources_that_are_got_outside_need_no_command_of_the_guest() {
        let options = StepOptions {
            sources: Some(Arc::new(Elsewhere)),
            ..StepOptions::default()
        };
        for (pipeline, commands) in [("whole", 0), ("half", 1), ("other", 1), ("broken", 0)] {
            let source = SourceStep {
                pipeline: pipeline.to_owned(),
                inputs: BTreeMap::new(),
            };
            let step = Step {
                source: Some(source),
                steps: vec![step("fetch it")],
                ..step("")
            };
            let mut notes = Notes::default();
            let result = run_steps(&mut notes, &[step], &options, &mut |_: StepEvent<'_>| {});
            assert_eq!(notes.0.len(), commands, "{pipeline}");
            assert_eq!(result.is_err(), pipeline == "broken");
        }
    }

    #[test]
    fn hidden_texts_are_not_in_what_steps_say() {
        let mut seen = String::new();
        let mut sink = |event: StepEvent<'_>| seen.push_str(&format!("{event:?}"));
        let options = StepOptions {
            hidden: vec!["output".to_owned(), String::new()],
            ..StepOptions::default()
        };
        let error = run_steps(&mut Notes::default(), &[step("break")], &options, &mut sink).unwrap_err();
        assert!(error.failure.to_string().ends_with("some ***"));
        assert!(seen.contains("some ***") && !seen.contains("output\""), "{seen}");
    }

    #[test]
    fn steps_whose_condition_fails_do_not_run_and_do_not_count() {
        let off = Step {
            enabled: false,
            ..step("break")
        };
        let (notes, result) = run(&[Step {
            steps: vec![off.clone(), step("fine")],
            required_steps: Some(2),
            ..step("")
        }]);
        assert_eq!(notes.0.len(), 1);
        assert!(matches!(
            result.unwrap_err().failure,
            StepFailure::RequiredSteps { required: 2, ran: 1 }
        ));
        assert!(run(&[off]).1.is_ok());
    }
}
