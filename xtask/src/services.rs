//! Several services in one container, under the s6 of Debian.

use std::fs;
use std::path::{Path, PathBuf};

use apk_types::Arch;

use crate::debian::Debian;
use crate::quickstart::KEY;
use crate::tests::{Verdict, World};
use crate::tools::{At as _, is_root, printed, require};
use crate::{Outcome, run_image};

/// Services of the image, each a web server with a file of its own.
const SERVICES: [&str; 2] = ["server", "worker"];

/// Two services of one container answer.
pub(crate) fn answer(world: &World) -> Outcome<Verdict> {
    if !is_root() || std::env::consts::ARCH != "x86_64" {
        return Ok(Verdict::Skipped(
            "this needs root, for runc, and an x86_64".to_owned(),
        ));
    }
    require(&[("umoci", "umoci"), ("runc", "runc"), ("dpkg-deb", "dpkg")])?;
    let scratch = world.scratch("services")?;
    let repository = match pack(world, &scratch) {
        Ok(repository) => repository,
        Err(error) => return Ok(Verdict::Skipped(format!("no s6 of Debian: {error}"))),
    };
    let ports = [run_image::free_port()?, run_image::free_port()?];
    let mut text = "contents: {packages: [s6, execline, busybox-static, services]}\n".to_owned();
    text += "entrypoint:\n  type: service-bundle\n  services:\n";
    for (name, port) in SERVICES.iter().zip(ports) {
        text += &format!("    {name}: /bin/busybox httpd -f -p 127.0.0.1:{port} -h /srv/{name}\n");
    }
    let configuration = scratch.join("services.yaml");
    fs::write(&configuration, text).at(&configuration)?;
    let layout = scratch.join("layout");
    fs::create_dir(&layout).at(&layout)?;
    printed(&mut world.apko(&configuration, &repository, &layout))?;
    let answers = run_image::ports_in_runc(&layout, &scratch.join("container"), &ports, |config| {
        // The supervisor keeps its state beside the services.
        config["root"]["readonly"] = false.into();
    })?;
    for (name, answer) in SERVICES.iter().zip(&answers) {
        if answer.trim() != *name {
            return Err(format!("the service {name} answered `{answer}`").into());
        }
    }
    Ok(Verdict::Passed)
}

/// Debian's packages, and one with what the services serve and with links from where images have programs.
fn pack(world: &World, scratch: &Path) -> Outcome<PathBuf> {
    let debian = Debian {
        directory: scratch.to_owned(),
        repository: scratch.join("debian"),
        key: world.first(KEY),
        arch: Arch::X86_64,
    };
    debian.add(&["s6", "execline", "busybox-static"])?;
    debian.make("services", "1-r0", Vec::new(), Vec::new(), |directory| {
        let bin = directory.join("bin");
        fs::create_dir_all(&bin).at(&bin)?;
        for program in ["s6-svscan", "execlineb"] {
            std::os::unix::fs::symlink(format!("../usr/bin/{program}"), bin.join(program)).at(&bin)?;
        }
        for name in SERVICES {
            let served = directory.join("srv").join(name);
            fs::create_dir_all(&served).at(&served)?;
            fs::write(served.join("index.html"), name).at(&served)?;
        }
        Ok(())
    })?;
    Ok(debian.repository)
}
