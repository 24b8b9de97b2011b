//! `.PKGINFO`: what a package says of itself.

use std::fmt::{self, Write as _};

use apk_types::{Checksum, Dependency, PackageRecord};

use crate::ini;

/// The fields of a `.PKGINFO`.
///
/// It reads what the Go apko's INI reader reads, and displays as melange writes it. An absent field is an empty
/// text, an empty list or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PkgInfo {
    /// `pkgname`
    pub name: String,
    /// `pkgver`: the version with its release, such as `1.2.3-r0`.
    pub version: String,
    /// `arch`: the architecture as apk names it, or `noarch`.
    pub arch: String,
    /// `size`: the size of the installed files in bytes.
    pub installed_size: u64,
    /// `origin`: the name of the source package.
    pub origin: String,
    /// `pkgdesc`
    pub description: String,
    /// `url`
    pub url: String,
    /// `commit`: what it was built from.
    pub commit: String,
    /// `maintainer`
    pub maintainer: String,
    /// `builddate`: seconds since 1970.
    pub build_date: Option<i64>,
    /// `license`, repeated; an index has the first one only.
    pub licenses: Vec<String>,
    /// `depend`, repeated.
    pub depends: Vec<Dependency>,
    /// `provides`, repeated.
    pub provides: Vec<Dependency>,
    /// `replaces`, repeated.
    pub replaces: Vec<Dependency>,
    /// `install_if`: abuild writes all on one line.
    pub install_if: Vec<Dependency>,
    /// Names that are carried inside and not offered to others: comments, which no reader looks at.
    pub vendored: Vec<String>,
    /// `provider_priority`
    pub provider_priority: Option<u64>,
    /// `replaces_priority`
    pub replaces_priority: Option<u64>,
    /// `triggers`: the paths whose change runs the trigger script.
    pub triggers: Vec<String>,
    /// `datahash`: the SHA-256 of the compressed data section in hexadecimal digits.
    pub data_hash: String,
}

/// A `.PKGINFO` that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: `{text}`")]
pub struct PkgInfoError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
    /// The line's text.
    pub text: String,
}

