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

/// The examples, as the commands are given them: the paths are part of what is built.
pub(crate) const PACKAGE_CONFIGURATION: &str = "examples/hello-http/melange.yaml";
pub(crate) const IMAGE_CONFIGURATION: &str = "examples/hello-http/apko.yaml";

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
    let key = quickstart.key()?;
    quickstart.repository(&Signer::load(&key)?)?;
    quickstart.package(&key)?;
    let digest = quickstart.image(&key)?;
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
    /// Shows a command as a person would type it, and runs it at the top of the workspace.
    fn show(&self, command: &mut Command) -> Outcome<String> {
        let root = root();
        let word = |word: &std::ffi::OsStr| word.to_string_lossy().into_owned();
        let name = Path::new(command.get_program()).file_name().unwrap_or_default();
        let words: Vec<String> = std::iter::once(name)
            .chain(command.get_args())
            .map(word)
            .collect();
        let line = words.join(" ").replace(&format!("{}/", root.display()), "");
        eprintln!("\n$ {line}");
        printed(
            command
                .current_dir(root)
                .env_remove("SOURCE_DATE_EPOCH")
                .stderr(std::process::Stdio::inherit()),
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The key, made if there is none: the same key signs the same bytes with the same signature.
    fn key(&self) -> Outcome<PathBuf> {
        let key = self.path(KEY);
        let public = self.path(&format!("{KEY}.pub"));
        if !key.exists() {
            self.show(Command::new(&self.binaries.melange).arg("keygen").arg(&key))?;
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

    fn package(&self, key: &Path) -> Outcome {
        let repository = self.path(REPOSITORY);
        let mut melange = Command::new(&self.binaries.melange);
        melange.args(["build", PACKAGE_CONFIGURATION, "--arch", self.arch.apk_name()]);
        melange
            .arg("--signing-key")
            .arg(key)
            .arg("--keyring-append")
            .arg(public(key));
        melange
            .arg("--repository-append")
            .arg(&repository)
            .arg("--out-dir")
            .arg(&repository);
        self.show(&mut melange).map(drop)
    }

    /// Builds the image as a layout and as an archive. Returns the digest, which is the same for both.
    fn image(&self, key: &Path) -> Outcome<String> {
        let layout = self.path(LAYOUT);
        fs::create_dir(&layout).at(&layout)?;
        let build = |output: &Path| {
            let mut apko = Command::new(&self.binaries.apko);
            apko.args(["build", IMAGE_CONFIGURATION, TAG])
                .arg(output)
                .args(["--arch", self.arch.apk_name()]);
            apko.arg("--keyring-append").arg(public(key));
            apko.arg("--build-repository-append").arg(self.path(REPOSITORY));
            apko.arg("--sbom-path").arg(&self.directory);
            self.show(&mut apko)
        };
        let digest = build(&layout)?;
        let of_archive = build(&self.path(ARCHIVE))?;
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
