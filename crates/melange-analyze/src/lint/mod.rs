//! The linters: what a package should not have. Findings are data; who builds decides which of them are fatal.

mod content;
mod names;

use std::borrow::Cow;
use std::io;

use serde_json::{Value, json};

use crate::PackageTree;

/// What a linter's finding does to a build where nobody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// The linter does not run.
    Ignore,
    /// The finding is shown.
    Warn,
    /// The finding fails the build.
    Require,
}

/// A package to lint.
pub struct Subject<'a> {
    /// Its name; some linters leave `-dev`, `-doc` and `-compat` packages alone.
    pub name: &'a str,
    /// Its files.
    pub tree: &'a dyn PackageTree,
    /// The pipelines that its tests use (`test/ldd-check` ...).
    pub test_pipelines: &'a [&'a str],
}

/// A linter: its name, its advice, and what it does by default.
pub struct Linter {
    /// The name that configurations and commands know it by.
    pub name: &'static str,
    /// What to do about a finding.
    pub advice: &'static str,
    /// What a finding does by default.
    pub default: Default,
    check: fn(&Subject<'_>) -> Result<Option<Report>, LintError>,
}

/// What a linter's check says before it is known which linter it is.
struct Report {
    message: String,
    items: Vec<Item>,
    /// What JSON has of it, where that is more than the items' paths.
    details: Option<Value>,
}

/// What a linter found in a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The linter's name.
    pub linter: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub advice: &'static str,
    /// Where it is wrong, in the tree's order.
    pub items: Vec<Item>,
    details: Option<Value>,
}

/// One place of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The path in the package.
    pub path: String,
    /// More about it: a mode, an architecture, a size.
    pub note: Option<Cow<'static, str>>,
}

/// Why a package could not be linted.
#[derive(Debug, thiserror::Error)]
pub enum LintError {
    /// There is no linter of this name.
    #[error("there is no linter `{name}`; {known}", known = known_linters(.name))]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// A file could not be read.
    #[error("reading `{path}` to lint it")]
    Read {
        /// Its path in the package.
        path: String,
        /// What the tree said.
        source: io::Error,
    },
}

fn known_linters(_wanted: &str) -> String {
    let names: Vec<_> = LINTERS.iter().map(|linter| linter.name).collect();
    format!("the linters are {}", names.join(", "))
}

/// The names of the linters with this default, sorted.
pub fn defaults(default: Default) -> Vec<&'static str> {
    let linters = LINTERS.iter().filter(|linter| linter.default == default);
    linters.map(|linter| linter.name).collect()
}

/// Runs the linters of these names, in this order.
pub fn lint(subject: &Subject<'_>, linters: &[&str]) -> Result<Vec<Finding>, LintError> {
    let find = |name: &&str| {
        LINTERS
            .iter()
            .find(|linter| linter.name == *name)
            .ok_or_else(|| LintError::Unknown {
                name: (*name).to_owned(),
            })
    };
    let linters = linters.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let mut findings = Vec::new();
    for linter in linters {
        findings.extend((linter.check)(subject)?.map(|report| Finding {
            linter: linter.name,
            message: report.message,
            advice: linter.advice,
            items: report.items,
            details: report.details,
        }));
    }
    Ok(findings)
}

