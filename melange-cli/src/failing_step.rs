//! A failing step as a person reads it: which one, where it is written, its last lines, and how to look around.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use apk_types::Arch;
use cli_support::time;
use melange::BuildError;
use melange_pipeline::runner::{RunnerError, StepError, StepFailure};
use spanned_yaml::{Diagnostic, Span};

use crate::failure::Failure;

/// Characters that a shell takes as they are.
const PLAIN: &str = "/._-+=:,@%";

/// What was being built or tested.
pub(crate) struct Subject<'a> {
    pub(crate) version: String,
    pub(crate) arch: Arch,
    /// Where all that the steps wrote lies.
    pub(crate) log: Option<&'a Path>,
    /// Whether a shell was opened already.
    pub(crate) is_interactive: bool,
}

impl Subject<'_> {
    /// The failure as it is shown.
    pub(crate) fn failure(&self, error: BuildError) -> Failure {
        let text = match &error {
            BuildError::Step { package, source } => self.text(package, "", source),
            BuildError::Test { package, source } => self.text(package, "the test's ", source),
            _ => return error.into(),
        };
        Failure::work(text)
    }

    /// What to do about a guest without a shell.
    fn shell_advice(&self) -> String {
        let arch = self.arch;
        match host() {
            Some(host) if host != arch && (host, arch) != (Arch::X86_64, Arch::X86) => format!(
                "programs for {arch} run on this machine ({host}) by qemu-user alone: install qemu-user-static and \
                 binfmt-support, or run `docker run --privileged --rm tonistiigi/binfmt --install all` once"
            ),
            _ => "add a package with a shell, such as busybox, to `environment.contents.packages`".to_owned(),
        }
    }

    fn text(&self, package: &str, what: &str, error: &StepError) -> String {
        let StepError { number, of, took, .. } = error;
        let message = format!(
            "{package} {} ({}): {what}step {number} of {of} {} after {}",
            self.version,
            self.arch,
            ending(&error.failure),
            time(*took)
        );
        let place = error.location.as_deref().and_then(place);
        let mut text = match place {
            Some((path, span, source)) => {
                let diagnostic = Diagnostic::new(message).at(span).label("in this step");
                spanned_yaml::render(&diagnostic, path, &source)
            }
            None => format!("{message}\n"),
        };
        let lines = last_lines(&error.failure);
        if !lines.is_empty() {
            let log = self.log.map(|log| format!(" (all of it: {})", log.display()));
            let _ = writeln!(text, "  last lines of its output{}:", log.unwrap_or_default());
            for line in lines {
                let _ = writeln!(text, "   │ {line}");
            }
        }
        if matches!(error.failure, StepFailure::Source(_)) {
            return text;
        }
        if matches!(error.failure, StepFailure::NoShell { .. }) {
            let _ = writeln!(text, "  {}", self.shell_advice());
            return text;
        }
        if !self.is_interactive
            && !matches!(
                error.failure,
                StepFailure::Runner {
                    source: RunnerError::Cancelled,
                    ..
                }
            )
        {
            let again = again(std::env::args(), package, number);
            let _ = writeln!(
                text,
                "  look around in the guest as the step left it:\n    {again}"
            );
        }
        text
    }
}

/// The machine that this program is made for, as apk names it.
fn host() -> Option<Arch> {
    std::env::consts::ARCH.parse().ok()
}

/// What became of it.
fn ending(failure: &StepFailure) -> String {
    match failure {
        StepFailure::Exit { status, .. } => format!("ended with {status}"),
        StepFailure::RequiredSteps { required, ran } => {
            format!("needs {required} of its steps to run, of which {ran} did, and gave up")
        }
        StepFailure::NoShell { .. } => {
            "could not be run, for the guest's /bin/sh does not run here,".to_owned()
        }
        StepFailure::Source(error) => format!("failed: {error},"),
        StepFailure::Runner { source, .. } => match source {
            RunnerError::TimedOut => "ran into the timeout".to_owned(),
            RunnerError::Cancelled => "was cancelled".to_owned(),
            source => format!("could not be run: {},", cli_support::chain(source)),
        },
    }
}

fn last_lines(failure: &StepFailure) -> &[String] {
    match failure {
        StepFailure::Exit { last_lines, .. }
        | StepFailure::NoShell { last_lines }
        | StepFailure::Runner { last_lines, .. } => last_lines,
        StepFailure::RequiredSteps { .. } | StepFailure::Source(_) => &[],
    }
}

