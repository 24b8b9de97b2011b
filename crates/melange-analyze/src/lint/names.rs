//! Linters that look at paths alone.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::json;

use super::{Item, LintError, Report, Subject, count, report_items, report_paths};
use crate::TreeEntry;
use crate::tree::{base_name, extension, parent};

type Checked = Result<Option<Report>, LintError>;

macro_rules! pattern {
    ($name:ident, $pattern:literal) => {
        #[allow(
            clippy::unwrap_used,
            reason = "a constant pattern, which the tests use"
        )]
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).unwrap());
    };
}

pattern!(CUDA_DRIVER, r"^usr/lib/lib(cuda|nvidia-ml)\.so(\.[0-9]+)*$");
pattern!(
    DOCUMENTATION,
    r"(?:READ(?:\.?ME)?|TODO|CREDITS|\.(?:md|docx?|rst|[0-9][a-z]))$"
);
pattern!(
    INFO_PAGE,
    r"^usr/(?:local/)?share/info/(?:dir|[^/]+\.info(?:\-[0-9]+)?(?:\.(?:gz|bz2|xz|lzma|Z))?)$"
);
pattern!(
    MANUAL_PAGE,
    r"^usr/(?:(?:local/)?share/)?man(?:/man[0-9][^/]*)?(?:/[^/]+\.[0-9][^/]*(?:\.(?:gz|bz2|xz|lzma|Z))?)?$"
);
pattern!(SHARED_OBJECT, r"\.so(?:\.[0-9]+)*$");
pattern!(TEMPORARY, r"^(var/)?tmp/");

/// The paths of all but directories for which `matches` holds.
fn paths(subject: &Subject<'_>, matches: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = subject.tree.entries().iter();
    let entries = entries.filter(|entry| !entry.is_dir() && matches(&entry.path));
    entries.map(|entry| entry.path.clone()).collect()
}

fn with_prefix(subject: &Subject<'_>, prefix: &str, message: &str) -> Checked {
    let paths = paths(subject, |path| path.starts_with(prefix));
    Ok(report_paths(paths, |_| format!("{} {message}", subject.name)))
}

fn with_extension(subject: &Subject<'_>, wanted: &str, one: &str, many: &str) -> Checked {
    let paths = paths(subject, |path| extension(path) == wanted);
    Ok(report_paths(paths, |number| {
        format!("{} contains {}", subject.name, count(number, one, many))
    }))
}

fn named(subject: &Subject<'_>, endings: &[&str]) -> bool {
    endings.iter().any(|ending| subject.name.ends_with(ending))
}

pub(super) fn cuda_drivers(subject: &Subject<'_>) -> Checked {
    let paths = paths(subject, |path| CUDA_DRIVER.is_match(path));
    Ok(report_paths(paths, |_| {
        format!("{} contains libraries of the CUDA driver", subject.name)
    }))
}

pub(super) fn dev(subject: &Subject<'_>) -> Checked {
    with_prefix(subject, "dev/", "writes to /dev")
}

pub(super) fn dlls(subject: &Subject<'_>) -> Checked {
    match named(subject, &["-dev"]) {
        true => Ok(None),
        false => with_extension(subject, ".dll", "DLL file", "DLL files"),
    }
}

pub(super) fn dylibs(subject: &Subject<'_>) -> Checked {
    match named(subject, &["-dev"]) {
        true => Ok(None),
        false => with_extension(subject, ".dylib", "dylib file", "dylib files"),
    }
}

pub(super) fn documentation(subject: &Subject<'_>) -> Checked {
    if named(subject, &["-doc"]) {
        return Ok(None);
    }
    let paths = paths(subject, |path| DOCUMENTATION.is_match(path));
    Ok(report_paths(paths, |number| {
        let files = count(number, "documentation file", "documentation files");
        format!(
            "{} contains {files} but is not a documentation package",
            subject.name
        )
    }))
}

pub(super) fn empty(subject: &Subject<'_>) -> Checked {
    let has_files = !paths(subject, |path| !super::content::is_ignored(path)).is_empty();
    Ok((!has_files).then(|| Report {
        message: format!("{} is empty", subject.name),
        items: Vec::new(),
        details: None,
    }))
}

pub(super) fn info_directory(subject: &Subject<'_>) -> Checked {
    with_prefix(subject, "usr/share/info/dir/", "writes to /usr/share/info/dir/")
}

pub(super) fn untested_libraries(subject: &Subject<'_>) -> Checked {
    if subject
        .test_pipelines
        .iter()
        .any(|name| ["test/ldd-check", "test/tw/ldd-check"].contains(name))
    {
        return Ok(None);
    }
    let paths = paths(subject, |path| SHARED_OBJECT.is_match(path));
    Ok(report_paths(paths, |_| {
        format!(
            "{} contains shared objects, but no test uses test/ldd-check",
            subject.name
        )
    }))
}

