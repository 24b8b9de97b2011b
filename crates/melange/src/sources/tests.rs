//! The two pipelines against servers of the tests' own: `fetch` here, `git-checkout` below.

mod git;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use apk_repository::ClientOptions;
use melange_pipeline::runner::StepFailure;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use testkit::Server;

use super::*;

/// A workspace, and a server of files.
struct Lab {
    dir: TempDir,
    server: Server,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["www", "workspace", "scratch", "cache"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let server = Server::start(&dir.path().join("www"));
        Self { dir, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("workspace").join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn serve(&self, name: &str, content: &[u8]) -> (String, String) {
        fs::write(self.dir.path().join("www").join(name), content).unwrap();
        let digits = Sha256::digest(content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        (format!("{}/{name}", self.server.url()), digits)
    }

    fn sources(&self) -> BuildSources {
        let mut options = ClientOptions::default();
        options.http.sleep = std::sync::Arc::new(|_| {});
        let client = Client::new(options);
        BuildSources {
            tools: SourceTools::new(client, std::env::var_os("PATH").as_deref()),
            workspace: self.dir.path().join("workspace"),
            scratch: self.dir.path().join("scratch"),
            cache: Some(self.dir.path().join("cache")),
            epoch: 0,
        }
    }

    fn get(&self, pipeline: &str, inputs: &[(&str, &str)], workdir: &str) -> Result<bool, String> {
        let step = step(pipeline, inputs);
        let workdir = GuestPath::new(WORKSPACE).join(workdir);
        let sources = self.sources();
        assert!(sources.takes(&step, &workdir));
        let done = sources.get(
            &step,
            &workdir,
            (None, &Cancel::default()),
            &mut |_: Stream, _: &str| {},
        );
        assert_eq!(fs::read_dir(&sources.scratch).unwrap().count(), 0);
        done.map_err(|error| error.to_string())
    }

    fn fetch(&self, inputs: &[(&str, &str)]) -> Result<bool, String> {
        self.get("fetch", inputs, "")
    }
}

fn step(pipeline: &str, inputs: &[(&str, &str)]) -> SourceStep {
    let inputs = inputs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    SourceStep {
        pipeline: pipeline.to_owned(),
        inputs: inputs.collect(),
    }
}

/// An archive of members: path, kind, and content or target.
fn archive(members: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if path.ends_with("run") { 0o775 } else { 0o664 });
        header.set_mtime(1_600_000_000);
        // Not by `set_path`, which refuses what must be refused here.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        let is_link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
        if is_link {
            header.set_link_name_literal(text).unwrap();
        }
        let content = if is_link { "" } else { text };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const LINK: tar::EntryType = tar::EntryType::Symlink;
const HARD_LINK: tar::EntryType = tar::EntryType::Link;
const DIRECTORY: tar::EntryType = tar::EntryType::Directory;

fn source_archive() -> Vec<u8> {
    archive(&[
        ("thing-1/", DIRECTORY, ""),
        ("thing-1/run", FILE, "content"),
        ("thing-1/sub/", DIRECTORY, ""),
        ("thing-1/sub/link", LINK, "../run"),
        ("thing-1/sub/same", HARD_LINK, "thing-1/run"),
    ])
}

fn compressed(program: &str, content: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write as _;
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(content).ok()?;
    Some(child.wait_with_output().ok()?.stdout)
}

#[test]
fn an_archive_is_unpacked_with_modes_times_and_links_however_it_is_compressed() {
    for program in ["cat", "gzip", "bzip2", "xz", "zstd"] {
        let content = source_archive();
        let content = match program {
            "cat" => content,
            program => match compressed(program, &content) {
                Some(content) => content,
                None => {
                    eprintln!("skipped: there is no {program} here");
                    continue;
                }
            },
        };
        let lab = Lab::new();
        let (uri, hash) = lab.serve("thing-1.tar", &content);
        assert_eq!(
            lab.fetch(&[("uri", &uri), ("expected-sha256", &hash)]),
            Ok(true),
            "{program}"
        );
        assert_eq!(lab.read("sub/link"), "content");
        let run = fs::metadata(lab.path("run")).unwrap();
        assert_eq!(run.permissions().mode() & 0o777, 0o775);
        assert_eq!(
            run.modified()
                .unwrap()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap(),
            Duration::from_secs(1_600_000_000)
        );
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(run.ino(), fs::metadata(lab.path("sub/same")).unwrap().ino());
        assert!(lab.path("thing-1.tar").exists());
    }
}

#[test]
fn inputs_say_where_it_goes_and_what_stays() {
    let lab = Lab::new();
    let (uri, hash) = lab.serve("thing-1.tar", &source_archive());
    let inputs = [
        ("uri", uri.as_str()),
        ("expected-sha256", hash.as_str()),
        ("strip-components", "0"),
        ("directory", "into"),
        ("delete", "true"),
    ];
    assert_eq!(lab.get("fetch", &inputs, "work"), Ok(true));
    assert_eq!(lab.read("work/into/thing-1/run"), "content");
    assert!(!lab.path("work/thing-1.tar").exists());
    let (uri, hash) = lab.serve("plain.txt", b"plain");
    let inputs = [
        ("uri", uri.as_str()),
        ("expected-sha256", &hash),
        ("extract", "false"),
    ];
    assert_eq!(lab.fetch(&inputs), Ok(true));
    assert_eq!(lab.read("plain.txt"), "plain");
}

#[test]
fn what_is_there_already_is_not_fetched_but_checked() {
    let lab = Lab::new();
    let (uri, hash) = lab.serve("plain.txt", b"plain");
    let inputs = [
        ("uri", uri.as_str()),
        ("expected-sha256", &hash),
        ("extract", "false"),
    ];
    fs::write(lab.path("plain.txt"), "other").unwrap();
    assert!(
        lab.fetch(&inputs)
            .unwrap_err()
            .contains("`plain.txt` in the workspace has the checksum")
    );
    fs::write(lab.path("plain.txt"), "plain").unwrap();
    assert_eq!(lab.fetch(&inputs), Ok(true));
    fs::remove_file(lab.path("plain.txt")).unwrap();
    fs::write(
        lab.dir.path().join("cache").join(format!("sha256:{hash}")),
        "plain",
    )
    .unwrap();
    assert_eq!(lab.fetch(&inputs), Ok(true));
    assert_eq!(lab.read("plain.txt"), "plain");
    assert_eq!(lab.server.requests().len(), 0);
}

#[test]
fn a_wrong_checksum_leaves_nothing_and_none_is_refused() {
    let lab = Lab::new();
    let (uri, hash) = lab.serve("plain.txt", b"plain");
    let wrong = hash.replace(['1', '2'], "3");
    let error = lab
        .fetch(&[("uri", &uri), ("expected-sha256", &wrong)])
        .unwrap_err();
    assert!(error.contains(&hash) && error.contains(&wrong), "{error}");
    assert!(lab.fetch(&[("uri", &uri)]).unwrap_err().contains("must be given"));
    assert!(
        lab.fetch(&[("uri", &uri), ("expected-sha256", "12")])
            .unwrap_err()
            .contains("64 hexadecimal")
    );
    assert_eq!(fs::read_dir(lab.path("")).unwrap().count(), 0);
}

#[test]
fn members_that_lead_out_are_refused_by_name() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().display().to_string();
    for (members, name) in [
        (vec![("a/../../evil", FILE, "x")], "a/../../evil"),
        (vec![("/evil", FILE, "x")], "/evil"),
        (
            vec![("a/out", LINK, target.as_str()), ("a/out/evil", FILE, "x")],
            "a/out/evil",
        ),
        (vec![("a/evil", HARD_LINK, "../../etc/passwd")], "a/evil"),
        (vec![("a/evil", tar::EntryType::Fifo, "")], "a/evil"),
        (vec![("a/evil", tar::EntryType::Char, "")], "a/evil"),
    ] {
        let lab = Lab::new();
        let (uri, hash) = lab.serve("thing.tar", &archive(&members));
        let error = lab
            .fetch(&[("uri", &uri), ("expected-sha256", &hash)])
            .unwrap_err();
        assert!(error.contains(&format!("`{name}`")), "{error}");
        assert!(error.contains("thing.tar"), "{error}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_link_that_a_step_left_leads_nobody_out_of_the_workspace() {
    let lab = Lab::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), lab.path("into")).unwrap();
    symlink(outside.path().join("file"), lab.path("plain.txt")).unwrap();
    let (uri, hash) = lab.serve("thing.tar", &source_archive());
    lab.fetch(&[("uri", &uri), ("expected-sha256", &hash), ("directory", "into")])
        .unwrap_err();
    let (uri, hash) = lab.serve("plain.txt", b"plain");
    let _ = lab.fetch(&[("uri", &uri), ("expected-sha256", &hash), ("extract", "false")]);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn damaged_archives_are_named_and_unknown_ones_are_left_to_the_guest() {
    let lab = Lab::new();
    let whole = compressed("gzip", &source_archive()).unwrap();
    let (uri, hash) = lab.serve("cut.tar.gz", &whole[..whole.len() / 2]);
    let error = lab
        .fetch(&[("uri", &uri), ("expected-sha256", &hash)])
        .unwrap_err();
    assert!(error.contains("`cut.tar.gz`"), "{error}");
    let (uri, hash) = lab.serve("thing.zip", b"PK\x03\x04");
    assert_eq!(lab.fetch(&[("uri", &uri), ("expected-sha256", &hash)]), Ok(false));
    assert!(lab.path("thing.zip").exists());
}

#[test]
fn only_what_can_be_done_outside_is_taken() {
    let sources = Lab::new().sources();
    let taken = |pipeline: &str, inputs: &[(&str, &str)], workdir: &str| {
        sources.takes(&step(pipeline, inputs), &GuestPath::new(workdir))
    };
    assert!(taken("fetch", &[("uri", "https://example.org/x")], WORKSPACE));
    assert!(!taken("fetch", &[("uri", "ftp://example.org/x")], WORKSPACE));
    assert!(!taken("fetch", &[("uri", "https://example.org/x")], "/usr/src"));
    assert!(!taken(
        "fetch",
        &[("uri", "https://example.org/x"), ("directory", "/usr/src")],
        WORKSPACE
    ));
    for repository in [
        "/home/build/x",
        "file:///x",
        "ssh://example.org/x",
        "ext::sh -c true",
        "-x",
    ] {
        assert!(
            !taken("git-checkout", &[("repository", repository)], WORKSPACE),
            "{repository}"
        );
    }
}

#[test]
fn a_server_that_says_nothing_does_not_hold_up_the_end() {
    let lab = Lab::new();
    let (uri, hash) = lab.serve("plain.txt", b"plain");
    lab.server.always("/plain.txt", testkit::Fault::Stall(1));
    let step = step("fetch", &[("uri", &uri), ("expected-sha256", &hash)]);
    let deadline = Some(Instant::now() + Duration::from_millis(300));
    let error = lab.sources().get(
        &step,
        &GuestPath::new(WORKSPACE),
        (deadline, &Cancel::default()),
        &mut |_: Stream, _: &str| {},
    );
    assert!(matches!(error, Err(SourceError::Ended(RunnerError::TimedOut))));
    let failure = StepFailure::Source("x".into());
    assert_eq!(failure.to_string(), "x");
}

#[test]
fn a_mirror_gives_what_the_first_place_does_not_have() {
    let lab = Lab::new();
    let (mirror, hash) = lab.serve("mirror.txt", b"plain");
    let (other, _) = lab.serve("other.txt", b"other");
    let gone = format!("{}/plain.txt", lab.server.url());
    // One that has something else is passed over like one that has nothing.
    let mirrors = format!("{other} {mirror}");
    let inputs = [
        ("uri", gone.as_str()),
        ("mirrors", mirrors.as_str()),
        ("expected-sha256", &hash),
        ("extract", "false"),
    ];
    assert_eq!(lab.fetch(&inputs), Ok(true));
    // It has the name that the first place gives it.
    assert_eq!(lab.read("plain.txt"), "plain");
    let inputs = [
        ("uri", gone.as_str()),
        ("mirrors", other.as_str()),
        ("expected-sha256", &hash),
    ];
    let error = Lab::new().fetch(&inputs).unwrap_err();
    assert!(
        error.contains("plain.txt") && error.contains("other.txt"),
        "{error}"
    );
}
