//! `apko erofs mount` and `umount`: through the kernel, or erofsfuse where this is not root.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cli_support::Steps;
use serde::{Deserialize, Serialize};

use super::{Mode, Mount, Source, layers};
use crate::failure::{Failure, Outcome};

/// What is mounted below a directory, in the form of the Go tool's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    schema_version: u32,
    mode: String,
    source: String,
    dest: PathBuf,
    created: String,
    writable: bool,
    /// The mounts, the last one first.
    mounts: Vec<PathBuf>,
}

const STATE: &str = ".apko-erofs-mount.json";

pub(super) fn mount(arguments: &Mount, steps: &Steps) -> Outcome {
    let start = Instant::now();
    let source = Source::parse(&arguments.source)?;
    let files = layers(&source, &arguments.arch)?;
    let dest = real_directory(&arguments.dest)?;
    let is_fuse = match arguments.mode {
        Mode::Kernel => false,
        Mode::Fuse => true,
        Mode::Auto => !rustix::process::geteuid().is_root(),
    };
    let mut mounts = Mounts {
        is_fuse,
        done: Vec::new(),
    };
    if let Source::File(file) = &source {
        if arguments.rw {
            return Err(Failure::usage("--rw: a single file system can only be read"));
        }
        mounts.layer(file, &dest)?;
        mounts.done.clear();
    } else {
        image(arguments, &files, &dest, &mut mounts)?;
    }
    let what = format!("{} at {}", arguments.source, dest.display());
    steps.done("Mounted", &what, start.elapsed());
    Ok(())
}

/// Mounts an image: each layer, and their union where there are several or writes are taken.
fn image(arguments: &Mount, files: &[PathBuf], dest: &Path, mounts: &mut Mounts) -> Outcome {
    if dest.join(STATE).exists() {
        let text = format!(
            "{} has a mount already: `apko erofs umount` it first",
            dest.display()
        );
        return Err(Failure::usage(text));
    }
    let merged = real_directory(&dest.join("merged"))?;
    if let ([file], false) = (files, arguments.rw) {
        mounts.layer(file, &merged)?;
    } else {
        let mut lower = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let at = real_directory(&dest.join("layers").join(format!("{index:02}")))?;
            mounts.layer(file, &at)?;
            lower.insert(0, option(&at));
        }
        let mut options = format!("lowerdir={}", lower.join(":"));
        if arguments.rw {
            let (upper, work) = (
                real_directory(&dest.join("upper"))?,
                real_directory(&dest.join("work"))?,
            );
            if fs::read_dir(&upper).is_ok_and(|mut entries| entries.next().is_some()) {
                let text = format!(
                    "{} has what was written through an earlier mount: move it away first",
                    upper.display()
                );
                return Err(Failure::usage(text));
            }
            options += &format!(",upperdir={},workdir={}", option(&upper), option(&work));
        } else {
            options += ",ro";
        }
        mounts.overlay(&options, &merged)?;
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let state = State {
        schema_version: 1,
        mode: if mounts.is_fuse { "fuse" } else { "kernel" }.to_owned(),
        source: arguments.source.clone(),
        dest: dest.to_owned(),
        created: oci_image::Timestamp::from_unix(seconds.as_secs().cast_signed())
            .unwrap_or_default()
            .to_string(),
        writable: arguments.rw,
        mounts: mounts.done.iter().rev().cloned().collect(),
    };
    write(dest, &state)?;
    mounts.done.clear();
    Ok(())
}

fn write(dest: &Path, state: &State) -> Outcome {
    let json = serde_json::to_vec_pretty(state).map_err(|error| Failure::work(&error))?;
    crate::build::write_file(&dest.join(STATE), &json)
}

