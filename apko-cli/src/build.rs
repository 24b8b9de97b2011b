//! `apko build`.

use std::env;
use std::path::Path;

use apk_types::Arch;
use apko::config::{ImageConfiguration, Loaded};
use apko::{
    Additions, BuildError, BuildRequest, Built, Lockfile, Policy, SbomFormat, Store, build as build_image,
    vcs_url,
};
use cli_support::Steps;
use oci_image::{Compression, Tag, Timestamp};

use crate::args::{Build, Making, Sources};
use crate::conflict::Places;
use crate::failure::{Failure, Outcome};
use crate::report::Report;
use crate::spool::Spool;

pub(crate) fn build(arguments: &Build, steps: &Steps) -> Outcome {
    let mut report = Report::new(*steps, &arguments.making);
    write(arguments, steps, &mut report).inspect_err(|failure| report.failed(failure))
}

fn write(arguments: &Build, steps: &Steps, report: &mut Report) -> Outcome {
    let tag: Tag = arguments
        .tag
        .parse()
        .map_err(|error| Failure::usage(format!("{error}")))?;
    let is_layout = arguments.output.is_dir();
    let making = &arguments.making;
    let spool = Spool::beside(&arguments.output)?;
    let store = making.sources.store(spool.path(), steps)?;
    let place = (spool.path(), &store);
    let built = making.make((&arguments.config, &tag), place, steps, report)?;
    let directory = making.sbom_path.as_deref().unwrap_or(Path::new("."));
    write_sboms(directory, &built)?;
    let output = arguments.output.display();
    let written = match is_layout {
        true => oci_image::write_layout_by_way_of(spool.path(), &arguments.output, &built.index),
        false => oci_image::write_archive_by_way_of(
            spool.path(),
            &arguments.output,
            &built.index,
            std::slice::from_ref(&tag),
        ),
    };
    written.map_err(|error| Failure::work(&error))?;
    report.step("Wrote", &format!("{output}  {}", arguments.tag));
    report.written(&built, arguments)
}

pub(crate) fn write_sboms(directory: &Path, built: &Built) -> Outcome {
    let mut sboms = built.sboms.iter();
    sboms.try_for_each(|sbom| write_file(&directory.join(&sbom.name), &sbom.json))
}

impl Making {
    /// Makes the image of a configuration; what is not kept lies in the spool.
    pub(crate) fn make(
        &self,
        (config, tag): (&Path, &Tag),
        (spool, store): (&Path, &Store),
        steps: &Steps,
        report: &mut Report,
    ) -> Outcome<Built> {
        let loaded = self.sources.load(config, &self.include_paths, steps)?;
        let configuration = self.configuration(&loaded, config, steps)?;
        let build_date = build_date(self.build_date.as_deref())?;
        let archs = archs(&self.archs.arch, &configuration)?;
        let additions = additions(&self.sources, &self.package_append);
        let lockfile = match &self.lockfile {
            Some(path) => Some(read_lock(path, &loaded, &additions, &archs)?),
            None => None,
        };
        let formats: Vec<SbomFormat> = self.sbom_formats.iter().map(|format| (*format).into()).collect();
        let (client, progress) = self.sources.client(Some(&self.limits), steps)?;
        let mut policy = self.solver.policy(Policy {
            client,
            ignore_signatures: self.ignore_signatures,
            refuse_scripts: self.fail_on_skipped_scripts,
            refuse_libc_clashes: self.strict,
            ..Policy::default()
        });
        self.limits.of_policy(&mut policy);
        let request = BuildRequest {
            configuration: &configuration,
            additions: &additions,
            include_paths: &self.include_paths,
            lockfile: lockfile.as_ref(),
            repositories: None,
            archs: &archs,
            policy: &policy,
            tag,
            source_date_epoch: source_date_epoch()?,
            build_date: &build_date,
            sboms: if self.sbom { &formats } else { &[] },
            store,
            compression: Compression::with(self.layer_compression.into()),
            spool,
        };
        build_image(&request, &mut |event| {
            progress.done();
            report.event(&event);
        })
        .map_err(|error| match error {
            BuildError::Resolve(error) => {
                let places = Places::of(&loaded);
                report.explain(places.json(&error));
                places.failure(error)
            }
            error => error.into(),
        })
    }

    /// The configuration with what the command line says otherwise.
    fn configuration(&self, loaded: &Loaded, config: &Path, steps: &Steps) -> Outcome<ImageConfiguration> {
        let mut configuration = loaded.configuration.clone();
        add_annotations(&mut configuration, &self.annotations)?;
        if let Some(format) = &self.format {
            configuration = configuration
                .with_format(format)
                .map_err(|error| Failure::usage(format!("--format: {error}")))?;
        }
        if self.vcs && configuration.vcs_url.is_empty() {
            configuration.vcs_url = probe_vcs(config, steps);
        }
        Ok(configuration)
    }
}

/// Reads a lock file that must fit.
pub(crate) fn read_lock(
    path: &Path,
    loaded: &Loaded,
    additions: &Additions,
    archs: &[Arch],
) -> Outcome<Lockfile> {
    let lockfile = Lockfile::read(path).map_err(|error| Failure::work(&error))?;
    lockfile.check(loaded, additions, archs).map_err(|error| {
        Failure::work(&error).hint(&format!(
            "\n  {} can be made anew with `apko lock`",
            path.display()
        ))
    })?;
    Ok(lockfile)
}

/// The architectures of the command line, without any those of the configuration, without those all.
pub(crate) fn archs(wanted: &[String], configuration: &ImageConfiguration) -> Outcome<Vec<Arch>> {
    if wanted.is_empty() && !configuration.archs.is_empty() {
        return Ok(configuration.archs.clone());
    }
    cli_support::parse_archs(wanted).map_err(|text| Failure::usage(format!("--arch: {text}")))
}

pub(crate) fn additions(sources: &Sources, packages: &[String]) -> Additions {
    Additions {
        keys: sources.keyring_append.clone(),
        build_repositories: sources.build_repository_append.clone(),
        repositories: sources.repository_append.clone(),
        packages: packages.to_vec(),
    }
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

/// The time given, 1970 without one.
pub(crate) fn build_date(text: Option<&str>) -> Outcome<Timestamp> {
    match text {
        Some("") | None => Ok(Timestamp::from_unix(0).unwrap_or_default()),
        Some(text) => text
            .parse()
            .map_err(|error| Failure::usage(format!("--build-date: {error}"))),
    }
}

pub(crate) fn source_date_epoch() -> Outcome<Option<i64>> {
    let value = env::var("SOURCE_DATE_EPOCH").ok();
    cli_support::parse_source_date_epoch(value.as_deref()).map_err(Failure::usage)
}

/// Writes a result file whole or not at all.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Outcome {
    cli_support::write_file(path, content, 0o644).map_err(|error| Failure::at(path, &error))
}

/// Prints a result.
pub(crate) fn print(text: &str) -> Outcome {
    cli_support::print(text).map_err(|error| Failure::work(&error))
}
