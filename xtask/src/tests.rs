//! Every test: those of the crates, and those of the two commands from outside.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::quickstart::{
    ARCHIVE, IMAGE_CONFIGURATION, KEY, LAYOUT, PACKAGE_CONFIGURATION, REPOSITORY, TAG, public,
};
use crate::tools::{At as _, BUBBLEWRAP, Binaries, exists, is_root, printed, require, run};
use crate::workspace::{Lab, checks as workspace, trouble};
use crate::{
    Outcome, apk_client, busybox, docs, images, realworld, registry, repeat, root, run_image, services,
};

/// What a check came to.
pub(crate) enum Verdict {
    Passed,
    /// It could not be made here, and why.
    Skipped(String),
}

type Check = fn(&World) -> Outcome<Verdict>;

const CHECKS: [(&str, Check); 30] = [
    (
        "the image is the same in another directory, time zone and umask",
        same_image_twice,
    ),
    ("the image runs in runc", image_runs_in_runc),
    (
        "apk-tools installs the package from the repository",
        apk_client::installs_the_package,
    ),
    (
        "apk-tools leaves shared paths to whom the documentation says",
        apk_client::shares_paths,
    ),
    ("a wrong field is shown with file and line", wrong_field_is_shown),
    ("a missing package is named", missing_package_is_named),
    (
        "tampered and untrusted repositories are refused by name",
        tampering_is_refused,
    ),
    ("a kill leaves nothing half-written", kill_leaves_nothing),
    (
        "a full disk is an error and leaves nothing",
        full_disk_leaves_nothing,
    ),
    (
        "skopeo reads the archive and umoci unpacks what its layers promise",
        images::skopeo_and_umoci,
    ),
    (
        "podman loads the archive and exports the same files",
        images::podman,
    ),
    ("fsck.erofs and the kernel take an EROFS layer", images::erofs),
    ("validators from PyPI take the SBOMs", images::sboms),
    ("a static busybox has a link for each applet", busybox::links),
    ("two services under s6 answer in one container", services::answer),
    (
        "a registry takes an image, and skopeo pulls what was printed",
        registry::publish,
    ),
    (
        "what is built twice is the same, or what differs is told",
        repeat::check,
    ),
    (
        "a program and a module build twice the same and run",
        realworld::some,
    ),
    (
        "workspace: a change builds what it touches and nothing else",
        workspace::changes,
    ),
    (
        "workspace: packages are deleted and renamed",
        workspace::comes_and_goes,
    ),
    ("workspace: an architecture more", workspace::architecture),
    (
        "workspace: branches back and forth build nothing the second time",
        workspace::branches,
    ),
    (
        "workspace: what does not need what failed is built",
        workspace::keep_going,
    ),
    ("workspace: epochs of what is published", workspace::epochs),
    ("workspace: affected, explain, plan and graph", workspace::tells),
    (
        "workspace: a killed build is ended by the next one",
        trouble::kill,
    ),
    (
        "workspace: a shared cache, whole, damaged and not trusted",
        trouble::shared_cache,
    ),
    ("workspace: wrong files are shown", trouble::wrong_files),
    (
        "workspace: a cycle is shown, and built from a seed",
        trouble::cycle,
    ),
    ("the commands of the documentation work", docs::check),
];

/// Runs the tests of the crates, then the checks whose name contains `name`.
pub(crate) fn command(name: &str) -> Outcome {
    require(&[BUBBLEWRAP])?;
    if name.is_empty() {
        run(Command::new("cargo")
            .args(["test", "--workspace", "--locked", "--quiet"])
            .current_dir(root()))?;
    }
    let world = World::make()?;
    let mut failed = 0;
    for (title, check) in CHECKS.iter().filter(|(title, _)| title.contains(name)) {
        let start = Instant::now();
        let outcome = check(&world);
        let took = cli_support::time(start.elapsed());
        match outcome {
            Ok(Verdict::Passed) => println!("ok       {title} ({took})"),
            Ok(Verdict::Skipped(reason)) => println!("skipped  {title}: {reason}"),
            Err(error) => {
                println!("FAILED   {title}: {error}");
                failed += 1;
            }
        }
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(format!("{failed} of the checks failed").into())
    }
}

/// The quickstart's result, which the checks look at.
pub(crate) struct World {
    binaries: Binaries,
    directory: tempfile::TempDir,
    digest: String,
    workspace: OnceCell<Lab>,
}