pub(super) fn untested_pkgconfig(subject: &Subject<'_>) -> Checked {
    if subject.test_pipelines.contains(&"test/pkgconf") {
        return Ok(None);
    }
    let paths = paths(subject, |path| {
        path.starts_with("usr/lib/pkgconfig/") || path.starts_with("usr/share/pkgconfig/")
    });
    Ok(report_paths(paths, |_| {
        format!(
            "{} contains pkg-config files, but no test uses test/pkgconf",
            subject.name
        )
    }))
}

pub(super) fn libtool_archives(subject: &Subject<'_>) -> Checked {
    with_extension(
        subject,
        ".la",
        "libtool archive (.la) file",
        "libtool archive (.la) files",
    )
}

pub(super) fn manuals(subject: &Subject<'_>) -> Checked {
    if named(subject, &["-doc"]) {
        return Ok(None);
    }
    let paths = paths(subject, |path| {
        MANUAL_PAGE.is_match(path) || INFO_PAGE.is_match(path)
    });
    Ok(report_paths(paths, |number| {
        let files = count(number, "man/info file", "man/info files");
        format!(
            "{} contains {files} but is not a documentation package",
            subject.name
        )
    }))
}

pub(super) fn other_systems(subject: &Subject<'_>) -> Checked {
    const SYSTEMS: [(&str, &[&str]); 2] = [
        (
            "macos",
            &["darwin", "macos", "mac_os", "mac-os", "osx", "os_x", "os-x"],
        ),
        ("windows", &["windows", "win32", "win64"]),
    ];
    let system = |entry: &TreeEntry| {
        let path = entry.path.to_lowercase();
        let (directory, name) = (parent(&path), base_name(&path));
        let named = |variant: &&str| directory.contains(variant) || name.contains(variant);
        SYSTEMS
            .iter()
            .find(|(_, variants)| variants.iter().any(named))
            .map(|(system, _)| Item {
                path: entry.path.clone(),
                note: Some((*system).into()),
            })
    };
    let entries = subject.tree.entries().iter().filter(|entry| !entry.is_dir());
    Ok(report_items(entries.filter_map(system).collect(), |number| {
        format!(
            "{} contains {}",
            subject.name,
            count(number, "non-Linux reference", "non-Linux references")
        )
    }))
}

pub(super) fn other_architectures(subject: &Subject<'_>) -> Checked {
    const SUPPORTED: [&str; 5] = ["aarch64", "arm64", "amd64", "x86_64", "x86-64"];
    const OTHERS: [&str; 18] = [
        "i386", "i686", "x86_32", "x86-32", "ppc64", "ppc64le", "powerpc", "s390x", "s390", "mips", "mipsel",
        "mips64", "riscv", "riscv64", "sparc", "sparc64", "ia64", "m68k",
    ];
    let architecture = |entry: &TreeEntry| {
        let path = entry.path.to_lowercase();
        let (directory, name) = (parent(&path), base_name(&path));
        let supported = SUPPORTED.iter().any(|supported| path.contains(supported));
        let named = |other: &&&str| {
            directory.contains(&format!("/{other}"))
                || !supported
                    && ["-", "_", "."].iter().any(|separator| {
                        let marked = format!("{separator}{other}");
                        name.contains(&format!("{marked}{separator}"))
                            || name.contains(&format!("{marked}."))
                            || name.ends_with(&marked)
                    })
        };
        OTHERS.iter().find(named).map(|other| Item {
            path: entry.path.clone(),
            note: Some((*other).into()),
        })
    };
    let entries = subject.tree.entries().iter().filter(|entry| !entry.is_dir());
    Ok(report_items(
        entries.filter_map(architecture).collect(),
        |number| {
            let references = count(
                number,
                "unsupported architecture reference",
                "unsupported architecture references",
            );
            format!("{} contains {references}", subject.name)
        },
    ))
}

pub(super) fn objects(subject: &Subject<'_>) -> Checked {
    with_extension(
        subject,
        ".o",
        "intermediate object file",
        "intermediate object files",
    )
}

pub(super) fn opt(subject: &Subject<'_>) -> Checked {
    match named(subject, &["-compat"]) {
        true => Ok(None),
        false => with_prefix(subject, "opt/", "writes to /opt"),
    }
}

pub(super) fn srv(subject: &Subject<'_>) -> Checked {
    match named(subject, &["-compat"]) {
        true => Ok(None),
        false => with_prefix(subject, "srv/", "writes to /srv"),
    }
}

pub(super) fn usr_local(subject: &Subject<'_>) -> Checked {
    match named(subject, &["-compat"]) {
        true => Ok(None),
        false => with_prefix(
            subject,
            "usr/local/",
            "contains /usr/local path in non-compat package",
        ),
    }
}

