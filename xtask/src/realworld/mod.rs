//! `cargo xtask realworld`: software that people use, built twice through the built-in pipelines, tested, installed
//! into an image and run.
//!
//! The guests are Debian's packages, packed as apks; the sources are what package registries serve. The
//! configurations lie in `xtask/realworld` as a user would write them; the pages of `docs/melange` show them.

mod guest;
mod nodebb;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use apk_types::Arch;

use crate::debian::Debian;
use crate::realworld::sources::{Origin, Places};
use crate::tests::{Verdict, World};
use crate::tools::{At as _, BUBBLEWRAP, Binaries, is_root, printed, require};
use crate::{Outcome, root, run_image};

pub(crate) use nodebb::command as nodebb;

struct Case {
    name: &'static str,
    what: &'static str,
    origin: Origin,
    /// The packages that its guest and its image have beside what all have.
    needs: &'static [&'static str],
    /// What the image runs, and a text that it must print.
    command: &'static [&'static str],
    prints: &'static str,
}

/// What a program in C needs.
const COMPILED: &[&str] = &["autoconf", "automake", "build-base", "libtool", "scanelf"];

const CASES: &[Case] = &[
    Case {
        name: "hello",
        what: "autoconf",
        origin: Origin::Debian("hello"),
        needs: COMPILED,
        command: &["/usr/bin/hello"],
        prints: "Hello, world!",
    },
    Case {
        name: "patched-hello",
        what: "autoconf, with a patch",
        origin: Origin::Debian("hello"),
        needs: COMPILED,
        command: &["/usr/bin/hello"],
        prints: "Hello, melange!",
    },
    Case {
        name: "sed",
        what: "autoconf",
        origin: Origin::Debian("sed"),
        needs: COMPILED,
        command: &["/usr/bin/sed", "--version"],
        prints: "GNU sed",
    },
    Case {
        name: "zlib",
        what: "own configure script, four packages",
        origin: Origin::Debian("zlib"),
        needs: COMPILED,
        // What is not compressed it writes as it is.
        command: &["/usr/bin/minigzip", "-c", "-d", "/usr/lib/apk/db/installed"],
        prints: "P:zlib",
    },
    Case {
        name: "jq",
        what: "autoconf, two packages",
        origin: Origin::Debian("jq"),
        needs: COMPILED,
        command: &["/usr/bin/jq", "--null-input", "1 + 1"],
        prints: "2",
    },
    Case {
        name: "cmark",
        what: "cmake",
        origin: Origin::Debian("cmark"),
        needs: &["build-base", "scanelf", "cmake", "ninja"],
        command: &["/usr/bin/cmark", "--version"],
        prints: "cmark",
    },
    Case {
        name: "bubblewrap",
        what: "meson",
        origin: Origin::Debian("bubblewrap"),
        needs: &["build-base", "scanelf", "meson", "libcap-dev", "pkgconf"],
        command: &["/usr/bin/bwrap", "--version"],
        prints: "bubblewrap 0.8.0",
    },
    Case {
        name: "tomli",
        what: "a Python wheel",
        origin: Origin::Python("tomli==2.0.1", &["flit_core<4"]),
        needs: &["python3", "py3-build", "py3-installer", "py3-pip"],
        command: &[
            "/usr/bin/python3",
            "-c",
            "import tomli; print(tomli.loads('a = 7')['a'])",
        ],
        prints: "7",
    },
    Case {
        name: "text-glob",
        what: "a Perl module",
        origin: Origin::Debian("libtext-glob-perl"),
        needs: &["build-base", "perl"],
        command: &[
            "/usr/bin/perl",
            "-MText::Glob=match_glob",
            "-e",
            "print match_glob('*.c', 'a.c')",
        ],
        prints: "a.c",
    },
    Case {
        name: "twofa",
        what: "a Go program",
        origin: Origin::Go("rsc.io/2fa@v1.2.0"),
        needs: &["build-base", "go"],
        command: &["/usr/bin/2fa", "-list"],
        prints: "",
    },
    Case {
        name: "hexyl",
        what: "a Rust program",
        origin: Origin::Crate("hexyl", "0.10.0"),
        needs: &["build-base", "scanelf", "rust", "cargo-auditable"],
        command: &["/usr/bin/hexyl", "--version"],
        prints: "hexyl 0.10.0",
    },
    Case {
        name: "http-server",
        what: "an npm application",
        origin: Origin::Npm("http-server", "14.1.1"),
        needs: &["nodejs", "npm"],
        command: &["/usr/bin/http-server", "--version"],
        prints: "v14.1.1",
    },
    Case {
        name: "mustache",
        what: "a Ruby gem",
        origin: Origin::Gem("mustache", "ruby-mustache"),
        needs: &["ruby"],
        command: &[
            "/usr/bin/ruby",
            "-rmustache",
            "-e",
            "puts Mustache.render('{{a}}', a: 7)",
        ],
        prints: "7",
    },
];

