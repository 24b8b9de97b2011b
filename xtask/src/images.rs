//! Checks of images by other people's programs: what they unpack, mount and validate.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use apko::{Contents, FileState};

use crate::tests::{Verdict, World};
use crate::tools::{At as _, exists, is_root, printed, require};
use crate::{Outcome, quickstart};

/// A program that validates documents of both formats, from PyPI.
const VALIDATORS: [&str; 2] = [
    "cyclonedx-python-lib[json-validation]==11.6.0",
    "spdx-tools==0.8.3",
];

const VALIDATE: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(fault) if fault else 0)
";

/// The files that the layers of the quickstart's image promise.
fn promised(layout: &Path) -> Outcome<BTreeMap<String, FileState>> {
    let host = apk_types::Arch::host().ok_or("there are no packages for this host")?;
    let image = oci_image::read_layout(layout, host.platform().architecture)?;
    Ok(Contents::of_image(&image)?.files)
}

/// Compares an unpacked root with what was promised.
fn compare(files: &BTreeMap<String, FileState>, unpacked: &Path) -> Outcome {
    let mut found = 0;
    let mut pending = vec![unpacked.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).at(&directory)? {
            let path = entry.at(&directory)?.path();
            let meta = fs::symlink_metadata(&path).at(&path)?;
            let name = path.strip_prefix(unpacked)?.to_string_lossy().into_owned();
            let file = files.get(&name).ok_or_else(|| format!("{name} is in no layer"))?;
            let kind = match meta.file_type() {
                kind if kind.is_dir() => "directory",
                kind if kind.is_symlink() => "symlink",
                kind if kind.is_file() => "file",
                kind if kind.is_fifo() => "pipe",
                _ => "device",
            };
            let mode = if kind == "symlink" {
                file.mode
            } else {
                meta.mode() & 0o7777
            };
            let is = (kind, mode, meta.uid(), meta.gid());
            let wanted = (file.kind, file.mode, file.uid, file.gid);
            if is != wanted || (kind == "file" && meta.len() != file.size) {
                return Err(format!("{name} is {is:?}, but its layer has {wanted:?}").into());
            }
            found += 1;
            if kind == "directory" {
                pending.push(path);
            }
        }
    }
    match found == files.len() {
        true => Ok(()),
        false => Err(format!("{found} files were unpacked, but the layers have {}", files.len()).into()),
    }
}

/// skopeo reads the archive for `docker load`, and umoci unpacks what it made of it.
pub(crate) fn skopeo_and_umoci(world: &World) -> Outcome<Verdict> {
    if !is_root() {
        return Ok(Verdict::Skipped("owners and devices need root".to_owned()));
    }
    require(&[("skopeo", "skopeo"), ("umoci", "umoci")])?;
    let scratch = world.scratch("skopeo")?;
    let archive = world.first(quickstart::ARCHIVE);
    let (layout, bundle) = (scratch.join("layout"), scratch.join("bundle"));
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--insecure-policy"]);
    skopeo.arg(format!(
        "docker-archive:{}:{}",
        archive.display(),
        quickstart::TAG
    ));
    printed(skopeo.arg(format!("oci:{}:latest", layout.display())))?;
    let mut umoci = Command::new("umoci");
    umoci
        .args(["unpack", "--image"])
        .arg(format!("{}:latest", layout.display()));
    printed(umoci.arg(&bundle))?;
    compare(
        &promised(&world.first(quickstart::LAYOUT))?,
        &bundle.join("rootfs"),
    )?;
    Ok(Verdict::Passed)
}

/// podman loads the archive, by the plain tag, and exports the same files.
pub(crate) fn podman(world: &World) -> Outcome<Verdict> {
    if !is_root() || !exists("podman") {
        return Ok(Verdict::Skipped("this needs root and podman".to_owned()));
    }
    let scratch = world.scratch("podman")?;
    let podman = || {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(scratch.join("storage"));
        podman.arg("--runroot").arg(scratch.join("run"));
        podman.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        podman
    };
    printed(
        podman()
            .args(["load", "--quiet", "--input"])
            .arg(world.first(quickstart::ARCHIVE)),
    )?;
    printed(podman().args(["create", "--name", "check", quickstart::TAG]))?;
    let (archive, unpacked) = (scratch.join("export.tar"), scratch.join("root"));
    printed(podman().args(["export", "--output"]).arg(&archive).arg("check"))?;
    fs::create_dir(&unpacked).at(&unpacked)?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--preserve-permissions", "--numeric-owner", "--file"]);
    printed(tar.arg(&archive).arg("--directory").arg(&unpacked))?;
    compare(&promised(&world.first(quickstart::LAYOUT))?, &unpacked)?;
    Ok(Verdict::Passed)
}

/// fsck.erofs finds no fault in an EROFS layer, and the kernel mounts it.
pub(crate) fn erofs(world: &World) -> Outcome<Verdict> {
    require(&[("fsck.erofs", "erofs-utils")])?;
    let scratch = world.scratch("erofs")?;
    let (layout, mounted) = (scratch.join("layout"), scratch.join("mounted"));
    fs::create_dir(&layout).at(&layout)?;
    let configuration = world.first(quickstart::IMAGE_CONFIGURATION);
    let mut apko = world.apko(&configuration, &world.first(quickstart::REPOSITORY), &layout);
    printed(apko.args(["--format", "erofs"]))?;
    let host = apk_types::Arch::host().ok_or("there are no packages for this host")?;
    let image = oci_image::read_layout(&layout, host.platform().architecture)?;
    for (descriptor, _) in &image.layers {
        let blob = layout.join("blobs/sha256").join(descriptor.digest.hex());
        printed(Command::new("fsck.erofs").arg(&blob))?;
    }
    let kernel = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !is_root() || !kernel.contains("erofs") {
        return Ok(Verdict::Skipped(
            "no kernel mount: this needs root and a kernel with erofs".to_owned(),
        ));
    }
    let apko = || Command::new(world.apko_binary());
    printed(apko().args(["erofs", "mount"]).arg(&layout).arg(&mounted))?;
    let compared = compare(&promised(&layout)?, &mounted.join("merged"));
    printed(apko().args(["erofs", "umount"]).arg(&mounted))?;
    compared.map(|()| Verdict::Passed)
}

/// Validators from PyPI take the documents of both formats, those of `apko sbom` too.
pub(crate) fn sboms(world: &World) -> Outcome<Verdict> {
    let scratch = world.scratch("sboms")?;
    let environment = scratch.join("python");
    let install = || -> Outcome {
        printed(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let mut pip = Command::new(environment.join("bin/pip"));
        printed(pip.args(["install", "--quiet"]).args(VALIDATORS)).map(drop)
    };
    if let Err(error) = install() {
        return Ok(Verdict::Skipped(format!("no validators: {error}")));
    }
    let layout = world.first(quickstart::LAYOUT);
    for format in ["spdx", "cyclonedx"] {
        let mut apko = Command::new(world.apko_binary());
        let json = printed(apko.arg("sbom").arg(&layout).args(["--format", format]))?;
        let path = scratch.join(format!("image.{format}.json"));
        fs::write(&path, json).at(&path)?;
    }
    let mut validate = Command::new(environment.join("bin/python"));
    printed(
        validate
            .args(["-c", VALIDATE])
            .arg(scratch.join("image.cyclonedx.json")),
    )?;
    let document = scratch.join("image.spdx.json");
    printed(
        Command::new(environment.join("bin/pyspdxtools"))
            .arg("--infile")
            .arg(document),
    )?;
    Ok(Verdict::Passed)
}
