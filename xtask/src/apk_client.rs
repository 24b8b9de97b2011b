//! Checks by apk-tools, whose client lies as a package in the conformance sets: an image of it is the client's root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Holder, SharedPath};

use crate::conformance::SETS;
use crate::quickstart::{KEY, REPOSITORY, public};
use crate::tests::{Verdict, World};
use crate::tools::{At as _, printed};
use crate::{Outcome, root, run_image};

/// A root with the client in it, where it installs packages.
struct Client {
    root: PathBuf,
}

impl Client {
    /// Makes one in a directory; none where the conformance sets are not.
    fn make(world: &World, directory: &Path) -> Outcome<Option<Self>> {
        let sets = root().join(SETS).join("image");
        if !sets.is_dir() || std::env::consts::ARCH != "x86_64" {
            return Ok(None);
        }
        let layout = world.image_of_set(
            &sets,
            "alpine",
            "alpine-baselayout, busybox, apk-tools",
            directory,
        )?;
        let root = directory.join("root");
        run_image::unpack(&layout, &root)?;
        Ok(Some(Self { root }))
    }

    fn absent() -> Verdict {
        Verdict::Skipped(format!("{SETS} is not here, or this is no x86_64"))
    }

    fn trust(&self, key: &Path) -> Outcome {
        let name = key.file_name().unwrap_or_default();
        fs::copy(key, self.root.join("etc/apk/keys").join(name)).at(key)?;
        Ok(())
    }

    /// `apk` in its root, a repository of this machine at `/mnt`.
    fn apk(&self, repository: &Path) -> Command {
        let mut bwrap = Command::new("bwrap");
        bwrap.args(["--unshare-user", "--unshare-net", "--uid", "0", "--gid", "0"]);
        bwrap.arg("--bind").arg(&self.root).arg("/");
        bwrap.arg("--ro-bind").arg(repository).arg("/mnt");
        bwrap.args(["--proc", "/proc", "--dev", "/dev", "--clearenv"]);
        bwrap.args(["--setenv", "PATH", "/usr/bin:/usr/sbin:/bin:/sbin", "apk"]);
        bwrap.args(["--repositories-file", "/dev/null", "--repository", "/mnt"]);
        bwrap
    }
}

/// The quickstart's packages go in.
pub(crate) fn installs_the_package(world: &World) -> Outcome<Verdict> {
    let Some(client) = Client::make(world, &world.scratch("client")?)? else {
        return Ok(Client::absent());
    };
    client.trust(&public(&world.first(KEY)))?;
    let mut apk = client.apk(&world.first(REPOSITORY));
    let said = printed(apk.args(["add", "hello-http", "hello-http-doc"]))?;
    for file in ["usr/bin/hello-http", "usr/share/doc/hello-http/README"] {
        if !client.root.join(file).is_file() {
            return Err(format!("apk did not install {file}:\n{said}").into());
        }
    }
    Ok(Verdict::Passed)
}

/// Packages with a path in common leave what the documentation says that apk leaves.
pub(crate) fn shares_paths(world: &World) -> Outcome<Verdict> {
    let Some(client) = Client::make(world, &world.scratch("shared-paths")?)? else {
        return Ok(Client::absent());
    };
    let cases = testkit::shared_paths();
    let repository = testkit::Repository::new(std::env::consts::ARCH);
    let packages: Vec<testkit::Package> = cases.iter().flat_map(|case| case.packages.clone()).collect();
    repository.publish(&packages);
    client.trust(Path::new(&repository.key()))?;
    let add = |which: usize| {
        let mut apk = client.apk(repository.path());
        apk.arg("add")
            .args(cases.iter().map(|case| case.packages[which].name()));
        apk
    };
    printed(&mut add(0))?;
    let output = add(1).output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let mut apk = client.apk(repository.path());
    let paths = cases.iter().map(|case| format!("/{}", case.path));
    // It fails for the directories, which nobody owns.
    let output = apk.args(["info", "--who-owns"]).args(paths).output()?;
    let owners = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut differing = Vec::new();
    for case in &cases {
        let holder = holder(case, &client.root, &said, &owners)?;
        if holder != case.apk {
            differing.push(format!("{}: {holder:?}", case.name));
        }
    }
    match differing.is_empty() {
        true => Ok(Verdict::Passed),
        false => Err(format!("apk differs from the table:\n{}\n{said}", differing.join("\n")).into()),
    }
}

/// Whose a path is, by what apk said while it installed and says of the owners.
fn holder(case: &SharedPath, root: &Path, said: &str, owners: &str) -> Outcome<Holder> {
    // Complaints name the path, and may end with a full stop behind it.
    let names = |line: &str| {
        line.split(' ')
            .any(|word| word.trim_end_matches('.') == case.path)
    };
    if said.lines().any(|line| line.starts_with("ERROR:") && names(line)) {
        return Ok(Holder::Refused);
    }
    let path = root.join(&case.path);
    let meta = fs::symlink_metadata(&path).at(&path)?;
    if meta.is_dir() {
        return Ok(Holder::Both);
    }
    let owner = owners
        .lines()
        .find(|line| line.starts_with(&format!("/{} ", case.path)));
    let owner = owner.ok_or_else(|| format!("apk knows no owner of {}", case.path))?;
    let is_second = owner.contains(case.packages[1].name());
    let content = match meta.is_symlink() {
        true => fs::read_link(&path).at(&path)?.to_string_lossy().into_owned(),
        false => fs::read_to_string(&path).at(&path)?,
    };
    if content != case.contents[usize::from(is_second)] {
        return Err(format!("{}: {owner}, but what is there is the other's", case.name).into());
    }
    Ok(if is_second { Holder::Second } else { Holder::First })
}
