//! What goes wrong with a workspace: kills, broken caches, wrong files.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::tests::{Verdict, World};
use crate::tools::{At as _, printed, run};
use crate::workspace::KEY;
use crate::workspace::checks::{PACKAGES, in_copy};
use crate::workspace::lab::{FRESH, Lab, Run, Site, events};

/// Kills among the tests; `cargo xtask workspace-kill` takes more.
const KILLS: u32 = 4;

/// Builds are killed in the middle.
pub(crate) fn kill(world: &World) -> Outcome<Verdict> {
    in_copy(world, "kill", |site| kills(site, KILLS))
}

/// Kills as many builds as somebody asked for.
pub(crate) fn command(times: u32) -> Outcome {
    let lab = Lab::new(&crate::tools::Binaries::build()?)?;
    kills(&lab.site("kill")?, times)?;
    println!("{times} builds were killed; each was ended by the next one");
    Ok(())
}

/// Each time the same is changed here and in a workspace where nothing is killed. The build here is killed after a part
/// of the time that it takes there; the next build has the same results, and builds nothing of what was finished.
fn kills(site: &Site<'_>, times: u32) -> Outcome {
    let control = site.lab.site("kill-control")?;
    for turn in 0..times {
        for place in [site, &control] {
            place.write("packages/sitegen/style.css", &format!("p {{ top: {turn}px; }}\n"))?;
            for (file, word) in [("libgreet/greet.c", "Bonjour"), ("libcount/count.c", "MINUTE 2")] {
                let original = fs::read_to_string(site.lab.path(FRESH).join("packages").join(file))?;
                let edited = original.replace(word, &format!("{word}{}", turn + 1));
                place.write(&format!("packages/{file}"), &edited)?;
            }
        }
        let whole = control.build(&[])?;
        whole.expect_success()?;
        // Any row of moments would do; this one leaves no large gap whatever its length.
        let part = f64::from(turn + 1) * 0.618_034 % 1.0;
        let killed = build_and_kill(site, whole.took.mul_f64(part))?;
        let next = site.build(&[])?;
        next.expect_success()?;
        let again = killed.told("package", "built");
        if let Some(name) = again.iter().find(|name| next.packages.contains(name)) {
            return Err(format!("{name} was finished before kill {turn}, and built again").into());
        }
        let mut both = [killed.told("package", "built"), next.packages].concat();
        both.sort();
        let missing = whole.packages.iter().find(|name| !both.contains(name));
        if let Some(name) = missing {
            return Err(format!("{name} was not built after kill {turn}").into());
        }
        let (results, wanted) = (site.results()?, control.results()?);
        if results != wanted {
            let wanted: Vec<&str> = wanted.lines().collect();
            let others: Vec<&str> = results.lines().filter(|line| !wanted.contains(line)).collect();
            return Err(format!("after kill {turn} these are others:\n{}", others.join("\n")).into());
        }
    }
    Ok(())
}

/// A build that is killed after a time. Its events are read from a file: what it started may hold a pipe open.
fn build_and_kill(site: &Site<'_>, patience: Duration) -> Outcome<Run> {
    let printed = site.path("killed.json");
    let mut melange = site.command(&["build", "--json"]);
    melange
        .stdout(File::create(&printed).at(&printed)?)
        .stderr(Stdio::null());
    let mut child = melange.spawn()?;
    std::thread::sleep(patience);
    child.kill()?;
    child.wait()?;
    let run = Run {
        events: events(&fs::read(&printed).at(&printed)?),
        ..Run::default()
    };
    fs::remove_file(&printed).at(&printed)?;
    Ok(run)
}

/// A cache in a directory: filled by one, taken from by others, broken, written by somebody whom nobody trusts.
pub(crate) fn shared_cache(world: &World) -> Outcome<Verdict> {
    in_copy(world, "shared-reference", |reference| {
        let lab = reference.lab;
        let settings = |keyring: &str| {
            format!(
                "\ncache:\n  directory: ../shared\n  write: true\n  keyring: [{keyring}]\n  signing-key: {KEY}\n"
            )
        };
        let join = |name: &str, keyring: &str| -> Outcome<Site<'_>> {
            let site = lab.copy(FRESH, name)?;
            let text = site.read("workspace.yaml")?;
            site.write("workspace.yaml", &(text + &settings(keyring)))?;
            Ok(site)
        };
        let public = format!("{KEY}.pub");
        join("shared-1", &public)?.build(&[])?.expect_built(&PACKAGES)?;
        let second = join("shared-2", &public)?;
        second.build(&[])?.expect_built(&[])?;
        same(&second, reference)?;

        let stranger = lab.path("stranger.rsa");
        printed(Command::new(&lab.binaries.melange).arg("keygen").arg(&stranger))?;
        let third = join("shared-3", "../stranger.rsa.pub")?;
        third
            .build(&["package:libgreet@x86_64"])?
            .expect_built(&["libgreet"])?;

        damage(&lab.path("shared"))?;
        let fourth = join("shared-4", &public)?;
        let run = fourth.build(&[])?;
        run.expect_success()?;
        if run.packages.is_empty() {
            return Err("nothing was built although every file of the cache is damaged".into());
        }
        same(&fourth, reference)
    })
}