impl World {
    fn make() -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let digest = quickstart(&directory.path().join("first"), "umask 022", "UTC")?;
        Ok(Self {
            binaries: Binaries::build()?,
            directory,
            digest,
            workspace: OnceCell::new(),
        })
    }

    /// The example workspace, built when it is asked for first.
    pub(crate) fn workspace(&self) -> Outcome<&Lab> {
        match self.workspace.get() {
            Some(lab) => Ok(lab),
            None => {
                let lab = Lab::new(&self.binaries)?;
                Ok(self.workspace.get_or_init(|| lab))
            }
        }
    }

    pub(crate) fn first(&self, name: &str) -> PathBuf {
        self.directory.path().join("first").join(name)
    }

    pub(crate) fn apko_binary(&self) -> &Path {
        &self.binaries.apko
    }

    pub(crate) fn melange_binary(&self) -> &Path {
        &self.binaries.melange
    }

    /// A cache of the checks' own: what users have in theirs shall change nothing.
    fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    /// A new directory for one check.
    pub(crate) fn scratch(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.directory.path().join(name);
        fs::create_dir(&path).at(&path)?;
        Ok(path)
    }

    /// The layout of an image of packages from a repository of the conformance set `sets`, made in a directory.
    pub(crate) fn image_of_set(
        &self,
        sets: &Path,
        repository: &str,
        packages: &str,
        directory: &Path,
    ) -> Outcome<PathBuf> {
        let configuration = directory.join("apko.yaml");
        let text = format!(
            "contents:\n  keyring: [{sets}/keys/lab.rsa.pub]\n  repositories: [{sets}/repos/{repository}]\n  packages: [{packages}]\n",
            sets = sets.display()
        );
        fs::write(&configuration, text).at(&configuration)?;
        let layout = directory.join("layout");
        fs::create_dir(&layout).at(&layout)?;
        printed(&mut self.apko(&configuration, &self.first(REPOSITORY), &layout))?;
        Ok(layout)
    }

    /// `apko build` of a configuration with a repository and the key; SBOMs go to the directory of the output.
    pub(crate) fn apko(&self, configuration: &Path, repository: &Path, output: &Path) -> Command {
        let mut apko = Command::new(&self.binaries.apko);
        apko.arg("build").arg(configuration).arg(TAG).arg(output).args([
            "--arch",
            "host",
            "--quiet",
            "--sbom=false",
        ]);
        apko.arg("--keyring-append").arg(public(&self.first(KEY)));
        apko.arg("--build-repository-append")
            .arg(repository)
            .env("XDG_CACHE_HOME", self.cache())
            .current_dir(root());
        apko
    }

    /// `melange build` of the quickstart's package.
    pub(crate) fn melange(&self, out: &Path) -> Command {
        self.melange_of(&root().join("examples").join(PACKAGE_CONFIGURATION), out)
    }

    /// `melange build` of a configuration.
    pub(crate) fn melange_of(&self, configuration: &Path, out: &Path) -> Command {
        let mut melange = Command::new(&self.binaries.melange);
        melange
            .arg("build")
            .arg(configuration)
            .args(["--arch", "host", "--quiet", "--out-dir"])
            .arg(out);
        melange
            .arg("--signing-key")
            .arg(self.first(KEY))
            .arg("--keyring-append")
            .arg(public(&self.first(KEY)));
        melange
            .arg("--repository-append")
            .arg(self.first(REPOSITORY))
            .env("XDG_CACHE_HOME", self.cache())
            .current_dir(root());
        melange
    }
}

/// Runs the quickstart as a person would, with an empty cache, and takes the digest from what it prints.
fn quickstart(directory: &Path, before: &str, time_zone: &str) -> Outcome<String> {
    let this = std::env::current_exe()?;
    let script = format!("{before}; exec \"$0\" quickstart \"$1\"");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .arg(this)
        .arg(directory)
        .env("TZ", time_zone)
        .env("XDG_CACHE_HOME", directory.with_extension("cache"))
        .current_dir(root());
    let said = printed(&mut shell)?;
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("digest"))
        .ok_or("the quickstart printed no digest")?;
    if !said.contains("hello from hello-http 1.0.0-r0") {
        return Err(format!("the container did not answer:\n{said}").into());
    }
    Ok(line.trim().to_owned())
}

