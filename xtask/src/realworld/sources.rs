//! Where the sources of real software come from: package registries, asked through their own clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::Outcome;
use crate::debian::source;
use crate::tools::{At as _, printed, unpack_deb};

/// Where the sources of a case come from.
pub(super) enum Origin {
    /// The archive that Debian's package of this name is built from, which the configuration fetches.
    Debian(&'static str),
    /// A Go module with its version; its sources lie beside the configuration.
    Go(&'static str),
    /// A source distribution of a Python project with its version, which the configuration fetches, and what builds it.
    Python(&'static str, &'static [&'static str]),
    /// A crate and its version; its sources, and those of what it depends on, lie beside the configuration.
    Crate(&'static str, &'static str),
    /// A package of npm's registry and its version, which the configuration installs.
    Npm(&'static str, &'static str),
    /// A gem, whose sources, as Debian's package of this name has them, lie beside the configuration.
    Gem(&'static str, &'static str),
}

/// The directories that sources are put into.
pub(super) struct Places<'a> {
    /// What is downloaded stays here.
    pub(super) downloads: &'a Path,
    /// The cache that guests see.
    pub(super) cache: &'a Path,
    /// The case's own directory.
    pub(super) work: &'a Path,
}

impl Places<'_> {
    /// The directory that the configuration lies in.
    pub(super) fn source(&self) -> PathBuf {
        self.work.join("source")
    }
}

impl Origin {
    /// Puts the sources where a build finds them without a network.
    pub(super) fn fetch(&self, places: &Places<'_>) -> Outcome {
        match self {
            Self::Debian(package) => cached(&source(package, places.downloads)?, places),
            Self::Go(module) => go(module, places),
            Self::Python(project, builders) => python(project, builders, places),
            Self::Crate(name, version) => rust(name, version, places),
            Self::Npm(package, version) => npm(package, version, places),
            Self::Gem(gem, package) => ruby(gem, package, places),
        }
    }
}

/// Puts an archive where the pipeline `fetch` looks for it.
pub(super) fn cached(file: &Path, places: &Places<'_>) -> Outcome {
    let sum = printed(Command::new("sha256sum").arg(file))?;
    let sum = sum.split_whitespace().next().unwrap_or_default();
    fs::copy(file, places.cache.join(format!("sha256:{sum}"))).at(file)?;
    Ok(())
}

fn go(module: &str, places: &Places<'_>) -> Outcome {
    let modules = places.cache.join("gomodcache");
    let go = |arguments: &[&str], directory: &Path| {
        let mut go = Command::new("go");
        go.args(arguments).current_dir(directory);
        printed(go.env("GOMODCACHE", &modules))
    };
    let told = go(&["mod", "download", "-json", module], places.work)?;
    let told: serde_json::Value = serde_json::from_str(&told)?;
    let sources = told["Dir"].as_str().ok_or("go mod download names no directory")?;
    copy(Path::new(sources), &places.source())?;
    go(&["mod", "download"], &places.source()).map(drop)
}

fn python(project: &str, builders: &[&str], places: &Places<'_>) -> Outcome {
    let pip = |arguments: &[&str], directory: &Path| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--dest"])
            .arg(directory);
        printed(pip.args(arguments))
    };
    pip(builders, &places.cache.join("wheels"))?;
    let name = project.split("==").next().unwrap_or(project);
    pip(&["--no-deps", "--no-binary", name, project], places.work)?;
    let mut files = fs::read_dir(places.work)?.flatten().map(|entry| entry.path());
    let archive = files.find(|path| path.extension().is_some_and(|kind| kind == "gz"));
    cached(&archive.ok_or("pip left no archive")?, places)
}

/// Has cargo fetch the crate as a dependency, and then all that its own lock file names. It is done in a place of its own,
/// for cargo takes what lies below a workspace for a part of it.
fn rust(name: &str, version: &str, places: &Places<'_>) -> Outcome {
    let outside = tempfile::tempdir()?;
    let wish = outside.path();
    fs::create_dir(wish.join("src")).at(wish)?;
    let manifest = format!(
        "[package]\nname = \"wish\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\n{name} = \"={version}\"\n"
    );
    fs::write(wish.join("Cargo.toml"), manifest)?;
    fs::write(wish.join("src/lib.rs"), "")?;
    let vendor = |directory: &Path, arguments: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.arg("vendor").args(arguments);
        printed(cargo.current_dir(directory))
    };
    vendor(wish, &[])?;
    let another = tempfile::tempdir()?;
    let sources = another.path();
    copy(&wish.join("vendor").join(name), sources)?;
    let settings = vendor(sources, &["--locked"])?;
    fs::create_dir(sources.join(".cargo")).at(sources)?;
    fs::write(sources.join(".cargo/config.toml"), settings)?;
    copy(sources, &places.source())
}

