//! What the variables of a build are worth.

use std::rc::Rc;

use apk_types::Arch;
use regex::{Captures, Regex};
use spanned_yaml::{Diagnostic, Span};

use super::{Compiler, Draft};
use crate::error::{Collected, ConfigError};
use crate::substitute::{LONGEST, Scope, SubstitutionError};
use crate::types::{Dependencies, Environment, Package};
use crate::written::Subpackage;

/// Where the workspace is in the guest.
const WORKSPACE: &str = "/home/build";

impl<'a> Compiler<'a> {
    /// The variables that do not depend on a step: `package.*` and `vars.*`.
    pub(super) fn package_scope(&self, package: &Package) -> Result<Scope, ConfigError> {
        let mut scope = Scope::default();
        scope.set("package.name", &package.name);
        scope.set("package.version", &package.version);
        scope.set("package.description", &package.description);
        scope.set("package.epoch", package.epoch.to_string());
        scope.set("package.full-version", package.full_version());
        for (name, value) in &self.vars {
            scope.set(format!("vars.{name}"), value);
        }
        self.transform(&mut scope)?;
        Ok(scope)
    }

    /// The variables of all steps.
    pub(super) fn build_scope(
        &self,
        package: &Package,
        subpackages: &[Subpackage],
    ) -> Result<Scope, ConfigError> {
        let mut scope = Scope::default();
        let out = format!("{WORKSPACE}/melange-out");
        let destination = format!("{out}/{}", package.name);
        scope.set("package.name", &package.name);
        scope.set("package.version", &package.version);
        scope.set("package.epoch", package.epoch.to_string());
        scope.set("package.full-version", package.full_version());
        scope.set("package.srcdir", WORKSPACE);
        scope.set("targets.outdir", &out);
        scope.set("targets.destdir", &destination);
        scope.set("targets.contextdir", &destination);
        scope.set("context.name", &package.name);
        let arch = self.options.arch;
        let host = self.options.libc.name();
        scope.set("host.triplet.gnu", gnu_triplet(arch, host));
        scope.set("host.triplet.rust", rust_triplet(arch, host));
        for (name, libc) in [("glibc", "gnu"), ("musl", "musl")] {
            scope.set(format!("cross.triplet.gnu.{name}"), gnu_triplet(arch, libc));
            scope.set(format!("cross.triplet.rust.{name}"), rust_triplet(arch, libc));
        }
        scope.set("build.arch", arch.apk_name());
        scope.set("build.goarch", arch.go_name());
        for (name, value) in &self.vars {
            scope.set(format!("vars.{name}"), value);
        }
        scope
            .settle()
            .map_err(|error| self.unresolved(&error, self.configuration.places.package))?;
        self.transform(&mut scope)?;
        let names = subpackages.iter().map(|sub| &sub.package.name);
        for name in names.chain([&package.name]) {
            scope.set(format!("targets.package.{name}"), format!("{out}/{name}"));
        }
        for name in self.configuration.options.keys() {
            scope.set(format!("options.{name}.enabled"), "false");
        }
        for name in &self.options.build_options {
            scope.set(format!("options.{name}.enabled"), "true");
        }
        Ok(scope)
    }

