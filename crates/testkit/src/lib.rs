//! Small packages and repositories for the tests of this workspace.
//!
//! It is for tests alone: what goes wrong in it panics.
//!
//! ```
//! use testkit::{Package, Repository};
//!
//! let repository = Repository::new("x86_64");
//! repository.publish(&[Package::new("hello", "1.0-r0").file("usr/bin/hello", 0o755, "#!/bin/sh\n")]);
//! assert!(repository.path().join("x86_64/hello-1.0-r0.apk").exists());
//! assert!(repository.path().join("x86_64/APKINDEX.tar.gz").exists());
//! ```
//!
//! [`Server`] serves such a repository over HTTP, and misbehaves where it is told to; so does [`RegistryServer`] with images. [`shared_paths`] gives packages that
//! have files in common. [`schema`] judges values by JSON schemas, [`go_flags`] command lines by tables of the Go tools' flags.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc)]

mod connection;
pub mod go_flags;
mod registry;
pub mod schema;
mod server;
mod shared_paths;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use apk_index::Index;
use apk_package::{ControlMember, DataWriter, Limits, PkgInfo, PrivateKey};
use apk_types::{Dependency, PackageRecord};
use tarball::{Header, Kind};

pub use registry::{Authentication, RegistryFault, RegistryServer};
pub use server::{Fault, Request, Server};
pub use shared_paths::{Holder, SharedPath, shared_paths};

/// Runs a command with a file as its input, for benches to compare with; what it prints goes nowhere.
pub fn yardstick(command: &[&str], input: &Path) {
    let status = Command::new(command[0])
        .args(&command[1..])
        .stdin(File::open(input).unwrap())
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

/// The file name of [`key`]'s public half.
pub const KEY_NAME: &str = "test.rsa.pub";

/// The time of all packages, in seconds since 1970.
pub const BUILD_DATE: i64 = 1_700_000_000;

/// A signing key, the same throughout a test program.
pub fn key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::generate(2048).unwrap())
}

/// A package to be made.
#[derive(Clone, Debug)]
pub struct Package {
    info: PkgInfo,
    members: Vec<(Header, Vec<u8>)>,
    scripts: Vec<ControlMember>,
}

impl Package {
    /// An empty package, made at [`BUILD_DATE`].
    pub fn new(name: &str, version: &str) -> Self {
        let info = PkgInfo {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "x86_64".to_owned(),
            origin: name.to_owned(),
            build_date: Some(BUILD_DATE),
            ..PkgInfo::default()
        };
        Self {
            info,
            members: Vec::new(),
            scripts: Vec::new(),
        }
    }

    /// Changes `.PKGINFO`.
    #[must_use]
    pub fn info(mut self, change: impl FnOnce(&mut PkgInfo)) -> Self {
        change(&mut self.info);
        self
    }

    /// Adds dependencies.
    #[must_use]
    pub fn depends(self, on: &[&str]) -> Self {
        self.info(|info| {
            info.depends
                .extend(on.iter().map(|text| Dependency::lenient(text)))
        })
    }

    /// Adds a file, and the directories that lead to it.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, content: &str) -> Self {
        for (end, _) in path.match_indices('/') {
            let directory = Header {
                path: path[..end].to_owned(),
                mode: 0o755,
                ..Header::new(Kind::Directory)
            };
            if !self
                .members
                .iter()
                .any(|(header, _)| header.path == directory.path)
            {
                self = self.member(directory, "");
            }
        }
        let size = content.len() as u64;
        self.member(
            Header {
                path: path.to_owned(),
                mode,
                size,
                ..Header::new(Kind::Regular)
            },
            content,
        )
    }

    /// Adds any member.
    #[must_use]
    pub fn member(mut self, header: Header, content: &str) -> Self {
        self.members.push((header, content.as_bytes().to_vec()));
        self
    }

    /// Adds a script, such as `.post-install`.
    #[must_use]
    pub fn script(mut self, name: &str, content: &str) -> Self {
        self.scripts.push(ControlMember::script(name, content));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// The package file, signed.
    pub fn build(&self) -> Vec<u8> {
        let mut data = DataWriter::new(Vec::new());
        for (header, content) in &self.members {
            data.append(header.clone(), || Ok(&content[..])).unwrap();
        }
        let data = data.finish().unwrap();
        let info = PkgInfo {
            data_hash: data.hash,
            ..self.info.clone()
        };
        let control = apk_package::control_section(&info, &self.scripts, BUILD_DATE).unwrap();
        let signature = apk_package::sign_control(&control, key(), KEY_NAME, BUILD_DATE).unwrap();
        let mut file = Vec::new();
        apk_package::write_package(&mut file, Some(&signature), &control, &mut &data.out[..]).unwrap();
        file
    }
}

/// A repository in a directory of its own, which goes with it.
#[derive(Debug)]
pub struct Repository {
    directory: tempfile::TempDir,
    arch: String,
}

impl Repository {
    /// An empty repository with [`key`]'s public half in it.
    pub fn new(arch: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(arch)).unwrap();
        fs::write(
            directory.path().join(KEY_NAME),
            key().public_key().to_pem().unwrap(),
        )
        .unwrap();
        Self {
            directory,
            arch: arch.to_owned(),
        }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Its directory as configurations name it.
    pub fn location(&self) -> String {
        self.path().display().to_string()
    }

    /// The path of its public key.
    pub fn key(&self) -> String {
        self.path().join(KEY_NAME).display().to_string()
    }

    /// The path of a package's file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(&self.arch).join(name)
    }

    /// Writes packages and a signed index of them.
    pub fn publish(&self, packages: &[Package]) {
        let records: Vec<PackageRecord> = packages
            .iter()
            .map(|package| {
                let file = package.build();
                let name = format!("{}-{}.apk", package.info.name, package.info.version);
                let record = apk_index::record(&name, &mut &file[..], file.len() as u64, &Limits::default());
                fs::write(self.file(&name), file).unwrap();
                record.unwrap()
            })
            .collect();
        self.write_index(&Index {
            packages: records,
            ..Index::default()
        });
    }

    /// Changes what the index says, and signs it again.
    pub fn change_index(&self, change: impl FnOnce(&mut Index)) {
        let archive = fs::read(self.file("APKINDEX.tar.gz")).unwrap();
        let mut index = Index::open_unverified(&archive, Index::MAX_SIZE).unwrap();
        change(&mut index);
        self.write_index(&index);
    }

    fn write_index(&self, index: &Index) {
        let archive = apk_index::sign(&index.to_archive().unwrap(), key(), KEY_NAME).unwrap();
        fs::write(self.file("APKINDEX.tar.gz"), archive).unwrap();
    }
}
