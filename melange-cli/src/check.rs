//! `melange build --check`: whether a second build, under other conditions, gives the same packages.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use apk_package::{Change, ContentDifference, Difference, Limits, Meaning, Side, compare};
use melange::{BuildReport, BuildRequest, Linters, Records};
use rustix::fs::Mode;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::failure::{Failure, Outcome};

/// The times of the two builds lie at least so far apart: zip archives count in two seconds.
const APART: Duration = Duration::from_millis(2100);

/// How many differences of a package are shown.
const SHOWN: usize = 20;

/// The conditions of the second build, in force until this is dropped: another umask, one processor less.
pub(crate) struct Conditions {
    umask: Mode,
    processors: Option<CpuSet>,
    /// What is different, for a person.
    pub(crate) described: String,
}

impl Conditions {
    /// Changes the conditions of this process and of what it starts, once enough time has passed since the first build.
    pub(crate) fn change(first_ended: Instant) -> Self {
        thread::sleep(APART.saturating_sub(first_ended.elapsed()));
        let other = |mask: Mode| match mask.bits() {
            0o077 => Mode::from_bits_retain(0o022),
            _ => Mode::from_bits_retain(0o077),
        };
        // The umask cannot be read without setting it.
        let umask = rustix::process::umask(Mode::from_bits_retain(0o077));
        rustix::process::umask(other(umask));
        let processors = sched_getaffinity(None).ok().filter(|set| set.count() > 1);
        let fewer = processors.and_then(without_last);
        let mut described = format!("umask {:03o}", other(umask).bits());
        match fewer.filter(|fewer| sched_setaffinity(None, fewer).is_ok()) {
            Some(fewer) => {
                let _ = write!(described, ", {} processors", fewer.count());
            }
            None => described += ", the same processors, for there is but one",
        }
        Self {
            umask,
            processors,
            described,
        }
    }
}

impl Drop for Conditions {
    fn drop(&mut self) {
        rustix::process::umask(self.umask);
        if let Some(processors) = &self.processors {
            // What was allowed before is allowed again.
            let _ = sched_setaffinity(None, processors);
        }
    }
}

fn without_last(mut set: CpuSet) -> Option<CpuSet> {
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| set.is_set(*cpu))?;
    set.unset(last);
    Some(set)
}

/// The second build's request: other directories, and nothing left behind but packages.
pub(crate) fn request(first: &BuildRequest, directory: &Path) -> BuildRequest {
    let mut second = first.clone();
    second.out = directory.join("packages");
    second.guest.scratch = directory.join("in/another/place");
    second.guest.workspace = None;
    second.guest.keep = false;
    second.guest.interactive = false;
    second.index = false;
    second.records = Records::default();
    second.linters = Linters {
        require: Vec::new(),
        warn: Vec::new(),
    };
    second
}

/// Fails where packages of the two builds are not the same, and says in what.
pub(crate) fn compare_reports(first: &BuildReport, second: &BuildReport) -> Outcome {
    let mut text = String::new();
    for ((path, record), (other, _)) in first.packages.iter().zip(&second.packages) {
        let read = |path: &Path| fs::read(path).map_err(|error| Failure::at(path, &error));
        let limits = Limits::default();
        let found = compare(
            &record.file_name(),
            read(path)?.into(),
            read(other)?.into(),
            &limits,
        );
        let found = found.map_err(|error| Failure::at(path, &error))?;
        if !found.is_empty() {
            let _ = writeln!(text, "\n  {}", record.file_name());
            found
                .iter()
                .take(SHOWN)
                .for_each(|difference| text += &describe(difference));
        }
        if found.len() > SHOWN {
            let _ = writeln!(text, "    and {} more differences", found.len() - SHOWN);
        }
    }
    if text.is_empty() {
        return Ok(());
    }
    Err(Failure::work(format!(
        "packages are not the same when they are built again:{}",
        text.trim_end()
    )))
}

/// A temporary directory for the second build.
pub(crate) fn directory() -> Outcome<tempfile::TempDir> {
    let parent = env::temp_dir();
    tempfile::Builder::new()
        .prefix("melange-check-")
        .tempdir_in(&parent)
        .map_err(|error| Failure::at(&parent, &error))
}