/// Fails unless a command failed with a status and said all of `words`.
fn expect_failure(output: &Output, status: i32, words: &[&str]) -> Outcome {
    let said = String::from_utf8_lossy(&output.stderr);
    let missing = words.iter().find(|word| !said.contains(*word));
    match (output.status.code(), missing) {
        (Some(code), None) if code == status => Ok(()),
        (code, _) => Err(format!("expected status {status} and {words:?}, got {code:?} and:\n{said}").into()),
    }
}

fn expect_absent(path: &Path) -> Outcome {
    if path.exists() {
        Err(format!("{} was left behind", path.display()).into())
    } else {
        Ok(())
    }
}

fn same_image_twice(world: &World) -> Outcome<Verdict> {
    let second = world.scratch("second")?;
    for name in [KEY.to_owned(), format!("{KEY}.pub")] {
        fs::copy(world.first(&name), second.join(&name)).at(&second)?;
    }
    let digest = quickstart(&second, "umask 077", "Asia/Tokyo")?;
    if digest != world.digest {
        return Err(format!("{} became {digest}", world.digest).into());
    }
    Ok(Verdict::Passed)
}

fn image_runs_in_runc(world: &World) -> Outcome<Verdict> {
    if !is_root() {
        return Ok(Verdict::Skipped("runc needs root here".to_owned()));
    }
    require(&[("umoci", "umoci"), ("runc", "runc")])?;
    let directory = world.directory.path().join("runc");
    let answer = run_image::in_runc(&world.first(LAYOUT), &directory, run_image::free_port()?)?;
    if !answer.contains("hello from hello-http") {
        return Err(format!("the container answered `{answer}`").into());
    }
    Ok(Verdict::Passed)
}

fn wrong_field_is_shown(world: &World) -> Outcome<Verdict> {
    let scratch = world.scratch("wrong-field")?;
    let configuration = scratch.join("web.yaml");
    fs::write(
        &configuration,
        "contents:\n  packages: [hello-http]\nentrypont:\n  command: x\n",
    )?;
    let output = scratch.join("web.tar");
    let result = world
        .apko(&configuration, &world.first(REPOSITORY), &output)
        .output()?;
    expect_failure(
        &result,
        2,
        &["web.yaml:3:1", "entrypont", "did you mean `entrypoint`?"],
    )?;
    expect_absent(&output)?;
    let recipe = scratch.join("melange.yaml");
    fs::write(
        &recipe,
        "package:\n  name: a\n  version: 1\n  epoch: 0\n  descripton: x\n",
    )?;
    let result = Command::new(&world.binaries.melange)
        .arg("build")
        .arg(&recipe)
        .args(["--arch", "host"])
        .output()?;
    expect_failure(
        &result,
        2,
        &["melange.yaml:5:3", "descripton", "did you mean `description`?"],
    )?;
    Ok(Verdict::Passed)
}

fn missing_package_is_named(world: &World) -> Outcome<Verdict> {
    let scratch = world.scratch("missing")?;
    let configuration = scratch.join("web.yaml");
    fs::write(&configuration, "contents: {packages: [no-such-package]}\n")?;
    let output = scratch.join("web.tar");
    let result = world
        .apko(&configuration, &world.first(REPOSITORY), &output)
        .output()?;
    expect_failure(&result, 1, &["no-such-package"])?;
    expect_absent(&output)?;
    Ok(Verdict::Passed)
}

fn tampering_is_refused(world: &World) -> Outcome<Verdict> {
    let scratch = world.scratch("tampered")?;
    let configuration = world.first(IMAGE_CONFIGURATION);
    let copy = |name: &str| -> Outcome<PathBuf> {
        let copy = scratch.join(name);
        run(Command::new("cp")
            .arg("--recursive")
            .arg(world.first(REPOSITORY))
            .arg(&copy))?;
        Ok(copy.join(arch_directory(&copy)?))
    };
    let output = scratch.join("web.tar");
    let package = copy("package")?.join("hello-http-1.0.0-r0.apk");
    let mut bytes = fs::read(&package).at(&package)?;
    let end = bytes.len() - 30;
    bytes[end] ^= 1;
    fs::write(&package, bytes)?;
    let result = world
        .apko(&configuration, &scratch.join("package"), &output)
        .arg("--cache-dir")
        .arg(scratch.join("cache"))
        .output()?;
    expect_failure(&result, 1, &["hello-http-1.0.0-r0.apk"])?;

    let index = copy("index")?.join("APKINDEX.tar.gz");
    let mut bytes = fs::read(&index).at(&index)?;
    let end = bytes.len() - 30;
    bytes[end] ^= 1;
    fs::write(&index, bytes)?;
    let result = world
        .apko(&configuration, &scratch.join("index"), &output)
        .output()?;
    expect_failure(&result, 1, &["APKINDEX.tar.gz", "signature"])?;
    expect_absent(&output)?;
    Ok(Verdict::Passed)
}

