//! Reading a configuration and what it includes from files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};
use spanned_yaml::Diagnostic;

use super::explain::place_of;
use super::{ImageConfiguration, Invalid, parse};

/// Why a configuration could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not a configuration; `source_text` is there to show the place.
    #[error("{}: {diagnostic}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        diagnostic: Box<Diagnostic>,
        /// The file's content.
        source_text: String,
    },
    /// A file includes itself, directly or through others.
    #[error("an include leads back to where it began: {}", chain.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" -> "))]
    Cycle {
        /// The files, the first and the last being the same.
        chain: Vec<PathBuf>,
    },
    /// The values contradict each other or themselves.
    #[error("{}: {invalid}", path.display())]
    Invalid {
        /// The file given.
        path: PathBuf,
        /// What is wrong.
        invalid: Invalid,
    },
}

/// A configuration with everything it includes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The merged configuration, valid.
    pub configuration: ImageConfiguration,
    /// The files it was read from, the one given first.
    pub files: Vec<PathBuf>,
    /// Their contents.
    pub texts: Vec<String>,
    /// The SHA-256 over the files' contents in the order read, which lock files record.
    pub checksum: [u8; 32],
    /// Where files that the configuration names are looked for, if not in the working directory.
    pub include_paths: Vec<PathBuf>,
}

/// Reads a configuration from a file and lays it over what it includes. A relative path that does not exist is
/// looked for below each of `include_paths`.
pub fn load(path: &Path, include_paths: &[PathBuf]) -> Result<Loaded, ConfigError> {
    let mut hasher = Sha256::new();
    let mut files = Vec::new();
    let mut texts = Vec::new();
    let mut layers = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(wanted) = next {
        let found = resolve_path(&wanted, include_paths);
        if files.contains(&found) {
            files.push(found);
            return Err(ConfigError::Cycle { chain: files });
        }
        let text = fs::read_to_string(&found).map_err(|source| ConfigError::Read {
            path: found.clone(),
            source,
        })?;
        hasher.update(&text);
        let layer = parse(&text).map_err(|diagnostic| ConfigError::Yaml {
            path: found.clone(),
            diagnostic: Box::new(diagnostic),
            source_text: text.clone(),
        })?;
        texts.push(text);
        next = (!layer.include.is_empty()).then(|| PathBuf::from(&layer.include));
        files.push(found);
        layers.push(layer);
    }
    let merged = layers
        .into_iter()
        .rev()
        .reduce(|base, own| own.over(base))
        .unwrap_or_default();
    let invalid = |invalid: Invalid| match place_of(&invalid, &files, &texts) {
        Some((path, text, span)) => ConfigError::Yaml {
            path: path.clone(),
            diagnostic: Box::new(Diagnostic::new(invalid.to_string()).at(span)),
            source_text: text.clone(),
        },
        None => ConfigError::Invalid {
            path: path.to_owned(),
            invalid,
        },
    };
    let configuration = merged.validated().map_err(invalid)?;
    Ok(Loaded {
        configuration,
        files,
        texts,
        checksum: hasher.finalize().into(),
        include_paths: include_paths.to_vec(),
    })
}

/// A path as it is where that exists, else below the first include path where it does.
pub(crate) fn resolve_path(path: &Path, include_paths: &[PathBuf]) -> PathBuf {
    let candidates = include_paths.iter().map(|prefix| prefix.join(path));
    std::iter::once(path.to_owned())
        .chain(candidates)
        .find(|path| path.exists())
        .unwrap_or(path.to_owned())
}
