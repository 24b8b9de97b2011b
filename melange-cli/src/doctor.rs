//! `melange doctor`: what stands in the way of sandboxes.

use anstyle::{AnsiColor, Style};
use clap::Args;
use melange_pipeline::runner::{Check, Runner, Verdict, examine};

use crate::failure::{Failure, Outcome, print};
use crate::guest::runners;

pub(crate) const EXAMPLES: &str = "\
Examples:
  melange doctor
  melange doctor --json | jq '.checks[] | select(.verdict == \"blocked\")'
  melange doctor --profile | sudo tee /etc/apparmor.d/melange && sudo apparmor_parser -r /etc/apparmor.d/melange

Exit status: 0 steps can run, 1 no runner works.";

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Prints an AppArmor profile that lets this program and bwrap make user namespaces
    #[arg(long, conflicts_with = "json")]
    profile: bool,
}

pub(crate) fn doctor(arguments: &Doctor) -> Outcome {
    if arguments.profile {
        return print(&profile());
    }
    let runners = runners();
    let runners: Vec<&dyn Runner> = runners.iter().map(|runner| &**runner as &dyn Runner).collect();
    let checks = examine(&runners);
    let is_usable = checks
        .iter()
        .take(runners.len())
        .any(|check| check.verdict == Verdict::Good);
    print(&match arguments.json {
        true => json(&checks, is_usable),
        false => checks.iter().map(text).collect(),
    })?;
    match is_usable {
        true => Ok(()),
        false => Err(Failure::work(
            "no runner works here; what is blocked above stands in the way",
        )),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "ok",
        Verdict::Blocked => "blocked",
        Verdict::Absent => "none",
    }
}

fn text(check: &Check) -> String {
    let color = match check.verdict {
        Verdict::Good => AnsiColor::Green.on_default(),
        Verdict::Blocked => AnsiColor::Red.on_default().bold(),
        Verdict::Absent => Style::new(),
    };
    let is_colored = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    let color = if is_colored { color } else { Style::new() };
    let mut text = format!(
        "  {color}{:<7}{color:#} {}: {}\n",
        word(check.verdict),
        check.name,
        check.found
    );
    for (place, remedy) in check.remedies.iter().enumerate() {
        let lead = match (place, check.remedies.len()) {
            (_, 1) => "fix:   ",
            (0, _) => "either ",
            _ => "or     ",
        };
        text += &format!("          {lead}{remedy}\n");
    }
    text
}

fn json(checks: &[Check], is_usable: bool) -> String {
    let checks: Vec<_> = checks
        .iter()
        .map(|check| {
            serde_json::json!({
                "name": check.name,
                "verdict": word(check.verdict),
                "found": check.found,
                "remedies": check.remedies,
            })
        })
        .collect();
    format!(
        "{:#}\n",
        serde_json::json!({ "usable": is_usable, "checks": checks })
    )
}

fn profile() -> String {
    let own = std::env::current_exe().map_or_else(
        |_| "/usr/bin/melange".to_owned(),
        |path| path.display().to_string(),
    );
    let rule = |name: &str, program: &str| {
        format!(
            "profile {name} {program} flags=(unconfined) {{\n  userns,\n  include if exists <local/{name}>\n}}\n"
        )
    };
    format!(
        "abi <abi/4.0>,\ninclude <tunables/global>\n\n{}\n{}",
        rule("melange", &own),
        rule("melange-bwrap", "/usr/bin/bwrap")
    )
}
