//! What a build of the example workspace builds after a change: counted by the marks that steps leave.

use std::process::Command;

use apk_types::Arch;

use crate::Outcome;
use crate::tests::{Verdict, World};
use crate::tools::{is_root, run};
use crate::workspace::lab::{Lab, Site};

/// The configurations of the example.
pub(crate) const PACKAGES: [&str; 15] = [
    "greetd",
    "greeter",
    "libcount",
    "libgreet",
    "libpage",
    "motd",
    "pebble",
    "pebble-math",
    "pebble-text",
    "site",
    "site-tools",
    "sitegen",
    "webd",
    "webd-config",
    "wordcount",
];

pub(crate) const IMAGES: [&str; 4] = ["all", "runtime", "tools", "web"];

/// A change in one file, and what it costs.
struct Change {
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    packages: &'static [&'static str],
    tests: &'static [&'static str],
    images: &'static [&'static str],
}

/// Each on a workspace in which those before it have been made and built.
const CHANGES: &[Change] = &[
    Change {
        what: "a comment in a configuration",
        file: "packages/libgreet.yaml",
        from: "package:\n",
        to: "# Greets.\npackage:\n",
        packages: &[],
        tests: &[],
        images: &[],
    },
    Change {
        what: "a comment in a library's source: cut off behind it",
        file: "packages/libgreet/greet.c",
        from: "/* Few",
        to: "/* Very few",
        packages: &["libgreet"],
        tests: &[],
        images: &[],
    },
    Change {
        what: "a library's code: what is built with it, and the images that have it",
        file: "packages/libgreet/greet.c",
        from: "Bonjour",
        to: "Salut",
        packages: &["greetd", "greeter", "libgreet", "motd"],
        tests: &["test greetd", "test greeter", "test site-tools"],
        images: &["all", "tools", "web"],
    },
    Change {
        what: "code that changes nothing that others made with it",
        file: "packages/libcount/count.c",
        from: "WORDS_A_MINUTE 200",
        to: "WORDS_A_MINUTE 180",
        packages: &["libcount", "site", "wordcount"],
        tests: &["test site-tools", "test wordcount"],
        images: &["all", "tools"],
    },
    Change {
        what: "a manual that nobody installs",
        file: "packages/libgreet/greet.3",
        from: "greets somebody",
        to: "greets anybody",
        packages: &["libgreet"],
        tests: &[],
        images: &[],
    },
    Change {
        what: "a pipeline: its users",
        file: "pipelines/pebble/module.yaml",
        from: "mkdir -p",
        to: "mkdir -p -m 755",
        packages: &["pebble-math", "pebble-text"],
        tests: &[],
        images: &[],
    },
    Change {
        what: "a pipeline that others use: their users",
        file: "pipelines/cc/manual.yaml",
        from: "mkdir -p",
        to: "mkdir -p -m 755",
        packages: &[
            "greetd",
            "greeter",
            "libcount",
            "libgreet",
            "libpage",
            "pebble",
            "sitegen",
            "wordcount",
        ],
        tests: &[],
        images: &[],
    },
    Change {
        what: "what a package needs when it runs: the images that have both",
        file: "packages/webd-config/webd.conf",
        from: ".css:text/css",
        to: ".css:text/css\n.svg:image/svg+xml",
        packages: &["webd-config"],
        tests: &["test webd"],
        images: &["all", "web"],
    },
    Change {
        what: "an image",
        file: "images/tools.yaml",
        from: "/bin/sh -l",
        to: "/bin/sh",
        packages: &[],
        tests: &[],
        images: &["tools"],
    },
];

/// The lab of this run of the tests, or why there is none.
fn lab(world: &World) -> Outcome<Result<&Lab, Verdict>> {
    if !is_root() || std::env::consts::ARCH != "x86_64" {
        let reason = "Debian's C compiler is packed by root, for x86_64";
        return Ok(Err(Verdict::Skipped(reason.to_owned())));
    }
    world.workspace().map(Ok)
}

