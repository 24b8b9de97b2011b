//! The first package of a repository, which melange cannot build: it needs a shell to build anything in.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use apk_package::PkgInfo;
use apk_types::{Arch, Version};

use crate::Outcome;
use crate::package::{Member, Signer, pack, write_index};
use crate::tools::{At as _, printed, unpack_deb};

/// Debian's busybox in one file that needs no library.
const DEBIAN_PACKAGE: &str = "busybox-static";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n";

const GROUP: &str = "root:x:0:root\n";

/// Makes a repository that holds one package: `busybox`, from Debian's. The same version of Debian's package, packed
/// with the same key, gives the same bytes.
///
/// Returns the package's file.
pub(crate) fn bootstrap(repository: &Path, arch: Arch, signer: &Signer) -> Outcome<PathBuf> {
    let directory = repository.join(arch.apk_name());
    fs::create_dir_all(&directory).at(&directory)?;
    let unpacked = tempfile::tempdir()?;
    let debian_version = unpack_deb(DEBIAN_PACKAGE, unpacked.path())?;
    let package = busybox(unpacked.path(), &debian_version, arch, signer)?;
    let path = directory.join(format!("busybox-{}.apk", version(&debian_version)?));
    fs::write(&path, package).at(&path)?;
    write_index(&directory, signer)?;
    Ok(path)
}

/// Packs Debian's busybox with the little that a system around it needs.
fn busybox(unpacked: &Path, debian_version: &str, arch: Arch, signer: &Signer) -> Outcome<Vec<u8>> {
    let program = ["usr/bin/busybox", "bin/busybox"]
        .map(|path| unpacked.join(path))
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("Debian's `{DEBIAN_PACKAGE}` has no program busybox"))?;
    // apko links busybox to the paths of this list.
    let applets: String = printed(Command::new(&program).arg("--list-full"))?
        .lines()
        .map(|path| format!("/{path}\n"))
        .collect();
    let licence = unpacked.join("usr/share/doc/busybox-static/copyright");
    let members = [
        Member::directory("bin", 0o755),
        Member::file("bin/busybox", 0o755, fs::read(&program).at(&program)?),
        Member::directory("etc", 0o755),
        Member::directory("etc/busybox-paths.d", 0o755),
        Member::file("etc/busybox-paths.d/busybox", 0o644, applets),
        Member::file("etc/group", 0o644, GROUP),
        Member::file("etc/passwd", 0o644, PASSWD),
        Member::directory("root", 0o700),
        Member::directory("tmp", 0o1777),
        Member::directory("usr", 0o755),
        Member::directory("usr/share", 0o755),
        Member::directory("usr/share/doc", 0o755),
        Member::directory("usr/share/doc/busybox", 0o755),
        Member::file(
            "usr/share/doc/busybox/copyright",
            0o644,
            fs::read(&licence).at(&licence)?,
        ),
    ];
    let info = PkgInfo {
        name: "busybox".to_owned(),
        version: version(debian_version)?.to_string(),
        arch: arch.apk_name().to_owned(),
        origin: "busybox".to_owned(),
        description: format!("Debian's busybox-static {debian_version}"),
        url: "https://busybox.net".to_owned(),
        maintainer: "unknown".to_owned(),
        // Debian's tools give files of a package the time of its newest change at the latest.
        build_date: Some(fs::metadata(&program).at(&program)?.mtime()),
        licenses: vec!["GPL-2.0-only".to_owned()],
        ..PkgInfo::default()
    };
    pack(info, &members, signer)
}

/// apk's form of one of Debian's versions: `1:1.35.0-4+deb12u1` is `1.35.0-r4`.
fn version(debian: &str) -> Outcome<Version> {
    let without_epoch = debian.split_once(':').map_or(debian, |(_, rest)| rest);
    let (upstream, revision) = without_epoch.split_once('-').unwrap_or((without_epoch, "0"));
    let digits: String = revision.chars().take_while(char::is_ascii_digit).collect();
    let release = if digits.is_empty() { "0" } else { &digits };
    Ok(Version::parse(&format!("{upstream}-r{release}"))?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_debian_version_becomes_an_apk_version() {
        let table = [
            ("1:1.35.0-4+deb12u1+b1", "1.35.0-r4"),
            ("1:1.37.0-6", "1.37.0-r6"),
            ("1.36.1", "1.36.1-r0"),
        ];
        for (debian, apk) in table {
            assert_eq!(super::version(debian).unwrap().as_str(), apk, "{debian}");
        }
        assert!(super::version("1:~-4").is_err());
    }
}
