//! `melange workspace plan`.

use build_graph::{Build, Certainty, Failure as NodeFailure, InputChange, NodeId, Plan as Planned, Step};
use cli_support::{Steps, chain};
use melange_workspace::Session;
use serde_json::{Value, json};

use super::args::Plan;
use super::names::{Names, about, ago, change, counts, rounded, telling, verb};
use super::{Opened, options};
use crate::failure::{Failure, Outcome, print};

/// How many reasons are shown for one node.
const REASONS: usize = 3;

pub(super) fn plan(arguments: &Plan, steps: &Steps) -> Outcome {
    let opened = Opened::open(&arguments.place, steps)?;
    let session = opened.session()?;
    let targets = opened.targets(&arguments.nodes)?;
    let plan = session.plan(&targets, &options(arguments.jobs, true))?;
    session.save();
    let names = Names::of(&opened.workspace);
    for problem in &plan.problems {
        steps.warn(&problem.to_string());
    }
    if arguments.json {
        print(&format!("{}\n", to_json(&plan)))?;
    } else {
        print(&text(&plan, &names, &session))?;
    }
    let failed: Vec<String> = plan
        .nodes
        .iter()
        .filter_map(|(node, step)| match step {
            Step::Fail(failure) => Some(format!("{}: {}", names.full(node), words(failure))),
            _ => None,
        })
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::usage(failed.join("\n"))),
    }
}

/// A failure with its causes.
pub(super) fn words(failure: &NodeFailure) -> String {
    match failure {
        NodeFailure::Failed(error) => chain(&**error),
        other => other.to_string(),
    }
}

fn text(plan: &Planned, names: &Names, session: &Session<'_>) -> String {
    let mut out = String::new();
    for (node, build) in plan.builds() {
        let own = own_changes(&build.changes);
        if !own.is_empty() && build.was_built {
            let since = session
                .history()
                .get(node)
                .map(|entry| ago(entry.when))
                .unwrap_or_default();
            let told: Vec<String> = own.iter().take(REASONS).map(|one| change(one)).collect();
            let more = own.len().saturating_sub(REASONS);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            out += &format!(
                "  changed  {}  {}{more}, since the build of {since}\n",
                names.full(node),
                told.join("; ")
            );
        }
    }
    for (node, build) in plan.builds() {
        let why = reason(plan, node, build, names);
        let unless = match &build.certainty {
            Certainty::Possible { unless } => {
                let names: Vec<String> = unless.iter().take(REASONS).map(|node| names.full(node)).collect();
                format!(", unless {} comes out the same", names.join(", "))
            }
            _ => String::new(),
        };
        let time = format!("{}{unless}", about(build.estimate));
        let line = format!(
            "  {:<8} {:<34} {why:<44} {}",
            verb(node.kind()),
            names.name(node),
            time.trim_start_matches(", ")
        );
        out += &format!("{}\n", line.trim_end());
    }
    for (node, step) in &plan.nodes {
        match step {
            Step::Fail(_) => out += &format!("  fail     {}\n", names.full(node)),
            Step::Skip { because } => {
                out += &format!(
                    "  skip     {}  because {} fails\n",
                    names.full(node),
                    names.full(because)
                );
            }
            _ => {}
        }
    }
    let reused = plan
        .nodes
        .iter()
        .filter(|(_, step)| matches!(step, Step::Reuse { .. }));
    let reused = counts(reused.map(|(node, _)| node));
    if !reused.is_empty() {
        out += &format!("  reuse    {reused}\n");
    }
    let builds = plan.builds().count();
    let time = match rounded(plan.longest) != rounded(plan.expected) {
        _ if builds == 0 => String::new(),
        true => format!(", about {} to {}", rounded(plan.expected), rounded(plan.longest)),
        false => format!(", about {}", rounded(plan.expected)),
    };
    out += &match builds {
        0 if plan
            .nodes
            .iter()
            .all(|(_, step)| matches!(step, Step::Reuse { .. })) =>
        {
            format!(
                "nothing to build: all {} nodes are up to date\n",
                plan.nodes.len()
            )
        }
        _ => format!("{builds} of {} nodes{time}\n", plan.nodes.len()),
    };
    out
}

/// The changes that do not come from other nodes.
fn own_changes(changes: &[InputChange]) -> Vec<&InputChange> {
    let is_own = |change: &&&InputChange| {
        let name = &change.name;
        !["environment/", "contents/"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            && !name.contains("/environment/")
    };
    let changes: Vec<&InputChange> = telling(changes);
    changes.iter().filter(is_own).copied().collect()
}

/// Why a node would be built, in a few words.
fn reason(plan: &Planned, node: &NodeId, build: &Build, names: &Names) -> String {
    let waits = match &build.certainty {
        Certainty::Certain => &[][..],
        Certainty::Likely { after } => after,
        Certainty::Possible { unless } => unless,
    };
    if let Some(first) = waits.first() {
        let needs = plan
            .graph
            .nodes
            .iter()
            .find(|(other, _)| other == node)
            .map(|(_, needs)| needs);
        let need = needs.into_iter().flatten().find(|need| need.node == *first);
        return need.map_or_else(
            || format!("after {}", names.full(first)),
            |need| need.reason.clone(),
        );
    }
    if !build.was_built {
        return "was never built".to_owned();
    }
    let changes = telling(&build.changes);
    match (changes.first(), own_changes(&build.changes).is_empty()) {
        (Some(first), true) => change(first),
        (None, _) => "its result is lost".to_owned(),
        _ => String::new(),
    }
}

fn to_json(plan: &Planned) -> Value {
    let nodes = plan.nodes.iter().map(|(node, step)| {
        let mut value = json!({ "node": node, "kind": node.kind(), "name": node.name() });
        let more = match step {
            Step::Reuse { key } => json!({ "step": "reuse", "key": key }),
            Step::Build(build) => json!({
                "step": "build",
                "certainty": match &build.certainty {
                    Certainty::Certain => json!("certain"),
                    Certainty::Likely { after } => json!({ "likely_after": after }),
                    Certainty::Possible { unless } => json!({ "possible_unless": unless }),
                },
                "key": build.key,
                "estimate_seconds": build.estimate.map(|time| time.as_secs_f64()),
                "changes": build.changes,
                "was_built": build.was_built,
            }),
            Step::Fail(failure) => json!({ "step": "fail", "reason": words(failure) }),
            Step::Skip { because } => json!({ "step": "skip", "because": because }),
            _ => Value::Null,
        };
        if let (Some(value), Some(more)) = (value.as_object_mut(), more.as_object()) {
            value.extend(more.clone());
        }
        value
    });
    json!({
        "nodes": nodes.collect::<Vec<_>>(),
        "expected_seconds": plan.expected.as_secs_f64(),
        "longest_seconds": plan.longest.as_secs_f64(),
    })
}
