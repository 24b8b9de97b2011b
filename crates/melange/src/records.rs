//! What a build leaves behind beside its packages: provenance and logs for other tools.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use apk_package::sign_control;
use apk_types::{Arch, PackageRecord};
use melange_analyze::Dependencies;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use spdx_sbom::{Component, PackageBom, Source};
use tarball::{Header, Kind, Writer};

use crate::error::{BuildError, SbomError};
use crate::key::SigningKey;
use crate::scratch::io_error;

/// The program that builds, as provenance names it: the project's page, not somebody's build service.
const BUILDER: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/melange");

/// How what [`BUILDER`] was given is to be read.
const BUILD_TYPE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/buildtypes/melange/v1");

/// Which records a build makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// A [SLSA](https://slsa.dev/spec/v1.1/provenance) provenance beside each package, `.attest.tar.gz`, signed with
    /// the packages' key.
    pub provenance: bool,
    /// A CycloneDX document beside each package, `.cdx.json`.
    pub cyclonedx: bool,
    /// What was found out about each package's dependencies goes to this file with `.ARCH` at its end: one JSON
    /// object a line.
    pub dependencies: Option<PathBuf>,
    /// A line for each package goes to the end of this file: `ARCH|ORIGIN|NAME|VERSION`.
    pub packages: Option<PathBuf>,
    /// Findings of the linters lie beside the packages as `lint-NAME-VERSION.json`.
    pub lint_results: bool,
}

/// What provenance says of a build.
pub(crate) struct Provenance<'a> {
    /// The compiled configuration as JSON.
    pub(crate) configuration: &'a str,
    /// The packages of the guest, `name=version`.
    pub(crate) environment: &'a [String],
    pub(crate) arch: Arch,
    pub(crate) started: SystemTime,
    pub(crate) epoch: i64,
    pub(crate) key: Option<&'a SigningKey>,
}

impl Provenance<'_> {
    /// Writes the provenance of a package file beside it.
    pub(crate) fn write(&self, package: &Path) -> Result<PathBuf, BuildError> {
        let content = fs::read(package).map_err(io_error("reading", package))?;
        let identity = package
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let statement = self.statement(&format!("{identity}.apk"), &content);
        let statement = serde_json::to_vec_pretty(&statement).unwrap_or_default();
        let path = package.with_file_name(format!("{identity}.attest.tar.gz"));
        let failed = |source| BuildError::Package {
            package: identity.clone(),
            source: Box::new(source),
        };
        let archive = archive(&format!("{identity}.attestation"), &statement, self.epoch)
            .map_err(|error| failed(error.into()))?;
        let signature = match self.key {
            None => Vec::new(),
            Some(key) => sign_control(&archive, key.private_key(), key.name(), self.epoch).map_err(failed)?,
        };
        write_whole(&path, &[&signature, &archive])?;
        Ok(path)
    }

    fn statement(&self, name: &str, content: &[u8]) -> Value {
        let time = |time: SystemTime| {
            jiff::Timestamp::try_from(time)
                .map(|time| time.to_string())
                .unwrap_or_default()
        };
        let digest = sha256(content);
        let dependency = |package: &String| {
            let (name, version) = package.split_once('=').unwrap_or((package, ""));
            let arch = self.arch.apk_name();
            json!({ "name": name, "uri": format!("pkg:apk/{name}@{version}?arch={arch}") })
        };
        let configuration: Value = serde_json::from_str(self.configuration).unwrap_or_default();
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": name, "digest": { "sha256": digest } }],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": { "package-configuration": configuration },
                    "resolvedDependencies": self.environment.iter().map(dependency).collect::<Vec<_>>(),
                },
                "runDetails": {
                    "builder": { "id": BUILDER, "version": { "melange": env!("CARGO_PKG_VERSION") } },
                    "metadata": { "startedOn": time(self.started), "finishedOn": time(SystemTime::now()) },
                },
            },
        })
    }
}

/// Writes what is known of a package as CycloneDX beside it.
pub(crate) fn write_cyclonedx(
    package: &Path,
    record: &PackageRecord,
    (namespace, epoch): (&str, i64),
    sources: &[Source],
) -> Result<PathBuf, BuildError> {
    let content = fs::read(package).map_err(io_error("reading", package))?;
    let failed = |source: SbomError| BuildError::Sbom {
        package: record.name.clone(),
        source: Box::new(source),
    };
    let created = jiff::Timestamp::from_second(epoch).map_err(|_| failed(SbomError::Date(epoch)))?;
    let bom = PackageBom {
        created: created.to_string(),
        tool: ("melange".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        namespace: namespace.to_owned(),
        component: Component::of_packages(&[record]).pop().unwrap_or_default(),
        sha256: sha256(&content),
        depends: record
            .depends
            .iter()
            .map(|need| need.as_str().to_owned())
            .collect(),
        sources: sources.to_vec(),
    };
    let json = bom.to_json().map_err(|error| failed(error.into()))?;
    let path = package.with_extension("cdx.json");
    write_whole(&path, &[&json])?;
    Ok(path)
}

fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file that is complete or not there.
fn write_whole(path: &Path, parts: &[&[u8]]) -> Result<(), BuildError> {
    let file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")));
    let written = file.and_then(|mut file| {
        for part in parts {
            file.write_all(part)?;
        }
        crate::emit::finish(file.as_file())?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(io_error("writing", path))
}

/// A gzipped tar archive of one file.
fn archive(path: &str, content: &[u8], mtime: i64) -> Result<Vec<u8>, tarball::WriteError> {
    let mut tar = Writer::new(Vec::new());
    let header = Header {
        path: path.to_owned(),
        mode: 0o644,
        uname: "root".to_owned(),
        gname: "root".to_owned(),
        mtime,
        size: content.len() as u64,
        ..Header::new(Kind::Regular)
    };
    tar.append(&header, content)?;
    Ok(apk_package::deflate(&tar.finish()?))
}

/// Writes what the analysis found in each package of a build.
pub(crate) fn log_dependencies(
    file: &Path,
    arch: Arch,
    packages: &[(&str, &Dependencies)],
) -> Result<(), BuildError> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", arch.apk_name()));
    let path = PathBuf::from(name);
    let mut text = String::new();
    for (package, found) in packages {
        let mut line = Map::from_iter([("package".to_owned(), json!(package))]);
        let lists = [
            ("runtime", &found.runtime),
            ("provides", &found.provides),
            ("vendored", &found.vendored),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            line.insert(name.to_owned(), json!(list));
        }
        text += &format!("{}\n", Value::Object(line));
    }
    fs::write(&path, text).map_err(io_error("writing", &path))
}

/// Adds a line for each package to a log that many builds share.
pub(crate) fn log_packages<'a>(
    file: &Path,
    arch: Arch,
    version: &str,
    packages: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), BuildError> {
    let arch = arch.apk_name();
    let lines = packages
        .into_iter()
        .map(|(origin, name)| format!("{arch}|{origin}|{name}|{version}\n"));
    let text: String = lines.collect();
    let opened = OpenOptions::new().append(true).create(true).open(file);
    // One write, so that the lines of builds that end together stay whole.
    opened
        .and_then(|mut log| log.write_all(text.as_bytes()))
        .map_err(io_error("writing", file))
}