/// Runs a check in a copy of the built workspace.
pub(crate) fn in_copy(
    world: &World,
    name: &str,
    check: impl FnOnce(&Site<'_>) -> Outcome,
) -> Outcome<Verdict> {
    let lab = match lab(world)? {
        Ok(lab) => lab,
        Err(skipped) => return Ok(skipped),
    };
    check(&lab.site(name)?).map(|()| Verdict::Passed)
}

pub(crate) fn changes(world: &World) -> Outcome<Verdict> {
    in_copy(world, "changes", |site| {
        site.lab
            .first
            .expect(&PACKAGES, &IMAGES)
            .map_err(|error| format!("the first build: {error}"))?;
        let nothing = site.build(&[])?;
        nothing
            .expect(&[], &[])
            .map_err(|error| format!("nothing changed: {error}"))?;
        let took = site.build(&[])?.took;
        eprintln!("nothing changed: {}", cli_support::time(took));
        for change in CHANGES {
            let Change {
                what, file, from, to, ..
            } = change;
            site.edit(file, from, to)?;
            let built = site.build(&[])?;
            built
                .expect(change.packages, change.images)
                .and_then(|()| expect(built.tests, change.tests))
                .map_err(|error| format!("{what}: {error}"))?;
        }
        site.build(&[])?.expect(&[], &[])
    })
}

/// Packages are deleted and renamed: what is left is what a build from nothing gives.
pub(crate) fn comes_and_goes(world: &World) -> Outcome<Verdict> {
    in_copy(world, "comes-and-goes", |site| {
        site.remove("packages/pebble-text.yaml")?;
        let run = site.build(&[])?;
        run.expect_failure(&["images/runtime.yaml", "pebble-text"])?;
        for image in ["runtime", "all"] {
            site.edit(&format!("images/{image}.yaml"), "    - pebble-text\n", "")?;
        }
        site.build(&[])?.expect(&[], &["all", "runtime"])?;
        site.expect_package("x86_64", "pebble-text", false)?;

        site.rename("packages/wordcount.yaml", "packages/wc.yaml")?;
        site.rename("packages/wordcount", "packages/wc")?;
        site.edit("packages/wc.yaml", "name: wordcount", "name: wc")?;
        let run = site.build(&["--keep-going"])?;
        run.expect_failure(&["wordcount", "packages/site.yaml:", "images/tools.yaml:"])?;
        run.expect_built(&["wc"])?;
        for user in ["packages/site.yaml", "packages/site-tools.yaml"] {
            site.edit(user, "- wordcount\n", "- wc\n")?;
        }
        // The tool is still called as before: the site comes out the same.
        site.build(&[])?
            .expect(&["site", "site-tools"], &["all", "tools"])?;
        site.expect_package("x86_64", "wordcount-1", false)?;
        site.expect_package("x86_64", "wc-1", true)
    })
}

/// An architecture more: all is built for that one, nothing for the other.
pub(crate) fn architecture(world: &World) -> Outcome<Verdict> {
    in_copy(world, "architecture", |site| {
        // The tools of this machine under another name: what runs is the same.
        site.lab.base_for(Arch::Aarch64)?;
        site.edit("workspace.yaml", "[x86_64]", "[x86_64, aarch64]")?;
        let others: Vec<String> = PACKAGES.iter().map(|name| format!("{name}.aarch64")).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let run = site.build(&[])?;
        run.expect(&others, &IMAGES)?;
        site.edit("workspace.yaml", "[x86_64, aarch64]", "[x86_64]")?;
        site.build(&[])?.expect_restored(&IMAGES)
    })
}

/// Two branches, one after the other and back.
pub(crate) fn branches(world: &World) -> Outcome<Verdict> {
    in_copy(world, "branches", |site| {
        site.write(".gitignore", "/.melange\n/repository\n/oci\n")?;
        site.git(&["init", "--quiet", "--initial-branch", "one"])?;
        site.git(&["add", "--all"])?;
        site.git(&["commit", "--quiet", "--message", "one"])?;
        site.git(&["checkout", "--quiet", "-b", "two"])?;
        site.edit("packages/libgreet/greet.c", "Bonjour", "Salut")?;
        site.git(&["commit", "--quiet", "--all", "--message", "two"])?;
        site.build(&[])?.expect(
            &["greetd", "greeter", "libgreet", "motd"],
            &["all", "tools", "web"],
        )?;
        let two = site.results()?;
        site.git(&["checkout", "--quiet", "one"])?;
        site.build(&[])?.expect_restored(&["all", "tools", "web"])?;
        let one = site.results()?;
        site.git(&["checkout", "--quiet", "two"])?;
        site.build(&[])?.expect_restored(&["all", "tools", "web"])?;
        match site.results()? == two && one != two {
            true => Ok(()),
            false => Err("a branch's results are not what they were".into()),
        }
    })
}

/// One package fails: all that does not need it is built, all that does is skipped because of it.
pub(crate) fn keep_going(world: &World) -> Outcome<Verdict> {
    in_copy(world, "keep-going", |site| {
        site.edit(
            "packages/libgreet/greet.c",
            "#include \"greet.h\"",
            "#include \"great.h\"",
        )?;
        site.edit(
            "packages/libcount/count.c",
            "WORDS_A_MINUTE 200",
            "WORDS_A_MINUTE 180",
        )?;
        let run = site.build(&["--keep-going"])?;
        run.expect_failure(&["libgreet", "great.h"])?;
        run.expect_built(&["libcount", "libgreet", "site", "wordcount"])?;
        expect(run.told("package", "failed"), &["libgreet"])?;
        expect(run.told("package", "skipped"), &["greetd", "greeter", "motd"])?;
        site.edit(
            "packages/libgreet/greet.c",
            "#include \"great.h\"",
            "#include \"greet.h\"",
        )?;
        // What was built beside the failure is kept.
        site.build(&[])?.expect(&[], &["all", "tools"])
    })
}

/// Content that changed under a version that is published already needs a new epoch: these and no others get one.
pub(crate) fn epochs(world: &World) -> Outcome<Verdict> {
    in_copy(world, "epochs", |site| {
        let mut cp = Command::new("cp");
        run(cp
            .arg("--recursive")
            .arg(site.path("repository"))
            .arg(site.path("published")))?;
        site.edit(
            "packages/motd.yaml",
            "  epoch: 0",
            "  epoch: 0 # raised when the text changes",
        )?;
        let mut wanted = site.configurations()?;
        site.edit("packages/libgreet/greet.c", "Salve", "Ave")?;
        // `motd` has the greeting in it; `greeter` and `greetd` come out as they were.
        site.build(&["--keep-going"])?
            .expect_built(&["greetd", "greeter", "libgreet", "motd"])?;
        let status = site.printed(&["status", "--published", "published"])?;
        for name in ["libgreet", "motd"] {
            if !status.contains(&format!("packages/{name}.yaml:")) {
                return Err(format!("nothing is said of {name}:\n{status}").into());
            }
        }
        site.printed(&["status", "--published", "published", "--bump-epochs"])?;
        for (path, text) in &mut wanted {
            if path.ends_with("/libgreet.yaml") || path.ends_with("/motd.yaml") {
                *text = text.replace("epoch: 0", "epoch: 1");
            }
        }
        if site.configurations()? != wanted {
            return Err("others were edited than libgreet and motd, or more than their epochs".into());
        }
        let status = site.printed(&["status", "--published", "published", "--json"])?;
        match status.contains("\"stale_versions\":[]") {
            true => Ok(()),
            false => Err(format!("there are still stale versions: {status}").into()),
        }
    })
}

/// What `affected`, `explain` and `graph` say of a change.
pub(crate) fn tells(world: &World) -> Outcome<Verdict> {
    in_copy(world, "tells", |site| {
        site.write(".gitignore", "/.melange\n/repository\n/oci\n")?;
        site.git(&["init", "--quiet"])?;
        site.git(&["add", "--all"])?;
        site.git(&["commit", "--quiet", "--message", "all"])?;
        site.edit("packages/libgreet/greet.c", "Bonjour", "Salut")?;
        let affected = site.printed(&["affected", "--since", "HEAD"])?;
        for (name, is_affected) in [
            ("libgreet ", true),
            ("greeter ", true),
            ("motd ", true),
            ("image web ", true),
            ("libcount ", false),
            ("image runtime ", false),
        ] {
            if affected.lines().any(|line| line.starts_with(name)) != is_affected {
                return Err(format!("{name} is affected or is not:\n{affected}").into());
            }
        }
        let plan = site.command(&["plan"]).output()?;
        let plan =
            String::from_utf8_lossy(&plan.stdout).into_owned() + &String::from_utf8_lossy(&plan.stderr);
        let explained = site.printed(&["explain", "libgreet"])?;
        for (text, words) in [
            (&plan, &["libgreet", "greeter", "greet.c"][..]),
            (&explained, &["libgreet", "greet.c"]),
        ] {
            if let Some(word) = words.iter().find(|word| !text.contains(*word)) {
                return Err(format!("nothing is said of {word}: {text}").into());
            }
        }
        let html = site.printed(&["graph", "--format", "html"])?;
        let outside = ["src=\"http", "href=\"http", "@import", "url(http"];
        if let Some(word) = outside.iter().find(|word| html.contains(*word)) {
            return Err(format!("the page needs the network: {word}").into());
        }
        match PACKAGES.iter().find(|name| !html.contains(*name)) {
            None if html.contains("<html") => Ok(()),
            missing => Err(format!("the page of the graph has no {missing:?}").into()),
        }
    })
}

fn expect(found: Vec<String>, wanted: &[&str]) -> Outcome {
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{found:?}, not {wanted:?}").into()),
    }
}