pub(super) fn umount(dest: &Path, steps: &Steps) -> Outcome {
    let start = Instant::now();
    let at = |error: std::io::Error| Failure::at(dest, &error);
    let dest = dest.canonicalize().map_err(at)?;
    let path = dest.join(STATE);
    let mut state: State = match fs::read(&path) {
        Ok(json) => serde_json::from_slice(&json).map_err(|error| Failure::at(&path, &error))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            unmount(&dest)?;
            steps.done("Unmounted", &dest.display().to_string(), start.elapsed());
            return Ok(());
        }
        Err(error) => return Err(Failure::at(&path, &error)),
    };
    while let Some(mounted) = state.mounts.first().cloned() {
        // The file says what root takes down: only what lies below its own directory, through no link.
        let is_below = mounted.starts_with(&dest) && mounted.canonicalize().is_ok_and(|real| real == mounted);
        let taken = match is_below {
            true => unmount(&mounted),
            false => Err(Failure::work(&std::io::Error::other(format!(
                "{}: does not lie below {}",
                mounted.display(),
                dest.display()
            )))),
        };
        if let Err(failure) = taken {
            write(&dest, &state)?;
            return Err(failure);
        }
        state.mounts.remove(0);
    }
    for name in ["merged", "layers", "work"] {
        let _ = fs::remove_dir_all(dest.join(name));
    }
    // What was written stays: this fails where there is any.
    if fs::remove_dir(dest.join("upper")).is_err_and(|error| error.kind() != ErrorKind::NotFound) {
        steps.warn(&format!(
            "what was written is in {}",
            dest.join("upper").display()
        ));
    }
    fs::remove_file(&path).map_err(|error| Failure::at(&path, &error))?;
    steps.done("Unmounted", &dest.display().to_string(), start.elapsed());
    Ok(())
}

fn unmount(path: &Path) -> Outcome {
    let Err(failure) = run("umount", &[path.as_os_str()]) else {
        return Ok(());
    };
    for tool in ["fusermount3", "fusermount"] {
        if run(tool, &["-u".as_ref(), path.as_os_str()]).is_ok() {
            return Ok(());
        }
    }
    Err(failure)
}

/// What was mounted; it is taken down again when a later step fails.
struct Mounts {
    is_fuse: bool,
    done: Vec<PathBuf>,
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for path in self.done.iter().rev() {
            let _ = unmount(path);
        }
    }
}

impl Mounts {
    fn layer(&mut self, file: &Path, at: &Path) -> Outcome {
        let (file, path) = (file.as_os_str(), at.as_os_str());
        match self.is_fuse {
            true => run("erofsfuse", &[file, path])?,
            false => {
                let arguments = ["-t", "erofs", "-o", "ro,loop"].map(AsRef::as_ref);
                run("mount", &[&arguments[..], &[file, path]].concat())?;
            }
        }
        self.done.push(at.to_owned());
        Ok(())
    }

    fn overlay(&mut self, options: &str, at: &Path) -> Outcome {
        let arguments = ["-t", "overlay", "-o", options, "overlay"].map(AsRef::as_ref);
        let result = run("mount", &[&arguments[..], &[at.as_os_str()]].concat());
        match result {
            Err(_) if self.is_fuse => {
                run(
                    "fuse-overlayfs",
                    &["-o".as_ref(), options.as_ref(), at.as_os_str()],
                )?;
            }
            result => result?,
        }
        self.done.push(at.to_owned());
        Ok(())
    }
}

/// A path as a value of an option of overlayfs.
fn option(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}

/// Makes a directory; a link to one is refused, since the mount would lie elsewhere.
fn real_directory(path: &Path) -> Outcome<PathBuf> {
    let at = |error: std::io::Error| Failure::at(path, &error);
    fs::create_dir_all(path).map_err(at)?;
    match fs::symlink_metadata(path).map_err(at)?.is_dir() {
        true => path.canonicalize().map_err(at),
        false => Err(Failure::usage(format!("{} is a link", path.display()))),
    }
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Outcome {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| Failure::at(Path::new(program), &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::work(&std::io::Error::other(format!(
        "{program} failed ({}): {}",
        output.status,
        said.trim()
    ))))
}
