//! pkg-config modules: what a package has, and what those need.

use std::io::Read;

use super::{Found, Package, lies_in};
use crate::tree::base_name;

/// Where pkg-config looks.
const DIRECTORIES: [&str; 5] = [
    "usr/local/lib/pkgconfig/",
    "usr/local/share/pkgconfig/",
    "usr/lib/pkgconfig/",
    "usr/lib64/pkgconfig/",
    "usr/share/pkgconfig/",
];

/// Files larger than this are no pkg-config files.
const LARGEST: u64 = 1 << 20;

/// The modules that a `.pc` file requires, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PkgConfig {
    /// `Requires`, `Requires.private` and `Requires.internal`, in this order.
    pub requires: Vec<String>,
}

/// A line of a `.pc` file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is neither a variable, a property nor a list of modules")]
pub struct PkgConfigError {
    /// The line's number, from 1.
    pub line: usize,
}

impl PkgConfig {
    /// Reads a `.pc` file.
    ///
    /// It refuses what the parser of the Go melange refuses, because such a file makes no dependencies there:
    /// variables, `+` and other signs in lists of modules among them.
    pub fn parse(text: &str) -> Result<Self, PkgConfigError> {
        let mut lists: [Vec<String>; 3] = Default::default();
        for (index, line) in text.split('\n').enumerate() {
            let line = line.trim();
            let error = PkgConfigError { line: index + 1 };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let end = line.find(|c| !is_key(c)).unwrap_or(line.len());
            let (key, rest) = line.split_at(end);
            let rest = rest.trim_start();
            if key.is_empty() || !rest.starts_with(['=', ':']) {
                return Err(error);
            }
            let list = match key {
                _ if rest.starts_with('=') => continue,
                "Requires" => 0,
                "Requires.private" => 1,
                "Requires.internal" => 2,
                "Provides" => {
                    modules(&rest[1..]).ok_or(error)?;
                    continue;
                }
                _ => continue,
            };
            // A key that comes again replaces what it said before.
            lists[list] = modules(&rest[1..]).ok_or(error)?;
        }
        Ok(Self {
            requires: lists.concat(),
        })
    }
}

/// The names in a list such as `a >= 1.2, b c = 3`; nothing where it cannot be read to its end.
fn modules(mut list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let take = |list: &mut &str, wanted: fn(char) -> bool| {
        let end = list.find(|c| !wanted(c)).unwrap_or(list.len());
        let (taken, rest) = list.split_at(end);
        *list = rest.trim_start();
        (!taken.is_empty()).then(|| taken.to_owned())
    };
    loop {
        list = list.trim_start();
        if list.is_empty() || list.starts_with('#') {
            return Some(names);
        }
        names.push(take(&mut list, |c| {
            c.is_ascii_alphanumeric() || "-_.".contains(c)
        })?);
        let operator = ["<=", "<", "=", ">=", ">"]
            .iter()
            .find_map(|operator| list.strip_prefix(operator));
        if let Some(version) = operator {
            list = version.trim_start();
            take(&mut list, |c| c.is_ascii_alphanumeric() || "-.".contains(c))?;
        }
        list = list.strip_prefix(',').unwrap_or(list);
    }
}

pub(super) fn analyze(package: &Package<'_>, found: &mut Found) {
    let tree = package.tree();
    for entry in tree.entries() {
        let Some(name) = base_name(&entry.path).strip_suffix(".pc") else {
            continue;
        };
        // Links are other names of modules that are found under their own.
        if !entry.is_file() || entry.size > LARGEST {
            continue;
        }
        let mut content = Vec::new();
        let Ok(Ok(_)) = tree
            .open(&entry.path)
            .map(|mut file| file.read_to_end(&mut content))
        else {
            continue;
        };
        let Ok(module) = PkgConfig::parse(&String::from_utf8_lossy(&content)) else {
            continue;
        };
        let provided = format!("pc:{name}={}", package.version);
        if lies_in(&entry.path, &DIRECTORIES) {
            found.provides(provided, &entry.path, "is that module");
            for module in &module.requires {
                found.needs(format!("pc:{module}"), &entry.path, "requires it");
            }
        } else {
            found.vendors(
                provided,
                &entry.path,
                "is that module, where pkg-config does not look",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_modules_are_read_with_their_versions() {
        let text = "prefix=/usr\n# a comment\nName: x\nDescription: a, b + c\nVersion: 1\n\
                    Requires: zlib >= 1.2, libpng16 glib-2.0\nRequires.private: bzip2 = 1.0 # why\nLibs: -L${prefix}\n";
        assert_eq!(
            PkgConfig::parse(text).unwrap().requires,
            ["zlib", "libpng16", "glib-2.0", "bzip2"]
        );
        assert_eq!(PkgConfig::parse("Requires:\n").unwrap(), PkgConfig::default());
    }

    #[test]
    fn what_the_go_parser_refuses_is_refused_with_its_line() {
        for text in [
            "Name: x\nRequires: gtk+-3.0\n",
            "Name: x\nRequires: a >= ${version}\n",
            "\nno sign\n",
        ] {
            assert_eq!(
                PkgConfig::parse(text),
                Err(PkgConfigError { line: 2 }),
                "{text:?}"
            );
        }
    }
}