impl PkgInfo {
    /// Reads a `.PKGINFO` with the tolerance of the Go apko: unknown keys are skipped, a repeated single-valued
    /// key counts once, a number that is none counts as absent, and `0x`, `0o`, `0b` or a leading zero say what base a
    /// number has; a line without `=` is an error.
    pub fn parse(text: &str) -> Result<Self, PkgInfoError> {
        let pairs = ini::parse(text)?;
        let first = |key: &str| {
            let mut values = pairs.iter().filter(|pair| pair.key == key);
            values.next().map_or("", |pair| pair.value.as_str())
        };
        let every = |key: &'static str| ini::distinct_values(&pairs, key);
        let number = |key: &str| unsigned(first(key));
        let expressions = |key: &'static str| -> Vec<Dependency> {
            every(key)
                .flat_map(|value| value.split(|c: char| c == ',' || c.is_ascii_whitespace()))
                .filter(|text| !text.is_empty())
                .map(Dependency::lenient)
                .collect()
        };
        Ok(Self {
            name: first("pkgname").to_owned(),
            version: first("pkgver").to_owned(),
            arch: first("arch").to_owned(),
            installed_size: number("size").unwrap_or(0),
            origin: first("origin").to_owned(),
            description: first("pkgdesc").to_owned(),
            url: first("url").to_owned(),
            commit: first("commit").to_owned(),
            maintainer: first("maintainer").to_owned(),
            build_date: signed(first("builddate")),
            licenses: every("license").map(str::to_owned).collect(),
            depends: expressions("depend"),
            provides: expressions("provides"),
            replaces: expressions("replaces"),
            install_if: expressions("install_if"),
            vendored: Vec::new(),
            provider_priority: number("provider_priority"),
            replaces_priority: number("replaces_priority"),
            triggers: every("triggers")
                .flat_map(str::split_ascii_whitespace)
                .map(str::to_owned)
                .collect(),
            data_hash: first("datahash").to_owned(),
        })
    }

    /// What an index says of this package, whose control section has this checksum and whose file has this size
    /// in bytes.
    pub fn to_record(&self, checksum: Checksum, size: u64) -> PackageRecord {
        PackageRecord {
            name: self.name.clone(),
            version: self.version.clone(),
            arch: self.arch.clone(),
            description: self.description.clone(),
            license: self.licenses.first().cloned().unwrap_or_default(),
            origin: self.origin.clone(),
            maintainer: self.maintainer.clone(),
            url: self.url.clone(),
            checksum: Some(checksum),
            depends: self.depends.clone(),
            provides: self.provides.clone(),
            install_if: self.install_if.clone(),
            replaces: self.replaces.clone(),
            replaces_priority: self.replaces_priority,
            provider_priority: self.provider_priority,
            size,
            installed_size: self.installed_size,
            // melange states the time even where `.PKGINFO` has none: its index says `t:0`.
            build_time: Some(self.build_date.unwrap_or(0)),
            commit: self.commit.clone(),
            data_hash: self.data_hash.clone(),
        }
    }

    /// A value that would begin a line of its own. Line breaks at the end of a value harm nothing: melange writes them.
    pub(crate) fn value_with_line_break(&self) -> Option<&str> {
        let single = [
            &self.name,
            &self.version,
            &self.arch,
            &self.origin,
            &self.description,
            &self.url,
            &self.commit,
            &self.maintainer,
            &self.data_hash,
        ];
        let lists = [&self.licenses, &self.vendored, &self.triggers];
        let expressions = [&self.depends, &self.provides, &self.replaces, &self.install_if];
        single
            .into_iter()
            .chain(lists.into_iter().flatten())
            .map(String::as_str)
            .chain(expressions.into_iter().flatten().map(Dependency::as_str))
            .find(|value| value.trim_end().contains(['\n', '\r']))
    }

    /// The name of its file in a repository, without `.apk`.
    pub fn identity(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// The order, spacing and optional lines of melange. `install_if`, which melange has not, follows `replaces`.
impl fmt::Display for PkgInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Generated by melange")?;
        writeln!(f, "pkgname = {}", self.name)?;
        writeln!(f, "pkgver = {}", self.version)?;
        writeln!(f, "arch = {}", self.arch)?;
        writeln!(f, "size = {}", self.installed_size)?;
        writeln!(f, "origin = {}", self.origin)?;
        writeln!(f, "pkgdesc = {}", self.description)?;
        writeln!(f, "url = {}", self.url)?;
        writeln!(f, "commit = {}", self.commit)?;
        if !self.maintainer.is_empty() {
            writeln!(f, "maintainer = {}", self.maintainer)?;
        }
        if let Some(date) = self.build_date.filter(|date| *date != 0) {
            writeln!(f, "builddate = {date}")?;
        }
        lines(f, "license", &self.licenses)?;
        lines(f, "depend", &self.depends)?;
        lines(f, "provides", &self.provides)?;
        lines(f, "replaces", &self.replaces)?;
        if !self.install_if.is_empty() {
            f.write_str("install_if =")?;
            self.install_if.iter().try_for_each(|name| write!(f, " {name}"))?;
            f.write_char('\n')?;
        }
        lines(f, "# vendored", &self.vendored)?;
        lines(f, "provider_priority", self.provider_priority.as_slice())?;
        lines(f, "replaces_priority", self.replaces_priority.as_slice())?;
        if !self.triggers.is_empty() {
            f.write_str("triggers = ")?;
            self.triggers.iter().try_for_each(|path| write!(f, "{path} "))?;
            f.write_char('\n')?;
        }
        writeln!(f, "datahash = {}", self.data_hash)
    }
}

/// Reads a number whose base its prefix says, as Go's `ParseUint` does for the base 0.
fn unsigned(text: &str) -> Option<u64> {
    let (base, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    match digits.as_bytes() {
        // `from_str_radix` takes a sign of its own.
        [b'+' | b'-', ..] => None,
        _ => u64::from_str_radix(digits, base).ok(),
    }
}

fn signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(digits) => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        None => i64::try_from(unsigned(text.strip_prefix('+').unwrap_or(text))?).ok(),
    }
}

fn lines<T: fmt::Display>(f: &mut fmt::Formatter<'_>, key: &str, values: &[T]) -> fmt::Result {
    values.iter().try_for_each(|value| writeln!(f, "{key} = {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let rows = [
            ("0", Some(0)),
            ("10", Some(10)),
            ("010", Some(8)),
            ("0o10", Some(8)),
            ("0x1F", Some(31)),
            ("0b11", Some(3)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("08", None),
            ("0x", None),
            ("+1", None),
            ("-1", None),
            ("0x-1", None),
            ("1 ", None),
            ("", None),
        ];
        for (text, number) in rows {
            assert_eq!(unsigned(text), number, "{text}");
        }
        let rows = [
            ("-1", Some(-1)),
            ("+1", Some(1)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("--1", None),
        ];
        for (text, number) in rows {
            assert_eq!(signed(text), number, "{text}");
        }
    }
}
