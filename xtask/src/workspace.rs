//! The example workspace where it can be built: beside a key and a repository that has a C compiler.

pub(crate) mod bench;
pub(crate) mod checks;
mod lab;
mod marks;
pub(crate) mod trouble;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apk_types::Arch;

use crate::debian::Debian;
use crate::package::Signer;
use crate::tools::{At as _, BUBBLEWRAP, Binaries, printed, require, run};
use crate::{Outcome, repository, root};
pub(crate) use lab::Lab;

/// The example, below the top of the project.
pub(crate) const EXAMPLE: &str = "examples/workspace";

/// What its configuration calls the private key, and the repository of the compiler.
pub(crate) const KEY: &str = "local.rsa";
pub(crate) const BASE: &str = "base";

/// A C compiler of one small program, and what it needs to make programs.
const COMPILER: [&str; 4] = ["libc6", "libc6-dev", "linux-libc-dev", "tcc"];

/// Copies the example into a directory and makes what it takes for granted.
pub(crate) fn command(directory: &Path) -> Outcome {
    let binaries = Binaries::build()?;
    if directory.exists() {
        return Err(format!("{} is there already", directory.display()).into());
    }
    prepare(directory, &binaries)?;
    println!("{}", directory.display());
    Ok(())
}

/// Does so where nothing is yet.
pub(crate) fn prepare(directory: &Path, binaries: &Binaries) -> Outcome {
    require(&[BUBBLEWRAP, ("dpkg-deb", "dpkg")])?;
    copy(directory)?;
    let key = directory.join(KEY);
    printed(Command::new(&binaries.melange).arg("keygen").arg(&key))?;
    base(&directory.join(BASE), &key, Arch::X86_64)
}

/// Copies the example to where nothing is yet.
pub(crate) fn copy(directory: &Path) -> Outcome {
    run(Command::new("cp")
        .arg("--recursive")
        .arg(root().join(EXAMPLE))
        .arg(directory))
}

/// Makes the repository that the example takes its tools from, signed with a key: `busybox`, and `build-base` with a
/// C compiler, the names that Wolfi has for them.
pub(crate) fn base(repository: &Path, key: &Path, arch: Arch) -> Outcome {
    repository::bootstrap(repository, arch, &Signer::load(key)?)?;
    let scratch = tempfile::tempdir()?;
    let debian = Debian {
        directory: scratch.path().to_owned(),
        repository: repository.to_owned(),
        key: key.to_owned(),
        arch,
    };
    let names: BTreeSet<String> = COMPILER.iter().map(|name| (*name).to_owned()).collect();
    debian.add_only(&names)?;
    let needs = ["busybox", "libc6-dev", "tcc"].map(str::to_owned).to_vec();
    debian.make("build-base", "1-r0", needs, Vec::new(), |directory| {
        let bin: PathBuf = directory.join("usr/bin");
        fs::create_dir_all(&bin).at(&bin)?;
        std::os::unix::fs::symlink("tcc", bin.join("cc")).at(&bin)
    })
}