pub(super) fn sbom(subject: &Subject<'_>) -> Checked {
    let paths = paths(subject, |path| {
        parent(path) == "var/lib/db/sbom" && !path.ends_with(".spdx.json")
    });
    Ok(report_paths(paths, |_| {
        format!("{} writes to /var/lib/db/sbom", subject.name)
    }))
}

pub(super) fn static_archives(subject: &Subject<'_>) -> Checked {
    match named(subject, &["-dev", "-static"]) {
        true => Ok(None),
        false => with_extension(subject, ".a", "static archive", "static archives"),
    }
}

pub(super) fn temporary(subject: &Subject<'_>) -> Checked {
    let entries = subject.tree.entries();
    let has_snippet = entries
        .iter()
        .any(|entry| entry.path.starts_with("usr/lib/tmpfiles.d/"));
    let is_temporary = |entry: &&TreeEntry| {
        let path = &entry.path;
        !entry.is_dir() && TEMPORARY.is_match(path)
            || path.starts_with("var/run/")
            || path.starts_with("run/") && (!entry.is_dir() || !has_snippet)
    };
    let paths = entries
        .iter()
        .filter(is_temporary)
        .map(|entry| entry.path.clone())
        .collect();
    Ok(report_paths(paths, |_| {
        format!("{} writes to a temp dir", subject.name)
    }))
}

pub(super) fn var_empty(subject: &Subject<'_>) -> Checked {
    with_prefix(subject, "var/empty/", "writes to /var/empty")
}

pub(super) fn usr_merge(subject: &Subject<'_>) -> Checked {
    const DIRECTORIES: [&str; 5] = ["sbin", "bin", "usr/sbin", "lib", "lib64"];
    let beside = |entry: &&TreeEntry| {
        DIRECTORIES.iter().any(|directory| {
            entry
                .path
                .strip_prefix(directory)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let entries = subject.tree.entries().iter();
    let paths = entries.filter(beside).map(|entry| entry.path.clone()).collect();
    Ok(report_paths(paths, |number| {
        format!(
            "{} contains {} in violation of usrmerge",
            subject.name,
            count(number, "path", "paths")
        )
    }))
}

/// What lies directly in the one `usr/lib/python3.*/site-packages`; a report where there are several.
fn site_packages(subject: &Subject<'_>) -> Result<Vec<String>, Report> {
    let entries = subject.tree.entries();
    let is_python = |entry: &&TreeEntry| {
        parent(&entry.path) == "usr/lib" && base_name(&entry.path).starts_with("python3.")
    };
    let pythons: Vec<&TreeEntry> = entries.iter().filter(is_python).collect();
    match pythons[..] {
        [] => Ok(Vec::new()),
        [python] => {
            let directory = format!("{}/site-packages", python.path);
            let entries = entries.iter().filter(|entry| parent(&entry.path) == directory);
            Ok(entries.map(|entry| entry.path.clone()).collect())
        }
        _ => Err(Report {
            message: format!(
                "{} contains modules for {} versions of Python",
                subject.name,
                pythons.len()
            ),
            items: Vec::new(),
            details: None,
        }),
    }
}

fn in_site_packages(subject: &Subject<'_>, names: [&str; 2], what: &str) -> Checked {
    Ok(match site_packages(subject) {
        Err(report) => Some(report),
        Ok(paths) => {
            let paths = paths
                .into_iter()
                .filter(|path| names.contains(&base_name(path)))
                .collect();
            report_paths(paths, |_| {
                format!(
                    "{} has a {what} directory in Python's site-packages",
                    subject.name
                )
            })
        }
    })
}

pub(super) fn python_docs(subject: &Subject<'_>) -> Checked {
    in_site_packages(subject, ["doc", "docs"], "documentation")
}

pub(super) fn python_tests(subject: &Subject<'_>) -> Checked {
    in_site_packages(subject, ["test", "tests"], "test")
}

pub(super) fn python_multiple(subject: &Subject<'_>) -> Checked {
    let paths = match site_packages(subject) {
        Err(report) => return Ok(Some(report)),
        Ok(paths) => paths,
    };
    let module = |path: &String| {
        let name = base_name(path);
        let no_module = name.starts_with('_')
            || ["test", "tests", "doc", "docs"].contains(&name)
            || [".egg-info", ".dist-info", ".pth"].contains(&extension(name));
        let stem = name.split('.').next().unwrap_or_default();
        (!no_module && !stem.is_empty()).then(|| stem.to_owned())
    };
    let modules: BTreeSet<String> = paths.iter().filter_map(module).collect();
    Ok((modules.len() > 1).then(|| Report {
        details: Some(json!({ "count": modules.len(), "packages": modules })),
        message: format!(
            "{} contains {} Python packages: {}",
            subject.name,
            modules.len(),
            modules.into_iter().collect::<Vec<_>>().join(", ")
        ),
        items: Vec::new(),
    }))
}
