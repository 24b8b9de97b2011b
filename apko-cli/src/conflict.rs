//! How a person, or a program, reads why packages cannot be installed.

use std::fmt::Write as _;

use apk_solver::{
    Asker, Candidate, Change, Conflict, Contradiction, Demand, Explanation, Rejected, Remedy, SolveError,
    Step,
};
use apko::config::Loaded;
use apko::{Resolution, ResolveError};
use cli_support::Steps;
use serde_json::{Value, json};

use crate::failure::Failure;

/// How many packages are listed that have a name and cannot be taken.
const MOST_REJECTED: usize = 5;
/// How many demands, and names that only one can have, are told of a contradiction.
const MOST_STEPS: usize = 40;

/// Where the configuration asks for its packages.
#[derive(Default)]
pub(crate) struct Places(Vec<(String, Place)>);

/// A line of a file.
struct Place {
    file: String,
    line: u32,
}

impl Places {
    /// Looks through a configuration and what it includes.
    pub(crate) fn of(loaded: &Loaded) -> Self {
        let mut places = Vec::new();
        for (file, text) in loaded.files.iter().zip(&loaded.texts) {
            let Ok(document) = spanned_yaml::parse(text) else {
                continue;
            };
            let packages = document
                .get("contents")
                .and_then(|contents| contents.get("packages"));
            for package in packages
                .and_then(|packages| packages.as_seq())
                .unwrap_or_default()
            {
                if let Some(entry) = package.as_str() {
                    let place = Place {
                        file: file.display().to_string(),
                        line: package.span.line,
                    };
                    places.push((entry.to_owned(), place));
                }
            }
        }
        Self(places)
    }

    fn find(&self, entry: &str) -> Option<&Place> {
        self.0
            .iter()
            .find(|(other, _)| other == entry)
            .map(|(_, place)| place)
    }

    /// `web.yaml:9`, empty where the entry comes from elsewhere.
    pub(crate) fn text(&self, entry: &str) -> String {
        let place = self.find(entry);
        place.map_or_else(String::new, |place| format!("{}:{}", place.file, place.line))
    }

    /// Tells an error with the lines that led to it.
    pub(crate) fn failure(&self, error: ResolveError) -> Failure {
        let text = match &error {
            ResolveError::Unsolvable {
                arch,
                explanation: Some(explanation),
                ..
            } => Some(self.explanation(&format!("for {arch}: "), explanation)),
            _ => None,
        };
        let took_too_long = matches!(
            &error,
            ResolveError::Solver {
                source: SolveError::StepLimit { .. },
                ..
            }
        );
        let mut failure = Failure::from(error);
        if took_too_long {
            failure = failure.hint("\n  a search that may take more steps can find one: --solver-steps");
        }
        if let Some(text) = text {
            // What is behind the first line are hints.
            let hints = failure
                .text
                .split_off(failure.text.find('\n').unwrap_or(failure.text.len()));
            failure.text = text + &hints;
        }
        failure
    }

