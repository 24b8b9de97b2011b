//! What the guests are made of: packages of Debian under their own names and under those that the built-in pipelines
//! are written for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::debian::Debian;
use crate::realworld::sources::npm_itself;
use crate::tools::{At as _, printed, run};

/// What every guest has.
const BASE: &[&str] = &[
    "base-files",
    "bash",
    "bzip2",
    "coreutils",
    "diffutils",
    "file",
    "findutils",
    "gawk",
    "grep",
    "gzip",
    "sed",
    "tar",
    "xz-utils",
];

/// What compiles C.
const COMPILERS: &[&str] = &["gcc", "g++", "libc6-dev", "binutils", "make", "patch"];

/// Names of other distributions, with the packages that they stand for here.
const NAMES: &[(&str, &[&str])] = &[
    ("build-base", COMPILERS),
    ("go", &["golang-go"]),
    ("ninja", &["ninja-build"]),
    ("pkgconf", &["pkg-config"]),
    ("py3-build", &["python3-build", "python3-venv"]),
    ("py3-installer", &["python3-installer"]),
    ("py3-pip", &["python3-pip"]),
    ("rust", &["cargo", "rustc"]),
    ("scanelf", &["pax-utils"]),
    ("redis", &["redis-server"]),
];

/// Names of other distributions for what every guest has.
const BASE_NAMES: &[&str] = &[
    "alpine-baselayout",
    "busybox",
    "ca-certificates-bundle",
    "wget",
    "wolfi-base",
];

/// The release of npm that goes with Debian's Node.js.
const NPM: &str = "10.9.4";

/// The release of cargo-auditable that goes with Debian's cargo.
const CARGO_AUDITABLE: &str = "0.6.4";

/// Packs what every guest has and some more packages, under Debian's names or others', but for what is there already.
pub(super) fn prepare(debian: &Debian, wanted: &[&str]) -> Outcome {
    let alias = |name: &str| NAMES.iter().find(|(alias, _)| *alias == name);
    let own = ["npm", "cargo-auditable"];
    let mut all = BASE.to_vec();
    for name in wanted.iter().filter(|name| !own.contains(*name)) {
        match alias(name) {
            Some((_, packages)) => all.extend(*packages),
            None => all.push(name),
        }
    }
    debian.add(&all)?;
    debian.once("realworld-base", || base(debian))?;
    for (name, packages) in wanted.iter().filter_map(|name| alias(name)) {
        let needs = owned(packages);
        debian.once(name, || {
            debian.make(name, "1-r0", needs, Vec::new(), |directory| match *name {
                "build-base" => links(directory, &[("usr/bin/cc", "gcc"), ("usr/bin/c++", "g++")]),
                _ => Ok(()),
            })
        })?;
    }
    if wanted.contains(&"npm") {
        debian.once("npm", || npm(debian))?;
    }
    if wanted.contains(&"cargo-auditable") {
        debian.once("cargo-auditable", || cargo_auditable(debian))?;
    }
    Ok(())
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn links(directory: &Path, links: &[(&str, &str)]) -> Outcome {
    for (path, target) in links {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap_or(directory)).at(&path)?;
        symlink(target, &path).at(&path)?;
    }
    Ok(())
}

/// What Debian's scripts would have made.
fn base(debian: &Debian) -> Outcome {
    let provides = BASE_NAMES.iter().map(|name| format!("{name}=1")).collect();
    debian.make("realworld-base", "1-r0", owned(BASE), provides, |directory| {
        let certificates = Path::new("/etc/ssl/certs/ca-certificates.crt");
        for made in ["etc/ssl/certs", "tmp"] {
            fs::create_dir_all(directory.join(made))?;
        }
        let paths = [
            // Steps set the option `pipefail`, which Debian's own shell does not have.
            ("bin/sh", "bash"),
            ("usr/bin/awk", "gawk"),
            ("usr/bin/aclocal", "aclocal-1.16"),
            ("usr/bin/automake", "automake-1.16"),
            ("etc/ssl/cert.pem", "certs/ca-certificates.crt"),
            ("bin/s6-svscan", "../usr/bin/s6-svscan"),
            ("bin/execlineb", "../usr/bin/execlineb"),
        ];
        links(directory, &paths)?;
        if certificates.exists() {
            fs::copy(certificates, directory.join("etc/ssl/certs/ca-certificates.crt"))?;
        }
        fs::write(directory.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
        fs::write(directory.join("etc/group"), "root:x:0:\n")?;
        Ok(())
    })
}

/// npm as its own registry has it: Debian cuts it into hundreds of packages.
fn npm(debian: &Debian) -> Outcome {
    let archive = npm_itself(NPM, &debian.directory)?;
    let version = format!("{NPM}-r0");
    debian.make("npm", &version, owned(&["nodejs"]), Vec::new(), |directory| {
        let home = directory.join("usr/lib/node_modules/npm");
        fs::create_dir_all(&home).at(&home)?;
        let mut tar = Command::new("tar");
        tar.arg("-xf")
            .arg(&archive)
            .args(["--strip-components", "1", "-C"]);
        run(tar.arg(&home))?;
        let program = |name| format!("../lib/node_modules/npm/bin/{name}-cli.js");
        links(
            directory,
            &[("usr/bin/npm", &program("npm")), ("usr/bin/npx", &program("npx"))],
        )
    })
}

/// cargo-auditable, which Debian does not have, built from its crate.
fn cargo_auditable(debian: &Debian) -> Outcome {
    let version = format!("{CARGO_AUDITABLE}-r0");
    debian.make(
        "cargo-auditable",
        &version,
        owned(&["cargo"]),
        Vec::new(),
        |directory| {
            let mut cargo = Command::new("cargo");
            cargo.args([
                "install",
                "cargo-auditable",
                "--locked",
                "--no-track",
                "--version",
                CARGO_AUDITABLE,
            ]);
            cargo
                .arg("--target-dir")
                .arg(debian.directory.join("cargo-auditable"));
            printed(cargo.arg("--root").arg(directory.join("usr"))).map(drop)
        },
    )
}
