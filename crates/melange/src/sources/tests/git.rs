//! `git-checkout` from git's own daemon.

use std::process::Child;

use super::*;

/// A repository with a branch and tags, served by git's own daemon.
struct Repository {
    dir: TempDir,
    port: u16,
    daemon: Child,
    work: Work,
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl std::ops::Deref for Repository {
    type Target = Work;

    fn deref(&self) -> &Work {
        &self.work
    }
}

/// A repository and its files.
struct Work {
    path: PathBuf,
}

impl Work {
    fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let work = Self { path };
        work.git(&["init", "--quiet", "--initial-branch=main", "."]);
        work
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=Lab", "-c", "user.email=lab@example.org"])
            .args(arguments)
            .current_dir(&self.path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_DATE", "@1700000000 +0000")
            .env("GIT_COMMITTER_DATE", "@1700000000 +0000");
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(&self, name: &str) {
        fs::write(self.path.join(name), name).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "-m", name]);
    }

    fn id(&self, name: &str) -> String {
        self.git(&["rev-parse", name])
    }
}

impl Repository {
    /// Nothing where git or its daemon is missing.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .ok()?
            .local_addr()
            .ok()?
            .port();
        let path = Command::new("git").arg("--exec-path").output().ok()?;
        let daemon = PathBuf::from(String::from_utf8_lossy(&path.stdout).trim()).join("git-daemon");
        if !daemon.exists() {
            eprintln!("skipped: there is no git daemon here");
            return None;
        }
        let daemon = Command::new(daemon)
            .args(["--export-all", "--reuseaddr", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", dir.path().display()))
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let work = Work::new(dir.path().join("thing"));
        let repository = Self {
            dir,
            port,
            daemon,
            work,
        };
        repository.commit("one");
        repository.git(&["tag", "v1"]);
        repository.git(&["tag", "-a", "-m", "note", "v1-note"]);
        repository.commit("two");
        repository.git(&["checkout", "--quiet", "-b", "fixes", "v1"]);
        repository.commit("fix");
        repository.git(&["checkout", "--quiet", "main"]);
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(repository);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    fn url(&self) -> String {
        format!("git://127.0.0.1:{}/thing", self.port)
    }

    fn check_out(&self, lab: &Lab, inputs: &[(&str, &str)]) -> Result<bool, String> {
        let url = self.url();
        let inputs: Vec<_> = [("repository", url.as_str()), ("max-retries", "0")]
            .into_iter()
            .chain(inputs.iter().copied())
            .collect();
        lab.get("git-checkout", &inputs, "")
    }
}

#[test]
fn a_tag_or_branch_is_checked_out_where_it_should_be() {
    let Some(repository) = Repository::new() else {
        return;
    };
    let (one, two, note) = (
        repository.id("v1"),
        repository.id("main"),
        repository.id("v1-note"),
    );
    for (inputs, files) in [
        (
            vec![("tag", "v1"), ("expected-commit", one.as_str())],
            vec!["one"],
        ),
        (vec![("tag", "v1-note"), ("expected-commit", &one)], vec!["one"]),
        (vec![("tag", "v1-note"), ("expected-commit", &note)], vec!["one"]),
        (
            vec![("branch", "main"), ("expected-commit", &two)],
            vec!["one", "two"],
        ),
        (vec![("branch", "main"), ("expected-commit", &one)], vec!["one"]),
        (vec![], vec!["one", "two"]),
    ] {
        let lab = Lab::new();
        fs::write(lab.path("kept"), "").unwrap();
        fs::write(lab.path("one"), "before").unwrap();
        assert_eq!(repository.check_out(&lab, &inputs), Ok(true), "{inputs:?}");
        let mut found: Vec<_> = fs::read_dir(lab.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let mut wanted = vec![".git", "kept"];
        wanted.extend(files);
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{inputs:?}");
        assert_eq!(lab.read("one"), "one");
    }
}

#[test]
fn another_commit_than_was_expected_is_refused_and_leaves_nothing() {
    let Some(repository) = Repository::new() else {
        return;
    };
    let (one, fix) = (repository.id("v1"), repository.id("fixes"));
    for (inputs, text) in [
        (
            vec![("tag", "v1"), ("expected-commit", fix.as_str())],
            "expected was",
        ),
        (
            vec![("branch", "main"), ("expected-commit", &fix)],
            "not in its history",
        ),
        (
            vec![
                ("branch", "main"),
                ("expected-commit", &one),
                ("expected-commit-is-branch-tip", "true"),
            ],
            "must be the newest one",
        ),
        (vec![("branch", "main"), ("tag", "v1")], "exclude each other"),
        (vec![("tag", "--upload-pack=x")], "looks like an option"),
        (vec![("tag", "none")], "`git clone` ended with"),
    ] {
        let lab = Lab::new();
        let error = repository.check_out(&lab, &inputs).unwrap_err();
        assert!(error.contains(text), "{inputs:?}: {error}");
        assert_eq!(fs::read_dir(lab.path("")).unwrap().count(), 0);
    }
}

#[test]
fn cherry_picks_make_the_same_commits_every_time() {
    let Some(repository) = Repository::new() else {
        return;
    };
    let picks = format!("fixes/{}: it breaks otherwise", repository.id("fixes"));
    let heads = [(), ()].map(|()| {
        let lab = Lab::new();
        let inputs = [
            ("branch", "main"),
            ("destination", "sub"),
            ("cherry-picks", picks.as_str()),
        ];
        assert_eq!(repository.check_out(&lab, &inputs), Ok(true));
        assert_eq!(lab.read("sub/fix"), "fix");
        let mut git = Command::new("git");
        git.args(["-c", "safe.directory=*", "rev-parse", "HEAD"])
            .current_dir(lab.path("sub"));
        String::from_utf8(git.output().unwrap().stdout).unwrap()
    });
    assert_eq!(heads[0], heads[1]);
}

/// What lies in a directory of the workspace, sorted, without `.git`.
fn listed(lab: &Lab, name: &str) -> Vec<String> {
    let entries = fs::read_dir(lab.path(name)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name != ".git").collect();
    names.sort();
    names
}

/// How many commits the checkout has.
fn history(lab: &Lab, name: &str) -> usize {
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "rev-list", "--count", "HEAD"])
        .current_dir(lab.path(name));
    let output = git.output().unwrap().stdout;
    String::from_utf8(output).unwrap().trim().parse().unwrap()
}

#[test]
fn depth_says_how_much_history_comes_and_how_far_a_commit_is_looked_for() {
    let Some(repository) = Repository::new() else {
        return;
    };
    repository.commit("three");
    let one = repository.id("v1");
    for (depth, expected, commits) in [
        ("", "", Ok(1)),
        ("unset", "", Ok(1)),
        ("2", "", Ok(2)),
        ("-1", "", Ok(3)),
        ("-1", one.as_str(), Ok(1)),
        // Left alone, it is what the search needs.
        ("", one.as_str(), Ok(1)),
        ("2", one.as_str(), Err("with depth -1 it is looked for")),
        ("deep", "", Err("a number")),
    ] {
        let lab = Lab::new();
        let inputs = [
            ("branch", "main"),
            ("depth", depth),
            ("expected-commit", expected),
        ];
        let done = repository.check_out(&lab, &inputs);
        match (done, commits) {
            (Ok(true), Ok(commits)) => assert_eq!(history(&lab, ""), commits, "depth {depth}"),
            (Err(error), Err(text)) => assert!(error.contains(text), "depth {depth}: {error}"),
            (done, _) => panic!("depth {depth}, expected {expected}: {done:?}"),
        }
    }
}

#[test]
fn a_tag_wins_over_a_branch_of_its_name() {
    let Some(repository) = Repository::new() else {
        return;
    };
    repository.git(&["branch", "v1", "main"]);
    let one = repository.id("refs/tags/v1");
    let lab = Lab::new();
    let inputs = [("tag", "v1"), ("expected-commit", one.as_str())];
    assert_eq!(repository.check_out(&lab, &inputs), Ok(true));
    assert_eq!(listed(&lab, ""), ["one"]);
}

#[test]
fn sparse_paths_leave_the_other_directories_out() {
    let Some(repository) = Repository::new() else {
        return;
    };
    for directory in ["a", "b", "deep/c", "deep/d"] {
        fs::create_dir_all(repository.path.join(directory)).unwrap();
        repository.commit(&format!("{directory}/file"));
    }
    repository.git(&["config", "uploadpack.allowFilter", "true"]);
    let lab = Lab::new();
    let inputs = [("branch", "main"), ("sparse-paths", "a deep/c")];
    assert_eq!(repository.check_out(&lab, &inputs), Ok(true));
    // Files at the top always come.
    assert_eq!(listed(&lab, ""), ["a", "deep", "one", "two"]);
    assert_eq!(listed(&lab, "deep"), ["c"]);
    assert_eq!(lab.read("deep/c/file"), "deep/c/file");
    let error = repository
        .check_out(&Lab::new(), &[("branch", "main"), ("sparse-paths", "--stdin")])
        .unwrap_err();
    assert!(error.contains("looks like an option"), "{error}");
}

#[test]
fn submodules_come_where_they_are_asked_for_and_from_servers_alone() {
    let Some(repository) = Repository::new() else {
        return;
    };
    let part = Work::new(repository.dir.path().join("part"));
    part.commit("inner");
    part.commit("later");
    let at = |url: &str| {
        let allowed = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
        repository.git(&[&allowed[..], &["--name", "part", url, "part"]].concat());
        repository.git(&["commit", "--quiet", "-m", "with a part"]);
    };
    at("../part");
    for (recurse, shallow, files, commits) in [
        ("false", "false", &[][..], None),
        ("true", "false", &["inner", "later"][..], Some(2)),
        ("true", "true", &["inner", "later"][..], Some(1)),
    ] {
        let lab = Lab::new();
        let inputs = [
            ("branch", "main"),
            ("recurse-submodules", recurse),
            ("shallow-submodules", shallow),
            ("submodule-jobs", "2"),
        ];
        assert_eq!(repository.check_out(&lab, &inputs), Ok(true));
        assert_eq!(
            listed(&lab, "part"),
            files,
            "recurse {recurse}, shallow {shallow}"
        );
        if let Some(commits) = commits {
            assert_eq!(history(&lab, "part"), commits, "shallow {shallow}");
        }
    }
    // A repository must not have files of this machine copied into a build.
    let url = format!("file://{}", part.path.display());
    repository.git(&["submodule", "set-url", "part", &url]);
    repository.git(&["commit", "--quiet", "-am", "here"]);
    let lab = Lab::new();
    let inputs = [("branch", "main"), ("recurse-submodules", "true")];
    let error = repository.check_out(&lab, &inputs).unwrap_err();
    assert!(error.contains("`git clone` ended with"), "{error}");
    assert_eq!(fs::read_dir(lab.path("")).unwrap().count(), 0);
}

#[test]
fn a_pick_that_does_not_apply_is_an_error_and_leaves_nothing() {
    let Some(repository) = Repository::new() else {
        return;
    };
    repository.git(&["checkout", "--quiet", "fixes"]);
    fs::write(repository.path.join("one"), "otherwise").unwrap();
    repository.git(&["commit", "--quiet", "-am", "conflict"]);
    let conflict = repository.id("fixes");
    repository.git(&["checkout", "--quiet", "main"]);
    fs::write(repository.path.join("one"), "changed here").unwrap();
    repository.git(&["commit", "--quiet", "-am", "changed"]);
    for (pick, text) in [
        (format!("fixes/{conflict}: why"), "`git cherry-pick` ended with"),
        ("nowhere/abc: why".to_owned(), "`git fetch` ended with"),
        ("abc".to_owned(), "`[branch/]commit: why`"),
    ] {
        let lab = Lab::new();
        let inputs = [("branch", "main"), ("cherry-picks", pick.as_str())];
        let error = repository.check_out(&lab, &inputs).unwrap_err();
        assert!(error.contains(text), "{error}");
        assert_eq!(fs::read_dir(lab.path("")).unwrap().count(), 0);
    }
}
