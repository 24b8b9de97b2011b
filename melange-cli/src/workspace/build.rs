//! `melange workspace build` and `test`.

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use build_graph::{Ending, Events, NodeId, Problem, Progress};
use cli_support::{Steps, time};
use melange::{GuestOptions, RootCache, SourceTools};
use melange_pipeline::runner::Cancel;
use melange_workspace::settings::RunnerKind;
use melange_workspace::{MelangeBuilder, Report, Session};
use serde_json::{Value, json};

use super::args::Build;
use super::names::{Names, rounded};
use super::plan::words;
use super::{Opened, options};
use crate::failure::{Failure, Outcome, print};
use crate::guest::runners;
use crate::resources::limits;
use crate::show::Interrupts;

/// How many trees of guests are kept: a workspace has more environments than a single build, and comes back to each. Most
/// are small ones of its own packages, over a few large ones.
const KEPT_TREES: usize = 128;

/// How many lines of what a failing node said are shown.
const LAST_LINES: usize = 12;

pub(super) fn build(arguments: &Build, steps: &Steps, is_test: bool) -> Outcome {
    let opened = Opened::open(&arguments.place, steps)?;
    let session = opened.session()?;
    let mut targets = opened.targets(&arguments.nodes)?;
    if is_test {
        let wanted: Vec<&str> = targets.iter().map(NodeId::name).collect();
        let mut tests = opened.workspace.nodes();
        tests.retain(|node| {
            node.kind() == "test" && (arguments.nodes.is_empty() || wanted.contains(&node.name()))
        });
        targets = tests;
    }
    let cancel = Cancel::default();
    let interrupts = Interrupts::watch(&cancel)?;
    let builder = builder(&opened, &session, arguments, &cancel)?;
    let commit = builder.commit.clone();
    let mut options = options(arguments.jobs, arguments.keep_going);
    options.cancel = build_graph::Cancel::default();
    let names = Names::of(&opened.workspace);
    let show = Show::new(steps, &names, arguments.json);
    let report = std::thread::scope(|scope| {
        let (engine, ended) = (options.cancel.clone(), std::sync::atomic::AtomicBool::new(false));
        let ended = std::sync::Arc::new(ended);
        let (own, watched) = (ended.clone(), interrupts.clone());
        scope.spawn(move || {
            while !own.load(std::sync::atomic::Ordering::Relaxed) {
                if watched.happened() {
                    engine.cancel();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let report = session.build(&targets, &options, &builder, &commit, &show);
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        report
    });
    show.clear();
    session.save();
    let report = report?;
    finish(&report, &show, steps, &names, arguments.json)?;
    match interrupts.happened() {
        true => Err(Failure::interrupted()),
        false if report.summary.is_complete() && report.unpublished.is_empty() => Ok(()),
        false => Err(Failure::work(summary(&report))),
    }
}

fn builder(
    opened: &Opened,
    session: &Session<'_>,
    arguments: &Build,
    cancel: &Cancel,
) -> Outcome<MelangeBuilder> {
    let settings = &opened.workspace.settings;
    let [bubblewrap, native] = runners();
    let guest = GuestOptions {
        cache: Some(arguments.cache_dir.clone()).filter(|cache| cache.is_dir()),
        cancel: cancel.clone(),
        sources: Some(SourceTools::new(
            opened.policy.client.clone(),
            env::var_os("PATH").as_deref(),
        )),
        ..GuestOptions::new(env::temp_dir())
    };
    let head = apko::head_commit(&opened.workspace.root.join("workspace.yaml"));
    Ok(MelangeBuilder {
        runner: match opened.runner {
            RunnerKind::Bubblewrap => bubblewrap,
            RunnerKind::Native => native,
        },
        policy: opened.policy.clone(),
        store: opened
            .cache
            .as_ref()
            .map(|cache| apko::Store::new(content_cache::Cache::at(cache))),
        roots: opened
            .cache
            .as_ref()
            .map(|cache| RootCache::new(cache.join("guests"), KEPT_TREES)),
        guest,
        limits: Box::new(|resources| limits(resources).unwrap_or_default()),
        network: settings.network,
        signing_key: session.signing_key(true)?,
        namespace: settings.namespace.clone(),
        source_date_epoch: settings.source_date_epoch,
        commit: head.ok().flatten().unwrap_or_else(|| "unknown".to_owned()),
    })
}

/// Shows what happens.
struct Show<'a> {
    steps: &'a Steps,
    names: &'a Names,
    json: bool,
    is_terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Vec<String>,
    drawn: bool,
    /// The last lines of each node.
    lines: BTreeMap<NodeId, VecDeque<String>>,
}

impl<'a> Show<'a> {
    fn new(steps: &'a Steps, names: &'a Names, json: bool) -> Self {
        Self {
            steps,
            names,
            json,
            is_terminal: std::io::stderr().is_terminal() && steps.shows_steps() && !json,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, event: Value) {
        if self.json {
            // Who reads it may have gone away.
            let _ = print(&format!("{event}\n"));
        }
    }

    fn clear(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.drawn) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    /// Draws what is under way.
    fn draw(&self, progress: &Progress) {
        let mut state = self.state();
        if !self.is_terminal || state.running.is_empty() {
            return;
        }
        let left = progress
            .remaining
            .map(|time| format!(", ~{} left", rounded(time)))
            .unwrap_or_default();
        let line = format!(
            "   Building  {}   {} of {} done{left}",
            state.running.join(", "),
            progress.finished,
            progress.nodes
        );
        state.drawn = true;
        let line: String = line.chars().take(110).collect();
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }

    fn told(&self, verb: &str, node: &NodeId, more: &str, took: Duration) {
        if !self.json {
            let what = format!("{}{more}", self.names.full(node));
            self.steps.done(verb, &what, took);
        }
    }
}

impl Events for Show<'_> {
    fn planned(&self, progress: &Progress) {
        self.event(json!({ "event": "planned", "nodes": progress.nodes, "at_most": progress.waiting }));
    }

    fn started(&self, node: &NodeId, estimate: Option<Duration>, progress: &Progress) {
        self.event(json!({
            "event": "started",
            "node": node,
            "estimate_seconds": estimate.map(|time| time.as_secs_f64()),
        }));
        self.state().running.push(self.names.full(node));
        self.draw(progress);
    }

    fn log(&self, node: &NodeId, line: &str) {
        self.event(json!({ "event": "log", "node": node, "line": line }));
        let mut state = self.state();
        let lines = state.lines.entry(node.clone()).or_default();
        lines.push_back(line.to_owned());
        if lines.len() > LAST_LINES {
            lines.pop_front();
        }
        drop(state);
        if !self.json {
            self.steps.detail(&format!("{}: {line}", self.names.full(node)));
        }
    }

    fn finished(&self, node: &NodeId, ending: &Ending, progress: &Progress) {
        let mut value = ending_json(ending);
        if let Some(value) = value.as_object_mut() {
            value.insert("event".to_owned(), json!("finished"));
            value.insert("node".to_owned(), json!(node));
        }
        self.event(value);
        self.clear();
        let name = self.names.full(node);
        self.state().running.retain(|other| *other != name);
        match ending {
            Ending::Built { took, same } => {
                let verb = match node.kind() {
                    "test" => "Tested",
                    "index" => "Indexed",
                    _ => "Built",
                };
                let same = if *same { "   same content as before" } else { "" };
                self.told(verb, node, same, *took);
            }
            Ending::Failed { took, .. } => self.told("Failed", node, "", took.unwrap_or_default()),
            _ => {}
        }
        self.draw(progress);
    }

    fn problem(&self, problem: &Problem) {
        self.event(json!({ "event": "problem", "what": problem.to_string() }));
        self.clear();
        self.steps.warn(&problem.to_string());
    }
}

fn ending_json(ending: &Ending) -> Value {
    match ending {
        Ending::Built { took, same } => {
            json!({ "ending": "built", "seconds": took.as_secs_f64(), "same": same })
        }
        Ending::Reused { store } => json!({ "ending": "reused", "store": store }),
        Ending::CutOff => json!({ "ending": "cut-off" }),
        Ending::Failed { failure, took } => json!({
            "ending": "failed",
            "reason": words(failure),
            "seconds": took.map(|time| time.as_secs_f64()),
        }),
        Ending::Skipped { because } => json!({ "ending": "skipped", "because": because }),
        Ending::Stopped => json!({ "ending": "stopped" }),
        _ => json!({}),
    }
}

/// Tells of what failed, of what was written, and how many nodes ended how.
fn finish(report: &Report, show: &Show<'_>, steps: &Steps, names: &Names, json: bool) -> Outcome {
    let state = show.state();
    for (node, _, ending) in &report.summary.nodes {
        match ending {
            Ending::Failed { failure, .. } => {
                let mut text = format!("{}: {}", names.full(node), words(failure));
                let lines = state.lines.get(node).into_iter().flatten();
                let lines: Vec<String> = lines.map(|line| format!("\n   {line}")).collect();
                if !lines.is_empty() {
                    text += &format!(
                        "\n  last lines of its output (all of it is in .melange/logs):{}",
                        lines.concat()
                    );
                }
                cli_support::print_error(&text);
            }
            Ending::Skipped { because } => {
                steps.warn(&format!(
                    "{} was skipped because {} failed",
                    names.full(node),
                    names.full(because)
                ));
            }
            _ => {}
        }
    }
    for (directory, failure) in &report.unpublished {
        cli_support::print_error(&format!(
            "{} could not be written: {}",
            directory.display(),
            words(failure)
        ));
    }
    match json {
        true => {
            let counts = report.summary.counts();
            let done = json!({
                "event": "done",
                "built": counts.built,
                "reused": counts.reused,
                "cut_off": counts.cut_off,
                "failed": counts.failed,
                "skipped": counts.skipped,
                "stopped": counts.stopped,
                "seconds": report.summary.took.as_secs_f64(),
                "published": report.published,
            });
            print(&format!("{done}\n"))
        }
        false => {
            for directory in &report.published {
                steps.detail(&format!("wrote {}", directory.display()));
            }
            match report.summary.is_complete() && steps.shows_steps() {
                true => print(&format!("{}\n", summary(report))),
                false => Ok(()),
            }
        }
    }
}

/// `1 built, 3 cut off, 23 reused in 12.2 s`
fn summary(report: &Report) -> String {
    let counts = report.summary.counts();
    let parts = [
        (counts.built, "built"),
        (counts.cut_off, "cut off"),
        (counts.reused, "reused"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.stopped, "not begun"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
    format!("{} in {}", parts.join(", "), time(report.summary.took))
}
