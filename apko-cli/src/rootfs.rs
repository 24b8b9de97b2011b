//! `apko build-minirootfs` and `apko build-cpio`.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use apko::{Policy, Root, RootfsRequest, Store, rootfs, write_cpio};
use clap::Args;
use cli_support::{Steps, size};
use file_content::ContentError;
use flate2::Compression;
use flate2::write::GzEncoder;
use tarball::Writer;

use crate::args::{Limits, Sources};
use crate::build::{additions, build_date, source_date_epoch};
use crate::failure::{Failure, Outcome};
use crate::spool::Spool;

pub(crate) const MINIROOTFS_EXAMPLES: &str = "\
Examples:
  apko build-minirootfs base.yaml base.tar
  apko build-minirootfs --build-arch aarch64 base.yaml base.tar.gz   # compressed, as its name says";

pub(crate) const CPIO_EXAMPLES: &str = "\
Examples:
  apko build-cpio init.yaml init.cpio
  apko build-cpio --build-arch aarch64 init.yaml init.cpio.gz        # compressed, as its name says";

#[derive(Debug, Args)]
pub(crate) struct Rootfs {
    /// The image configuration
    config: PathBuf,
    /// The archive to write; a name that ends in `.gz` or `.tgz` compresses it
    output: PathBuf,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    limits: Limits,
    /// The architecture to build for; this machine's if not given
    #[arg(long, value_name = "ARCH")]
    build_arch: Option<String>,
    /// The time of files that no package brings (RFC 3339), unless a package is newer
    #[arg(long, value_name = "TIME")]
    build_date: Option<String>,
    /// Further packages to install
    #[arg(long, short, value_delimiter = ',', value_name = "PACKAGE")]
    package_append: Vec<String>,
    /// Takes indexes whose signature is missing or wrong
    #[arg(long)]
    ignore_signatures: bool,
    /// Nothing is written there, as by the Go tool: only images have SBOMs
    #[arg(long, value_name = "DIR", hide = true)]
    sbom_path: Option<PathBuf>,
}

pub(crate) fn minirootfs(arguments: &Rootfs, steps: &Steps) -> Outcome {
    produce(arguments, steps, |root, out| {
        let mut writer = Writer::new(out);
        for member in root.tree.walk() {
            let entry = member.entry;
            writer
                .append(&entry.header, &entry.content.read()?)
                .map_err(io::Error::other)?;
        }
        writer.finish().map_err(io::Error::other)?.flush()
    })
}

pub(crate) fn cpio(arguments: &Rootfs, steps: &Steps) -> Outcome {
    produce(arguments, steps, |root, out| write_cpio(&root.tree, out))
}

/// Makes the tree and writes it. What turns out to be damaged in the store is made anew, but not where a part of the output
/// is gone already.
fn produce(
    arguments: &Rootfs,
    steps: &Steps,
    content: impl Fn(&Root, &mut dyn Write) -> io::Result<()>,
) -> Outcome {
    let spool = Spool::beside(&arguments.output)?;
    let store = arguments.sources.store(spool.path(), steps)?;
    let is_stream = fs::metadata(&arguments.output).is_ok_and(|meta| !meta.is_file());
    // Each round forgets one file of the store.
    loop {
        let root = make(arguments, steps, &store)?;
        let mut damaged = None;
        let written = write(arguments, steps, &spool, |out| {
            content(&root, out).inspect_err(|error| damaged = unread(error))
        });
        match damaged {
            Some((path, text)) if store.forget(&path) && !is_stream => {
                steps.warn(&format!("{text}; it is made anew"));
            }
            _ => return written,
        }
    }
}

/// The file of a content that could not be read, and what is said of it.
fn unread(error: &io::Error) -> Option<(PathBuf, String)> {
    let error = error.get_ref()?.downcast_ref::<ContentError>()?;
    Some((error.path().to_owned(), error.to_string()))
}

fn make(arguments: &Rootfs, steps: &Steps, store: &Store) -> Outcome<Root> {
    let start = Instant::now();
    let loaded = arguments.sources.load(&arguments.config, &[], steps)?;
    let wanted = arguments.build_arch.as_deref().unwrap_or("host");
    let archs = cli_support::parse_archs(&[wanted.to_owned()])
        .map_err(|text| Failure::usage(format!("--build-arch: {text}")))?;
    let [arch] = archs[..] else {
        return Err(Failure::usage(
            "--build-arch: one architecture makes one file tree",
        ));
    };
    let (client, progress) = arguments.sources.client(Some(&arguments.limits), steps)?;
    let mut policy = Policy {
        client,
        ignore_signatures: arguments.ignore_signatures,
        ..Policy::default()
    };
    arguments.limits.of_policy(&mut policy);
    let request = RootfsRequest {
        configuration: &loaded.configuration,
        additions: &additions(&arguments.sources, &arguments.package_append),
        arch,
        policy: &policy,
        source_date_epoch: source_date_epoch()?,
        build_date: build_date(arguments.build_date.as_deref())?.unix_seconds(),
        store,
    };
    let root = rootfs(&request)?;
    progress.done();
    let what = format!("{arch:8} {} packages", root.packages.len());
    steps.done("Installed", &what, start.elapsed());
    Ok(root)
}

/// Writes the output whole or not at all, compressed where its name says so.
fn write(
    arguments: &Rootfs,
    steps: &Steps,
    spool: &Spool,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Outcome {
    let start = Instant::now();
    let output = &arguments.output;
    let failed = |error: io::Error| Failure::at(output, &error);
    let into = |file: &File| -> io::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let name = output.to_string_lossy();
        if name.ends_with(".gz") || name.ends_with(".tgz") {
            let mut gzip = GzEncoder::new(&mut out, Compression::default());
            content(&mut gzip)?;
            gzip.finish()?;
        } else {
            content(&mut out)?;
        }
        out.flush()
    };
    if fs::metadata(output).is_ok_and(|meta| !meta.is_file()) {
        // A pipe or device takes it piece by piece.
        let file = File::options().write(true).open(output).map_err(failed)?;
        into(&file).map_err(failed)?;
    } else {
        let temporary = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(spool.path())
            .map_err(failed)?;
        into(temporary.as_file()).map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        temporary.persist(output).map_err(|error| failed(error.error))?;
    }
    let bytes = fs::metadata(output).map_or(0, |meta| meta.len());
    let what = format!("{}  {}", output.display(), size(bytes));
    steps.done("Wrote", &what, start.elapsed());
    Ok(())
}
