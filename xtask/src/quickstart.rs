//! The whole way in one command: key, repository, package, image, container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use apk_package::PrivateKey;
use apk_types::Arch;
use cli_support::{Steps, Verbosity};

use crate::package::Signer;
use crate::tools::{At as _, BUBBLEWRAP, Binaries, printed, require};
use crate::{Outcome, repository, root, run_image};

/// What the files are called, in the quickstart's directory.
pub(crate) const KEY: &str = "local.rsa";
pub(crate) const REPOSITORY: &str = "packages";
pub(crate) const LAYOUT: &str = "image";
pub(crate) const ARCHIVE: &str = "hello-http.tar";
const CONTAINER: &str = "container";

/// The image's name and tag.
pub(crate) const TAG: &str = "hello-http:latest";

/// The example, which is copied into the quickstart's directory: paths are part of what is built, so that
/// commands are run there and all paths are relative to it.
const EXAMPLE: &str = "examples/hello-http";
pub(crate) const PACKAGE_CONFIGURATION: &str = "hello-http/melange.yaml";
pub(crate) const IMAGE_CONFIGURATION: &str = "hello-http/apko.yaml";

/// A file that says whose directory it is; only such a directory is cleared.
const MARK: &str = ".quickstart";

/// Makes everything in `directory`, which keeps its key from one time to the next, and says where it lies.
pub(crate) fn command(directory: &Path) -> Outcome {
    require(&[BUBBLEWRAP])?;
    let binaries = Binaries::build()?;
    let start = Instant::now();
    let directory = prepare(directory)?;
    let quickstart = Quickstart {
        arch: Arch::host().ok_or("there are no apk packages for this machine's architecture")?,
        steps: Steps::new(Verbosity::Normal),
        binaries,
        directory,
    };
    quickstart.copy_example()?;
    let key = quickstart.key()?;
    quickstart.repository(&Signer::load(&key)?)?;
    quickstart.package()?;
    let digest = quickstart.image()?;
    let answer = quickstart.container()?;
    quickstart.summary(&digest, &answer, start.elapsed());
    Ok(())
}

struct Quickstart {
    arch: Arch,
    steps: Steps,
    binaries: Binaries,
    directory: PathBuf,
}

/// Makes the directory, or clears what an earlier run left in it. Nothing else is touched.
fn prepare(directory: &Path) -> Outcome<PathBuf> {
    fs::create_dir_all(directory).at(directory)?;
    let directory = directory.canonicalize().at(directory)?;
    let is_ours = directory.join(MARK).exists();
    for name in [REPOSITORY, LAYOUT, CONTAINER] {
        let path = directory.join(name);
        if path.exists() && !is_ours {
            let what = path.display();
            return Err(
                format!("{what} is there, and not from this command: choose another directory").into(),
            );
        }
        if path.exists() {
            fs::remove_dir_all(&path).at(&path)?;
        }
    }
    let mark = directory.join(MARK);
    fs::write(
        &mark,
        "cargo xtask quickstart made this directory and clears it when it runs again.\n",
    )
    .at(&mark)?;
    Ok(directory)
}

impl Quickstart {
    fn copy_example(&self) -> Outcome {
        for file in [PACKAGE_CONFIGURATION, IMAGE_CONFIGURATION] {
            let (from, to) = (root().join("examples").join(file), self.path(file));
            let parent = to.parent().unwrap_or(&self.directory);
            fs::create_dir_all(parent).at(parent)?;
            fs::copy(&from, to).at(&from)?;
        }
        eprintln!("copied {EXAMPLE} to {}", self.directory.display());
        Ok(())
    }

