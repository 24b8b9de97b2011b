//! Runs a host process to its end: lines of output as they come, a deadline, a cancel switch.

use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{self, Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{Cancel, ExitStatus, OutputSink, RunnerError, Stream};

/// The longest piece of a line that is handed on at once.
const LONGEST_LINE: u64 = 64 * 1024;

/// How often the cancel switch is looked at.
const POLL: Duration = Duration::from_millis(50);

/// How a watched process ended.
pub(super) enum Ended {
    Itself(ExitStatus),
    TimedOut,
    Cancelled,
}

impl Ended {
    /// The status of what ended by itself; a deadline and a cancel are errors.
    pub(super) fn status(self) -> Result<ExitStatus, RunnerError> {
        match self {
            Self::Itself(status) => Ok(status),
            Self::TimedOut => Err(RunnerError::TimedOut),
            Self::Cancelled => Err(RunnerError::Cancelled),
        }
    }
}

/// A child in its own process group, which is killed as a whole when this is dropped before the child ended.
struct Group(Child);

impl Group {
    fn kill(&mut self) {
        // An id of a live child is never 0 and fits; the group is gone only when the child is, too.
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            self.kill();
            let _ = self.0.wait();
        }
    }
}

/// Runs `command` in a process group of its own with this standard input.
pub(super) fn run(
    command: &mut Command,
    input: &[u8],
    deadline: Option<Instant>,
    cancel: &Cancel,
    sink: &mut dyn OutputSink,
) -> io::Result<Ended> {
    if cancel.is_cancelled() {
        return Ok(Ended::Cancelled);
    }
    command
        .stdin(if input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut group = Group(command.spawn()?);
    give(&mut group.0, input);
    let (sender, lines) = channel();
    let stdout = group
        .0
        .stdout
        .take()
        .map(|pipe| pump(Stream::Stdout, pipe, sender.clone()));
    let stderr = group
        .0
        .stderr
        .take()
        .map(|pipe| pump(Stream::Stderr, pipe, sender));
    let stopped = watch(&lines, deadline, cancel, sink);
    if let Some(stopped) = stopped {
        group.kill();
        let _ = group.0.wait();
        return Ok(stopped);
    }
    let status = group.0.wait()?;
    for thread in [stdout, stderr].into_iter().flatten() {
        let _ = thread.join();
    }
    Ok(Ended::Itself(status.into()))
}

/// Runs `command` on this program's terminal, but for its standard input where there is some to give. It keeps this
/// program's process group, which the terminal belongs to, so that a cancel kills the process itself alone.
pub(super) fn attach(command: &mut Command, input: &[u8], cancel: &Cancel) -> io::Result<Ended> {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn()?;
    give(&mut child, input);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Itself(status.into()));
        }
        if cancel.is_cancelled() {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::Cancelled);
        }
        thread::sleep(POLL);
    }
}

/// Writes a child's standard input and closes it. A child that ends without reading it tells why by itself.
fn give(child: &mut Child, input: &[u8]) {
    if let Some(mut pipe) = child.stdin.take() {
        let _ = pipe.write_all(input);
    }
}

impl From<process::ExitStatus> for ExitStatus {
    fn from(status: process::ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// Hands lines on until both pipes are closed; tells what ended the wait early, if anything did.
fn watch(
    lines: &Receiver<(Stream, Vec<u8>)>,
    deadline: Option<Instant>,
    cancel: &Cancel,
    sink: &mut dyn OutputSink,
) -> Option<Ended> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Some(Ended::TimedOut);
        }
        if cancel.is_cancelled() {
            return Some(Ended::Cancelled);
        }
        match lines.recv_timeout(left.unwrap_or(POLL).min(POLL)) {
            Ok((stream, line)) => sink.line(stream, &String::from_utf8_lossy(&line)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Reads lines on a thread of its own until the pipe is closed or nobody listens.
fn pump(
    stream: Stream,
    pipe: impl Read + Send + 'static,
    sender: Sender<(Stream, Vec<u8>)>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match pipe.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if sender.send((stream, line)).is_err() {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_outputs_arrive_line_by_line_with_the_exit_code() {
        let mut lines = Vec::new();
        let mut sink = |stream: Stream, line: &str| lines.push((stream, line.to_owned()));
        let ended = run(
            &mut shell("echo out; echo err >&2; printf unended; exit 3"),
            b"",
            None,
            &Cancel::default(),
            &mut sink,
        )
        .unwrap();
        assert!(matches!(ended, Ended::Itself(ExitStatus::Code(3))));
        lines.sort_by_key(|(stream, _)| *stream == Stream::Stderr);
        assert_eq!(
            lines,
            [
                (Stream::Stdout, "out".to_owned()),
                (Stream::Stdout, "unended".to_owned()),
                (Stream::Stderr, "err".to_owned())
            ]
        );
    }

    #[test]
    fn a_deadline_kills_the_whole_group() {
        let start = Instant::now();
        let ended = run(
            &mut shell("sleep 60 & sleep 60"),
            b"",
            Some(start + Duration::from_millis(200)),
            &Cancel::default(),
            &mut |_: Stream, _: &str| {},
        )
        .unwrap();
        assert!(matches!(ended, Ended::TimedOut));
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_cancel_ends_what_a_person_works_in() {
        let cancel = Cancel::default();
        cancel.cancel();
        let start = Instant::now();
        let ended = attach(&mut shell("exec sleep 60"), b"", &cancel).unwrap();
        assert!(matches!(ended, Ended::Cancelled));
        assert!(start.elapsed() < Duration::from_secs(20));
        let ended = attach(&mut shell("exit 3"), b"", &Cancel::default()).unwrap();
        assert!(matches!(ended, Ended::Itself(ExitStatus::Code(3))));
    }

    #[test]
    fn a_cancel_ends_the_command_from_another_thread() {
        let cancel = Cancel::default();
        let switch = cancel.clone();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            switch.cancel();
        });
        let ended = run(
            &mut shell("sleep 60"),
            b"",
            None,
            &cancel,
            &mut |_: Stream, _: &str| {},
        )
        .unwrap();
        assert!(matches!(ended, Ended::Cancelled));
        thread.join().unwrap();
    }
}