/// The step in the user's own file: `a.yaml:3`, or what follows `used at` where it is part of a pipeline.
fn place(location: &str) -> Option<(&str, Span, String)> {
    let (path, line) = location.rsplit(", used at ").next()?.rsplit_once(':')?;
    let line: u32 = line.parse().ok()?;
    let source = fs::read_to_string(path).ok()?;
    let start: usize = source
        .split_inclusive('\n')
        .take(usize::try_from(line).ok()?.checked_sub(1)?)
        .map(str::len)
        .sum();
    let text = source.get(start..)?.lines().next()?;
    let indent = text.len() - text.trim_start().len();
    let span = Span {
        start: start + indent,
        end: start + text.trim_end().len(),
        line,
        column: u32::try_from(indent).ok()? + 1,
    };
    Some((path, span, source))
}

/// The same command line, which stops after that step.
fn again(arguments: impl Iterator<Item = String>, package: &str, number: &str) -> String {
    let mut words: Vec<String> = arguments.skip(1).map(|word| quoted(&word)).collect();
    words.insert(0, "melange".to_owned());
    words.push(format!(
        "--interactive --at-step {}",
        quoted(&format!("{package}:{number}"))
    ));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || PLAIN.contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use melange_pipeline::runner::ExitStatus;

    use super::*;

    #[test]
    fn a_failing_step_is_shown_where_the_user_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hello.yaml");
        fs::write(
            &path,
            "package:\n  name: hello\npipeline:\n  - uses: autoconf/make\n",
        )
        .unwrap();
        let error = StepError {
            number: "3.1".to_owned(),
            of: 5,
            label: None,
            location: Some(format!(
                "built-in pipeline autoconf/make:20, used at {}:4",
                path.display()
            )),
            took: Duration::from_millis(1400),
            failure: StepFailure::Exit {
                status: ExitStatus::Code(2),
                last_lines: vec!["make: *** No rule".to_owned()],
            },
        };
        let subject = Subject {
            version: "2.12-r0".to_owned(),
            arch: Arch::X86_64,
            log: Some(Path::new("packages/logs/x86_64/hello.log")),
            is_interactive: true,
        };
        let text = subject.text("hello", "", &error);
        let wanted = format!(
            "error: hello 2.12-r0 (x86_64): step 3.1 of 5 ended with exit status 2 after 1.40 s\n\
             \x20 ┌─ {}:4:3\n  │\n4 │   - uses: autoconf/make\n  │   ^^^^^^^^^^^^^^^^^^^^^ in this step\n\
             \x20 last lines of its output (all of it: packages/logs/x86_64/hello.log):\n   │ make: *** No rule\n",
            path.display()
        );
        assert_eq!(text, wanted);
    }

    #[test]
    fn a_guest_for_another_machine_says_what_runs_its_programs() {
        let error = StepError {
            number: "1".to_owned(),
            of: 2,
            label: None,
            location: None,
            took: Duration::from_millis(20),
            failure: StepFailure::NoShell {
                last_lines: Vec::new(),
            },
        };
        let subject = |arch| Subject {
            version: "1-r0".to_owned(),
            arch,
            log: None,
            is_interactive: false,
        };
        let text = subject(Arch::S390x).text("hello", "the test's ", &error);
        assert!(
            text.starts_with(
                "hello 1-r0 (s390x): the test's step 1 of 2 could not be run, for the guest's /bin/sh does not run \
                 here, after 0.02 s\n  programs for s390x run on this machine ("
            ),
            "{text}"
        );
        assert!(
            text.contains("by qemu-user alone: install qemu-user-static"),
            "{text}"
        );
        if let Some(host) = host() {
            let text = subject(host).text("hello", "", &error);
            assert!(text.contains("add a package with a shell"), "{text}");
        }
    }

    #[test]
    fn the_command_to_paste_is_the_same_with_a_step_to_stop_after() {
        let arguments = ["/usr/bin/melange", "build", "a b.yaml"].map(str::to_owned);
        assert_eq!(
            again(arguments.into_iter(), "hello", "3"),
            "melange build 'a b.yaml' --interactive --at-step hello:3"
        );
    }
}