    /// Shows a command as a person would type it, and runs it in the quickstart's directory.
    fn show(&self, command: &mut Command) -> Outcome<String> {
        let word = |word: &std::ffi::OsStr| word.to_string_lossy().into_owned();
        let name = Path::new(command.get_program()).file_name().unwrap_or_default();
        let words: Vec<String> = std::iter::once(name)
            .chain(command.get_args())
            .map(word)
            .collect();
        eprintln!("\n$ {}", words.join(" "));
        command
            .current_dir(&self.directory)
            .env_remove("SOURCE_DATE_EPOCH");
        printed(command.stderr(std::process::Stdio::inherit()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The key, made if there is none: the same key signs the same bytes with the same signature.
    fn key(&self) -> Outcome<PathBuf> {
        let key = self.path(KEY);
        let public = self.path(&format!("{KEY}.pub"));
        if !key.exists() {
            self.show(Command::new(&self.binaries.melange).args(["keygen", KEY]))?;
        } else if !public.exists() {
            let pem = fs::read_to_string(&key).at(&key)?;
            fs::write(
                &public,
                PrivateKey::from_pem(&pem).at(&key)?.public_key().to_pem()?,
            )
            .at(&public)?;
        }
        Ok(key)
    }

    fn repository(&self, signer: &Signer) -> Outcome {
        let start = Instant::now();
        eprintln!();
        let package = repository::bootstrap(&self.path(REPOSITORY), self.arch, signer)?;
        let package = package.file_name().unwrap_or_default().to_string_lossy();
        self.steps.done(
            "Packed",
            &format!("Debian's busybox-static as {package}"),
            start.elapsed(),
        );
        Ok(())
    }

    fn package(&self) -> Outcome {
        let mut melange = Command::new(&self.binaries.melange);
        melange.args(["build", PACKAGE_CONFIGURATION, "--arch", self.arch.apk_name()]);
        melange.args(["--signing-key", KEY, "--keyring-append", &format!("{KEY}.pub")]);
        melange.args(["--repository-append", REPOSITORY, "--out-dir", REPOSITORY]);
        self.show(&mut melange).map(drop)
    }

    /// Builds the image as a layout and as an archive. Returns the digest, which is the same for both.
    fn image(&self) -> Outcome<String> {
        let layout = self.path(LAYOUT);
        fs::create_dir(&layout).at(&layout)?;
        let build = |output: &str| {
            let mut apko = Command::new(&self.binaries.apko);
            apko.args([
                "build",
                IMAGE_CONFIGURATION,
                TAG,
                output,
                "--arch",
                self.arch.apk_name(),
            ]);
            apko.args([
                "--keyring-append",
                &format!("{KEY}.pub"),
                "--build-repository-append",
                REPOSITORY,
            ]);
            self.show(&mut apko)
        };
        let digest = build(LAYOUT)?;
        let of_archive = build(ARCHIVE)?;
        if digest != of_archive {
            return Err(format!("the layout is {digest} but the archive {of_archive}").into());
        }
        Ok(digest.trim().to_owned())
    }

    fn container(&self) -> Outcome<String> {
        let start = Instant::now();
        eprintln!();
        let port = run_image::free_port()?;
        let answer = run_image::in_bubblewrap(&self.path(LAYOUT), &self.path(CONTAINER), port)?;
        self.steps.done(
            "Ran",
            &format!("{TAG} in bubblewrap, on port {port}"),
            start.elapsed(),
        );
        Ok(answer)
    }

    fn summary(&self, digest: &str, answer: &str, took: Duration) {
        let path = |name: &str| self.path(name).display().to_string();
        println!();
        println!("answer      {}", answer.trim_end());
        println!("digest      {digest}");
        println!("key         {}, {}.pub", path(KEY), path(KEY));
        println!(
            "packages    {}",
            path(&format!("{REPOSITORY}/{}", self.arch.apk_name()))
        );
        println!(
            "image       {} (OCI layout), {} (docker load)",
            path(LAYOUT),
            path(ARCHIVE)
        );
        println!("container   {} (unpacked)", path(CONTAINER));
        println!("took        {}", cli_support::time(took));
    }
}

/// The public key beside a private one.
pub(crate) fn public(key: &Path) -> PathBuf {
    PathBuf::from(format!("{}.pub", key.display()))
}
