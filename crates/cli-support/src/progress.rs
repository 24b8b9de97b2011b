//! What is being fetched, for those who wait.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use apk_repository::Event;

use crate::{Steps, size};

/// How often the line on a terminal is drawn anew.
const REDRAW: Duration = Duration::from_millis(100);

/// Who is told what a client does.
pub type Watcher = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Shows what a client fetches: on a terminal a line that tells how far it is, elsewhere nothing until it is done; and
/// with `--log-level debug` a line for each answer.
#[derive(Clone, Debug)]
pub struct Progress {
    shared: Arc<Mutex<State>>,
}

/// What is done with files: on the line of progress, in the step, and in the line of each file.
type Words = [&'static str; 3];

const FETCHING: Words = ["Fetching", "Downloaded", "fetched"];
const SENDING: Words = ["Sending", "Sent", "sent"];

#[derive(Debug)]
struct State {
    steps: Steps,
    words: Words,
    is_terminal: bool,
    /// Bytes that are here, and bytes in all, of what is under way.
    under_way: BTreeMap<String, (u64, Option<u64>)>,
    files: usize,
    bytes: u64,
    unchanged: usize,
    began: Option<Instant>,
    drawn: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(steps: Steps) -> Self {
        Self::with(steps, FETCHING)
    }

    /// The same for what is sent: [`Event::Received`] and [`Event::Finished`] are what the other side has.
    pub fn of_sending(steps: Steps) -> Self {
        Self::with(steps, SENDING)
    }

    fn with(steps: Steps, words: Words) -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                steps,
                words,
                is_terminal: io::stderr().is_terminal() && steps.shows_steps(),
                under_way: BTreeMap::new(),
                files: 0,
                bytes: 0,
                unchanged: 0,
                began: None,
                drawn: None,
            })),
        }
    }

    /// Takes notice of what happens.
    pub fn note(&self, event: &Event<'_>) {
        lock(&self.shared).note(event);
    }

    pub(crate) fn watcher(&self) -> Watcher {
        let shared = Arc::clone(&self.shared);
        Arc::new(move |event| lock(&shared).note(event))
    }

    /// Says what was fetched since the last call, as a step, if there was anything.
    pub fn done(&self) {
        lock(&self.shared).done();
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn note(&mut self, event: &Event<'_>) {
        self.began.get_or_insert_with(Instant::now);
        match event {
            Event::Started { url, size } => {
                self.under_way.insert((*url).to_owned(), (0, *size));
            }
            Event::Received { url, bytes, size } => {
                self.under_way.insert((*url).to_owned(), (*bytes, *size));
            }
            Event::Finished { url, bytes } => {
                self.under_way.remove(*url);
                self.files += 1;
                self.bytes += bytes;
                let verb = self.words[2];
                self.say(|steps| steps.detail(&format!("{verb} {url} ({})", size(*bytes))));
            }
            Event::Unchanged { url } => {
                self.unchanged += 1;
                self.say(|steps| steps.detail(&format!("unchanged {url}")));
            }
            Event::Retrying { reason, wait, .. } => {
                let wait = crate::time(*wait);
                self.say(|steps| steps.warn(&format!("{reason}: trying again in {wait}")));
            }
            Event::Warning(text) => self.say(|steps| steps.warn(text)),
            _ => {}
        }
        self.draw();
    }

    /// Prints a line of its own where the line of progress is.
    fn say(&mut self, line: impl FnOnce(&Steps)) {
        self.clear();
        line(&self.steps);
    }

    fn draw(&mut self) {
        if self.under_way.is_empty() {
            self.clear();
        }
        let is_due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW);
        if !self.is_terminal || self.under_way.is_empty() || !is_due {
            return;
        }
        self.drawn = Some(Instant::now());
        let here: u64 = self.under_way.values().map(|(here, _)| here).sum();
        let all: Option<u64> = self.under_way.values().map(|(_, all)| *all).sum();
        let of = all
            .map(|all| format!(" of {}", size(self.bytes + all)))
            .unwrap_or_default();
        let line = format!(
            "{:>11}  {} done, {} under way  {}{of}",
            self.words[0],
            self.files,
            self.under_way.len(),
            size(self.bytes + here),
        );
        // Nobody looks at it if it cannot be written.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }

    fn clear(&mut self) {
        if self.is_terminal && self.drawn.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn done(&mut self) {
        self.clear();
        let took = self.began.take().map(|began| began.elapsed()).unwrap_or_default();
        if self.files > 0 || self.unchanged > 0 {
            let mut what = format!("{} files  {}", self.files, size(self.bytes));
            if self.unchanged > 0 {
                what += &format!("  {} unchanged", self.unchanged);
            }
            self.steps.done(self.words[1], &what, took);
        }
        (self.files, self.bytes, self.unchanged) = (0, 0, 0);
    }
}