/// A package's findings as JSON, in the shape that the Go melange persists them in: `package_name`, and `findings` by
/// the linter's name, each with `message`, `explain` and `details`.
///
/// Details name the files, as `paths` or, with more about each, under names of the linter's own.
pub fn to_json(package: &str, findings: &[&Finding]) -> String {
    let mut by_linter = serde_json::Map::new();
    for finding in findings {
        let mut entry = json!({ "message": finding.message, "explain": finding.advice });
        if let Some(details) = finding.details() {
            entry["details"] = details;
        }
        by_linter.insert(finding.linter.to_owned(), json!([entry]));
    }
    by_linter.sort_keys();
    let document = json!({ "package_name": package, "findings": by_linter });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

impl Finding {
    fn details(&self) -> Option<Value> {
        if self.details.is_some() || self.items.is_empty() {
            return self.details.clone();
        }
        let (list, note) = match self.linter {
            "unsupportedarch" => ("files", "arch"),
            "binaryarch" => ("binaries", "arch"),
            "nonlinux" => ("references", "platform"),
            linter => {
                let list = if linter == "strip" { "binaries" } else { "paths" };
                let paths: Vec<&str> = self.items.iter().map(|item| item.path.as_str()).collect();
                return Some(json!({ list: paths }));
            }
        };
        let entry = |item: &Item| json!({ "path": item.path, note: item.note });
        Some(json!({ list: self.items.iter().map(entry).collect::<Vec<_>>() }))
    }
}

macro_rules! linters {
    ($($name:literal, $default:ident, $check:path, $advice:literal;)*) => {
        /// All linters, sorted by name; names and defaults are those of the Go melange.
        pub const LINTERS: &[Linter] = &[$(Linter {
            name: $name,
            advice: $advice,
            default: Default::$default,
            check: $check,
        }),*];
    };
}

linters! {
    "binaryarch", Warn, content::foreign_binaries, "ship binaries for x86_64 and aarch64 alone";
    "cudaruntimelib", Warn, names::cuda_drivers, "leave CUDA driver libraries to the host; link and test against the stub libraries instead";
    "dev", Require, names::dev, "leave device nodes to the system; remove what lies in /dev";
    "dll", Warn, names::dlls, "remove libraries for Windows";
    "documentation", Ignore, names::documentation, "move documentation into a package of its own, or remove it";
    "duplicate", Warn, content::duplicates, "replace copies by symbolic links";
    "dylib", Warn, names::dylibs, "remove libraries for macOS";
    "empty", Ignore, names::empty, "see whether the build did what it should; disable this linter where the package is meant to be empty";
    "infodir", Require, names::info_directory, "remove /usr/share/info/dir, for example with the pipeline split/infodir";
    "lddcheck", Warn, names::untested_libraries, "add the test pipeline test/ldd-check";
    "libtool/la-files", Require, names::libtool_archives, "remove libtool archives, or disable this linter where they are needed";
    "maninfo", Warn, names::manuals, "move manual and info pages into a -doc package, or remove them";
    "nonlinux", Warn, names::other_systems, "remove files for other operating systems";
    "object", Warn, names::objects, "remove intermediate object files";
    "opt", Warn, names::opt, "make it a -compat package, or install elsewhere";
    "pkgconf", Warn, names::untested_pkgconfig, "add the test pipeline test/pkgconf";
    "python/docs", Warn, names::python_docs, "remove documentation directories from site-packages";
    "python/multiple", Warn, names::python_multiple, "split the package, or see what pip installs beside it";
    "python/test", Warn, names::python_tests, "remove test directories from site-packages";
    "sbom", Warn, names::sbom, "remove what the build writes to /var/lib/db/sbom";
    "setuidgid", Require, content::special_modes, "take the setuid, setgid or sticky bit away, or disable this linter";
    "srv", Warn, names::srv, "make it a -compat package, or install elsewhere";
    "staticarchive", Warn, names::static_archives, "move static archives into a -dev or -static package, or remove them";
    "strip", Warn, content::unstripped, "strip binaries, for example with the pipeline strip";
    "tempdir", Require, names::temporary, "remove temporary files; for a directory below /run add a file in /usr/lib/tmpfiles.d";
    "unsupportedarch", Warn, names::other_architectures, "remove files for other architectures";
    "usrlocal", Warn, names::usr_local, "make it a -compat package, or install elsewhere";
    "usrmerge", Require, names::usr_merge, "install below /usr: programs in /usr/bin, libraries in /usr/lib";
    "varempty", Require, names::var_empty, "remove what lies in /var/empty";
    "worldwrite", Require, content::world_writable, "take away the right of all to write, or disable this linter";
}

/// A report on these paths, if there are any.
fn report_paths(paths: Vec<String>, message: impl FnOnce(usize) -> String) -> Option<Report> {
    (!paths.is_empty()).then(|| Report {
        message: message(paths.len()),
        items: paths.into_iter().map(|path| Item { path, note: None }).collect(),
        details: None,
    })
}

/// A report on these items, if there are any.
fn report_items(items: Vec<Item>, message: impl FnOnce(usize) -> String) -> Option<Report> {
    (!items.is_empty()).then(|| Report {
        message: message(items.len()),
        items,
        details: None,
    })
}

/// `1 file`, `2 files`.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryTree;

    #[test]
    fn findings_have_the_shape_that_the_go_tool_persists() {
        let mut tree = MemoryTree::default();
        tree.file("usr/bin/su", 0o6755, "");
        tree.file("opt/x", 0o646, "");
        tree.file("usr/darwin", 0o644, "");
        for (directory, size) in [("a", 2048), ("b", 2048), ("c", 40_000), ("d", 40_000)] {
            tree.file(&format!("usr/{directory}/data"), 0o644, vec![7; size]);
        }
        for module in ["x", "y"] {
            tree.file(
                &format!("usr/lib/python3.12/site-packages/{module}.py"),
                0o644,
                "",
            );
        }
        let subject = Subject {
            name: "x",
            tree: &tree,
            test_pipelines: &[],
        };
        let linters = [
            "setuidgid",
            "worldwrite",
            "opt",
            "nonlinux",
            "duplicate",
            "python/multiple",
            "python/docs",
        ];
        let findings = lint(&subject, &linters).unwrap();
        let text = to_json("x-1-r0", &findings.iter().collect::<Vec<_>>());
        let found: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found["package_name"], "x-1-r0");
        let set = |count: usize, paths: [&str; 2], size: u64, text: &str| {
            json!({
                "basename": "data", "count": count, "size_bytes": size, "size": text,
                "wasted_bytes": size, "wasted_size": text, "paths": paths,
            })
        };
        let duplicates = [
            set(2, ["usr/c/data", "usr/d/data"], 40_000, "40 kB"),
            set(2, ["usr/a/data", "usr/b/data"], 2048, "2.0 kB"),
        ];
        let permissions = ["setuid", "setgid"];
        for (linter, details) in [
            (
                "setuidgid",
                json!({ "files": [{ "path": "usr/bin/su", "mode": "6755", "permissions": permissions }] }),
            ),
            (
                "worldwrite",
                json!({ "files": [{ "path": "opt/x", "mode": "646", "permissions": ["world-writable"] }] }),
            ),
            ("opt", json!({ "paths": ["opt/x"] })),
            (
                "nonlinux",
                json!({ "references": [{ "path": "usr/darwin", "platform": "macos" }] }),
            ),
            ("python/multiple", json!({ "count": 2, "packages": ["x", "y"] })),
            (
                "duplicate",
                json!({
                    "total_duplicate_sets": 2, "total_wasted_bytes": 42_048, "total_wasted_size": "42 kB",
                    "duplicates": duplicates,
                }),
            ),
        ] {
            assert_eq!(found["findings"][linter][0]["details"], details, "{linter}");
        }
        let message = found["findings"]["opt"][0]["message"].as_str().unwrap();
        assert!(message.contains("/opt"), "{message}");
        assert_eq!(found["findings"]["python/docs"], Value::Null);
    }

    #[test]
    fn an_unknown_linter_is_named() {
        let tree = MemoryTree::default();
        let subject = Subject {
            name: "x",
            tree: &tree,
            test_pipelines: &[],
        };
        let error = lint(&subject, &["setuidgit"]).unwrap_err().to_string();
        assert!(error.contains("no linter `setuidgit`"), "{error}");
    }
}
