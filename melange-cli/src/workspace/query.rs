//! `melange workspace graph`, `affected`, `status` and `gc`.

use build_graph::{Affected as Reached, Step};
use cli_support::Steps;
use serde_json::json;

use super::args::{Affected, Gc, Graph, GraphFormat, Status};
use super::names::{Names, counts};
use super::plan::words;
use super::{Opened, options};
use crate::failure::{Failure, Outcome, print};

pub(super) fn graph(arguments: &Graph, steps: &Steps) -> Outcome {
    let opened = Opened::open(&arguments.place, steps)?;
    let session = opened.session()?;
    let targets = opened.targets(&arguments.nodes)?;
    let graph = session.plan(&targets, &options(None, true))?.graph;
    session.save();
    let title = opened
        .workspace
        .root
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    print(&match arguments.format {
        GraphFormat::Dot => graph.to_dot(),
        GraphFormat::Mermaid => graph.to_mermaid(),
        GraphFormat::Json => format!("{}\n", graph.to_json()),
        GraphFormat::Html => graph.to_html(&title),
    })
}

pub(super) fn affected(arguments: &Affected, steps: &Steps) -> Outcome {
    let opened = Opened::open(&arguments.place, steps)?;
    let mut files = arguments.what.paths.clone();
    if let Some(revision) = &arguments.what.since {
        files.extend(opened.workspace.changed_since(revision)?);
    }
    let changed = opened.workspace.changed(files.iter().map(String::as_str));
    for file in &changed.unrelated {
        steps.detail(&format!("{file}: nothing of the workspace has to do with it"));
    }
    let session = opened.session()?;
    let graph = session
        .plan(&opened.workspace.nodes(), &options(None, true))?
        .graph;
    session.save();
    let changed: Vec<_> = changed.nodes.into_iter().collect();
    let reached = graph.affected(&changed);
    if arguments.json {
        let list = reached
            .iter()
            .map(|one| json!({ "node": one.node, "because": one.because, "distance": one.distance }));
        return print(&format!("{}\n", json!(list.collect::<Vec<_>>())));
    }
    let names = Names::of(&opened.workspace);
    let line = |one: &Reached| {
        let why = match &one.because {
            None => "changed itself".to_owned(),
            Some(need) => format!("{} ({})", need.reason, names.full(&need.node)),
        };
        format!("{:<34} {why}\n", names.full(&one.node))
    };
    let mut out: String = reached.iter().map(line).collect();
    let all = opened.workspace.nodes().len();
    out += &match counts(reached.iter().map(|one| &one.node)) {
        text if text.is_empty() => format!("none of {all} nodes\n"),
        text => format!("{text} of {all} nodes\n"),
    };
    print(&out)
}

pub(super) fn status(arguments: &Status, steps: &Steps) -> Outcome {
    let opened = Opened::open(&arguments.place, steps)?;
    let session = opened.session()?;
    let nodes = opened.workspace.nodes();
    let plan = session.plan(&nodes, &options(None, true))?;
    session.save();
    let of = |is: &dyn Fn(&Step) -> bool| {
        counts(
            plan.nodes
                .iter()
                .filter(|(_, step)| is(step))
                .map(|(node, _)| node),
        )
    };
    let stale = match &arguments.published {
        None => Vec::new(),
        Some(repository) => session
            .stale(repository)
            .map_err(|failure| Failure::work(words(&failure)))?,
    };
    let (fresh, old) = (
        of(&|step| matches!(step, Step::Reuse { .. })),
        of(&|step| matches!(step, Step::Build(_))),
    );
    let failing = of(&|step| matches!(step, Step::Fail(_) | Step::Skip { .. }));
    if arguments.json {
        let list = stale.iter().map(|one| {
            json!({ "file": one.file, "version": one.version, "packages": one.packages, "line": one.place.line })
        });
        let value = json!({
            "configurations": opened.workspace.opened.files,
            "images": opened.workspace.images.len(),
            "architectures": opened.workspace.archs.iter().map(|arch| arch.apk_name()).collect::<Vec<_>>(),
            "up_to_date": plan.nodes.iter().filter(|(_, step)| matches!(step, Step::Reuse { .. })).count(),
            "to_build": plan.builds().count(),
            "stale_versions": list.collect::<Vec<_>>(),
        });
        print(&format!("{value}\n"))?;
    } else {
        let mut out = format!("{}\n", opened.workspace.root.display());
        for (what, text) in [
            ("up to date", fresh),
            ("to build", old),
            ("cannot be built", failing),
        ] {
            if !text.is_empty() {
                out += &format!("  {what:<16} {text}\n");
            }
        }
        for one in &stale {
            out += &format!(
                "  {}  {} is published with another content of {}\n",
                one.place,
                one.version,
                one.packages.join(", ")
            );
        }
        print(&out)?;
    }
    if arguments.bump_epochs {
        for one in &stale {
            let epoch = session
                .bump_epoch(one)
                .map_err(|failure| Failure::work(words(&failure)))?;
            steps.done(
                "Changed",
                &format!("{}  epoch → {epoch}", one.file),
                std::time::Duration::ZERO,
            );
        }
    }
    Ok(())
}

pub(super) fn gc(arguments: &Gc, steps: &Steps) -> Outcome {
    let opened = Opened::open(&arguments.place, steps)?;
    let session = opened.session()?;
    let start = std::time::Instant::now();
    let removed = session.collect_garbage(arguments.older_than, &options(None, true))?;
    let what = format!(
        "{} results, {}",
        removed.removed,
        cli_support::size(removed.removed_size)
    );
    steps.done("Removed", &what, start.elapsed());
    Ok(())
}
