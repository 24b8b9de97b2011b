//! The conformance sets: what the reference tools made of thousands of inputs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::conformance_cache::KeptCaches;
use crate::tools::{At as _, BUBBLEWRAP, Binaries, exists, printed, require};
use crate::{Outcome, root};

/// Where the sets lie, beside the project.
pub(crate) const SETS: &str = "../shared/conformance";

/// Checkers of many small cases look at one case in ten here.
const SAMPLED: [&str; 2] = ["check_solver", "check_compile"];

/// Runs each checker and compares the number of passed cases with the minimum in `conformance.toml`; the one of images again
/// with caches that are kept from run to run: cold, warm, damaged, and of an older release.
pub(crate) fn command() -> Outcome {
    let sets = root().join(SETS);
    if !sets.is_dir() {
        println!("skipped: the conformance sets do not lie at {SETS}");
        return Ok(());
    }
    require(&[
        BUBBLEWRAP,
        ("zstd", "zstd"),
        ("python3", "python3"),
        ("fsck.erofs", "erofs-utils"),
    ])?;
    let python = python()?;
    let binaries = Binaries::build()?;
    let path = root().join("conformance.toml");
    let minimums = minimums(&std::fs::read_to_string(&path).at(&path)?)?;
    let mut short = Vec::new();
    for (checker, minimum) in &minimums {
        let is_for_apko = matches!(checker.as_str(), "check_image" | "check_solver");
        let binary = if is_for_apko {
            &binaries.apko
        } else {
            &binaries.melange
        };
        let check = Check {
            python,
            sets: &sets,
            checker,
            minimum: *minimum,
        };
        if !check.passes(binary, "")? {
            short.push(checker.clone());
        }
        if checker == "check_image" {
            short.extend(with_kept_caches(&check, binary)?);
        }
    }
    if short.is_empty() {
        Ok(())
    } else {
        Err(format!("too few cases pass: {}", short.join(", ")).into())
    }
}

/// Runs the image set with caches that stay, in each state that they can be in; those in which it falls short.
fn with_kept_caches(check: &Check<'_>, apko: &Path) -> Outcome<Vec<String>> {
    let caches = KeptCaches::new(apko)?;
    let mut short = Vec::new();
    for state in ["cold", "warm", "damaged", "older"] {
        match state {
            "damaged" => println!("{:14} {} files of the caches are changed", "", caches.damage()?),
            "older" => caches.make_older()?,
            _ => {}
        }
        let passes = check.passes(&caches.script(), state)?;
        let told = caches.told()?;
        let is_damaged = matches!(state, "damaged" | "older");
        if is_damaged {
            println!("{:14} told of {told} damaged files", "");
        }
        if !passes || is_damaged != (told > 0) {
            short.push(format!("{} with a cache that is {state}", check.checker));
        }
    }
    Ok(short)
}

/// A checker, and what it must come to.
struct Check<'a> {
    python: &'a str,
    sets: &'a Path,
    checker: &'a str,
    minimum: u32,
}

impl Check<'_> {
    /// Runs it on a program; whether enough cases pass. `state` is said of the run.
    fn passes(&self, binary: &Path, state: &str) -> Outcome<bool> {
        let start = Instant::now();
        let Self { checker, minimum, .. } = self;
        let mut command = Command::new(self.python);
        command.arg(self.sets.join(format!("{checker}.py"))).arg(binary);
        if SAMPLED.contains(checker) {
            command.args(["-n", "10"]);
        }
        // A checker's exit status is not zero where one case fails: the minimum counts here.
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{checker}: {error}"))?;
        let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        let last = said.lines().last().unwrap_or("(nothing printed)");
        println!(
            "{checker:14} {last}; at least {minimum} must; {}  {state}",
            cli_support::time(start.elapsed())
        );
        let passes = passed(last).is_some_and(|passed| passed >= *minimum);
        if !passes {
            println!("{said}");
        }
        Ok(passes)
    }
}

/// A Python that has the YAML module: the one in the search path, or Debian's.
fn python() -> Outcome<&'static str> {
    let candidates = ["python3", "/usr/bin/python3"];
    let has_yaml = |python: &&str| printed(Command::new(python).args(["-c", "import yaml"])).is_ok();
    if let Some(python) = candidates.into_iter().find(has_yaml) {
        return Ok(python);
    }
    // The module is no program: a name that is never found has it installed.
    if exists("python3") {
        let _ = require(&[("python3-yaml", "python3-yaml")]);
    }
    let advice = "the checkers need Python's YAML module; as root, run: apt-get install python3-yaml";
    candidates.into_iter().find(has_yaml).ok_or_else(|| advice.into())
}

/// The first number of `N passed, N failed`.
fn passed(line: &str) -> Option<u32> {
    line.split_once(" passed")?.0.rsplit(' ').next()?.parse().ok()
}

/// Reads lines of the form `name = number`.
fn minimums(text: &str) -> Outcome<Vec<(String, u32)>> {
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let wrong = || format!("conformance.toml: `{line}` is not of the form `name = number`");
            let (name, number) = line.split_once('=').ok_or_else(wrong)?;
            Ok((
                name.trim().to_owned(),
                number.trim().parse().map_err(|_| wrong())?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn minimums_and_counts_are_read() {
        let read = super::minimums("# rises only\ncheck_a = 12\n\ncheck_b = 0\n").unwrap();
        assert_eq!(read, [("check_a".to_owned(), 12), ("check_b".to_owned(), 0)]);
        assert!(super::minimums("check_a 12").is_err());
        assert!(super::minimums("check_a = many").is_err());
        assert_eq!(super::passed("63 passed, 0 failed"), Some(63));
        assert_eq!(super::passed("Traceback"), None);
    }
}