/// The name of the only directory with an index in a repository; logs lie there too.
fn arch_directory(repository: &Path) -> Outcome<std::ffi::OsString> {
    for entry in fs::read_dir(repository).at(repository)? {
        let entry = entry?;
        if entry.path().join("APKINDEX.tar.gz").exists() {
            return Ok(entry.file_name());
        }
    }
    Err(format!("{} has no index", repository.display()).into())
}

/// Kills both commands at moments from the first millisecond on, until one run is quick enough to end.
fn kill_leaves_nothing(world: &World) -> Outcome<Verdict> {
    let scratch = world.scratch("kill")?;
    let configuration = world.first(IMAGE_CONFIGURATION);
    let output = scratch.join("web.tar");
    let out = scratch.join("packages");
    for milliseconds in [1, 3, 6, 10, 15, 25, 40, 60, 90, 140] {
        let patience = Duration::from_millis(milliseconds);
        let mut apko = world.apko(&configuration, &world.first(REPOSITORY), &output);
        // What was killed at the very end has written all of it.
        let ended = !killed_after(&mut apko, patience)?;
        if ended || output.exists() {
            run(Command::new("tar")
                .arg("--list")
                .arg("--file")
                .arg(&output)
                .stdout(Stdio::null()))?;
            fs::remove_file(&output).at(&output)?;
        }
        killed_after(&mut world.melange(&out), patience)?;
        whole_packages(&out)?;
    }
    Ok(Verdict::Passed)
}

/// Kills a command after a time; false where it ended before.
fn killed_after(command: &mut Command, patience: Duration) -> Outcome<bool> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    std::thread::sleep(patience);
    let ended = child.try_wait()?.is_some();
    child.kill()?;
    child.wait()?;
    Ok(!ended)
}

/// Every file that has the name of a package is one.
fn whole_packages(out: &Path) -> Outcome {
    let Ok(directories) = fs::read_dir(out) else {
        return Ok(());
    };
    for directory in directories {
        for file in fs::read_dir(directory?.path())? {
            let path = file?.path();
            let is_hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if !is_hidden && path.extension().is_some_and(|extension| extension == "apk") {
                let expected = apk_package::Expected::anything("the package");
                apk_package::open(
                    fs::read(&path)?.into(),
                    &expected,
                    &apk_package::Limits::default(),
                )
                .at(&path)?;
            }
        }
    }
    Ok(())
}

fn full_disk_leaves_nothing(world: &World) -> Outcome<Verdict> {
    if !is_root() || !exists("mount") {
        return Ok(Verdict::Skipped(
            "a small file system can be mounted by root only".to_owned(),
        ));
    }
    let disk = world.scratch("disk")?;
    let mut mount = Command::new("mount");
    if printed(mount.args(["-t", "tmpfs", "-o", "size=200k", "tmpfs"]).arg(&disk)).is_err() {
        return Ok(Verdict::Skipped("nothing can be mounted here".to_owned()));
    }
    let checked = full_disk(world, &disk);
    run(Command::new("umount").arg(&disk))?;
    checked.map(|()| Verdict::Passed)
}

fn full_disk(world: &World, disk: &Path) -> Outcome {
    let output = disk.join("web.tar");
    let result = world
        .apko(
            &world.first(IMAGE_CONFIGURATION),
            &world.first(REPOSITORY),
            &output,
        )
        .output()?;
    expect_failure(&result, 1, &["No space left on device"])?;
    expect_absent(&output)?;
    let whole = fs::metadata(world.first(ARCHIVE))?.len();
    if whole < 200 * 1024 {
        return Err("the image is so small that it would fit".into());
    }
    let left = fs::read_dir(disk)?.count();
    if left > 0 {
        Err(format!("{left} files were left on the disk").into())
    } else {
        Ok(())
    }
}
