//! `apko build`.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;
use std::{env, io};

use apk_types::Arch;
use apko::config::{ImageConfiguration, Loaded, load};
use apko::{Additions, BuildRequest, Event, Policy, build as build_image, vcs_url};
use cli_support::{Steps, size};
use oci_image::{Tag, Timestamp};

use crate::args::{Build, Limits, Sources};
use crate::failure::{Failure, Outcome};

pub(crate) fn build(arguments: &Build, steps: &Steps) -> Outcome {
    let Loaded {
        mut configuration, ..
    } = load(&arguments.config, &arguments.include_paths)?;
    add_annotations(&mut configuration, &arguments.annotations)?;
    if arguments.vcs && configuration.vcs_url.is_empty() {
        configuration.vcs_url = probe_vcs(&arguments.config, steps);
    }
    let tag: Tag = arguments
        .tag
        .parse()
        .map_err(|error| Failure::usage(format!("{error}")))?;
    let build_date = match &arguments.build_date {
        Some(text) => text
            .parse()
            .map_err(|error| Failure::usage(format!("--build-date: {error}")))?,
        None => Timestamp::from_unix(0).unwrap_or_default(),
    };
    let archs = archs(&arguments.archs.arch, &configuration)?;
    // Layers lie beside the output until they are moved into it.
    let is_layout = arguments.output.is_dir();
    let beside = if is_layout {
        &arguments.output
    } else {
        arguments.output.parent().unwrap_or(Path::new(""))
    };
    let beside = if beside.as_os_str().is_empty() {
        Path::new(".")
    } else {
        beside
    };
    let spool = tempfile::Builder::new()
        .prefix(".apko-")
        .tempdir_in(beside)
        .map_err(|error| Failure::work(&io::Error::other(format!("{}: {error}", beside.display()))))?;
    let request = BuildRequest {
        configuration: &configuration,
        additions: &additions(&arguments.sources, &arguments.package_append),
        archs: &archs,
        policy: &policy(&arguments.limits, arguments.ignore_signatures),
        tag: &tag,
        source_date_epoch: source_date_epoch()?,
        build_date: &build_date,
        sboms: arguments.sbom && !arguments.sbom_formats.is_empty(),
        spool: spool.path(),
    };
    let mut since = Instant::now();
    let built = build_image(&request, &mut |event| {
        show(steps, &event, since);
        since = Instant::now();
    })?;
    let output = arguments.output.display();
    let written = match is_layout {
        true => oci_image::write_layout(&arguments.output, &built.index),
        false => oci_image::write_archive(&arguments.output, &built.index, std::slice::from_ref(&tag)),
    };
    written.map_err(|error| Failure::work(&error))?;
    steps.done("Wrote", &format!("{output}  {}", arguments.tag), since.elapsed());
    let directory = arguments.sbom_path.as_deref().unwrap_or(Path::new("."));
    for sbom in &built.sboms {
        write_whole(&directory.join(&sbom.name), &sbom.json)?;
    }
    print(&format!("{}\n", built.index.digest()))
}

fn show(steps: &Steps, event: &Event<'_>, since: Instant) {
    let took = since.elapsed();
    match event {
        Event::Resolved {
            packages,
            without_index,
        } => {
            for (arch, repository) in *without_index {
                steps.warn(&format!("{repository} has no index for {arch}"));
            }
            let counts: Vec<String> = packages
                .iter()
                .map(|(arch, count)| format!("{count} packages ({arch})"))
                .collect();
            steps.done("Resolved", &counts.join(", "), took);
        }
        Event::Fetched {
            arch,
            packages,
            bytes,
        } => {
            steps.done(
                "Fetched",
                &format!("{arch:8} {packages} packages, {}", size(*bytes)),
                took,
            );
        }
        Event::Built {
            arch,
            layers,
            bytes,
            compressed,
        } => {
            let layers = if *layers == 1 {
                "1 layer".to_owned()
            } else {
                format!("{layers} layers")
            };
            let text = format!(
                "{arch:8} {}, {layers}, {} compressed",
                size(*bytes),
                size(*compressed)
            );
            steps.done("Built", &text, took);
        }
        Event::Warning(text) => steps.warn(text),
        _ => {}
    }
}

/// `host`, `all`, or names; without any those of the configuration, without those all. In the Go tool's order.
pub(crate) fn archs(wanted: &[String], configuration: &ImageConfiguration) -> Outcome<Vec<Arch>> {
    let mut archs: Vec<Arch> = match wanted {
        [] if configuration.archs.is_empty() => Arch::ALL.to_vec(),
        [] => return Ok(configuration.archs.clone()),
        [all] if all == "all" => Arch::ALL.to_vec(),
        [host] if host == "host" => {
            let host = Arch::host()
                .ok_or_else(|| Failure::usage("--arch host: there are no packages for this host"))?;
            vec![host]
        }
        names => names
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::usage(format!("--arch: {error}")))?,
    };
    archs.sort_by_key(|arch| arch.go_name());
    archs.dedup();
    Ok(archs)
}

pub(crate) fn additions(sources: &Sources, packages: &[String]) -> Additions {
    Additions {
        keys: sources.keyring_append.clone(),
        build_repositories: sources.build_repository_append.clone(),
        repositories: sources.repository_append.clone(),
        packages: packages.to_vec(),
    }
}

fn policy(limits: &Limits, ignore_signatures: bool) -> Policy {
    let mut policy = Policy {
        ignore_signatures,
        ..Policy::default()
    };
    // 0 stands for the default, -1 for no limit, as in the Go tool.
    let set = |limit: &mut u64, wanted: i64| match wanted {
        0 => {}
        wanted => *limit = u64::try_from(wanted).unwrap_or(u64::MAX),
    };
    set(&mut policy.index_limit, limits.max_apkindex_decompressed_size);
    set(&mut policy.package_limits.control, limits.max_apk_control_size);
    set(&mut policy.package_limits.data, limits.max_apk_data_size);
    policy
}

fn add_annotations(configuration: &mut ImageConfiguration, annotations: &[String]) -> Outcome {
    for annotation in annotations {
        let (key, value) = annotation
            .split_once(':')
            .ok_or_else(|| Failure::usage(format!("--annotations: `{annotation}` is not KEY:VALUE")))?;
        configuration.annotations.insert(key.to_owned(), value.to_owned());
    }
    Ok(())
}

fn probe_vcs(config: &Path, steps: &Steps) -> String {
    match vcs_url(config, Path::new(".")) {
        Ok(url) => url.unwrap_or_default(),
        Err(error) => {
            steps.detail(&format!("no version control: {error}"));
            String::new()
        }
    }
}

fn source_date_epoch() -> Outcome<Option<i64>> {
    match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) if !text.trim().is_empty() => text
            .parse()
            .map(Some)
            .map_err(|_| Failure::usage(format!("SOURCE_DATE_EPOCH: `{text}` is not a number of seconds"))),
        _ => Ok(None),
    }
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Outcome {
    let write = || -> io::Result<()> {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".apko-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(parent)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| Failure::work(&io::Error::other(format!("{}: {error}", path.display()))))
}

/// Prints a result. A reader that has gone away is no error.
pub(crate) fn print(text: &str) -> Outcome {
    match io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .and_then(|()| io::stdout().flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::work(&error)),
        _ => Ok(()),
    }
}
