//! Certificates of authorities: added to bundles and truststores, and the checksums beside those.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::installed_db::InstalledPackage;
use crate::pem::{self, Block};
use crate::tree::{Fault, Tree, TreeError};
use crate::truststore::Truststore;

const DIRECTORY: &str = "usr/local/share/ca-certificates";
/// Where Alpine, AWS ECS and Kaniko have their bundles.
const BUNDLES: [&str; 3] = [
    "etc/ssl/certs/ca-certificates.crt",
    "var/lib/ecs/deps/execute-command/certs/tls-ca-bundle.pem",
    "kaniko/ssl/certs/ca-certificates.crt",
];
const TRUSTSTORES: [&str; 1] = ["etc/ssl/certs/java/cacerts"];

/// A certificate to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its name, which becomes part of a file's name.
    pub name: String,
    /// One PEM block, with or without text around it.
    pub pem: String,
}

/// Why certificates could not be added.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A certificate is none, or more than one.
    #[error("certificate `{name}`: {reason}")]
    Malformed {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A name cannot be part of a file's name.
    #[error(
        "certificate `{name}`: a name consists of letters, digits, `_`, `-` and `.`, and does not begin with `.`"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// A truststore of a package cannot be read.
    #[error("truststore `{path}`: {reason}")]
    Truststore {
        /// Its path.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Adds certificates, and those that packages which provide one of `providers` have below
/// `usr/local/share/ca-certificates`, to all bundles and truststores that exist, as `update-ca-certificates` would
/// if scripts ran. `time` becomes the time of all changed files.
pub fn add(
    tree: &mut Tree,
    certificates: &[Certificate],
    providers: &[impl AsRef<str>],
    installed: &[&InstalledPackage],
    time: i64,
) -> Result<(), CertificateError> {
    let mut added = Vec::new();
    if !certificates.is_empty() {
        tree.mkdir_all(DIRECTORY, 0o755)?;
    }
    for Certificate { name, pem } in certificates {
        if !is_file_name(name) {
            return Err(CertificateError::BadName { name: name.clone() });
        }
        let block = certificate(pem).map_err(|reason| CertificateError::Malformed {
            name: name.clone(),
            reason,
        })?;
        let alias = format!("{name}-{}", hex(&Sha256::digest(&block.der)));
        put(
            tree,
            &format!("{DIRECTORY}/{alias}.crt"),
            block.encode(),
            0o644,
            time,
        )?;
        added.push((alias, block));
    }
    for path in of_providers(providers, installed) {
        let text = String::from_utf8_lossy(&tree.read(path)?).into_owned();
        // What is no certificate may lie there too.
        if let Ok(block) = certificate(&text) {
            added.push((format!("pkg-{}", hex(&Sha256::digest(&block.der))), block));
        }
    }
    if added.is_empty() {
        return Ok(());
    }
    let mut bundles = Vec::new();
    for path in BUNDLES {
        let Some(content) = optional(tree, path)? else {
            continue;
        };
        // One bundle may be a link to another.
        let id = tree.lookup(path)?;
        if bundles.contains(&id) {
            continue;
        }
        bundles.push(id);
        let content = added.iter().fold(content, |mut content, (_, block)| {
            content.extend(block.encode().as_bytes());
            content.push(b'\n');
            content
        });
        put(tree, path, content, 0o644, time)?;
    }
    for path in TRUSTSTORES {
        let Some(content) = optional(tree, path)? else {
            continue;
        };
        let mut store = Truststore::parse(&content).map_err(|reason| CertificateError::Truststore {
            path: path.to_owned(),
            reason,
        })?;
        for (alias, block) in &added {
            store.add(alias, &block.der, time);
        }
        put(tree, path, store.write(), 0o644, time)?;
    }
    Ok(())
}

/// Writes `.NAME.sha256` beside each bundle and truststore, for `sha256sum -c` in its directory.
pub fn write_checksums(tree: &mut Tree, time: i64) -> Result<(), TreeError> {
    for path in BUNDLES.into_iter().chain(TRUSTSTORES) {
        let Some(content) = optional(tree, path)? else {
            continue;
        };
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let line = format!("{}  {name}\n", hex(&Sha256::digest(content)));
        put(tree, &format!("{directory}/.{name}.sha256"), line, 0o444, time)?;
    }
    Ok(())
}

fn put(
    tree: &mut Tree,
    path: &str,
    content: impl Into<file_content::Content>,
    mode: u32,
    time: i64,
) -> Result<(), TreeError> {
    let id = tree.write_file(path, content, mode)?;
    tree.node_mut(id).mtime = time;
    Ok(())
}

fn optional(tree: &Tree, path: &str) -> Result<Option<Vec<u8>>, TreeError> {
    match tree.read(path) {
        Ok(content) => Ok(Some(content.to_vec())),
        Err(error) if error.fault == Fault::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn certificate(text: &str) -> Result<Block, &'static str> {
    let mut blocks = pem::decode(text).into_iter();
    match (blocks.next(), blocks.next()) {
        (None, _) => Err("there is no PEM block in it"),
        (_, Some(_)) => Err("there is more than one PEM block in it"),
        (Some(block), None) if block.label != "CERTIFICATE" => Err("it is not a certificate"),
        (Some(block), None) if !pem::is_certificate(&block.der) => Err("its content is no X.509 certificate"),
        (Some(block), None) => Ok(block),
    }
}

fn of_providers<'p>(providers: &[impl AsRef<str>], installed: &[&'p InstalledPackage]) -> Vec<&'p str> {
    let is_provider = |package: &&&InstalledPackage| {
        let mut provides = package.record.provides.iter();
        provides.any(|name| {
            providers
                .iter()
                .any(|provider| provider.as_ref() == name.as_str())
        })
    };
    let is_certificate = |path: &&str| {
        let name = path
            .strip_prefix(DIRECTORY)
            .and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| name.ends_with(".crt") || name.ends_with(".pem"))
    };
    let mut paths: Vec<&str> = installed
        .iter()
        .filter(is_provider)
        .flat_map(|package| &package.files)
        .filter(|file| !file.is_directory)
        .map(|file| file.path.as_str())
        .filter(is_certificate)
        .collect();
    paths.sort_unstable();
    paths
}

pub(crate) fn is_file_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(is_allowed)
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
