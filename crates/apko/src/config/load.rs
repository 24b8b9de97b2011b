//! Reading a configuration and what it includes from files and URLs.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use apk_repository::{resolve_url, without_login};
use sha2::{Digest, Sha256};
use spanned_yaml::Diagnostic;

use super::explain::place_of;
use super::validate::extension;
use super::{ImageConfiguration, Invalid, LocalFile, PathMutation, parse};

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
    /// What is at a URL could not be fetched.
    #[error("the configuration at {url} cannot be included")]
    Fetch {
        /// The URL, without the user name and password in it.
        url: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What is at a URL is not what was pinned.
    #[error("the configuration at {url} has the SHA-256 {actual}, but {expected} is included")]
    Pin {
        /// The URL, without the user name and password in it.
        url: String,
        /// The digest behind `#sha256=`.
        expected: String,
        /// The digest of the text.
        actual: String,
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

impl Loaded {
    /// The same, where it has nothing that the Go apko does not know.
    ///
    /// # Errors
    /// The first thing that it does not know, where it is written.
    pub fn strictly_compatible(self) -> Result<Self, ConfigError> {
        match extension(&self.configuration, &self.files) {
            Some(invalid) => Err(invalid_at(
                self.files.first().map_or(Path::new(""), PathBuf::as_path),
                invalid,
                &self.files,
                &self.texts,
            )),
            None => Ok(self),
        }
    }
}

/// Gets the text at a URL.
pub type Fetch<'a> = &'a dyn Fn(&str) -> Result<String, Box<dyn Error + Send + Sync>>;

/// Reads a configuration from a file and lays it over what it includes; to include a URL is an error.
///
/// A relative path that does not exist is looked for below each of `include_paths`.
pub fn load(path: &Path, include_paths: &[PathBuf]) -> Result<Loaded, ConfigError> {
    load_with(path, include_paths, &|_| Err("URLs are not fetched here".into()))
}

/// Reads a configuration like [`load`], with what it includes from URLs.
///
/// A path that a configuration at a URL includes is looked for at that URL. `URL#sha256=HEX` states the digest of the
/// text there.
pub fn load_with(path: &Path, include_paths: &[PathBuf], fetch: Fetch<'_>) -> Result<Loaded, ConfigError> {
    let mut hasher = Sha256::new();
    let mut files = Vec::new();
    let mut texts = Vec::new();
    let mut layers = Vec::new();
    let mut next = Some(Source::File(resolve_path(path, include_paths)));
    while let Some(source) = next {
        let found = source.shown();
        if files.contains(&found) {
            files.push(found);
            return Err(ConfigError::Cycle { chain: files });
        }
        let text = source.read(fetch)?;
        hasher.update(&text);
        let mut layer = parse(&text).map_err(|diagnostic| ConfigError::Yaml {
            path: found.clone(),
            diagnostic: Box::new(diagnostic),
            source_text: text.clone(),
        })?;
        texts.push(text);
        let local = source.read_local_files(&mut layer.paths);
        local.map_err(|invalid| {
            invalid_at(path, invalid, std::slice::from_ref(&found), &texts[files.len()..])
        })?;
        next = match &layer.include[..] {
            "" => None,
            include => Some(source.included(include, include_paths)?),
        };
        files.push(found);
        layers.push(layer);
    }
    let merged = layers
        .into_iter()
        .rev()
        .reduce(|base, own| own.over(base))
        .unwrap_or_default();
    let configuration = merged
        .validated()
        .map_err(|invalid| invalid_at(path, invalid, &files, &texts))?;
    Ok(Loaded {
        configuration,
        files,
        texts,
        checksum: hasher.finalize().into(),
        include_paths: include_paths.to_vec(),
    })
}

/// The error of invalid values, at the place in the files where they are written if they are.
fn invalid_at(path: &Path, invalid: Invalid, files: &[PathBuf], texts: &[String]) -> ConfigError {
    match place_of(&invalid, files, texts) {
        Some((path, text, span)) => ConfigError::Yaml {
            path: path.clone(),
            diagnostic: Box::new(Diagnostic::new(invalid.to_string()).at(span)),
            source_text: text.clone(),
        },
        None => ConfigError::Invalid {
            path: path.to_owned(),
            invalid,
        },
    }
}

/// Where a configuration is.
enum Source {
    File(PathBuf),
    /// A URL, and the digest that what is there must have.
    Url(String, Option<String>),
}

impl Source {
    fn shown(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Url(url, _) => without_login(url).into(),
        }
    }

    fn included(&self, include: &str, include_paths: &[PathBuf]) -> Result<Self, ConfigError> {
        let (place, pin) = match include.split_once("#sha256=") {
            Some((place, pin)) => (place, Some(pin.to_owned())),
            None => (include, None),
        };
        let url = match self {
            _ if place.starts_with("https://") || place.starts_with("http://") => place.to_owned(),
            Self::File(_) => return Ok(Self::File(resolve_path(Path::new(include), include_paths))),
            Self::Url(base, _) => resolve_url(base, place).map_err(|source| ConfigError::Fetch {
                url: without_login(place),
                source: source.into(),
            })?,
        };
        Ok(Self::Url(url, pin))
    }

    /// Reads the files that are to be in the image, whose paths are seen from the directory of the configuration.
    fn read_local_files(&self, paths: &mut [PathMutation]) -> Result<(), Invalid> {
        let is_source = |mutation: &&mut PathMutation| mutation.kind == "file" && !mutation.source.is_empty();
        for mutation in paths.iter_mut().filter(is_source) {
            let source = mutation.source.clone();
            let Self::File(configuration) = self else {
                return Err(Invalid::LocalFileFromUrl(source));
            };
            let file = configuration.parent().unwrap_or(Path::new("")).join(&source);
            let bytes = fs::read(&file).map_err(|error| Invalid::LocalFile {
                file: source,
                reason: error.to_string(),
            })?;
            mutation.file = Some(LocalFile::new(bytes));
        }
        Ok(())
    }

    fn read(&self, fetch: Fetch<'_>) -> Result<String, ConfigError> {
        let (url, pin) = match self {
            Self::Url(url, pin) => (url, pin),
            Self::File(path) => {
                return fs::read_to_string(path).map_err(|source| ConfigError::Read {
                    path: path.clone(),
                    source,
                });
            }
        };
        let text = fetch(url).map_err(|source| ConfigError::Fetch {
            url: without_login(url),
            source,
        })?;
        let actual = oci_image::Digest::of(text.as_bytes()).hex();
        match pin {
            Some(expected) if !expected.eq_ignore_ascii_case(&actual) => Err(ConfigError::Pin {
                url: without_login(url),
                expected: expected.clone(),
                actual,
            }),
            _ => Ok(text),
        }
    }
}

/// A path as it is where that exists, else below the first include path where it does.
pub(crate) fn resolve_path(path: &Path, include_paths: &[PathBuf]) -> PathBuf {
    let candidates = include_paths.iter().map(|prefix| prefix.join(path));
    std::iter::once(path.to_owned())
        .chain(candidates)
        .find(|path| path.exists())
        .unwrap_or(path.to_owned())
}
