//! `melange workspace explain`.

use std::collections::BTreeMap;

use build_graph::{Certainty, Explanation, Input, Step};
use cli_support::{Steps, time};
use serde_json::json;

use super::args::Explain;
use super::names::{Names, ago, change, telling};
use super::plan::words;
use super::{Opened, options};
use crate::failure::{Outcome, print};

/// The kinds of inputs that are shown one by one: what they are called, and how their names begin.
const LISTED: [(&str, &str); 3] = [
    ("environment", "environment/"),
    ("contents", "contents/"),
    ("sources", "source/"),
];

/// How much is shown of a word that is longer than most versions, which are shown as they are.
const SHOWN: usize = 14;
const LONGEST: usize = 24;

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
        let before = explanation.last.as_ref().map(build_graph::Entry::inputs);
        out += &inputs_text(inputs.list(), before.as_deref());
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

/// The packages of the environment and the sources, one a line and whether they are those of `before`; the other inputs by
/// their kinds.
fn inputs_text(inputs: &[Input], before: Option<&[Input]>) -> String {
    let mut out = String::new();
    for (title, prefix) in LISTED {
        let of_group: Vec<(&str, &Input)> = inputs
            .iter()
            .filter_map(|input| Some((input.name.strip_prefix(prefix)?, input)))
            .collect();
        let width = of_group
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        for (at, (name, input)) in of_group.iter().enumerate() {
            let title = if at == 0 { title } else { "" };
            let what = match before.map(|before| before.iter().find(|one| one.name == input.name)) {
                None => "",
                Some(None) => "  new",
                Some(Some(old)) if old.value == input.value => "  unchanged",
                Some(Some(_)) => "  changed",
            };
            out += &format!(
                "  {title:<13} {name:<width$}  {}{what}\n",
                shortened(&input.value)
            );
        }
    }
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    let is_listed = |input: &&Input| LISTED.iter().any(|(_, prefix)| input.name.starts_with(prefix));
    for input in inputs.iter().filter(|input| !is_listed(input)) {
        let group = input.name.split('/').next().unwrap_or_default();
        *groups.entry(group).or_default() += 1;
    }
    let parts: Vec<String> = groups
        .iter()
        .map(|(group, count)| format!("{group} {count}"))
        .collect();
    if !parts.is_empty() {
        out += &format!("  {:<13} {}\n", "also", parts.join(", "));
    }
    out
}

/// A value with no more of each hash than tells it from others.
fn shortened(value: &str) -> String {
    let words = value.split(' ').map(|word| match word.char_indices().nth(SHOWN) {
        Some((end, _)) if word.len() > LONGEST => format!("{}…", &word[..end]),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, value: &str) -> Input {
        Input {
            name: name.to_owned(),
            value: value.to_owned(),
            origin: None,
        }
    }

    #[test]
    fn each_package_and_source_is_listed_with_whether_it_changed() {
        let old = [
            input("environment/busybox", "1.36-r0 Q1ZpWnJ1cHQgdGhpcyBpcyBhIGhhc2g="),
            input("environment/libgreet-dev", "1.4-r0 51c0"),
            input("source/main.c", "aaaa"),
        ];
        let now = [
            old[0].clone(),
            input("environment/libgreet-dev", "1.4-r0 77ff"),
            input("package/name", "greeter"),
            input("package/version", "2.0"),
            old[2].clone(),
            input("source/new.c", "cccc"),
        ];
        assert_eq!(
            inputs_text(&now, Some(&old)),
            "  environment   busybox       1.36-r0 Q1ZpWnJ1cHQgdG…  unchanged\n\
             \x20               libgreet-dev  1.4-r0 77ff  changed\n\
             \x20 sources       main.c  aaaa  unchanged\n\
             \x20               new.c   cccc  new\n\
             \x20 also          package 2\n"
        );
    }

    #[test]
    fn of_what_was_never_built_nothing_is_said_to_have_changed() {
        let now = [input("environment/busybox", "1.36-r0 abc")];
        assert_eq!(inputs_text(&now, None), "  environment   busybox  1.36-r0 abc\n");
    }
}
