//! `apko why` and `apko why-not`.

use apk_solver::{Asker, DEFAULT_STEP_LIMIT, Link, Strategy, WhyNot};
use apk_types::{Arch, Dependency};
use apko::{Policy, Repositories};
use clap::Args;
use cli_support::Steps;
use serde_json::{Value, json};

use crate::build::{archs, print};
use crate::conflict::{Places, package_json, packages, plain};
use crate::failure::{Failure, Outcome};
use crate::selection::Selection;

pub(crate) const WHY_EXAMPLES: &str = "\
Examples:
  apko why web.yaml libssl3               # the shortest chain from the configuration to libssl3
  apko why web.yaml so:libssl.so.3        # to what provides the name
  apko why --json web.yaml libssl3

Exit status: 0 it is installed, 1 it is not, or the work failed.";

pub(crate) const WHY_NOT_EXAMPLES: &str = "\
Examples:
  apko why-not web.yaml nginx             # what stands in the way, or what it would bring
  apko why-not web.yaml 'curl=7.88.1-r1'
  apko why-not --json web.yaml nginx

Exit status: 0 it is not installed and here is why, 1 it is, or the work failed.";

/// How packages are chosen.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Solver {
    /// How packages are chosen: `auto` is the Go apko's choice and, where that fails, a search that finds an answer
    /// wherever there is one; `greedy` and `complete` are either alone
    #[arg(long = "solver", default_value = "auto", value_name = "HOW")]
    strategy: Strategy,
    /// How many steps that search may take
    #[arg(long = "solver-steps", default_value_t = DEFAULT_STEP_LIMIT, value_name = "STEPS")]
    step_limit: u32,
}

impl Solver {
    /// The policy with this way of choosing.
    pub(crate) fn policy(self, policy: Policy) -> Policy {
        Policy {
            strategy: self.strategy,
            step_limit: self.step_limit,
            ..policy
        }
    }
}

/// A question about one package.
#[derive(Debug, Args)]
pub(crate) struct Question {
    #[command(flatten)]
    selection: Selection,
    /// The package or the name it provides; for why-not with a version, such as `curl<8`
    package: Dependency,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What a question is answered from.
struct Asked {
    archs: Vec<Arch>,
    repositories: Repositories,
    world: Vec<String>,
    places: Places,
}

impl Question {
    fn open(&self, steps: &Steps) -> Outcome<Asked> {
        let loaded = self.selection.sources.load(&self.selection.config, &[], steps)?;
        let archs = archs(&self.selection.archs.arch, &loaded.configuration)?;
        let [first, others @ ..] = &archs[..] else {
            return Err(Failure::usage("the configuration names no architecture"));
        };
        if !others.is_empty() {
            steps.warn(&format!(
                "the answer is that for {first}; choose another with --arch"
            ));
        }
        let (repositories, world) = self.selection.open(&loaded, &archs, steps)?;
        Ok(Asked {
            world,
            places: Places::of(&loaded),
            archs,
            repositories,
        })
    }

