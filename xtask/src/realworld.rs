//! `cargo xtask realworld`: software that people use, built through the built-in pipelines, tested, installed into an
//! image and run.
//!
//! The guests are Debian's packages, packed as apks; the sources are what package registries serve. Each
//! configuration lies in `xtask/realworld` with `@NAME@` for what is known here alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::debian::{Debian, source};
use crate::tools::{At as _, BUBBLEWRAP, Binaries, printed, require};
use crate::{Outcome, root, run_image};

/// Where the sources of a case come from.
enum Origin {
    /// The archive that Debian's package of this name is built from.
    Debian(&'static str),
    /// A Go module with its version.
    Go(&'static str),
    /// A source distribution of a Python project with its version, and what builds it.
    Python(&'static str, &'static [&'static str]),
}

struct Case {
    name: &'static str,
    what: &'static str,
    origin: Origin,
    /// What the image runs, and a text that it must print.
    command: &'static [&'static str],
    prints: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "hello",
        what: "autoconf",
        origin: Origin::Debian("hello"),
        command: &["/usr/bin/hello"],
        prints: "Hello, world!",
    },
    Case {
        name: "sed",
        what: "autoconf",
        origin: Origin::Debian("sed"),
        command: &["/usr/bin/sed", "--version"],
        prints: "GNU sed",
    },
    Case {
        name: "zlib",
        what: "own configure script, three packages",
        origin: Origin::Debian("zlib"),
        command: &["/usr/bin/minigzip", "-h"],
        prints: "",
    },
    Case {
        name: "jq",
        what: "autoconf",
        origin: Origin::Debian("jq"),
        command: &["/usr/bin/jq", "--null-input", "1 + 1"],
        prints: "2",
    },
    Case {
        name: "cmark",
        what: "cmake",
        origin: Origin::Debian("cmark"),
        command: &["/usr/bin/cmark", "--version"],
        prints: "cmark",
    },
    Case {
        name: "seatd",
        what: "meson",
        origin: Origin::Debian("seatd"),
        command: &["/usr/bin/seatd", "-v"],
        prints: "seatd",
    },
    Case {
        name: "twofa",
        what: "a Go program",
        origin: Origin::Go("rsc.io/2fa@v1.2.0"),
        command: &["/usr/bin/2fa", "-list"],
        prints: "",
    },
    Case {
        name: "python-wheel",
        what: "a Python wheel",
        origin: Origin::Python("tomli==2.0.1", &["flit_core<4"]),
        command: &[
            "/usr/bin/python3",
            "-c",
            "import tomli; print(tomli.loads('a = 7')['a'])",
        ],
        prints: "7",
    },
    Case {
        name: "perl-module",
        what: "a Perl module",
        origin: Origin::Debian("libtext-glob-perl"),
        command: &[
            "/usr/bin/perl",
            "-MText::Glob=match_glob",
            "-e",
            "print match_glob('*.c', 'a.c')",
        ],
        prints: "a.c",
    },
];

/// What every guest has.
const TOOLS: &[&str] = &[
    "base-files",
    "dash",
    "coreutils",
    "sed",
    "grep",
    "gawk",
    "tar",
    "gzip",
    "bzip2",
    "xz-utils",
    "findutils",
    "diffutils",
    "make",
    "gcc",
    "g++",
    "libc6-dev",
    "binutils",
    "bash",
    "file",
    "patch",
];

/// What single cases need.
const LANGUAGES: &[&str] = &[
    "cmake",
    "ninja-build",
    "meson",
    "golang-go",
    "python3",
    "python3-pip",
    "python3-build",
    "python3-installer",
    "python3-venv",
    "perl",
];

/// How a case came out.
struct Row {
    name: &'static str,
    what: &'static str,
    built: Duration,
    result: Outcome<String>,
}

/// Runs all cases, or those whose name contains a text, and prints a table.
pub(crate) fn command(wanted: &str) -> Outcome {
    require(&[
        BUBBLEWRAP,
        ("runc", "runc"),
        ("umoci", "umoci"),
        ("dpkg-deb", "dpkg"),
        ("apt-cache", "apt"),
    ])?;
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.name.contains(wanted)).collect();
    let lab = Lab::new()?;
    lab.prepare()?;
    let rows: Vec<Row> = cases.iter().map(|case| lab.run(case)).collect();
    println!("{:14} {:38} {:>8}  result", "software", "kind", "build");
    for row in &rows {
        let result = row
            .result
            .as_ref()
            .map_or_else(|error| format!("FAILED: {error}"), Clone::clone);
        let built = format!("{:.1} s", row.built.as_secs_f64());
        println!("{:14} {:38} {built:>8}  {result}", row.name, row.what);
    }
    match rows.iter().filter(|row| row.result.is_err()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} failed", rows.len()).into()),
    }
}

