//! How nodes, changes and times are written for people.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use build_graph::{InputChange, NodeId};
use melange_workspace::Workspace;

/// The most characters of a value that are shown.
const SHOWN: usize = 60;

/// The names of nodes: with the version, and with the architecture where there is more than one.
pub(super) struct Names {
    versions: BTreeMap<String, String>,
    archs: usize,
}

impl Names {
    pub(super) fn of(workspace: &Workspace) -> Self {
        let versions = workspace
            .definitions
            .iter()
            .map(|one| (format!("{}@{}", one.name, one.arch), one.version.clone()));
        Self {
            versions: versions.collect(),
            archs: workspace.archs.len(),
        }
    }

    /// The name without its kind: `greeter 2.0-r1`, `greeter 2.0-r1 (x86_64)`, `web`.
    pub(super) fn name(&self, node: &NodeId) -> String {
        let (name, arch) = node.name().split_once('@').unwrap_or((node.name(), ""));
        let version = self
            .versions
            .get(node.name())
            .map(|version| format!(" {version}"));
        let arch = Some(arch).filter(|arch| !arch.is_empty() && self.archs > 1);
        let arch = arch.map(|arch| format!(" ({arch})"));
        format!(
            "{name}{}{}",
            version.unwrap_or_default(),
            arch.unwrap_or_default()
        )
    }

    /// The name with its kind, but for packages.
    pub(super) fn full(&self, node: &NodeId) -> String {
        match node.kind() {
            "package" => self.name(node),
            kind => format!("{kind} {}", self.name(node)),
        }
    }
}

/// The verb of a plan for a kind of node.
pub(super) fn verb(kind: &str) -> &'static str {
    match kind {
        "test" => "test",
        "image" => "image",
        "index" => "index",
        _ => "build",
    }
}

