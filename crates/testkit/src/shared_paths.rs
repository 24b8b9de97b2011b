//! The cases of two packages with the same path, from the table in `docs/apko/file-tree.md`.

use apk_types::Dependency;
use tarball::{Header, Kind};

use crate::Package;

const PAGE: &str = include_str!("../../../docs/apko/file-tree.md");

/// Two packages with the same path, of which the one named `...-first` is installed before the one named `...-second`.
#[derive(Clone, Debug)]
pub struct SharedPath {
    /// What the case is, such as `file, then link: same origin`.
    pub name: String,
    /// The path that both have.
    pub path: String,
    /// The packages.
    pub packages: [Package; 2],
    /// What each of them has there: a file's content, a link's target, nothing of a directory.
    pub contents: [&'static str; 2],
    /// What the table says that is at the path then.
    pub here: Holder,
    /// What the apk client leaves there.
    pub apk: Holder,
}

/// Whose file, link or directory is at a path when both packages are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The first package's, which alone owns it.
    First,
    /// The second package's, which alone owns it.
    Second,
    /// A directory of both.
    Both,
    /// The second package is refused.
    Refused,
}

impl Holder {
    fn parse(text: &str) -> Self {
        match text {
            "first" => Self::First,
            "second" => Self::Second,
            "both" => Self::Both,
            "refused" => Self::Refused,
            _ => panic!("`{text}` says nothing of what is left"),
        }
    }
}

/// All cases: each row of the table with each of its columns. A cell like `first (apk: second)` is one that the apk
/// client sees otherwise.
pub fn shared_paths() -> Vec<SharedPath> {
    let mut rows = PAGE
        .lines()
        .skip_while(|line| !line.starts_with("| there is | comes | unrelated |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect::<Vec<_>>()
        });
    let titles = rows.next().expect("the page has a table of all cases");
    let mut cases = Vec::new();
    for (number, row) in rows.skip(1).enumerate() {
        for (relation, cell) in titles.iter().zip(&row).skip(2) {
            let column = cases.len();
            let (here, apk) = match cell.split_once(" (apk: ") {
                Some((here, apk)) => (here, apk.trim_end_matches(')')),
                None => (*cell, *cell),
            };
            let directory = format!("row-{number}/case-{column}");
            // The apk client passes over the files of packages that say that they have none.
            let package = |place: &str| {
                Package::new(&format!("case-{column}-{place}"), "1.0-r0")
                    .info(|info| info.installed_size = 4096)
            };
            let [first, second] = relate(relation, package("first"), package("second"));
            let (first, one) = holding(first, &directory, row[0], "1");
            let (second, two) = holding(second, &directory, row[1], "2");
            cases.push(SharedPath {
                name: format!("{}, then {}: {relation}", row[0], row[1]),
                path: format!("{directory}/path"),
                packages: [first, second],
                contents: [one, two],
                here: Holder::parse(here),
                apk: Holder::parse(apk),
            });
        }
    }
    cases
}

/// What two packages say of each other.
fn relate(relation: &str, first: Package, second: Package) -> [Package; 2] {
    let replace = |package: Package, other: &str, priority: Option<u64>| {
        package.info(|info| {
            info.replaces.push(Dependency::lenient(other));
            info.replaces_priority = priority;
        })
    };
    let same_origin = |package: Package| package.info(|info| info.origin = "both".to_owned());
    let (one, two) = (first.info.name.clone(), second.info.name.clone());
    match relation {
        "unrelated" => [first, second],
        "same origin" => [same_origin(first), same_origin(second)],
        "second replaces" => [first, replace(second, &one, None)],
        "second replaces this version" => [first, replace(second, &format!("{one}<2"), None)],
        "second replaces another version" => [first, replace(second, &format!("{one}<1"), None)],
        "first replaces" => [replace(first, &two, None), second],
        "both replace" => [replace(first, &two, None), replace(second, &one, None)],
        "both, priority to first" => [replace(first, &two, Some(20)), replace(second, &one, Some(10))],
        "both, priority to second" => [replace(first, &two, Some(10)), replace(second, &one, Some(20))],
        _ => panic!("`{relation}` is no relation of two packages"),
    }
}

/// A package with what a row says at `path` in a directory, and what that is; `own` makes it differ from the other
/// package's.
fn holding(package: Package, directory: &str, what: &str, own: &'static str) -> (Package, &'static str) {
    let path = format!("{directory}/path");
    let entry = |kind: Kind, path: &str, link: &str| Header {
        path: path.to_owned(),
        link: link.to_owned(),
        mode: if kind == Kind::Directory { 0o755 } else { 0o777 },
        ..Header::new(kind)
    };
    let made = |path: &str| entry(Kind::Directory, path, "");
    let (above, _) = directory.split_once('/').unwrap_or_default();
    let package = package.member(made(above), "").member(made(directory), "");
    let file = |package: Package, content| (package.file(&path, 0o644, content), content);
    let link = |package: Package, target| {
        let header = entry(Kind::Symlink, &path, target);
        (package.member(header, ""), target)
    };
    match what {
        "file" | "other file" => file(package, own),
        "same file" => file(package, "1"),
        "link" | "other link" => link(package, own),
        "same link" => link(package, "1"),
        "link to directory" => link(package.member(made(&format!("{directory}/target")), ""), "target"),
        "directory" => (package.member(made(&path), ""), ""),
        _ => panic!("`{what}` is nothing that a package has"),
    }
}