fn describe(difference: &Difference) -> String {
    let member = &difference.member;
    match &difference.change {
        Change::OnlyIn(Side::First) => format!("    {member}: only the first build makes it\n"),
        Change::OnlyIn(Side::Second) => format!("    {member}: only the second build makes it\n"),
        Change::Field { name, first, second } => {
            let shown = |value: &str| match value {
                "" => "nothing".to_owned(),
                value => format!("`{value}`"),
            };
            format!(
                "    {member}: {name} was {}, then {}\n",
                shown(first),
                shown(second)
            )
        }
        Change::Content(content) => format!("    {member}: {}", describe_content(content)),
        Change::Order => format!("    {member}: what follows comes in another order\n"),
        _ => "    its files are the same, but they are compressed or signed in another way\n".to_owned(),
    }
}

fn describe_content(content: &ContentDifference) -> String {
    let [first, second] = content.lengths;
    let mut text = match content.line {
        Some(line) => format!("line {line}"),
        None => format!("byte {} (0x{:x})", content.offset, content.offset),
    };
    if first != second {
        let _ = write!(text, ", {first} bytes and then {second}");
    }
    let meaning = match content.meaning {
        Some(Meaning::GzipTime) => ", the time in a gzip header: `gzip -n` leaves it out",
        Some(Meaning::ArchiveTime) => ", the time of an archive's member: `ar D` leaves it out",
        Some(Meaning::ZipTime) => ", the time of a zip archive's member",
        Some(Meaning::PythonSourceTime) => {
            ", the source's time in compiled Python: compile with `--invalidation-mode checked-hash`"
        }
        _ => "",
    };
    let _ = writeln!(text, "{meaning}");
    for (title, excerpt) in ["first ", "second"].iter().zip(&content.excerpts) {
        let shown = match content.line {
            Some(_) => String::from_utf8_lossy(excerpt).into_owned(),
            None => excerpt.escape_ascii().to_string(),
        };
        let _ = writeln!(text, "      {title}  {shown}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use apk_types::PackageRecord;

    /// A report of one package with two files.
    fn report(directory: &Path, notes: &str, bits: &str) -> BuildReport {
        let package = testkit::Package::new("a", "1-r0")
            .file("usr/share/a/notes", 0o644, notes)
            .file("usr/share/a/bits.pyc", 0o644, bits)
            .build();
        fs::create_dir_all(directory).unwrap();
        let path = directory.join("a-1-r0.apk");
        fs::write(&path, package).unwrap();
        let record = PackageRecord {
            name: "a".to_owned(),
            version: "1-r0".to_owned(),
            ..PackageRecord::default()
        };
        BuildReport {
            packages: vec![(path, record)],
            index: None,
        }
    }

    #[test]
    fn a_person_reads_which_member_differs_and_in_what() {
        let directory = tempfile::tempdir().unwrap();
        let first = report(&directory.path().join("1"), "one\nat 1\n", "magic\0\0\0\u{1}");
        let second = report(&directory.path().join("2"), "one\nat 2\n", "magic\0\0\0\u{2}end");
        assert!(compare_reports(&first, &first).is_ok());
        let failure = compare_reports(&first, &second).unwrap_err();
        let wanted = "\
packages are not the same when they are built again:
  a-1-r0.apk
    usr/share/a/bits.pyc: byte 8 (0x8), 9 bytes and then 12, the source's time in compiled Python: \
compile with `--invalidation-mode checked-hash`
      first   magic\\x00\\x00\\x00\\x01
      second  magic\\x00\\x00\\x00\\x02end
    usr/share/a/notes: line 2
      first   at 1
      second  at 2";
        assert_eq!(failure.text, wanted);
    }

    #[test]
    fn the_conditions_of_before_come_back() {
        let mask = || {
            let mask = rustix::process::umask(Mode::from_bits_retain(0o022));
            rustix::process::umask(mask);
            mask
        };
        let (before, processors) = (mask(), sched_getaffinity(None).unwrap());
        let conditions = Conditions::change(Instant::now() - APART);
        assert_ne!(mask(), before);
        if processors.count() > 1 {
            assert_eq!(sched_getaffinity(None).unwrap().count(), processors.count() - 1);
        }
        drop(conditions);
        assert_eq!(mask(), before);
        assert_eq!(sched_getaffinity(None).unwrap(), processors);
    }
}