    /// The whole text, with `title` in front of the first line.
    pub(crate) fn explanation(&self, title: &str, explanation: &Explanation) -> String {
        let mut text = title.to_owned();
        for (number, contradiction) in explanation.contradictions.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            self.contradiction(contradiction, &mut text);
        }
        match &explanation.remedies[..] {
            [] => {}
            [remedy] => {
                let _ = write!(text, "\n  This makes it installable: {}", self.remedy(remedy));
            }
            remedies => {
                text.push_str("\n  Any one of these makes it installable:");
                for remedy in remedies {
                    let _ = write!(text, "\n    • {}", self.remedy(remedy));
                }
            }
        }
        if !explanation.is_complete {
            text.push_str("\n  (there may be more to it: looking for that took too long)");
        }
        text
    }

    fn contradiction(&self, contradiction: &Contradiction, text: &mut String) {
        match &contradiction.entries[..] {
            [entry] => {
                let _ = write!(text, "`{}` cannot be installed", plain(entry.as_str()));
            }
            _ => text.push_str("the packages asked for cannot be installed together"),
        }
        let places = contradiction
            .entries
            .iter()
            .map(|entry| self.text(entry.as_str()));
        let width = places.map(|place| place.chars().count()).max().unwrap_or(0);
        let mut is_told = vec![false; contradiction.steps.len()];
        for number in 0..contradiction.steps.len().min(MOST_STEPS) {
            let step = &contradiction.steps[number];
            let place = match step.askers.is_empty() {
                true => self.text(step.dependency.as_str()),
                false => String::new(),
            };
            let margin = match width {
                0 => "  ".to_owned(),
                width => format!("  {place:width$}  "),
            };
            Story {
                steps: &contradiction.steps,
                indent: margin.chars().count(),
                is_told: &mut is_told,
                text,
            }
            .tell(number, &margin, 0);
        }
        let indent = " ".repeat(if width == 0 { 2 } else { width + 4 });
        if let Some(more) = more_than(MOST_STEPS, contradiction.steps.len()) {
            let _ = write!(text, "\n{indent}and {more} more demands");
        }
        for rivals in contradiction.rivals.iter().take(MOST_STEPS) {
            let (name, packages) = (plain(&rivals.name), packages(&rivals.packages));
            let _ = write!(text, "\n{indent}only one can have the name {name}: {packages}");
        }
        if let Some(more) = more_than(MOST_STEPS, contradiction.rivals.len()) {
            let _ = write!(text, "\n{indent}nor can {more} other names be had twice");
        }
        if !contradiction.is_minimal {
            let _ = write!(
                text,
                "\n{indent}(there may be a shorter reason: looking for it took too long)"
            );
        }
    }

    fn remedy(&self, remedy: &Remedy) -> String {
        let changes = remedy.changes.iter().map(|change| self.change(change));
        changes.collect::<Vec<_>>().join(", and ")
    }

    fn change(&self, change: &Change) -> String {
        let entry = plain(change.entry.as_str());
        let place = match self.text(change.entry.as_str()) {
            place if place.is_empty() => place,
            place => format!(" ({place})"),
        };
        match &change.instead {
            None => format!("drop `{entry}`{place}"),
            Some((other, package)) => {
                let other = plain(other.as_str());
                let package = packages(std::slice::from_ref(package));
                format!("write `{other}` instead of `{entry}`{place}, which installs {package}")
            }
        }
    }

    /// The same as data.
    pub(crate) fn json(&self, error: &ResolveError) -> Value {
        match error {
            ResolveError::Unsolvable {
                arch,
                conflict,
                explanation,
                without_index,
            } => json!({
                "error": "unsolvable",
                "arch": arch.to_string(),
                "conflict": conflict_json(conflict),
                "explanation": explanation.as_ref().map(|explanation| self.explanation_json(explanation)),
                "without_index": without_index,
            }),
            other => json!({ "error": "failed", "message": cli_support::chain(other) }),
        }
    }

    pub(crate) fn explanation_json(&self, explanation: &Explanation) -> Value {
        let contradictions = explanation.contradictions.iter().map(|contradiction| {
            let entries = contradiction
                .entries
                .iter()
                .map(|entry| self.entry_json(entry.as_str()));
            let rivals = contradiction.rivals.iter().map(
                |rivals| json!({ "name": rivals.name, "packages": all(&rivals.packages, package_json) }),
            );
            json!({
                "entries": entries.collect::<Vec<_>>(),
                "steps": all(&contradiction.steps, step_json),
                "rivals": rivals.collect::<Vec<_>>(),
                "minimal": contradiction.is_minimal,
            })
        });
        let remedies = explanation.remedies.iter().map(|remedy| {
            let changes = remedy.changes.iter().map(|change| {
                let instead = change.instead.as_ref();
                json!({
                    "entry": self.entry_json(change.entry.as_str()),
                    "instead": instead.map(|(other, _)| other.as_str()),
                    "installs": instead.map(|(_, package)| package_json(package)),
                })
            });
            Value::from(changes.collect::<Vec<_>>())
        });
        json!({
            "contradictions": contradictions.collect::<Vec<_>>(),
            "remedies": remedies.collect::<Vec<_>>(),
            "complete": explanation.is_complete,
        })
    }

    fn entry_json(&self, entry: &str) -> Value {
        let place = self.find(entry);
        json!({
            "entry": entry,
            "file": place.map(|place| place.file.as_str()),
            "line": place.map(|place| place.line),
        })
    }
}

