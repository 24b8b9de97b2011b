//! A workspace of small packages, and who makes them.
#![allow(dead_code, reason = "no test needs all of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use apko::Policy;
use build_graph::{Counts, Ending, Failure, Options};
use melange_workspace::settings::RunnerKind;
use melange_workspace::{Builder, ImageTask, Installed, Report, Session, Task, Workspace, WorkspaceError};
use testkit::{Package, Repository};

/// Makes packages out of what the steps of a configuration say, one `file NAME TEXT` or `source FILE` a line, and counts.
#[derive(Default)]
pub(crate) struct Fake {
    done: Mutex<Vec<String>>,
}

impl Fake {
    fn note(&self, what: String) {
        self.done.lock().unwrap().push(what);
    }

    /// What was done since the last call, sorted.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut done = std::mem::take(&mut *self.done.lock().unwrap());
        done.sort();
        done
    }
}

fn scripts(step: &melange_config::Step) -> Vec<&str> {
    std::iter::once(step.runs.as_str())
        .chain(step.pipeline.iter().flat_map(scripts))
        .collect()
}

fn package(name: &str, task: &Task<'_>, steps: &[melange_config::Step], depends: &[String]) -> Package {
    let mut package = Package::new(name, &task.definition.version).info(|info| {
        info.commit = format!("{:?}", std::time::SystemTime::now());
        info.depends = depends
            .iter()
            .map(|entry| apk_types::Dependency::lenient(entry))
            .collect();
    });
    for line in steps
        .iter()
        .flat_map(|step| scripts(step))
        .flat_map(|script| script.lines().collect::<Vec<_>>())
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        package = match words[..] {
            ["file", path, text] => package.file(path, 0o644, text),
            // As a compiler does, it leaves comments out.
            ["source", file] => {
                let text = fs::read_to_string(task.source.as_ref().unwrap().join(file)).unwrap();
                let code: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
                package.file(file, 0o644, &code.join("\n"))
            }
            ["needs", name] => package.depends(&[name]),
            ["fail"] => package.file("fail", 0o644, ""),
            _ => package,
        };
    }
    package
}

impl Builder for Fake {
    fn package(&self, task: &Task<'_>, environment: Installed) -> Result<Vec<PathBuf>, Failure> {
        let compiled = &task.compiled;
        let names = environment
            .packages
            .iter()
            .map(|entry| entry.split('=').next().unwrap());
        let mut environment: Vec<&str> = names.collect();
        environment.sort_unstable();
        self.note(format!("{} in {}", task.definition.name, environment.join(" ")));
        if compiled.pipeline.iter().any(|step| step.runs.contains("fail")) {
            return Err(Failure::new("it fails"));
        }
        let repository = Repository::new("x86_64");
        let runtime = |package: &melange_config::types::Package| package.dependencies.runtime.clone();
        let mut packages = vec![package(
            &compiled.package.name,
            task,
            &compiled.pipeline,
            &runtime(&compiled.package),
        )];
        for subpackage in compiled
            .subpackages
            .iter()
            .filter(|subpackage| subpackage.enabled)
        {
            let depends = runtime(&subpackage.package);
            packages.push(package(
                &subpackage.package.name,
                task,
                &subpackage.pipeline,
                &depends,
            ));
        }
        repository.publish(&packages);
        let mut files = Vec::new();
        for entry in fs::read_dir(repository.path().join("x86_64"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "apk") {
                let to = task.directory.join(path.file_name().unwrap());
                fs::copy(&path, &to)?;
                files.push(to);
            }
        }
        Ok(files)
    }

    fn test(&self, task: &Task<'_>, package: &str, environment: Installed) -> Result<(), Failure> {
        assert!(
            environment
                .packages
                .iter()
                .any(|entry| entry.starts_with(&format!("{package}=")))
        );
        self.note(format!("test {}", task.definition.name));
        Ok(())
    }