/// Some nodes by kind: `9 packages, 11 tests, 1 image`.
pub(super) fn counts<'a>(nodes: impl Iterator<Item = &'a NodeId>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        *counts.entry(node.kind()).or_default() += 1;
    }
    let order = ["package", "test", "image", "index"];
    let parts = order.iter().filter_map(|kind| {
        let count = *counts.get(kind)?;
        let plural = match *kind {
            "index" => "indexes".to_owned(),
            kind => format!("{kind}s"),
        };
        Some(format!(
            "{count} {}",
            if count == 1 { (*kind).to_owned() } else { plural }
        ))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// A change in a line: `greeter.yaml:3 version went from 1.9 to 2.0`.
pub(super) fn change(change: &InputChange) -> String {
    let name = thing(&change.name);
    let place = change
        .origin
        .as_ref()
        .filter(|origin| origin.line.is_some())
        .map(|origin| format!("{origin} "));
    let place = place.unwrap_or_default();
    let is_hash = |value: &String| value.contains("blake3:") || value.len() > 2 * SHOWN;
    match (&change.old, &change.new) {
        (Some(old), Some(new)) if change.name.starts_with("source/") || is_hash(old) || is_hash(new) => {
            format!("{place}{name} (content)")
        }
        (Some(old), Some(new)) => format!("{place}{name} went from {} to {}", short(old), short(new)),
        (None, _) => format!("{place}{name} is new"),
        (Some(_), None) => format!("{place}{name} is gone"),
    }
}

/// What an input is, in words.
fn thing(name: &str) -> String {
    let rest = |prefix: &str| name.strip_prefix(prefix);
    if let Some(file) = rest("source/") {
        return file.to_owned();
    }
    if let Some(key) = rest("package/") {
        return format!("`{key}`");
    }
    if let Some(package) = rest("environment/") {
        return format!("{package} in its environment");
    }
    if let Some(package) = rest("contents/") {
        return package
            .split_once('/')
            .map_or(package, |(_, package)| package)
            .to_owned();
    }
    if let Some(key) = rest("environment-key/") {
        return format!("the key {key} in its environment");
    }
    if let Some(variable) = rest("vars/") {
        return format!("the variable `{variable}`");
    }
    match rest("step/").and_then(|step| step.split_once('/')) {
        Some((step, part)) => format!("`{part}` of step {}", step.trim_start_matches('0')),
        None => name.to_owned(),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None if text.is_empty() => "nothing".to_owned(),
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// The changes that say most: what stands for the whole is left out where anything else is there.
pub(super) fn telling(changes: &[InputChange]) -> Vec<&InputChange> {
    let is_whole =
        |change: &&InputChange| change.name == "configuration" || change.name.ends_with("/configuration");
    let telling: Vec<&InputChange> = changes.iter().filter(|change| !is_whole(change)).collect();
    match telling.is_empty() {
        true => changes.iter().collect(),
        false => telling,
    }
}

/// How long ago something was: `2 h ago`.
pub(super) fn ago(when: SystemTime) -> String {
    let elapsed = SystemTime::now().duration_since(when).unwrap_or_default();
    let seconds = elapsed.as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// An estimate: `~12 s`.
pub(super) fn about(duration: Option<Duration>) -> String {
    match duration {
        None => String::new(),
        Some(duration) if duration < Duration::from_secs(1) => "<1 s".to_owned(),
        Some(duration) => format!("~{}", rounded(duration)),
    }
}

/// A time to the second.
pub(super) fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    match seconds {
        0..60 => format!("{} s", seconds.max(1)),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use build_graph::Origin;

    use super::*;

    fn changed(name: &str, old: Option<&str>, new: Option<&str>, line: Option<u32>) -> String {
        change(&InputChange {
            name: name.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            origin: line.map(|line| Origin::new("greeter.yaml", line)),
        })
    }

    #[test]
    fn a_change_is_told_in_the_words_of_the_file() {
        let rows = [
            (
                changed("package/version", Some("1.9"), Some("2.0"), Some(3)),
                "greeter.yaml:3 `version` went from 1.9 to 2.0",
            ),
            (
                changed("source/src/greet.c", Some("aa"), Some("bb"), None),
                "src/greet.c (content)",
            ),
            (
                changed("environment/libgreet-dev", None, Some("1.4-r0 51c0"), None),
                "libgreet-dev in its environment is new",
            ),
            (
                changed("environment-key/local.rsa.pub", None, Some("aa"), None),
                "the key local.rsa.pub in its environment is new",
            ),
            (
                changed("vars/prefix", Some(""), Some("/usr"), None),
                "the variable `prefix` went from nothing to /usr",
            ),
            (
                changed("step/02 build/opts", Some("-j1"), None, None),
                "`opts` of step 2 build is gone",
            ),
        ];
        for (told, wanted) in rows {
            assert_eq!(told, wanted);
        }
    }

    #[test]
    fn what_stands_for_the_whole_is_left_out_beside_anything_else() {
        let of = |name: &str| InputChange {
            name: name.to_owned(),
            old: None,
            new: None,
            origin: None,
        };
        let both = [of("configuration"), of("package/epoch")];
        let names = |changes: &[InputChange]| -> Vec<String> {
            telling(changes).into_iter().map(|one| one.name.clone()).collect()
        };
        assert_eq!(names(&both), ["package/epoch"]);
        assert_eq!(names(&both[..1]), ["configuration"]);
    }

    #[test]
    fn nodes_are_counted_by_kind_in_the_order_of_the_work() {
        let nodes = ["image:a", "package:b@x", "package:c@x", "index:x86_64"];
        let nodes: Vec<NodeId> = nodes
            .iter()
            .map(|text| text.split_once(':').unwrap_or_default())
            .map(|(kind, name)| NodeId::new(kind, name))
            .collect();
        assert_eq!(counts(nodes.iter()), "2 packages, 1 image, 1 index");
    }

    #[test]
    fn times_are_short() {
        let rows = [
            (0, "<1 s"),
            (12, "~12 s"),
            (130, "~2 min 10 s"),
            (7320, "~2 h 2 min"),
        ];
        for (seconds, wanted) in rows {
            assert_eq!(about(Some(Duration::from_secs(seconds))), wanted);
        }
        let hour = SystemTime::now() - Duration::from_secs(7300);
        assert_eq!(ago(hour), "2 h ago");
    }
}