    /// Makes the variables of `var-transforms`, in order.
    fn transform(&self, scope: &mut Scope) -> Result<(), ConfigError> {
        let places = &self.configuration.var_transform_places;
        for (transform, place) in self.configuration.var_transforms.iter().zip(places) {
            let from = scope
                .substitute(&transform.from)
                .map_err(|error| self.unresolved(&error, *place))?;
            let pattern = self.pattern(&transform.pattern, *place)?;
            let mut room = LONGEST.saturating_sub(from.len());
            let value = pattern.replace_all(&from, |groups: &Captures<'_>| {
                let text = expand(&transform.replace, groups);
                room = room.saturating_sub(text.len());
                if room > 0 { text } else { String::new() }
            });
            if room == 0 {
                return Err(self.unresolved(&SubstitutionError::TooLong, *place));
            }
            scope.set(format!("vars.{}", transform.to), value);
        }
        Ok(())
    }

    /// The regular expression of a transform, made once: variables are collected for several parts.
    fn pattern(&self, pattern: &'a str, place: Span) -> Result<Regex, ConfigError> {
        if let Some(regex) = self.patterns.borrow().get(pattern) {
            return Ok(regex.clone());
        }
        let regex = Regex::new(&with_classes_of_go(pattern)).map_err(|error| {
            let problem = error.to_string();
            let problem = problem.lines().last().unwrap_or_default();
            let message = format!(
                "`{pattern}` is not a regular expression: {}",
                problem.trim_start_matches("error: ")
            );
            self.fault(message, self.text().find(place, pattern).unwrap_or(place))
        })?;
        self.patterns.borrow_mut().insert(pattern, regex.clone());
        Ok(regex)
    }

    /// Points at the variable where it can be found in the span, else anywhere in the text.
    pub(super) fn unresolved(&self, error: &SubstitutionError, span: Span) -> ConfigError {
        let text = self.text();
        let place = error.find(text, span).or_else(|| error.find(text, text.whole()));
        ConfigError::new(text, diagnostic(error, place.unwrap_or(span)))
    }

    /// Replaces the variables of dependencies and package lists, where nothing may remain.
    pub(super) fn substitute_lists(&self, draft: &mut Draft) -> Result<(), ConfigError> {
        let scope = self.package_scope(&draft.compiled.package)?;
        let mut faults = Collected::default();
        let mut keep = |replaced: Result<(), SubstitutionError>, place: Span| {
            faults.keep(replaced.map_err(|error| self.unresolved(&error, place)));
        };
        let place = self.configuration.places.package;
        keep(
            dependencies(&scope, &mut draft.compiled.package.dependencies),
            place,
        );
        keep(packages(&scope, &mut draft.compiled.environment), place);
        if let Some(test) = &mut draft.test {
            keep(packages(&scope, &mut test.environment), place);
        }
        for subpackage in &mut draft.subpackages {
            let place = subpackage.span;
            keep(dependencies(&scope, &mut subpackage.package.dependencies), place);
            if let Some(test) = &mut subpackage.test {
                keep(packages(&scope, &mut test.environment), place);
            }
        }
        faults.end(())
    }
}

pub(super) fn diagnostic(error: &SubstitutionError, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::new(error.to_string()).at(span);
    match error {
        SubstitutionError::Undefined {
            nearest: Some(nearest),
            ..
        } => diagnostic.help(format!("did you mean `{nearest}`?")),
        _ => diagnostic,
    }
}

fn all(scope: &Scope, texts: &mut [String]) -> Result<(), SubstitutionError> {
    for text in texts.iter_mut().filter(|text| text.contains("${{")) {
        *text = scope.substitute(text)?;
    }
    Ok(())
}

fn dependencies(scope: &Scope, dependencies: &mut Dependencies) -> Result<(), SubstitutionError> {
    all(scope, &mut dependencies.provides)?;
    all(scope, &mut dependencies.runtime)?;
    all(scope, &mut dependencies.replaces)?;
    let priorities = [
        &mut dependencies.provider_priority,
        &mut dependencies.replaces_priority,
    ];
    for priority in priorities {
        *priority = scope.substitute(priority)?;
    }
    Ok(())
}

fn packages(scope: &Scope, environment: &mut Environment) -> Result<(), SubstitutionError> {
    all(scope, &mut environment.contents.packages)
}

/// The variables inside a subpackage.
pub(super) fn subpackage_scope(scope: &Rc<Scope>, name: &str) -> Rc<Scope> {
    let mut scope = Scope::inside(scope);
    let directory = format!("{WORKSPACE}/melange-out/{name}");
    scope.set("subpkg.name", name);
    scope.set("context.name", name);
    scope.set("targets.subpkgdir", &directory);
    scope.set("targets.contextdir", directory);
    Rc::new(scope)
}