    fn image(&self, task: &ImageTask<'_>, layout: &Path) -> Result<String, Failure> {
        self.note(format!("image {}", task.image.name));
        fs::create_dir(layout.join("blobs"))?;
        fs::write(layout.join("blobs/one"), &task.image.name)?;
        fs::write(layout.join("index.json"), "{}")?;
        Ok(task.image.name.clone())
    }
}

pub(crate) struct Case {
    directory: tempfile::TempDir,
    remote: Repository,
    pub(crate) fake: Fake,
}

impl Case {
    /// A workspace: a library with a `-dev` package, a tool that is built with it, something else, and images of both.
    pub(crate) fn new() -> Self {
        let remote = Repository::new("x86_64");
        remote.publish(&[Package::new("busybox", "1.36-r0")]);
        let case = Self {
            directory: tempfile::tempdir().unwrap(),
            remote,
            fake: Fake::default(),
        };
        case.settings("");
        case.write(
            "packages/lib.yaml",
            &format!(
                "{}environment: {{contents: {{packages: [busybox]}}}}\npipeline:\n  - runs: source lib.c\nsubpackages:\n  \
                 - name: lib-dev\n    dependencies: {{runtime: [lib]}}\n    pipeline:\n      - runs: file lib.h h\n  - name: lib-doc\n    \
                 pipeline:\n      - runs: source lib.txt\n",
                header("lib", "1.0")
            ),
        );
        case.write("packages/lib/lib.c", "int lib;\n");
        case.write("packages/lib/lib.txt", "how to\n");
        case.write(
            "packages/tool.yaml",
            &format!(
                "{}  dependencies: {{runtime: [lib]}}\nenvironment: {{contents: {{packages: [busybox, lib-dev]}}}}\npipeline:\n  \
                 - uses: make\ntest: {{pipeline: [{{runs: tool}}]}}\n",
                header("tool", "2.0")
            ),
        );
        case.write(
            "pipelines/make.yaml",
            "name: make\npipeline:\n  - runs: file tool made\n",
        );
        case.write(
            "packages/other.yaml",
            &format!(
                "{}environment: {{contents: {{packages: [busybox]}}}}\npipeline:\n  - runs: file other x\n",
                header("other", "3.0")
            ),
        );
        case.write("images/web.yaml", "contents:\n  packages:\n    - tool\n");
        case.write("images/plain.yaml", "contents:\n  packages:\n    - other\n");
        case
    }

    pub(crate) fn settings(&self, more: &str) {
        let text = format!(
            "packages: [packages/*.yaml]\nimages: [images/*.yaml]\narchitectures: [x86_64]\nrepositories: [{}]\nkeyring: [{}]\n{more}",
            self.remote.location(),
            self.remote.key()
        );
        self.write("workspace.yaml", &text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{text}");
        self.write(name, &text.replace(from, to));
    }

    pub(crate) fn open(&self) -> Result<Workspace, WorkspaceError> {
        Workspace::open(self.directory.path())
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&Session<'_>) -> T) -> T {
        let workspace = self.open().unwrap();
        let policy = Policy::default();
        let session = Session::open(&workspace, &policy, RunnerKind::Native).unwrap();
        let result = work(&session);
        session.save();
        result
    }

    pub(crate) fn try_build(&self) -> Report {
        let workspace = self.open().unwrap();
        let targets = workspace.nodes();
        let options = Options {
            keep_going: true,
            ..Options::default()
        };
        self.with(|session| {
            session
                .build(&targets, &options, &self.fake, "0123456789", &())
                .unwrap()
        })
    }

    /// Builds all of it; how many nodes ended how, and what was done.
    pub(crate) fn build(&self) -> (Counts, Vec<String>) {
        let report = self.try_build();
        for (node, _, ending) in &report.summary.nodes {
            if let Ending::Failed { failure, .. } = ending {
                panic!("{node}: {failure}");
            }
        }
        assert!(report.unpublished.is_empty());
        (report.summary.counts(), self.fake.take())
    }

    pub(crate) fn published(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("packages/x86_64")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn header(name: &str, version: &str) -> String {
    format!("package:\n  name: {name}\n  version: {version}\n  epoch: 0\n")
}