struct Lab {
    binaries: Binaries,
    debian: Debian,
    out: PathBuf,
    cache: PathBuf,
}

impl Lab {
    fn new() -> Outcome<Self> {
        let binaries = Binaries::build()?;
        let directory = root().join("target/realworld");
        let key = directory.join("realworld.rsa");
        for made in ["tmp", "cache"] {
            fs::create_dir_all(directory.join(made)).at(&directory)?;
        }
        if !key.exists() {
            printed(
                Command::new(&binaries.melange)
                    .args(["keygen", "--key-size", "2048"])
                    .arg(&key),
            )?;
        }
        Ok(Self {
            binaries,
            out: directory.join("packages"),
            cache: directory.join("cache"),
            debian: Debian {
                repository: directory.join("debian"),
                directory,
                key,
            },
        })
    }

    /// Packs what the guests are made of.
    fn prepare(&self) -> Outcome {
        let names: Vec<&str> = TOOLS.iter().chain(LANGUAGES).copied().collect();
        self.debian.add(&names)?;
        let tools = TOOLS.iter().map(|name| (*name).to_owned()).collect();
        // Names of the distributions that the built-in pipelines are written for.
        let aliases = [
            "autoconf",
            "automake",
            "build-base",
            "busybox",
            "ca-certificates-bundle",
            "go",
            "libtool",
            "ninja",
            "py3-build",
            "py3-installer",
            "wget",
        ];
        let aliases = aliases.iter().map(|name| format!("{name}=1")).collect();
        self.debian
            .make("realworld-tools", "1-r0", tools, aliases, |directory| {
                // What Debian's scripts would have made.
                let links = [
                    ("usr/bin/awk", "gawk"),
                    ("usr/bin/cc", "gcc"),
                    ("usr/bin/c++", "g++"),
                ];
                for made in ["usr/bin", "etc", "tmp"] {
                    fs::create_dir_all(directory.join(made))?;
                }
                for (path, target) in links {
                    std::os::unix::fs::symlink(target, directory.join(path))?;
                }
                fs::write(directory.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
                fs::write(directory.join("etc/group"), "root:x:0:\n")?;
                Ok(())
            })
    }

    fn run(&self, case: &Case) -> Row {
        let start = Instant::now();
        let built = self.build(case);
        let took = start.elapsed();
        Row {
            name: case.name,
            what: case.what,
            built: took,
            result: built.and_then(|configuration| {
                self.test(&configuration)?;
                self.run_image(case)?;
                Ok("built, tested, ran in a container".to_owned())
            }),
        }
    }

    /// Builds a case's packages; gives its configuration.
    fn build(&self, case: &Case) -> Outcome<PathBuf> {
        let mut replacements = vec![
            ("KEYS", format!("{}.pub", self.debian.key.display())),
            ("REPOSITORY", self.debian.repository.display().to_string()),
        ];
        let work = self.debian.directory.join("work").join(case.name);
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(work.join("source")).at(&work)?;
        match case.origin {
            Origin::Debian(package) => {
                let file = source(package, &self.debian.directory)?;
                let sum = printed(Command::new("sha256sum").arg(&file))?;
                let sum = sum.split_whitespace().next().unwrap_or_default().to_owned();
                fs::copy(&file, self.cache.join(format!("sha256:{sum}"))).at(&file)?;
                let name = file
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                replacements.extend([("SHA256", sum), ("FILE", name)]);
            }
            Origin::Go(module) => {
                let modules = self.cache.join("gomodcache");
                let mut go = Command::new("go");
                go.args(["mod", "download", "-json", module])
                    .env("GOMODCACHE", &modules);
                let told: serde_json::Value = serde_json::from_str(&printed(&mut go)?)?;
                let sources = told["Dir"].as_str().ok_or("go mod download names no directory")?;
                copy(Path::new(sources), &work.join("source"))?;
                let mut all = Command::new("go");
                all.args(["mod", "download"])
                    .current_dir(work.join("source"))
                    .env("GOMODCACHE", &modules);
                printed(&mut all)?;
            }
            Origin::Python(project, builders) => {
                let mut pip = Command::new("python3");
                pip.args(["-m", "pip", "download", "--dest"])
                    .arg(self.cache.join("wheels"));
                printed(pip.args(builders))?;
                let mut pip = Command::new("python3");
                pip.args([
                    "-m",
                    "pip",
                    "download",
                    "--no-deps",
                    "--no-binary",
                    ":all:",
                    "--no-build-isolation",
                ]);
                printed(pip.arg("--dest").arg(&work).arg(project))?;
                let archive = fs::read_dir(&work)?.flatten().map(|entry| entry.path());
                let archive = archive
                    .into_iter()
                    .find(|path| path.extension().is_some_and(|kind| kind == "gz"));
                let archive = archive.ok_or("pip left no archive")?;
                let mut tar = Command::new("tar");
                tar.arg("-xf")
                    .arg(&archive)
                    .args(["--strip-components", "1", "-C"])
                    .arg(work.join("source"));
                printed(&mut tar)?;
            }
        }
        let template = root().join("xtask/realworld").join(format!("{}.yaml", case.name));
        let mut text = fs::read_to_string(&template).at(&template)?;
        for (name, value) in replacements {
            text = text.replace(&format!("@{name}@"), &value);
        }
        let configuration = work.join(format!("{}.yaml", case.name));
        fs::write(&configuration, text).at(&configuration)?;
        let mut melange = self.melange("build");
        melange
            .arg(&configuration)
            .arg("--out-dir")
            .arg(&self.out)
            .arg("--signing-key")
            .arg(&self.debian.key);
        melange.arg("--source-dir").arg(work.join("source"));
        melange.args(["--network", "none"]);
        printed(&mut melange)?;
        Ok(configuration)
    }

    fn test(&self, configuration: &Path) -> Outcome {
        let mut melange = self.melange("test");
        melange
            .arg(configuration)
            .arg("--repository-append")
            .arg(&self.out);
        printed(melange.args(["--require-tests", "--network", "none"])).map(drop)
    }

    fn melange(&self, command: &str) -> Command {
        let mut melange = Command::new(&self.binaries.melange);
        melange
            .args([command, "--arch", "x86_64", "--cache-dir"])
            .arg(&self.cache);
        melange
            .arg("--apk-cache-dir")
            .arg(self.debian.directory.join("apk-cache"));
        melange.env("TMPDIR", self.debian.directory.join("tmp"));
        melange
    }

    /// Installs the package into an image of its own and runs it there.
    fn run_image(&self, case: &Case) -> Outcome {
        let work = self.debian.directory.join("work").join(case.name);
        let configuration = work.join("image.yaml");
        let repositories = format!("[{}, {}]", self.debian.repository.display(), self.out.display());
        let text = format!(
            "contents:\n  keyring: [{}.pub]\n  repositories: {repositories}\n  packages: [{}]\n",
            self.debian.key.display(),
            case.name
        );
        fs::write(&configuration, text).at(&configuration)?;
        let layout = work.join("image");
        let mut apko = Command::new(&self.binaries.apko);
        apko.args(["build", "--arch", "x86_64", "--sbom=false"])
            .arg(&configuration);
        apko.arg(format!("{}:latest", case.name)).arg(&layout);
        printed(&mut apko)?;
        let printed = run_image::command_in_runc(&layout, &work.join("container"), case.command)?;
        match printed.contains(case.prints) {
            true => Ok(()),
            false => Err(format!("the image printed `{}`, not `{}`", printed.trim(), case.prints).into()),
        }
    }
}

/// Copies a directory, whatever its modes are, as one that may be written.
fn copy(from: &Path, to: &Path) -> Outcome {
    printed(
        Command::new("cp")
            .args(["-r", "--no-preserve=mode"])
            .arg(from.join("."))
            .arg(to),
    )
    .map(drop)
}