/// Warns of what the packages chosen leave open, and says when they are not the Go apko's.
pub(crate) fn warn_about(resolution: &Resolution, steps: &Steps) {
    let arch = resolution.arch;
    let records: Vec<_> = resolution
        .packages
        .iter()
        .map(|package| &package.record)
        .collect();
    for clash in apko::libc_clashes(&records) {
        steps.warn(&format!("for {arch}: {clash}"));
    }
    for conflict in &resolution.unmet {
        steps.warn(&format!("for {arch}: left unmet: {conflict}"));
    }
    if let Some(dead_end) = &resolution.instead_of {
        steps.detail(&format!(
            "for {arch}: found by the complete search; without it: {dead_end}"
        ));
    }
}

/// Steps, each below the one whose candidates it speaks of.
struct Story<'a> {
    steps: &'a [Step],
    indent: usize,
    is_told: &'a mut [bool],
    text: &'a mut String,
}

impl Story<'_> {
    fn tell(&mut self, number: usize, margin: &str, depth: usize) {
        if std::mem::replace(&mut self.is_told[number], true) {
            return;
        }
        let step = &self.steps[number];
        let _ = write!(self.text, "\n{margin}{}", line(step));
        let inner = " ".repeat(self.indent + 4 * depth + 4);
        for Rejected { package, reason } in step.rejected.iter().take(MOST_REJECTED) {
            let package = packages(std::slice::from_ref(package));
            let _ = write!(self.text, "\n{inner}not {package}: {reason}");
        }
        if let Some(more) = more_than(MOST_REJECTED, step.rejected.len()) {
            let _ = write!(self.text, "\n{inner}nor {more} more");
        }
        if step.dependency.is_conflict() {
            return;
        }
        for (next, other) in self.steps.iter().enumerate() {
            if other.askers.iter().any(|asker| step.candidates.contains(asker)) {
                self.tell(next, &inner, depth + 1);
            }
        }
    }
}

/// How many of `count` are not told where `most` are, if any.
fn more_than(most: usize, count: usize) -> Option<usize> {
    count.checked_sub(most).filter(|more| *more > 0)
}

fn line(step: &Step) -> String {
    let name = plain(step.dependency.as_str());
    let who = match &step.askers[..] {
        [] => name.clone(),
        askers if step.dependency.is_conflict() => {
            format!("{} conflicts with {}", packages(askers), &name[1..])
        }
        askers => format!("{} needs {name}", packages(askers)),
    };
    if step.dependency.is_conflict() {
        return match step.candidates.is_empty() {
            true => who,
            false => format!("{who}, which is {}", packages(&step.candidates)),
        };
    }
    if !step.candidates.is_empty() {
        return format!("{who} → {}", packages(&step.candidates));
    }
    let mut line = match step.rejected.is_empty() {
        true => format!("{who}: no package has or provides it"),
        false => format!("{who}: no package will do"),
    };
    if !step.elsewhere.is_empty() {
        let _ = write!(line, "; there is one for {}", step.elsewhere.join(", "));
    }
    match &step.similar[..] {
        [] => {}
        similar => {
            let _ = write!(line, "; did you mean `{}`?", similar.join("`, `"));
        }
    }
    line
}

/// `libssl3 3.1.4-r2, 3.1.4-r1; other 1-r0`
pub(crate) fn packages(packages: &[Candidate]) -> String {
    let mut text = String::new();
    for (number, package) in packages.iter().enumerate() {
        let version = plain(&package.version);
        let _ = match number.checked_sub(1).map(|before| &packages[before]) {
            Some(before) if before.name == package.name && before.version == package.version => Ok(()),
            Some(before) if before.name == package.name => write!(text, ", {version}"),
            Some(_) => write!(text, "; {} {version}", plain(&package.name)),
            None => write!(text, "{} {version}", plain(&package.name)),
        };
    }
    text
}

/// A text out of an index or a configuration, its control characters escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

fn all<T>(items: &[T], to_json: impl Fn(&T) -> Value) -> Value {
    items.iter().map(to_json).collect()
}

pub(crate) fn package_json(package: &Candidate) -> Value {
    json!({ "name": package.name, "version": package.version })
}

fn rejected_json(rejected: &Rejected) -> Value {
    json!({
        "name": rejected.package.name,
        "version": rejected.package.version,
        "reason": rejected.reason.to_string(),
    })
}

