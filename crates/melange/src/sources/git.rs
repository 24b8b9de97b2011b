//! The pipeline `git-checkout`: a repository at a commit, by the git of this machine.
//!
//! It runs without the user's and the system's configuration, hooks, helpers for credentials and prompts, and speaks no
//! protocol but those that a server answers. Nothing of the workspace is its concern until the checkout is complete.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use melange_pipeline::runner::{Stream, run_on_host};
use rustix::fs::{Dir, FileType, Mode, OFlags};

use super::beneath::Beneath;
use super::error::SourcesError;
use super::{Job, io_error};

/// The first time that tar and zip archives can hold.
const EARLIEST: i64 = 315_532_800;

/// Settings of the clone itself, which steps see.
const SETTINGS: [&str; 3] = [
    "--config=advice.detachedHead=false",
    "--config=user.name=Melange Build",
    "--config=user.email=melange@localhost",
];

/// Tells whether it can clone a repository; of others the guest may know more, and paths are the guest's.
pub(super) fn takes(repository: &str) -> bool {
    ["https://", "http://", "git://"]
        .iter()
        .any(|scheme| repository.starts_with(scheme))
}

/// What is wanted of a repository.
struct Wanted {
    repository: String,
    branch: String,
    tag: String,
    expected: String,
    only_tip: bool,
    /// `None` for all of the history.
    depth: Option<u32>,
    sparse: Vec<String>,
}

pub(super) fn run(job: &mut Job<'_>) -> Result<(), SourcesError> {
    let wanted = Wanted::new(job)?;
    let directory = tempfile::Builder::new()
        .prefix("git-")
        .tempdir_in(&job.sources.scratch)
        .map_err(io_error("making a directory in", &job.sources.scratch))?;
    let home = directory.path().join("home");
    std::fs::create_dir(&home).map_err(io_error("making", &home))?;
    let clone = directory.path().join("clone");
    let picks = picks(job.input("cherry-picks"))?;
    let mut git = Git {
        job,
        home: &home,
        clone: &clone,
    };
    git.clone(&wanted)?;
    if !wanted.sparse.is_empty() {
        let paths = wanted.sparse.iter().map(String::as_str);
        git.run(
            &["sparse-checkout", "set", "--cone"]
                .into_iter()
                .chain(paths)
                .collect::<Vec<_>>(),
        )?;
    }
    git.check_out(&wanted)?;
    git.pick(&picks)?;
    git.move_to_workspace()
}

impl Wanted {
    fn new(job: &mut Job<'_>) -> Result<Self, SourcesError> {
        let input = |name: &str| job.input(name).to_owned();
        let wanted = Self {
            repository: input("repository"),
            branch: input("branch"),
            tag: input("tag"),
            expected: input("expected-commit"),
            only_tip: job.flag("expected-commit-is-branch-tip", false)?,
            depth: None,
            sparse: job
                .input("sparse-paths")
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        };
        for text in [&wanted.branch, &wanted.tag, &wanted.expected]
            .into_iter()
            .chain(&wanted.sparse)
        {
            if text.starts_with('-') {
                return Err(SourcesError::refused(format!(
                    "`{text}` looks like an option of git"
                )));
            }
        }
        if !wanted.branch.is_empty() && !wanted.tag.is_empty() {
            return Err(SourcesError::refused(format!(
                "branch `{}` and tag `{}` exclude each other",
                wanted.branch, wanted.tag
            )));
        }
        if wanted.only_tip && (wanted.branch.is_empty() || wanted.expected.is_empty()) {
            return Err(SourcesError::refused(
                "expected-commit-is-branch-tip needs branch and expected-commit",
            ));
        }
        if wanted.branch.is_empty() && wanted.tag.is_empty() {
            job.say("git-checkout: warning: neither branch nor tag is given");
        }
        if wanted.expected.is_empty() {
            job.say("git-checkout: warning: no expected-commit is given");
        }
        let depth = match job.input("depth") {
            "" | "unset" => {
                let is_searched =
                    !wanted.branch.is_empty() && !wanted.expected.is_empty() && !wanted.only_tip;
                if is_searched { None } else { Some(1) }
            }
            "-1" => None,
            _ => Some(job.number("depth", 1)?),
        };
        Ok(Self { depth, ..wanted })
    }

