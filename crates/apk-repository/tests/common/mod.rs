//! A repository behind a server of its own.
#![allow(dead_code)]

use std::path::PathBuf;
use std::sync::Arc;

use apk_index::Index;
use apk_package::{Keyring, VerifiedPackage};
use apk_repository::{Client, ClientOptions, Location, RepositoryError, Trust};
use apk_types::Arch;
use bytes::Bytes;
use content_cache::Cache;
use tempfile::TempDir;
use testkit::{KEY_NAME, Package, Repository, Server};

pub(crate) const ARCH: Arch = Arch::X86_64;
pub(crate) const INDEX: &str = "/x86_64/APKINDEX.tar.gz";
pub(crate) const PACKAGE: &str = "/x86_64/hello-1.0-r0.apk";

/// A package `hello` in a repository behind a server, and a cache.
pub(crate) struct Site {
    pub(crate) repository: Repository,
    pub(crate) server: Server,
    pub(crate) cache: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let repository = Repository::new("x86_64");
        // More than what is sent before a fault.
        let noise: String = (0..2000_u64)
            .map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        repository.publish(&[Package::new("hello", "1.0-r0").file("usr/share/noise", 0o644, &noise)]);
        Self {
            server: Server::start(repository.path()),
            repository,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn location(&self) -> Location {
        self.server.url().parse().unwrap()
    }

    pub(crate) fn trust(&self) -> Trust {
        let mut keyring = Keyring::default();
        let pem = testkit::key().public_key().to_pem().unwrap();
        keyring.insert_pem(KEY_NAME, &pem).unwrap();
        Trust {
            keyring: Some(keyring),
            ..Trust::default()
        }
    }

    /// A client that does not wait between attempts.
    pub(crate) fn client(&self) -> Client {
        self.client_with(|_| {})
    }

    pub(crate) fn client_with(&self, change: impl FnOnce(&mut ClientOptions)) -> Client {
        let mut options = ClientOptions {
            cache: Some(Cache::at(self.cache.path())),
            ..ClientOptions::default()
        };
        options.http.sleep = Arc::new(|_| {});
        change(&mut options);
        Client::new(options)
    }

    pub(crate) fn index(&self, client: &Client) -> Result<Option<Index>, RepositoryError> {
        client.read_index(&self.location(), ARCH, &self.trust())
    }

    /// The index, and the package that it speaks of.
    pub(crate) fn package(&self, client: &Client) -> Result<(Bytes, VerifiedPackage), RepositoryError> {
        let index = self.index(client)?.unwrap();
        self.package_of(client, &index)
    }

    pub(crate) fn package_of(
        &self,
        client: &Client,
        index: &Index,
    ) -> Result<(Bytes, VerifiedPackage), RepositoryError> {
        client.read_package(&self.location(), ARCH, &index.packages[0], &self.trust())
    }

    /// What is said when the package cannot be had.
    pub(crate) fn error(&self, client: &Client) -> String {
        self.package(client).map(drop).unwrap_err().to_string()
    }

    /// How often something was asked for since the last call. Forgets what else was.
    pub(crate) fn attempts(&self, path: &str) -> usize {
        let requests = self.server.requests();
        requests.iter().filter(|request| request.target == path).count()
    }

    pub(crate) fn package_file(&self) -> Vec<u8> {
        std::fs::read(package_path(&self.repository)).unwrap()
    }
}

pub(crate) fn index_path(repository: &Repository) -> PathBuf {
    repository.file("APKINDEX.tar.gz")
}

pub(crate) fn package_path(repository: &Repository) -> PathBuf {
    repository.file("hello-1.0-r0.apk")
}