/// How a case came out.
struct Row {
    case: &'static Case,
    built: Duration,
    result: Outcome,
}

/// Runs all cases, or those whose name contains a text, and prints a table.
pub(crate) fn command(wanted: &str) -> Outcome {
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.name.contains(wanted)).collect();
    if cases.is_empty() {
        return Err(format!("no software has a name with `{wanted}`").into());
    }
    let lab = Lab::new()?;
    let needs: Vec<&str> = cases.iter().flat_map(|case| case.needs).copied().collect();
    guest::prepare(&lab.debian, &needs)?;
    let rows: Vec<Row> = cases.into_iter().map(|case| lab.run(case)).collect();
    println!("{:14} {:36} {:>9}  result", "software", "kind", "2 builds");
    for Row { case, built, result } in &rows {
        let result = match result {
            Ok(()) => "the same twice, tested, ran in a container".to_owned(),
            Err(error) => format!("FAILED: {error}"),
        };
        let built = cli_support::time(*built);
        println!("{:14} {:36} {built:>9}  {result}", case.name, case.what);
    }
    match rows.iter().filter(|row| row.result.is_err()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} failed", rows.len()).into()),
    }
}

/// Two of the cases, as a check of `cargo xtask test`.
pub(crate) fn some(_: &World) -> Outcome<Verdict> {
    if !is_root() || std::env::consts::ARCH != "x86_64" {
        return Ok(Verdict::Skipped(
            "this needs root, for runc, and an x86_64".to_owned(),
        ));
    }
    for name in ["patched-hello", "text-glob"] {
        command(name)?;
    }
    Ok(Verdict::Passed)
}

/// The text of a case's configuration and where it lies in the project.
fn configuration(name: &str) -> PathBuf {
    root().join("xtask/realworld").join(format!("{name}.yaml"))
}

/// Debian's packages, and where everything else is put.
struct Lab {
    binaries: Binaries,
    debian: Debian,
    out: PathBuf,
    cache: PathBuf,
    variables: PathBuf,
}

impl Lab {
    /// Packs what the guests are made of, where that was not done before.
    fn new() -> Outcome<Self> {
        require(&[
            BUBBLEWRAP,
            ("runc", "runc"),
            ("umoci", "umoci"),
            ("dpkg-deb", "dpkg"),
            ("apt-cache", "apt"),
            ("npm", "npm"),
            ("go", "golang-go"),
        ])?;
        let binaries = Binaries::build()?;
        let directory = root().join("target/realworld");
        let key = directory.join("realworld.rsa");
        let cache = directory.join("cache");
        for made in [&directory.join("tmp"), &cache] {
            fs::create_dir_all(made).at(made)?;
        }
        if !key.exists() {
            let mut keygen = Command::new(&binaries.melange);
            keygen.args(["keygen", "--key-size", "2048"]);
            printed(keygen.arg(&key))?;
        }
        let lab = Self {
            binaries,
            out: directory.join("packages"),
            variables: directory.join("offline.env"),
            cache,
            debian: Debian {
                repository: directory.join("debian"),
                directory,
                key,
                arch: Arch::X86_64,
            },
        };
        sources::offline_variables(&lab.variables)?;
        Ok(lab)
    }

