//! Prints what a world resolves to: `show_packages [@TAG=]APKINDEX.tar.gz... -- WORLD...`.
//!
//! With `--batch REPOS CASES` it answers each line of a JSON-lines file with `packages` and `repos` instead.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::io::Read as _;
use std::time::Instant;

use apk_solver::{Options, Repository, Universe};
use apk_types::{Dependency, PackageRecord};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, repositories, cases] = &arguments[..]
        && flag == "--batch"
    {
        return batch(repositories, cases);
    }
    let (paths, world) = match arguments.iter().position(|argument| argument == "--") {
        Some(middle) => (&arguments[..middle], &arguments[middle + 1..]),
        None => return Err("usage: show_packages [@TAG=]APKINDEX.tar.gz... -- WORLD...".into()),
    };
    let mut indexes = Vec::new();
    for path in paths {
        let (tag, path) = match path.strip_prefix('@').and_then(|rest| rest.split_once('=')) {
            Some((tag, path)) => (Some(tag), path),
            None => (None, path.as_str()),
        };
        indexes.push((tag, path, read_index(path)?));
    }
    let repositories: Vec<_> = indexes
        .iter()
        .map(|(tag, source, packages)| Repository {
            source,
            tag: *tag,
            packages,
        })
        .collect();
    let world: Vec<_> = world.iter().map(|entry| Dependency::lenient(entry)).collect();
    let universe = Universe::new(&repositories);
    let solution = universe.solve(&world, &Options::default())?;
    for package in solution.packages.iter().filter_map(|place| universe.get(*place)) {
        println!("{} {}", package.name, package.version);
    }
    Ok(())
}

fn batch(directory: &str, cases: &str) -> Result<(), Box<dyn Error>> {
    let mut indexes: HashMap<String, Vec<PackageRecord>> = HashMap::new();
    let cases: Vec<serde_json::Value> = std::fs::read_to_string(cases)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let texts = |value: &serde_json::Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect()
    };
    for case in &cases {
        for line in texts(&case["repos"]) {
            let name = line.rsplit(' ').next().unwrap_or_default().to_owned();
            let path = format!("{directory}/{name}/x86_64/APKINDEX.tar.gz");
            if let Entry::Vacant(entry) = indexes.entry(name) {
                entry.insert(read_index(&path)?);
            }
        }
    }
    let mut universes = HashMap::new();
    for case in &cases {
        let mut lines = texts(&case["repos"]);
        lines.sort();
        let start = Instant::now();
        let universe = universes.entry(lines.clone()).or_insert_with(|| {
            let repositories: Vec<_> = lines
                .iter()
                .filter_map(|line| {
                    let (tag, name) = match line.split_once(' ') {
                        Some((tag, name)) => (case_tag(&case["repos"], tag), name),
                        None => (None, line.as_str()),
                    };
                    let (source, packages) = indexes.get_key_value(name)?;
                    Some(Repository {
                        source,
                        tag,
                        packages,
                    })
                })
                .collect();
            Universe::new(&repositories)
        });
        let made = start.elapsed();
        let world: Vec<_> = texts(&case["packages"])
            .iter()
            .map(|entry| Dependency::lenient(entry))
            .collect();
        let start = Instant::now();
        let result = universe.solve(&world, &Options::default());
        let mut answer = serde_json::json!({"id": case["id"], "made_us": made.as_micros() as u64,
            "solved_us": start.elapsed().as_micros() as u64});
        match result {
            Ok(solution) => {
                let packages = solution.packages.iter().filter_map(|place| universe.get(*place));
                answer["packages"] = packages
                    .map(|package| format!("{} {}", package.name, package.version))
                    .collect();
            }
            Err(conflict) => answer["conflict"] = conflict.to_string().into(),
        }
        println!("{answer}");
    }
    Ok(())
}

/// Finds the tag's text in the case, which lives as long as the universes.
fn case_tag<'a>(lines: &'a serde_json::Value, tag: &str) -> Option<&'a str> {
    let lines = lines.as_array()?.iter().filter_map(|line| line.as_str());
    lines
        .filter_map(|line| line.split_once(' '))
        .find(|(own, _)| *own == tag)
        .map(|(own, _)| &own[1..])
}

fn read_index(path: &str) -> Result<Vec<PackageRecord>, Box<dyn Error>> {
    let file = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(&file[..]));
    archive.set_ignore_zeros(true);
    let mut text = String::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path_bytes().as_ref() == b"APKINDEX" {
            entry.read_to_string(&mut text)?;
        }
    }
    let stanzas = text.split("\n\n").filter(|stanza| !stanza.trim().is_empty());
    Ok(stanzas.map(record).collect())
}

fn record(stanza: &str) -> PackageRecord {
    let mut record = PackageRecord::default();
    for (key, value) in stanza.lines().filter_map(|line| line.split_once(':')) {
        let list = || value.split_whitespace().map(Dependency::lenient).collect();
        match key {
            "P" => record.name = value.to_owned(),
            "V" => record.version = value.to_owned(),
            "o" => record.origin = value.to_owned(),
            "D" => record.depends = list(),
            "p" => record.provides = list(),
            "i" => record.install_if = list(),
            "k" => record.provider_priority = value.parse().ok(),
            _ => {}
        }
    }
    record
}
