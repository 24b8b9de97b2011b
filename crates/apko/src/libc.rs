//! Programs of one C library among those of another, which are named before they crash.

use std::collections::BTreeMap;
use std::fmt;

use apk_types::PackageRecord;

/// A C library, by what packages that are built for it say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Libc {
    /// The GNU C library.
    Glibc,
    /// musl.
    Musl,
}

impl Libc {
    /// The library that a name such as `so:libc.so.6` belongs to.
    fn of_name(name: &str) -> Option<Self> {
        let soname = name.strip_prefix("so:")?;
        let is_any = |beginnings: &[&str]| beginnings.iter().any(|beginning| soname.starts_with(beginning));
        match soname {
            _ if is_any(&["libc.musl-", "ld-musl-"]) => Some(Self::Musl),
            _ if is_any(&["libc.so.6", "ld-linux"]) => Some(Self::Glibc),
            _ => None,
        }
    }

    /// The library that a package is built for; `None` where it needs neither, or both.
    fn of(record: &PackageRecord) -> Option<Self> {
        let mut needed = record
            .depends
            .iter()
            .filter_map(|entry| Self::of_name(entry.name()));
        let first = needed.next()?;
        needed.all(|other| other == first).then_some(first)
    }

    /// Whether a package brings the library itself. A package for musl that has glibc's names, such as gcompat, stands in for it
    /// and does not.
    fn is_brought_by(self, record: &PackageRecord) -> bool {
        let mut provided = record.provides.iter().map(|entry| entry.name());
        provided.any(|name| Self::of_name(name) == Some(self))
            && Self::of(record).is_none_or(|libc| libc == self)
    }

    /// Where programs expect the loader.
    fn loader(self) -> &'static str {
        match self {
            Self::Glibc => "/lib*/ld-linux-*.so.*",
            Self::Musl => "/lib/ld-musl-*.so.1",
        }
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
        })
    }
}

/// What of an image crashes, or may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LibcClash {
    /// Both C libraries are installed.
    Both {
        /// The packages with glibc, `NAME-VERSION`.
        glibc: Vec<String>,
        /// The packages with musl.
        musl: Vec<String>,
    },
    /// A package needs a shared library that only a package for the other C library provides.
    Library {
        /// The package, `NAME-VERSION`, and what it is built for.
        package: (String, Libc),
        /// What it needs, such as `so:libssl.so.3`.
        needs: String,
        /// The package that provides it, and what that is built for.
        provider: (String, Libc),
    },
}

impl fmt::Display for LibcClash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Both { glibc, musl } => write!(
                f,
                "two C libraries: glibc ({}) by {} and musl ({}) by {}; what is built for one crashes with libraries of the other",
                Libc::Glibc.loader(),
                glibc.join(", "),
                Libc::Musl.loader(),
                musl.join(", ")
            ),
            Self::Library {
                package: (package, libc),
                needs,
                provider: (provider, other),
            } => write!(
                f,
                "{package} is built for {libc}, but {needs} comes with {provider}, which is built for {other}"
            ),
        }
    }
}

/// Finds what a choice of packages mixes, out of the names in their records: both C libraries, and shared libraries that
/// are there for the other one alone.
pub fn libc_clashes(records: &[&PackageRecord]) -> Vec<LibcClash> {
    let named = |record: &PackageRecord| format!("{}-{}", record.name, record.version);
    let bringing = |libc: Libc| -> Vec<String> {
        let packages = records.iter().filter(|record| libc.is_brought_by(record));
        packages.map(|record| named(record)).collect()
    };
    let (glibc, musl) = (bringing(Libc::Glibc), bringing(Libc::Musl));
    let mut clashes = Vec::new();
    if !glibc.is_empty() && !musl.is_empty() {
        clashes.push(LibcClash::Both { glibc, musl });
    }
    let mut providers: BTreeMap<&str, Vec<&PackageRecord>> = BTreeMap::new();
    for record in records {
        for entry in record
            .provides
            .iter()
            .filter(|entry| entry.name().starts_with("so:"))
        {
            providers.entry(entry.name()).or_default().push(record);
        }
    }
    for record in records {
        let Some(libc) = Libc::of(record) else { continue };
        for entry in &record.depends {
            let Some(found) = providers.get(entry.name()) else {
                continue;
            };
            let other = |provider: &&PackageRecord| Libc::of(provider).filter(|other| *other != libc);
            // One for the same library, or one that says nothing, will do.
            let all: Option<Vec<Libc>> = found.iter().map(other).collect();
            if Libc::of_name(entry.name()).is_none()
                && let Some(others) = all
            {
                clashes.push(LibcClash::Library {
                    package: (named(record), libc),
                    needs: entry.name().to_owned(),
                    provider: (named(found[0]), others[0]),
                });
            }
        }
    }
    clashes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clashes(index: &str) -> Vec<String> {
        let records = apk_index::parse(index).unwrap();
        let records: Vec<_> = records.iter().collect();
        libc_clashes(&records).iter().map(ToString::to_string).collect()
    }

    const GLIBC: &str = "P:glibc\nV:2\np:so:libc.so.6=6 so:ld-linux-x86-64.so.2=2\n\n";
    const MUSL: &str = "P:musl\nV:1\np:so:libc.musl-x86_64.so.1=1\n\n";

    #[test]
    fn packages_for_one_library_are_fine() {
        let app =
            "P:app\nV:1\nD:so:libc.so.6 so:libz.so.1\n\nP:zlib\nV:1\nD:so:libc.so.6\np:so:libz.so.1=1\n\n";
        assert_eq!(clashes(&format!("{GLIBC}{app}")), [""; 0]);
        let gcompat = "P:gcompat\nV:1\nD:so:libc.musl-x86_64.so.1\np:so:ld-linux-x86-64.so.2=2\n\n";
        assert_eq!(clashes(&format!("{MUSL}{gcompat}")), [""; 0]);
    }

    #[test]
    fn both_libraries_are_named_with_their_packages() {
        assert_eq!(
            clashes(&format!("{GLIBC}{MUSL}")),
            [
                "two C libraries: glibc (/lib*/ld-linux-*.so.*) by glibc-2 and musl (/lib/ld-musl-*.so.1) by musl-1; \
              what is built for one crashes with libraries of the other"
            ]
        );
    }

    #[test]
    fn a_library_that_is_there_for_the_other_one_alone_is_named() {
        let zlib = "P:zlib\nV:1\nD:so:libc.musl-x86_64.so.1\np:so:libz.so.1=1\n\n";
        let app = "P:app\nV:1\nD:so:libc.so.6 so:libz.so.1\n\n";
        let found = "app-1 is built for glibc, but so:libz.so.1 comes with zlib-1, which is built for musl";
        assert_eq!(clashes(&format!("{zlib}{app}")), [found]);
        let both = "P:zlib-glibc\nV:1\nD:so:libc.so.6\np:so:libz.so.1=1\n\n";
        assert_eq!(clashes(&format!("{zlib}{app}{both}")), [""; 0]);
    }
}
