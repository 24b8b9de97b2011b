//! The links of a real busybox beside what the program says that it has.

use std::collections::BTreeSet;
use std::path::Path;

use apko::Contents;

use crate::conformance::SETS;
use crate::tests::{Verdict, World};
use crate::tools::{is_root, require};
use crate::{Outcome, root, run_image};

/// Debian's static busybox, which lies as a package in the conformance sets, has a link for each of its applets.
pub(crate) fn links(world: &World) -> Outcome<Verdict> {
    let sets = root().join(SETS).join("image");
    if !sets.is_dir() || !is_root() || std::env::consts::ARCH != "x86_64" {
        let reason = format!("{SETS} is not here, or this is no x86_64, or runc cannot run without root");
        return Ok(Verdict::Skipped(reason));
    }
    require(&[("umoci", "umoci"), ("runc", "runc")])?;
    let scratch = world.scratch("busybox")?;
    let layout = world.image_of_set(&sets, "glibc-mini", "busybox-static", &scratch)?;
    compare(&layout, &scratch).map(|()| Verdict::Passed)
}

/// Every applet that busybox says it has is a link to it, and every link to it is one of its applets.
fn compare(layout: &Path, scratch: &Path) -> Outcome {
    let image = oci_image::read_layout(layout, "amd64")?;
    let files = Contents::of_image(&image)?.files;
    let targets = files
        .iter()
        .filter(|(_, file)| file.kind == "symlink" && file.content == "/bin/busybox");
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let links: BTreeSet<String> = targets.map(|(path, _)| name(path)).collect();
    let list = run_image::command_in_runc(layout, &scratch.join("applets"), &["/bin/busybox", "--list"])?;
    let applets = list.lines().filter(|applet| *applet != "busybox");
    let applets: BTreeSet<String> = applets.map(str::to_owned).collect();
    match links.symmetric_difference(&applets).next() {
        None => Ok(()),
        Some(applet) => Err(format!("busybox and its links do not agree on `{applet}`").into()),
    }
}