/// The triplet of the GNU tools, `x86_64-pc-linux-gnu`.
fn gnu_triplet(arch: Arch, libc: &str) -> String {
    let (machine, abi) = match arch {
        Arch::X86 => ("i486-pc", ""),
        Arch::X86_64 => ("x86_64-pc", ""),
        Arch::Aarch64 => ("aarch64-unknown", ""),
        Arch::Armhf => ("arm-unknown", "eabihf"),
        Arch::Armv7 => ("armv7l-unknown", "eabihf"),
        Arch::Ppc64le => ("powerpc64le-unknown", ""),
        Arch::S390x => ("s390x-ibm", ""),
        Arch::Riscv64 => ("riscv64-unknown", ""),
        Arch::Loongarch64 => ("loong64-unknown", ""),
    };
    format!("{machine}-linux-{libc}{abi}")
}

/// The triplet of Rust, `x86_64-unknown-linux-gnu`.
fn rust_triplet(arch: Arch, libc: &str) -> String {
    let (machine, abi) = match arch {
        Arch::X86 => ("i686", ""),
        Arch::X86_64 => ("x86_64", ""),
        Arch::Aarch64 => ("aarch64", ""),
        Arch::Armhf => ("armv6", "eabihf"),
        Arch::Armv7 => ("armv7", "eabihf"),
        Arch::Ppc64le => ("powerpc64le", ""),
        Arch::S390x => ("s390x", ""),
        Arch::Riscv64 => ("riscv64", ""),
        Arch::Loongarch64 => ("loong64", ""),
    };
    format!("{machine}-unknown-linux-{libc}{abi}")
}

/// Writes the classes of Perl out as Go means them: of ASCII alone. Those of all of Unicode take long to compile, too.
fn with_classes_of_go(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('s') => out.push_str(r"[\t\n\f\r ]"),
            Some('S') => out.push_str(r"[^\t\n\f\r ]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            escaped => {
                out.push(c);
                out.extend(escaped);
            }
        }
    }
    out
}

/// Fills the groups of a match into a template: `$1`, `$name`, `${name}`, `$$`.
///
/// As in Go, a name is as long as it can be (`$1_2` is the group `1_2`), an unknown group is
/// empty, and a `$` that begins none of these stands for itself (so does that of `${{name}}`).
fn expand(template: &str, groups: &Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (open, inner) = match after.strip_prefix('{') {
            Some(inner) => (true, inner),
            None => (false, after),
        };
        let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (name, tail) = inner.split_at(end.unwrap_or(inner.len()));
        let tail = if open { tail.strip_prefix('}') } else { Some(tail) };
        match tail {
            Some(tail) if !name.is_empty() => {
                let group = match name.parse() {
                    Ok(number) => groups.get(number),
                    Err(_) => groups.name(name),
                };
                out.push_str(group.map_or("", |group| group.as_str()));
                rest = tail;
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use regex::{Captures, Regex};

    use super::{expand, with_classes_of_go};

    #[test]
    fn classes_of_perl_are_of_ascii_as_in_go() {
        let table = [
            (r"^\d+$", "42", true),
            (r"^\d$", "\u{663}", false),
            (r"^\D$", "\u{663}", true),
            (r"^[\d.]+$", "4.2", true),
            (r"^[^\d.]+$", "4.2", false),
            (r"^[\w-]+$", "a_b-9", true),
            (r"^\w$", "\u{e4}", false),
            (r"^\W\S\s$", "-- ", true),
            (r"^\\d$", r"\d", true),
            (r"^\.$", "x", false),
        ];
        for (pattern, text, matches) in table {
            let regex = Regex::new(&with_classes_of_go(pattern)).expect(pattern);
            assert_eq!(regex.is_match(text), matches, "{pattern} on {text}");
        }
        assert_eq!(with_classes_of_go("a\\"), "a\\");
    }

    #[test]
    fn templates_are_filled_as_in_go() {
        let pattern = Regex::new(r"^(\d+)\.(?P<minor>\d+)").expect("valid");
        let table = [
            ("${1}_$minor", "4_5"),
            ("$1_$minor", "5"),
            ("$1-${minor}!", "4-5!"),
            ("$$1 $9 $", "$1  $"),
            ("${{host.triplet.gnu}}", "${{host.triplet.gnu}}"),
        ];
        for (template, want) in table {
            let got = pattern.replace("4.5", |groups: &Captures<'_>| expand(template, groups));
            assert_eq!(got, want, "{template}");
        }
    }
}