fn step_json(step: &Step) -> Value {
    json!({
        "askers": all(&step.askers, package_json),
        "dependency": step.dependency.as_str(),
        "candidates": all(&step.candidates, package_json),
        "rejected": all(&step.rejected, rejected_json),
        "elsewhere": step.elsewhere,
        "similar": step.similar,
    })
}

fn demand_json(demand: &Demand) -> Value {
    let asker = match &demand.asker {
        Asker::World => Value::Null,
        Asker::Package(package) => package_json(package),
    };
    json!({ "asker": asker, "dependency": demand.dependency.as_str() })
}

fn conflict_json(conflict: &Conflict) -> Value {
    json!({
        "chain": all(&conflict.chain, demand_json),
        "cause": conflict.cause.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use apk_solver::{ExplainLimits, Options, Repository, Universe};
    use apk_types::{Dependency, PackageRecord};

    use super::*;

    fn package(name: &str, version: &str, depends: &[&str], provides: &[&str]) -> PackageRecord {
        let parse = |texts: &[&str]| texts.iter().map(|text| Dependency::lenient(text)).collect();
        PackageRecord {
            name: name.to_owned(),
            version: version.to_owned(),
            depends: parse(depends),
            provides: parse(provides),
            ..PackageRecord::default()
        }
    }

    fn explained(packages: &[PackageRecord], world: &[&str]) -> String {
        let universe = Universe::new(&[Repository {
            source: "main",
            tag: None,
            packages,
        }]);
        let place = |(number, entry): (usize, &&str)| {
            let place = Place {
                file: "web.yaml".to_owned(),
                line: number as u32 + 8,
            };
            ((*entry).to_owned(), place)
        };
        let places = Places(world.iter().enumerate().map(place).collect());
        let world: Vec<_> = world.iter().map(|entry| Dependency::lenient(entry)).collect();
        let explanation = universe.explain(&world, &Options::default(), &ExplainLimits::default());
        places.explanation("for x86_64: ", &explanation.unwrap().unwrap())
    }

    #[test]
    fn a_conflict_is_told_from_the_lines_that_lead_to_it() {
        let packages = [
            package("nginx-legacy", "1.20.2-r3", &["!libssl3"], &[]),
            package("curl", "8.5.0-r0", &["so:libssl.so.3"], &[]),
            package("curl", "7.88.1-r1", &[], &[]),
            package("libssl3", "3.1.4-r1", &[], &["so:libssl.so.3=3"]),
            package("libssl3", "3.1.4-r2", &[], &["so:libssl.so.3=3"]),
        ];
        let want = "\
for x86_64: the packages asked for cannot be installed together
  web.yaml:9  curl>=8 → curl 8.5.0-r0
                  not curl 7.88.1-r1: the request wants curl>=8, which 7.88.1-r1 does not satisfy
                  curl 8.5.0-r0 needs so:libssl.so.3 → libssl3 3.1.4-r2, 3.1.4-r1
  web.yaml:8  nginx-legacy → nginx-legacy 1.20.2-r3
                  nginx-legacy 1.20.2-r3 conflicts with libssl3, which is libssl3 3.1.4-r2, 3.1.4-r1
  Any one of these makes it installable:
    • write `curl` instead of `curl>=8` (web.yaml:9), which installs curl 7.88.1-r1
    • drop `curl>=8` (web.yaml:9)
    • drop `nginx-legacy` (web.yaml:8)";
        assert_eq!(explained(&packages, &["nginx-legacy", "curl>=8"]), want);
    }

    #[test]
    fn misspelt_names_get_a_suggestion_and_control_characters_are_escaped() {
        let packages = [package("python3", "3.12-r0", &[], &[])];
        let want = "\
for x86_64: `a\\u{1b}[31m` cannot be installed
  web.yaml:9  a\\u{1b}[31m: no package has or provides it
`pyhton3` cannot be installed
  web.yaml:8  pyhton3: no package has or provides it; did you mean `python3`?
  This makes it installable: drop `a\\u{1b}[31m` (web.yaml:9), and write `python3` instead of `pyhton3` (web.yaml:8), \
which installs python3 3.12-r0";
        assert_eq!(explained(&packages, &["pyhton3", "a\u{1b}[31m"]), want);
    }
}
