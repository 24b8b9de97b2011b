//! The pipeline `fetch`: a file, checked, and unpacked if it is an archive.

use std::fs::File;
use std::io::{self, Seek as _};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use apk_repository::{Client, SourceHash};

use super::beneath::Beneath;
use super::error::SourcesError;
use super::unpack::{Compression, Unpacking};
use super::{Job, io_error};

/// How often a download looks whether it should end.
const POLL: Duration = Duration::from_millis(50);

/// Tells whether it can fetch a URI; the guest's program may know others.
pub(super) fn takes(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}

/// Fetches, checks and unpacks. False where the archive is of a kind that only the guest's tar may know.
pub(super) fn run(job: &mut Job<'_>) -> Result<bool, SourcesError> {
    let expected = expected(job)?;
    let strip: usize = job.number("strip-components", 1)?;
    // As in the script, all but `true` means no.
    let extract = ["", "true"].contains(&job.input("extract"));
    let delete = job.input("delete") == "true";
    let name = file_name(job.input("uri")).to_owned();
    let path = job.path(&name);
    let workspace = job.sources.workspace.clone();
    let mut tree = Beneath::open(&workspace).map_err(io_error("opening", &workspace))?;
    let present = tree
        .read(&path)
        .map_err(io_error("opening", &workspace.join(&path)))?;
    let mut file = match present {
        Some(file) => in_workspace(file, &name, expected.as_ref())?,
        None => {
            let mut file = match cached(job, &name, expected.as_ref()) {
                Some(file) => file,
                None => download(job, expected.as_ref())?,
            };
            if !(extract && delete) {
                let copied = tree
                    .file(&path, 0o644)
                    .and_then(|mut to| io::copy(&mut file, &mut to))
                    .and_then(|_| file.rewind());
                copied.map_err(io_error("writing", &workspace.join(&path)))?;
            }
            file
        }
    };
    match &expected {
        Some(expected) => job.say(&format!("fetch: {name} has the expected checksum {expected}")),
        None => job.say(&format!("fetch: {name} is not checked")),
    }
    if extract {
        let compression = Compression::of(&mut file).map_err(io_error("reading", &workspace.join(&path)))?;
        let Some(compression) = compression else {
            job.say(&format!("fetch: {name} is left to the guest's tar"));
            return keep_for_guest(&mut tree, &path, file)
                .map_err(io_error("writing", &workspace.join(&path)));
        };
        let to = job.path(job.input("directory"));
        let mut to = Beneath::open(&workspace)
            .and_then(|tree| tree.descend(&to))
            .map_err(io_error("opening", &workspace.join(&to)))?;
        let unpacking = Unpacking {
            name: &name,
            strip,
            cancel: job.cancel,
        };
        unpacking.run(file, compression, &mut to)?;
    }
    if delete {
        tree.remove(&path)
            .map_err(io_error("removing", &workspace.join(&path)))?;
    }
    Ok(true)
}

/// What the last part of the URI names.
fn file_name(uri: &str) -> &str {
    let uri = uri.trim_end_matches('/');
    uri.rsplit_once('/').map_or(uri, |(_, name)| name)
}

/// The first checksum that is given; `None` where none is wanted.
fn expected(job: &Job<'_>) -> Result<Option<SourceHash>, SourcesError> {
    let inputs = ["expected-sha256", "expected-sha512", "expected-none"].map(|name| job.input(name));
    match inputs {
        ["", "", ""] => Err(SourcesError::NoHash),
        ["", "", _] => Ok(None),
        ["", digits, _] => Ok(Some(SourceHash::sha512(digits)?)),
        [digits, ..] => Ok(Some(SourceHash::sha256(digits)?)),
    }
}

/// A file that lies in the workspace already counts as fetched.
fn in_workspace(mut file: File, name: &str, expected: Option<&SourceHash>) -> Result<File, SourcesError> {
    let failed = || io_error("reading", name.as_ref());
    if let Some(expected) = expected {
        let found = expected.of_content(&mut file).map_err(failed())?;
        if found != *expected {
            return Err(SourcesError::Other {
                file: name.to_owned(),
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
    }
    file.rewind().map_err(failed())?;
    Ok(file)
}

/// The file of the cache directory that the guest would see.
fn cached(job: &mut Job<'_>, name: &str, expected: Option<&SourceHash>) -> Option<File> {
    let expected = expected?;
    let path = job.sources.cache.as_ref()?.join(expected.to_string());
    let mut file = File::open(&path).ok()?;
    let found = expected.of_content(&mut file).ok()?;
    if found != *expected {
        job.say(&format!(
            "fetch: {} is not what its name says, and is left alone",
            path.display()
        ));
        return None;
    }
    file.rewind().ok()?;
    job.say(&format!("fetch: {name} is in the cache directory"));
    Some(file)
}

fn download(job: &mut Job<'_>, expected: Option<&SourceHash>) -> Result<File, SourcesError> {
    let uri = job.input("uri").to_owned();
    let mirrors = job.input("mirrors").split_whitespace().map(str::to_owned);
    let urls: Vec<String> = [uri].into_iter().chain(mirrors).collect();
    let client = client(job)?;
    let scratch = job.sources.scratch.clone();
    let expected = expected.cloned();
    let (sender, result) = channel();
    // A server that says nothing must not hold up the end of the work.
    let fetching = client.clone();
    thread::spawn(move || {
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let _ = sender.send(fetching.read_source(&urls, expected.as_ref(), &scratch));
    });
    loop {
        match result.recv_timeout(POLL) {
            Ok(file) => return Ok(file?),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(ended) = job.check() {
                    client
                        .options()
                        .http
                        .cancel
                        .store(true, std::sync::atomic::Ordering::Relaxed);
                    return Err(ended);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(SourcesError::refused("the download broke off"));
            }
        }
    }
}

/// The build's client, with what the step says of patience, and a switch of its own.
fn client(job: &Job<'_>) -> Result<Client, SourcesError> {
    let mut options = job.sources.tools.client.options().clone();
    options.http.cancel = std::sync::Arc::default();
    if !job.input("timeout").is_empty() {
        let timeout = Duration::from_secs(job.number("timeout", 0)?);
        options.http.timeouts.connect = timeout;
        options.http.timeouts.read = timeout;
    }
    if !job.input("retry-limit").is_empty() {
        options.http.retry.times = job.number::<u32>("retry-limit", 1)?.saturating_sub(1);
    }
    Ok(Client::new(options))
}

/// Leaves the file where the script finds it.
fn keep_for_guest(tree: &mut Beneath, path: &str, mut file: File) -> io::Result<bool> {
    if tree.read(path)?.is_none() {
        file.rewind()?;
        io::copy(&mut file, &mut tree.file(path, 0o644)?)?;
    }
    Ok(false)
}