    fn print_json(&self, answer: &Value) -> Outcome {
        print(&format!("{answer:#}\n"))
    }
}

pub(crate) fn why(question: &Question, steps: &Steps) -> Outcome {
    let asked = question.open(steps)?;
    let name = question.package.name();
    let answer = asked.repositories.why(&asked.world, &asked.archs, name);
    let chains = answer.map_err(|error| asked.failure(question.json, error))?;
    if question.json {
        let chains = chains
            .iter()
            .map(|chain| chain.iter().map(link_json).collect::<Value>());
        question.print_json(&json!({ "package": name, "chains": chains.collect::<Vec<_>>() }))?;
    } else {
        for chain in &chains {
            print(&(chain_text(chain, &asked.places) + "\n"))?;
        }
    }
    match chains.is_empty() {
        false => Ok(()),
        true => Err(Failure::failed(format!(
            "{} is not installed; `apko why-not {} {}` says why",
            plain(name),
            question.selection.config.display(),
            plain(name)
        ))),
    }
}

pub(crate) fn why_not(question: &Question, steps: &Steps) -> Outcome {
    let asked = question.open(steps)?;
    let wanted = &question.package;
    let answer = asked.repositories.why_not(&asked.world, &asked.archs, wanted);
    let answer = answer.map_err(|error| asked.failure(question.json, error))?;
    if question.json {
        question.print_json(&why_not_json(wanted, &answer, &asked.places))?;
    } else if !matches!(answer, WhyNot::Installed(_)) {
        print(&(why_not_text(wanted, &answer, &asked.places) + "\n"))?;
    }
    match &answer {
        WhyNot::Installed(package) => Err(Failure::failed(format!(
            "{} is installed; `apko why` says why",
            packages(std::slice::from_ref(package))
        ))),
        _ => Ok(()),
    }
}

impl Asked {
    fn failure(&self, json: bool, error: apko::ResolveError) -> Failure {
        if json {
            // The error is told on standard error all the same.
            let _ = print(&format!("{:#}\n", self.places.json(&error)));
        }
        self.places.failure(error)
    }
}

fn chain_text(chain: &[Link], places: &Places) -> String {
    let mut words: Vec<String> = Vec::new();
    for link in chain {
        let package = packages(std::slice::from_ref(&link.package));
        let dependency = plain(link.dependency.as_str());
        if link.by_install_if {
            words.push(format!("{package} (install_if {dependency})"));
            continue;
        }
        if link.asker == Asker::World {
            let place = places.text(link.dependency.as_str());
            let separator = if place.is_empty() { "" } else { " " };
            words.push(format!("{place}{separator}{dependency}"));
        } else if link.dependency.name() != link.package.name {
            words.push(dependency);
        }
        words.push(package);
    }
    match words.is_empty() {
        true => "nothing leads there: it stands where a dependency was left unmet".to_owned(),
        false => words.join(" → "),
    }
}

fn link_json(link: &Link) -> Value {
    let asker = match &link.asker {
        Asker::World => Value::Null,
        Asker::Package(package) => package_json(package),
    };
    json!({
        "asker": asker,
        "dependency": link.dependency.as_str(),
        "package": package_json(&link.package),
        "install_if": link.by_install_if,
    })
}

fn why_not_text(wanted: &Dependency, answer: &WhyNot, places: &Places) -> String {
    let wanted = plain(wanted.as_str());
    match answer {
        WhyNot::Installed(package) => format!("{} is installed", packages(std::slice::from_ref(package))),
        WhyNot::Unknown { similar, elsewhere } => {
            let mut text = format!("no package has or provides {wanted}");
            if !elsewhere.is_empty() {
                text += &format!("; there is one for {}", elsewhere.join(", "));
            }
            if !similar.is_empty() {
                text += &format!("; did you mean `{}`?", similar.join("`, `"));
            }
            text
        }
        WhyNot::NotAskedFor {
            instead,
            added,
            removed,
        } => {
            let mut text = match &instead[..] {
                [] => format!("nothing asks for {wanted}"),
                instead => format!("nothing asks for {wanted}: {} is preferred", packages(instead)),
            };
            text += &format!("\nwith `{wanted}` among the packages");
            let lists = [("added", added), ("removed", removed)];
            for (what, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
                text += &format!("\n  {what}: {}", packages(list));
            }
            text
        }
        WhyNot::Impossible(None) => format!("{wanted} cannot be installed together with the rest"),
        WhyNot::Impossible(Some(explanation)) => places.explanation("", explanation),
    }
}

fn why_not_json(wanted: &Dependency, answer: &WhyNot, places: &Places) -> Value {
    let list = |list: &[apk_solver::Candidate]| list.iter().map(package_json).collect::<Value>();
    let mut value = match answer {
        WhyNot::Installed(package) => json!({ "answer": "installed", "installed": package_json(package) }),
        WhyNot::Unknown { similar, elsewhere } => {
            json!({ "answer": "unknown", "similar": similar, "elsewhere": elsewhere })
        }
        WhyNot::NotAskedFor {
            instead,
            added,
            removed,
        } => json!({
            "answer": "not-asked-for",
            "instead": list(instead),
            "added": list(added),
            "removed": list(removed),
        }),
        WhyNot::Impossible(explanation) => json!({
            "answer": "impossible",
            "explanation": explanation.as_ref().map(|explanation| places.explanation_json(explanation)),
        }),
    };
    value["package"] = wanted.as_str().into();
    value
}
