//! `melange workspace explain`.

use std::collections::BTreeMap;

use build_graph::{Certainty, Explanation, Step};
use cli_support::{Steps, time};
use serde_json::json;

use super::args::Explain;
use super::names::{Names, ago, change, telling};
use super::plan::words;
use super::{Opened, options};
use crate::failure::{Outcome, print};

pub(super) fn explain(arguments: &Explain, steps: &Steps) -> Outcome {
    let opened = Opened::open(&arguments.place, steps)?;
    let session = opened.session()?;
    let names = Names::of(&opened.workspace);
    let nodes = opened.workspace.find_nodes(&arguments.node)?;
    for node in &nodes {
        let explanation = session.explain(node, &options(None, true))?;
        match arguments.json {
            true => print(&format!("{}\n", to_json(&explanation)))?,
            false => print(&text(&explanation, &names))?,
        }
    }
    session.save();
    Ok(())
}

fn text(explanation: &Explanation, names: &Names) -> String {
    let name = names.full(&explanation.node);
    let mut out = match &explanation.step {
        Step::Reuse { .. } => format!("{name} is up to date.\n"),
        Step::Build(build) => {
            let listed = |nodes: &[build_graph::NodeId]| {
                nodes
                    .iter()
                    .map(|node| names.full(node))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            match &build.certainty {
                Certainty::Likely { after } if !build.was_built => {
                    format!("{name} is built after {}: it was never built.\n", listed(after))
                }
                Certainty::Likely { after } => format!("{name} is likely built, after {}.\n", listed(after)),
                Certainty::Possible { unless } => {
                    format!("{name} is built unless {} comes out as before.\n", listed(unless))
                }
                _ if !build.was_built => format!("{name} is built: it was never built.\n"),
                _ => format!("{name} is built.\n"),
            }
        }
        Step::Fail(failure) => format!("{name} cannot be built: {}\n", words(failure)),
        Step::Skip { because } => format!("{name} is skipped because {} fails.\n", names.full(because)),
        _ => format!("{name}\n"),
    };
    for one in telling(&explanation.changes) {
        out += &format!("  changed       {}\n", change(one));
    }
    if let Some(inputs) = &explanation.inputs {
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for input in inputs.list() {
            let group = input.name.split('/').next().unwrap_or_default();
            *groups.entry(group).or_default() += 1;
        }
        let parts: Vec<String> = groups
            .iter()
            .map(|(group, count)| format!("{group} {count}"))
            .collect();
        out += &format!(
            "  depends on    {} inputs: {}\n",
            inputs.list().len(),
            parts.join(", ")
        );
    }
    if let Some(last) = &explanation.last {
        let because = match last.because.is_empty() {
            true => String::new(),
            false => format!(", because of {}", last.because.join(", ")),
        };
        let how = if last.was_built {
            "last built"
        } else {
            "last taken"
        };
        out += &format!("  {how}    {}, {}{because}\n", ago(last.when), time(last.took));
        if let Some(failure) = &last.failure {
            out += &format!("  last failed   {failure}\n");
        }
    }
    out
}

fn to_json(explanation: &Explanation) -> serde_json::Value {
    let step = match &explanation.step {
        Step::Reuse { .. } => "reuse",
        Step::Build(_) => "build",
        Step::Fail(_) => "fail",
        Step::Skip { .. } => "skip",
        _ => "",
    };
    json!({
        "node": explanation.node,
        "step": step,
        "inputs": explanation.inputs.as_ref().map(|inputs| inputs.list()),
        "changes": explanation.changes,
        "last": explanation.last.as_ref().map(|last| json!({
            "key": last.key,
            "seconds": last.took.as_secs_f64(),
            "because": last.because,
            "failure": last.failure,
        })),
    })
}
