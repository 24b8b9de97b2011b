//! Modules of Perl, Python and Ruby, which need their interpreter in the version they were installed for, and
//! documentation, which needs its reader.

use super::{Found, Package, lies_in};
use crate::tree::{base_name, extension, parent};

/// A package `*-doc` with pages directly in the manual's or info's directory.
pub(super) fn documentation(package: &Package<'_>, found: &mut Found) {
    if !package.name.ends_with("-doc") {
        return;
    }
    for entry in package.tree().entries() {
        for (directory, reader) in [("usr/share/man", "man-db"), ("usr/share/info", "texinfo")] {
            if lies_in(&entry.path, &[directory]) {
                found.needs(reader.to_owned(), &entry.path, "is documentation for it");
            }
        }
    }
}

/// `usr/lib/perl5/vendor_perl` and the like need `perl~5`.
pub(super) fn perl(package: &Package<'_>, found: &mut Found) {
    // Those below `usr` come first, whatever the order in the tree.
    let versions = |prefix: &str| {
        package.tree().entries().iter().find_map(|entry| {
            let (perl, module) = entry.path.strip_prefix(prefix)?.split_once('/')?;
            let version = perl
                .strip_prefix("perl")
                .filter(|version| starts_with_digit(version))?;
            (module.ends_with("_perl") && !module.contains('/')).then(|| version.to_owned())
        })
    };
    // The Go melange takes the third part of the path, so `lib/perl5/...` names its module directory instead.
    let version = versions("usr/lib/").or_else(|| {
        package.tree().entries().iter().find_map(|entry| {
            let (perl, module) = entry.path.strip_prefix("lib/")?.split_once('/')?;
            perl.strip_prefix("perl")
                .filter(|version| starts_with_digit(version))?;
            (module.ends_with("_perl") && !module.contains('/')).then(|| module.to_owned())
        })
    });
    if let Some(version) = version
        && !declares(package, |dependency| dependency == "perl")
    {
        found.needs(format!("perl~{version}"), "usr/lib", "has modules for it");
    }
}

/// `.../python3.12/site-packages` needs `python-3.12-base`; the last one found counts.
pub(super) fn python(package: &Package<'_>, found: &mut Found) {
    let version = package
        .tree()
        .entries()
        .iter()
        .filter(|entry| entry.is_dir() && base_name(&entry.path) == "site-packages")
        .filter_map(|entry| base_name(parent(&entry.path)).strip_prefix("python"))
        .next_back();
    if let Some(version) = version.filter(|version| !version.is_empty())
        && !declares(package, |dependency| dependency.starts_with("python"))
    {
        let path = format!("usr/lib/python{version}/site-packages");
        found.needs(format!("python-{version}-base"), &path, "has modules for it");
    }
}

/// `usr/lib/ruby/gems/3.2.0/gems` needs `ruby-3.2`.
pub(super) fn ruby(package: &Package<'_>, found: &mut Found) {
    let version = ["usr/lib/ruby/gems/", "lib/ruby/gems/"]
        .iter()
        .find_map(|prefix| {
            package.tree().entries().iter().find_map(|entry| {
                let version = entry.path.strip_prefix(prefix)?.strip_suffix("/gems")?;
                is_gem_version(version).then(|| version.strip_suffix(extension(version)).unwrap_or(version))
            })
        });
    if let Some(version) = version
        && !declares(package, |dependency| {
            dependency.starts_with("ruby-") || dependency == "ruby"
        })
    {
        found.needs(format!("ruby-{version}"), "usr/lib/ruby/gems", "has gems for it");
    }
}

fn declares(package: &Package<'_>, matches: impl Fn(&str) -> bool) -> bool {
    package
        .declared
        .runtime
        .iter()
        .any(|dependency| matches(dependency))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The Go melange's pattern `[0-9]*.[0-9]*.[0.9]*`, whose last set it meant otherwise.
fn is_gem_version(version: &str) -> bool {
    !version.contains('/')
        && starts_with_digit(version)
        && version.match_indices('.').any(|(first, _)| {
            let rest = &version[first + 1..];
            starts_with_digit(rest)
                && rest
                    .match_indices('.')
                    .any(|(second, _)| rest[second + 1..].starts_with(['0', '.', '9']))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Declared, MemoryTree, Options, PackageTree};

    fn runtime(name: &str, paths: &[&str], declared: &[&str]) -> Vec<String> {
        let mut tree = MemoryTree::default();
        for path in paths {
            tree.file(path, 0o644, "x");
        }
        let declared = Declared {
            runtime: declared.iter().map(|text| (*text).to_owned()).collect(),
            provides: Vec::new(),
        };
        let packages = [(name, &tree as &dyn PackageTree)];
        let package = Package {
            name,
            version: "1-r0",
            options: Options::default(),
            declared: &declared,
            packages: &packages,
        };
        crate::analyze(&package).unwrap().runtime
    }

    #[test]
    fn modules_need_their_interpreter() {
        for (path, need) in [
            ("usr/lib/perl5/vendor_perl/X.pm", "perl~5"),
            (
                "usr/lib/python3.12/site-packages/x/__init__.py",
                "python-3.12-base",
            ),
            ("usr/lib/ruby/gems/3.2.0/gems/x/x.rb", "ruby-3.2"),
        ] {
            assert_eq!(runtime("x", &[path], &[]), [need]);
        }
        assert_eq!(runtime("x", &["usr/lib/python3.12/x.py"], &[]), [""; 0]);
        assert_eq!(
            runtime("x", &["usr/lib/ruby/gems/3.2.1/gems/x/x.rb"], &[]),
            [""; 0]
        );
    }

    #[test]
    fn a_declared_interpreter_is_enough() {
        for (path, declared) in [
            ("usr/lib/perl5/vendor_perl/X.pm", "perl"),
            ("usr/lib/python3.12/site-packages/x.py", "python-3.12"),
            ("usr/lib/ruby/gems/3.2.0/gems/x/x.rb", "ruby-3.2"),
        ] {
            assert_eq!(runtime("x", &[path], &[declared]), [""; 0]);
        }
    }

    #[test]
    fn documentation_needs_its_reader_in_doc_packages_only() {
        let paths = ["usr/share/man/man1/x.1", "usr/share/info/x.info"];
        assert_eq!(runtime("x-doc", &paths, &[]), ["man-db", "texinfo"]);
        assert_eq!(runtime("x", &paths, &[]), [""; 0]);
    }
}