    fn run(&self, case: &'static Case) -> Row {
        eprintln!("{}: {}", case.name, case.what);
        let prepared = self.prepare(case);
        let start = Instant::now();
        let built = prepared.and_then(|source| self.build(case, &source));
        let took = start.elapsed();
        let result = built
            .and_then(|()| self.test(case))
            .and_then(|()| self.run_image(case));
        Row {
            case,
            built: took,
            result,
        }
    }

    fn work(&self, name: &str) -> PathBuf {
        self.debian.directory.join("work").join(name)
    }

    /// Fetches a case's sources; gives the directory of those that lie beside the configuration.
    fn prepare(&self, case: &Case) -> Outcome<PathBuf> {
        let work = self.work(case.name);
        let _ = fs::remove_dir_all(&work);
        let places = Places {
            downloads: &self.debian.directory,
            cache: &self.cache,
            work: &work,
        };
        let source = places.source();
        fs::create_dir_all(&source).at(&source)?;
        case.origin.fetch(&places)?;
        sources::patches(&configuration(case.name), &source)?;
        Ok(source)
    }

    /// Builds a case's packages twice, without a network.
    fn build(&self, case: &Case, source: &Path) -> Outcome {
        let mut melange = self.melange("build", &configuration(case.name));
        melange
            .args(["--check", "--network", "none", "--source-dir"])
            .arg(source)
            .arg("--out-dir")
            .arg(&self.out)
            .arg("--signing-key")
            .arg(&self.debian.key)
            .arg("--env-file")
            .arg(&self.variables);
        printed(&mut melange).map(drop)
    }

    fn test(&self, case: &Case) -> Outcome {
        let mut melange = self.melange("test", &configuration(case.name));
        melange.arg("--repository-append").arg(&self.out);
        printed(melange.args(["--network", "none"])).map(drop)
    }

    fn melange(&self, command: &str, configuration: &Path) -> Command {
        let mut melange = Command::new(&self.binaries.melange);
        melange
            .arg(command)
            .arg(configuration)
            .args(["--arch", "x86_64", "--cache-dir"])
            .arg(&self.cache)
            .arg("--repository-append")
            .arg(&self.debian.repository)
            .arg("--keyring-append")
            .arg(format!("{}.pub", self.debian.key.display()))
            .arg("--apk-cache-dir")
            .arg(self.debian.directory.join("apk-cache"))
            .env("TMPDIR", self.debian.directory.join("tmp"));
        melange
    }

    /// Installs the package into an image of its own and runs it there.
    fn run_image(&self, case: &Case) -> Outcome {
        let work = self.work(case.name);
        let configuration = work.join("image.yaml");
        let text = format!("contents:\n  packages: [{}]\n", case.name);
        fs::write(&configuration, text).at(&configuration)?;
        let layout = self.image(&configuration, &work.join("image"))?;
        let printed = run_image::command_in_runc(&layout, &work.join("container"), case.command)?;
        match printed.contains(case.prints) {
            true => Ok(()),
            false => Err(format!("the image printed `{}`, not `{}`", printed.trim(), case.prints).into()),
        }
    }

    /// Makes an image with what was built here; gives its layout.
    fn image(&self, configuration: &Path, layout: &Path) -> Outcome<PathBuf> {
        fs::create_dir(layout).at(layout)?;
        let mut apko = Command::new(&self.binaries.apko);
        apko.args(["build", "--arch", "x86_64", "--sbom=false"])
            .arg(configuration)
            .arg("image:latest")
            .arg(layout);
        for repository in [&self.debian.repository, &self.out] {
            apko.arg("--repository-append").arg(repository);
        }
        apko.arg("--keyring-append")
            .arg(format!("{}.pub", self.debian.key.display()))
            .arg("--cache-dir")
            .arg(self.debian.directory.join("apk-cache"));
        printed(&mut apko)?;
        Ok(layout.to_owned())
    }
}
