//! Shared libraries: what programs load and what a package has.

use std::io::Read;

use super::{Found, LIBRARY_DIRECTORIES, Package, lies_in};
use crate::tree::{EntryKind, TreeEntry, base_name, clean};
use crate::{AnalyzeError, elf};

/// Libraries that the host's NVIDIA driver brings into a container; no package may provide or need them.
const FROM_THE_HOST: [&str; 27] = [
    "libEGL_nvidia.so.1",
    "libGLESv1_CM_nvidia.so.1",
    "libGLESv2_nvidia.so.1",
    "libGLX_nvidia.so.1",
    "libcuda.so.1",
    "libcudadebugger.so.1",
    "libnvcuvid.so.1",
    "libnvidia-allocator.so.1",
    "libnvidia-cfg.so.1",
    "libnvidia-eglcore.so.1",
    "libnvidia-encode.so.1",
    "libnvidia-fbc.so.1",
    "libnvidia-glcore.so.1",
    "libnvidia-glsi.so.1",
    "libnvidia-glvkspirv.so.1",
    "libnvidia-gpucomp.so.1",
    "libnvidia-ml.so.1",
    "libnvidia-ngx.so.1",
    "libnvidia-nvvm.so.1",
    "libnvidia-opencl.so.1",
    "libnvidia-opticalflow.so.1",
    "libnvidia-pkcs11-openssl3.so.1",
    "libnvidia-pkcs11.so.1",
    "libnvidia-ptxjitcompiler.so.1",
    "libnvidia-rtcore.so.1",
    "libnvidia-tls.so.1",
    "libnvoptix.so.1",
];

pub(super) fn analyze(package: &Package<'_>, found: &mut Found) -> Result<(), AnalyzeError> {
    let mut directories: Vec<String> = LIBRARY_DIRECTORIES.map(str::to_owned).to_vec();
    directories.extend(configured_directories(package)?);
    for entry in package.tree().entries() {
        match &entry.kind {
            EntryKind::Symlink(target) => linked_library(package, &entry.path, target, &directories, found),
            EntryKind::File => {}
            EntryKind::Directory | EntryKind::Other => continue,
        }
        elf_file(package, entry, &directories, found);
    }
    Ok(())
}

/// The directories that the packages of this build add to the loader's path in `/etc/ld.so.conf.d`.
fn configured_directories(package: &Package<'_>) -> Result<Vec<String>, AnalyzeError> {
    let mut directories = Vec::new();
    for (name, tree) in package.packages {
        for entry in tree.entries() {
            let below = entry.path.starts_with("etc/ld.so.conf.d/");
            if !below || !entry.path.ends_with(".conf") || !entry.is_file() {
                continue;
            }
            let mut content = Vec::new();
            tree.open(&entry.path)
                .and_then(|mut file| file.read_to_end(&mut content))
                .map_err(|source| AnalyzeError {
                    package: (*name).to_owned(),
                    path: entry.path.clone(),
                    source,
                })?;
            let content = String::from_utf8_lossy(&content);
            directories.extend(
                content
                    .lines()
                    .filter_map(|line| line.strip_prefix('/'))
                    .map(str::to_owned),
            );
        }
    }
    Ok(directories)
}

/// A link like `libz.so`, found in a `-dev` package, needs the library it stands for, which may be in another
/// package of this build.
fn linked_library(
    package: &Package<'_>,
    path: &str,
    target: &str,
    directories: &[String],
    found: &mut Found,
) {
    if !path.contains(".so") {
        return;
    }
    let target = base_name(target.trim_end_matches('/'));
    let library = package.packages.iter().find_map(|(_, tree)| {
        directories
            .iter()
            .map(|directory| clean(&format!("{directory}/{target}")))
            .find(|candidate| tree.entry(candidate).is_some())
            .map(|candidate| (tree, candidate))
    });
    let Some(file) = library.and_then(|(tree, path)| elf::read(tree.open(&path).ok()?)) else {
        return;
    };
    for soname in file.sonames.iter().filter(|soname| !is_from_the_host(soname)) {
        found.needs(format!("so:{soname}"), path, "is a link to it");
    }
}

fn elf_file(package: &Package<'_>, entry: &TreeEntry, directories: &[String], found: &mut Found) {
    let Some(file) = package.tree().open(&entry.path).ok().and_then(elf::read) else {
        return;
    };
    if let Some(interpreter) = &file.interpreter {
        // musl's loader is a link to its C library, which is what packages provide.
        let name = format!("so:{}", base_name(interpreter)).replace("so:ld-musl", "so:libc.musl");
        found.needs(name, &entry.path, "is started by it");
    }
    let Some(needed) = &file.needed else { return };
    for library in needed {
        if library.contains(".so.") && !is_from_the_host(library) {
            found.needs(format!("so:{library}"), &entry.path, "has it in DT_NEEDED");
        }
    }
    // Some toolchains give programs a SONAME, and some libraries (libc, libcap) can be run: a name decides.
    let name = base_name(&entry.path);
    if file.interpreter.is_none() || name.contains(".so.") || name.ends_with(".so") {
        for soname in file.sonames.iter().filter(|soname| !is_from_the_host(soname)) {
            let names = [
                format!("so:{soname}={}", library_version(soname)),
                format!("so-ver:{soname}={}", package.version),
            ];
            for name in names {
                match lies_in(&entry.path, directories) {
                    true => found.provides(name, &entry.path, "has that DT_SONAME"),
                    false => found.vendors(
                        name,
                        &entry.path,
                        "has that DT_SONAME, where programs do not look",
                    ),
                }
            }
        }
    }
    if file.loads_openssl_from_go {
        for need in ["openssl-config-fipshardened", "so:libcrypto.so.3"] {
            found.needs(need.to_owned(), &entry.path, "is a Go program that loads OpenSSL");
        }
    }
}

fn is_from_the_host(library: &str) -> bool {
    FROM_THE_HOST.contains(&library)
}

/// The version in a SONAME: what follows `.so.`, or `0` where that is no number.
fn library_version(soname: &str) -> &str {
    match soname.split(".so.").nth(1) {
        Some(version) if version.chars().all(|c| c == '.' || c.is_numeric()) => version,
        _ => "0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sonames_have_versions() {
        for (soname, version) in [
            ("libz.so.1", "1"),
            ("libbz2.so.1.0", "1.0"),
            ("libfoo.so", "0"),
            ("libfoo.so.1a", "0"),
            ("libfoo-1.2.so", "0"),
        ] {
            assert_eq!(library_version(soname), version);
        }
    }
}