    /// How people call it.
    fn what(&self) -> &str {
        match (self.tag.as_str(), self.branch.as_str()) {
            ("", "") => "HEAD",
            ("", branch) => branch,
            (tag, _) => tag,
        }
    }
}

/// A commit to apply on top: the branch that it is on, if that must be fetched, the commit, and why.
#[derive(Debug, PartialEq, Eq)]
struct Pick {
    branch: String,
    commit: String,
    reason: String,
}

fn picks(text: &str) -> Result<Vec<Pick>, SourcesError> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let pick = |line: String| {
        let wrong = || {
            SourcesError::refused(format!(
                "a cherry-pick must be `[branch/]commit: why`, not `{line}`"
            ))
        };
        let (commit, reason) = line.split_once(':').ok_or_else(wrong)?;
        let reason = reason.trim();
        if reason.is_empty() || commit.starts_with('-') {
            return Err(wrong());
        }
        let (branch, commit) = commit.rsplit_once('/').unwrap_or(("", commit));
        Ok(Pick {
            branch: branch.to_owned(),
            commit: commit.to_owned(),
            reason: reason.to_owned(),
        })
    };
    lines.filter(|line| !line.is_empty()).map(pick).collect()
}

/// The program, at work in a directory of its own.
struct Git<'a, 'j> {
    job: &'a mut Job<'j>,
    /// An empty home directory.
    home: &'a Path,
    clone: &'a Path,
}