/// Installs the package once, so that npm's cache has it and all that it depends on.
fn npm(package: &str, version: &str, places: &Places<'_>) -> Outcome {
    let mut npm = Command::new("npm");
    npm.args(["install", "--global", "--no-audit", "--cache"])
        .arg(places.cache.join("npm"))
        .arg("--prefix")
        .arg(places.work.join("installed"))
        .arg(format!("{package}@{version}"));
    printed(&mut npm).map(drop)
}

/// Debian's package has a gem's library, its programs and its specification in places of their own.
fn ruby(gem: &str, package: &str, places: &Places<'_>) -> Outcome {
    let (unpacked, source) = (places.work.join("unpacked"), places.source());
    fs::create_dir_all(&unpacked).at(&unpacked)?;
    unpack_deb(package, &unpacked)?;
    for (from, to) in [("usr/lib/ruby/vendor_ruby", "lib"), ("usr/bin", "bin")] {
        fs::create_dir_all(source.join(to)).at(&source)?;
        copy(&unpacked.join(from), &source.join(to))?;
    }
    let specifications = unpacked.join("usr/share/rubygems-integration/all/specifications");
    let entry = fs::read_dir(&specifications).at(&specifications)?.next();
    let specification = entry.ok_or("the package has no specification")??.path();
    let text = fs::read_to_string(&specification).at(&specification)?;
    // It lists the files of the release, of which Debian's package has those that count.
    let lines = text.lines().map(|line| match line.starts_with("  s.files = ") {
        true => "  s.files = Dir[\"{bin,lib}/**/*\"].select { |path| File.file?(path) }.sort\n".to_owned(),
        false => format!("{line}\n"),
    });
    fs::write(source.join(format!("{gem}.gemspec")), lines.collect::<String>())?;
    Ok(())
}

/// Packs what npm's registry has of npm itself; gives the archive.
pub(super) fn npm_itself(version: &str, directory: &Path) -> Outcome<PathBuf> {
    let mut npm = Command::new("npm");
    npm.args(["pack", "--json"]).arg(format!("npm@{version}"));
    let told: serde_json::Value = serde_json::from_str(&printed(npm.current_dir(directory))?)?;
    let file = told[0]["filename"].as_str().ok_or("npm pack names no file")?;
    Ok(directory.join(file))
}

/// Variables that have the languages' tools take what lies in the cache, as a file for `--env-file`.
pub(super) fn offline_variables(path: &Path) -> Outcome {
    let registry = printed(Command::new("npm").args(["config", "get", "registry"]))?;
    let variables = json!({
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/var/cache/melange/wheels",
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GONOSUMDB": "*",
        "npm_config_cache": "/var/cache/melange/npm",
        "npm_config_offline": "true",
        "npm_config_registry": registry.trim(),
    });
    let lines = variables.as_object().into_iter().flatten();
    let lines = lines.map(|(name, value)| format!("{name}={}\n", value.as_str().unwrap_or_default()));
    fs::write(path, lines.collect::<String>()).at(path)
}

/// Copies a directory, whatever its modes are, as one that may be written.
fn copy(from: &Path, to: &Path) -> Outcome {
    let mut copy = Command::new("cp");
    copy.args(["-r", "--no-preserve=mode"])
        .arg(from.join("."))
        .arg(to);
    printed(&mut copy).map(drop)
}

/// Puts the patches beside the configurations that this one names into the sources.
pub(super) fn patches(configuration: &Path, source: &Path) -> Outcome {
    let text = fs::read_to_string(configuration).at(configuration)?;
    let words = text.split_whitespace().filter(|word| word.ends_with(".patch"));
    for name in words {
        let path = configuration.with_file_name(name);
        fs::copy(&path, source.join(name)).at(&path)?;
    }
    Ok(())
}
