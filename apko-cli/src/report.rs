//! What `apko build` says of its steps: lines for people, or JSON for programs.

use std::time::{Duration, Instant};

use apko::{Built, Event};
use cli_support::{Steps, size, time};
use serde_json::{Value, json};

use crate::args::{Build, Making};
use crate::build::print;
use crate::failure::{Failure, Outcome};

/// Tells the steps of a build as they end.
pub(crate) struct Report {
    steps: Steps,
    is_json: bool,
    /// What took how long, if that is asked for.
    timings: Option<Vec<(String, Duration)>>,
    began: Instant,
    /// When the last step ended.
    since: Instant,
    why: Option<Value>,
}

impl Report {
    pub(crate) fn new(steps: Steps, arguments: &Making) -> Self {
        let now = Instant::now();
        Self {
            steps,
            is_json: arguments.json,
            timings: arguments.timings.then(Vec::new),
            began: now,
            since: now,
            why: None,
        }
    }

    pub(crate) fn event(&mut self, event: &Event<'_>) {
        let verb = match event {
            Event::Resolved { without_index, .. } => {
                for (arch, repository) in *without_index {
                    self.warn(&format!("{repository} has no index for {arch}"));
                }
                "Resolved"
            }
            Event::Fetched { .. } => "Fetched",
            Event::Built { .. } => "Built",
            Event::Skipped { .. } => "Skipped",
            Event::Warning(text) => return self.warn(text),
            Event::Timed { phase, arch, took } => {
                let arch = arch.map(|arch| arch.to_string());
                return self.timed(phase.name(), arch.as_deref(), *took);
            }
            _ => return,
        };
        self.object(as_json(event));
        self.step(verb, &as_text(event));
    }

    /// Says to a person that a step has ended.
    pub(crate) fn step(&mut self, verb: &str, what: &str) {
        self.steps.done(verb, what, self.since.elapsed());
        self.since = Instant::now();
    }

    fn timed(&mut self, phase: &str, arch: Option<&str>, took: Duration) {
        let Some(timings) = &mut self.timings else { return };
        let what = [phase, arch.unwrap_or_default()].join(" ");
        timings.push((what.trim_end().to_owned(), took));
        let seconds = took.as_secs_f64();
        self.object(json!({ "event": "timed", "phase": phase, "arch": arch, "seconds": seconds }));
    }

    fn warn(&self, text: &str) {
        self.object(json!({ "event": "warning", "message": text }));
        self.steps.warn(text);
    }

    /// Keeps for programs why the packages cannot be had.
    pub(crate) fn explain(&mut self, why: Value) {
        self.why = Some(why);
    }

    /// Says to a program that the build has failed; people read it at the end of the command.
    pub(crate) fn failed(&self, failure: &Failure) {
        let object = json!({ "event": "failed", "message": failure.text, "why": self.why });
        self.object(object);
    }

    /// Says what the image is.
    pub(crate) fn written(&mut self, built: &Built, arguments: &Build) -> Outcome {
        self.show_timings();
        let digest = built.index.digest().to_string();
        if !self.is_json {
            return print(&format!("{digest}\n"));
        }
        let sboms: Vec<_> = built.sboms.iter().map(|sbom| sbom.name.as_str()).collect();
        self.object(json!({
            "event": "written",
            "output": arguments.output,
            "tag": arguments.tag,
            "digest": digest,
            "sboms": sboms,
        }));
        Ok(())
    }

    /// Says where the image is.
    pub(crate) fn published(&mut self, reference: &str, object: Value) -> Outcome {
        self.show_timings();
        match self.is_json {
            true => self.object(object),
            false => print(&format!("{reference}\n"))?,
        }
        Ok(())
    }

    /// Whether objects are asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    fn show_timings(&mut self) {
        let all = self.began.elapsed();
        let told: Duration = self.timings.iter().flatten().map(|(_, took)| *took).sum();
        // What the library does not know of: the configuration, version control, moving the image into its place.
        self.timed("other", None, all.saturating_sub(told));
        self.timed("all", None, all);
        let width = self.timings.iter().flatten().map(|(what, _)| what.len()).max();
        for (what, took) in self.timings.iter().flatten() {
            let share = 100.0 * took.as_secs_f64() / all.as_secs_f64();
            eprintln!(
                "  {what:width$}  {:>8}  {share:3.0} %",
                time(*took),
                width = width.unwrap_or(0)
            );
        }
    }

    fn object(&self, mut object: Value) {
        if !self.is_json {
            return;
        }
        if object.get("seconds").is_none() {
            object["seconds"] = self.since.elapsed().as_secs_f64().into();
        }
        // Who does not listen any more does not mind.
        let _ = cli_support::print(&format!("{object}\n"));
    }
}

fn as_text(event: &Event<'_>) -> String {
    match event {
        Event::Resolved { packages, .. } => {
            let counts = packages
                .iter()
                .map(|(arch, count)| format!("{count} packages ({arch})"));
            counts.collect::<Vec<_>>().join(", ")
        }
        Event::Fetched {
            arch,
            packages,
            bytes,
        } => format!("{arch:8} {packages} packages, {}", size(*bytes)),
        Event::Built {
            arch,
            layers,
            bytes,
            compressed,
        } => {
            let plural = if *layers == 1 { "" } else { "s" };
            let (bytes, compressed) = (size(*bytes), size(*compressed));
            format!("{arch:8} {bytes}, {layers} layer{plural}, {compressed} compressed")
        }
        Event::Skipped { arch, packages } => {
            let packages: Vec<String> = packages.iter().map(ToString::to_string).collect();
            format!("{arch:8} scripts of {}", packages.join(", "))
        }
        _ => String::new(),
    }
}

fn as_json(event: &Event<'_>) -> Value {
    match event {
        Event::Resolved { packages, .. } => {
            let counts = packages
                .iter()
                .map(|(arch, count)| (arch.to_string(), Value::from(*count)));
            json!({ "event": "resolved", "packages": counts.collect::<serde_json::Map<_, _>>() })
        }
        Event::Fetched {
            arch,
            packages,
            bytes,
        } => json!({ "event": "fetched", "arch": arch.to_string(), "packages": packages, "bytes": bytes }),
        Event::Built {
            arch,
            layers,
            bytes,
            compressed,
        } => json!({
            "event": "built",
            "arch": arch.to_string(),
            "layers": layers,
            "bytes": bytes,
            "compressed": compressed,
        }),
        Event::Skipped { arch, packages } => {
            let packages = packages
                .iter()
                .map(|skipped| json!({ "package": skipped.package, "scripts": skipped.scripts }));
            json!({ "event": "skipped", "arch": arch.to_string(), "packages": packages.collect::<Vec<_>>() })
        }
        _ => Value::Null,
    }
}