impl Git<'_, '_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.job.sources.tools.git.as_deref().unwrap_or(Path::new("git")));
        let date = format!("@{} +0000", self.job.sources.epoch.max(EARLIEST));
        command
            .args(["-c", "core.hooksPath=/dev/null", "-c", "credential.helper="])
            .args([
                "-c",
                "core.fsmonitor=false",
                "-c",
                "gc.auto=0",
                "-c",
                "maintenance.auto=false",
            ])
            .args(arguments)
            .env_clear()
            .envs(self.network())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ALLOW_PROTOCOL", "http:https:git")
            .env("GIT_COMMITTER_DATE", date);
        command
    }

    /// Proxies and certificates are those that everything is fetched with.
    fn network(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        let options = self.job.sources.tools.client.options();
        let proxies = &options.http.proxies;
        let given = |text: &Option<String>| text.as_ref().map(OsString::from);
        let variables = [
            ("http_proxy", given(&proxies.http)),
            ("https_proxy", given(&proxies.https)),
            ("no_proxy", Some(OsString::from(&proxies.none_for))),
            (
                "GIT_SSL_CAINFO",
                options.http.roots.files.first().map(OsString::from),
            ),
        ];
        variables
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
    }

    /// Runs it in the clone; what it says is shown.
    fn run(&mut self, arguments: &[&str]) -> Result<(), SourcesError> {
        let mut command = self.command(arguments);
        command.current_dir(self.clone);
        self.finish(command, arguments, None)
    }

    /// Runs it in the clone and gives the one line that it prints.
    fn ask(&mut self, arguments: &[&str]) -> Result<String, SourcesError> {
        let mut command = self.command(arguments);
        command.current_dir(self.clone);
        let mut answer = String::new();
        self.finish(command, arguments, Some(&mut answer))?;
        Ok(answer)
    }

    fn finish(
        &mut self,
        mut command: Command,
        arguments: &[&str],
        mut answer: Option<&mut String>,
    ) -> Result<(), SourcesError> {
        let out = &mut *self.job.sink;
        let mut sink = |stream: Stream, line: &str| match &mut answer {
            Some(answer) if stream == Stream::Stdout => line.clone_into(answer),
            _ => out.line(stream, line),
        };
        let status = run_on_host(&mut command, self.job.deadline, self.job.cancel, &mut sink);
        match status.map_err(SourcesError::Ended)? {
            status if status.is_success() => Ok(()),
            status => Err(SourcesError::Git {
                command: arguments.first().copied().unwrap_or_default().to_owned(),
                status,
            }),
        }
    }

    /// Clones, again and again if need be: a host that is overwhelmed needs time.
    fn clone(&mut self, wanted: &Wanted) -> Result<(), SourcesError> {
        let retries: u32 = self.job.number("max-retries", 3)?;
        let mut pause: u64 = self.job.number("initial-backoff", 2)?;
        let longest: u64 = self.job.number("max-backoff", 60)?;
        let arguments = self.clone_arguments(wanted)?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.job.say(&format!(
            "git-checkout: cloning {}",
            apk_repository::without_login(&wanted.repository)
        ));
        for attempt in 0.. {
            let command = self.command(&arguments);
            match self.finish(command, &arguments, None) {
                Err(SourcesError::Git { .. }) if attempt < retries => {
                    self.job.say(&format!(
                        "git-checkout: retry {} of {retries} in {pause} s",
                        attempt + 1
                    ));
                    self.wait(Duration::from_secs(pause))?;
                    pause = (pause * 2).min(longest);
                    let _ = std::fs::remove_dir_all(self.clone);
                }
                done => return done,
            }
        }
        Ok(())
    }

    fn clone_arguments(&mut self, wanted: &Wanted) -> Result<Vec<String>, SourcesError> {
        let mut arguments: Vec<String> = ["clone", "--quiet", "--origin=origin", "--template="]
            .map(str::to_owned)
            .into();
        arguments.extend(SETTINGS.map(str::to_owned));
        if wanted.what() != "HEAD" {
            arguments.push(format!("--branch={}", wanted.what()));
        }
        if let Some(depth) = wanted.depth {
            arguments.push(format!("--depth={depth}"));
        }
        if self.job.flag("recurse-submodules", false)? {
            let jobs: u32 = self.job.number("submodule-jobs", 1)?;
            arguments.extend(["--recurse-submodules".to_owned(), format!("--jobs={jobs}")]);
            if self.job.flag("shallow-submodules", false)? {
                arguments.push("--shallow-submodules".to_owned());
            }
        }
        if !wanted.sparse.is_empty() {
            arguments.extend(["--sparse".to_owned(), "--filter=blob:none".to_owned()]);
        }
        arguments.extend([
            "--".to_owned(),
            wanted.repository.clone(),
            self.clone.display().to_string(),
        ]);
        Ok(arguments)
    }

    fn wait(&self, pause: Duration) -> Result<(), SourcesError> {
        let end = Instant::now() + pause;
        while Instant::now() < end {
            self.job.check()?;
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Goes to the commit that is wanted, and makes sure that it is the one.
    fn check_out(&mut self, wanted: &Wanted) -> Result<(), SourcesError> {
        let Wanted { tag, expected, .. } = wanted;
        let own = format!("refs/origin/tags/{tag}");
        if !tag.is_empty() {
            // A branch of the same name would have won above.
            let reference = format!("+refs/tags/{tag}:{own}");
            let depth = wanted.depth.map(|depth| format!("--depth={depth}"));
            let fetch = ["fetch", "--quiet", "origin", "--no-tags"].into_iter();
            let fetch: Vec<&str> = fetch
                .chain(depth.as_deref())
                .chain([reference.as_str()])
                .collect();
            self.run(&fetch)?;
            self.run(&["checkout", "--quiet", &own])?;
        }
        let what = wanted.what();
        let found = self.ask(&["rev-parse", "--verify", "HEAD"])?;
        if expected.is_empty() || *expected == found {
            self.job.say(&format!("git-checkout: {what} is commit {found}"));
            return Ok(());
        }
        let refuse = |more: &str| {
            Err(SourcesError::refused(format!(
                "{what} is commit {found}, expected was {expected}{more}"
            )))
        };
        if !tag.is_empty() {
            // An annotated tag is an object of its own, and some write down that one's hash.
            if self.ask(&["rev-parse", "--verify", "--end-of-options", &own])? != *expected {
                return refuse("");
            }
            self.job.say(&format!(
                "git-checkout: warning: {expected} is the tag's own object, expected-commit should be {found}"
            ));
            return Ok(());
        }
        if wanted.only_tip {
            return refuse(", and it must be the newest one");
        }
        if wanted.depth.is_some() {
            return refuse("; with depth -1 it is looked for in the history");
        }
        match self.ask(&["merge-base", "--is-ancestor", expected, &found]) {
            Ok(_) => {
                self.job.say(&format!(
                    "git-checkout: {what} is commit {found}, going back to {expected}"
                ));
                self.run(&["reset", "--quiet", "--hard", expected])
            }
            Err(SourcesError::Git { .. }) => refuse(", which is not in its history"),
            Err(error) => Err(error),
        }
    }

    fn pick(&mut self, picks: &[Pick]) -> Result<(), SourcesError> {
        let mut fetched: Vec<&str> = vec![""];
        for Pick {
            branch,
            commit,
            reason,
        } in picks
        {
            if !fetched.contains(&branch.as_str()) {
                let is_shallow = self.ask(&["rev-parse", "--is-shallow-repository"])? == "true";
                let reference = format!("{branch}:{branch}");
                let unshallow = is_shallow.then_some("--unshallow");
                let arguments = ["fetch", "--quiet"].into_iter().chain(unshallow);
                self.run(
                    &arguments
                        .chain(["origin", reference.as_str()])
                        .collect::<Vec<_>>(),
                )?;
                fetched.push(branch);
            }
            self.run(&["cherry-pick", "-x", commit])?;
            self.job.say(&format!("git-checkout: applied {commit}: {reason}"));
        }
        Ok(())
    }

    /// The destination may hold files already; those of the same names give way.
    fn move_to_workspace(&mut self) -> Result<(), SourcesError> {
        let workspace = &self.job.sources.workspace;
        let destination = self.job.path(self.job.input("destination"));
        let at = workspace.join(&destination);
        let mut to = Beneath::open(workspace)
            .and_then(|tree| tree.descend(&destination))
            .map_err(io_error("opening", &at))?;
        move_directory(self.clone, "", &mut to).map_err(io_error("moving the checkout to", &at))
    }
}

fn move_directory(from: &Path, below: &str, to: &mut Beneath) -> std::io::Result<()> {
    let handle = rustix::fs::open(
        from,
        OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    for entry in Dir::read_from(&handle)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "." || name == ".." {
            continue;
        }
        let path = if below.is_empty() {
            name.clone()
        } else {
            format!("{below}/{name}")
        };
        let stat = rustix::fs::statat(&handle, &*name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            to.directory(&path)?;
            move_directory(&from.join(&name), &path, to)?;
        } else {
            to.take(&path, &handle, &name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cherry_picks_are_read_line_by_line() {
        let found = picks("# none\n\nmain/abc: fixes it # really\n  def:  why  not\n").unwrap();
        let pick = |branch: &str, commit: &str, reason: &str| Pick {
            branch: branch.to_owned(),
            commit: commit.to_owned(),
            reason: reason.to_owned(),
        };
        assert_eq!(
            found,
            [pick("main", "abc", "fixes it"), pick("", "def", "why not")]
        );
        for text in ["abc", "abc:", "abc: # why", "--upload-pack=x: why"] {
            assert!(picks(text).is_err(), "{text}");
        }
    }
}