fn same(site: &Site<'_>, other: &Site<'_>) -> Outcome {
    match (site.results()?, other.results()?) {
        (one, two) if one == two => Ok(()),
        (one, two) => Err(format!("the results are not the same:\n{one}\n{two}").into()),
    }
}

/// Changes a byte in the middle of each file.
fn damage(directory: &Path) -> Outcome {
    for entry in fs::read_dir(directory).at(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            damage(&path)?;
            continue;
        }
        let mut bytes = fs::read(&path).at(&path)?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        fs::remove_file(&path).at(&path)?;
        fs::write(&path, bytes).at(&path)?;
    }
    Ok(())
}

/// A file that is wrong, and what must be said of it.
struct Wrong {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    says: &'static [&'static str],
}

const WRONG: &[Wrong] = &[
    Wrong {
        file: "workspace.yaml",
        from: "signing-key:",
        to: "singing-key:",
        says: &["workspace.yaml:", "singing-key", "did you mean `signing-key`?"],
    },
    Wrong {
        file: "workspace.yaml",
        from: "[x86_64]",
        to: "[x68_64]",
        says: &["workspace.yaml:", "`x68_64`"],
    },
    Wrong {
        file: "packages/motd.yaml",
        from: "name: motd",
        to: "name: site",
        says: &["packages/motd.yaml:", "packages/site.yaml:", "`site`"],
    },
    Wrong {
        file: "packages/libcount.yaml",
        from: "name: libcount-dev",
        to: "name: libpage-dev",
        says: &[
            "packages/libcount.yaml:",
            "packages/libpage.yaml:",
            "`libpage-dev`",
        ],
    },
    Wrong {
        file: "images/tools.yaml",
        from: "- motd",
        to: "- mottd",
        says: &["images/tools.yaml:", "mottd"],
    },
    Wrong {
        file: "packages/greeter.yaml",
        from: "- libgreet-dev",
        to: "- libgret-dev",
        says: &["packages/greeter.yaml:", "libgret-dev"],
    },
    Wrong {
        file: "packages/greeter.yaml",
        from: "uses: cc/program",
        to: "uses: cc/progam",
        says: &["packages/greeter.yaml:", "cc/progam"],
    },
];

/// What is wrong is shown with file and line, and nothing is built or lost.
pub(crate) fn wrong_files(world: &World) -> Outcome<Verdict> {
    in_copy(world, "wrong-files", |site| {
        let before = site.results()?;
        for wrong in WRONG {
            let right = site.read(wrong.file)?;
            site.edit(wrong.file, wrong.from, wrong.to)?;
            let run = site.build(&[])?;
            run.expect_failure(wrong.says)
                .and_then(|()| run.expect_built(&[]))
                .map_err(|error| format!("{}: {error}", wrong.to))?;
            site.write(wrong.file, &right)?;
        }
        match site.results()? == before {
            true => site.build(&[])?.expect(&[], &[]),
            false => Err("what was built before is not there any more".into()),
        }
    })
}

/// A cycle is shown with its lines; built once from a seed, it goes round.
pub(crate) fn cycle(world: &World) -> Outcome<Verdict> {
    in_copy(world, "cycle", |site| {
        run(Command::new("cp")
            .arg("-r")
            .arg(site.path("repository"))
            .arg(site.path("seed")))?;
        site.edit(
            "packages/libgreet.yaml",
            "pipeline:\n  - runs",
            "environment:\n  contents:\n    packages: [greeter]\n\npipeline:\n  - runs",
        )?;
        let run = site.build(&[])?;
        run.expect_failure(&[
            "libgreet",
            "greeter",
            "packages/libgreet.yaml:",
            "packages/greeter.yaml:",
        ])?;
        run.expect_built(&[])?;
        let settings = site.read("workspace.yaml")?;
        site.write("workspace.yaml", &(settings + "\nseed: [seed]\n"))?;
        let run = site.build(&[])?;
        run.expect_success()?;
        match run.packages.iter().any(|name| name == "libgreet") {
            true => site.build(&[])?.expect_built(&[]),
            false => Err(format!("{:?} were built, but not libgreet", run.packages).into()),
        }
    })
}
