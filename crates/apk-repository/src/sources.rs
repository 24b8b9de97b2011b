//! Files that are no packages: the sources that packages are built from.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::Path;

use content_cache::{CacheError, Key, Kind, Partial};
use http_exchange::HttpUrl;
use sha2::{Digest, Sha256, Sha512};

use crate::client::Client;
use crate::error::RepositoryError;
use crate::transfer::{Sink, Wanted};

/// Source files by their checksum.
const SOURCES: Kind = Kind::durable("sources");

/// The checksum that a source file must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceHash {
    algorithm: Algorithm,
    /// In lower-case hexadecimal digits.
    digits: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha512,
}

/// A text that is no checksum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {algorithm} checksum: {digits} hexadecimal digits")]
pub struct SourceHashError {
    text: String,
    algorithm: &'static str,
    digits: usize,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl SourceHash {
    /// Takes hexadecimal digits, upper or lower case.
    ///
    /// # Errors
    /// When they are not 64 such digits.
    pub fn sha256(digits: &str) -> Result<Self, SourceHashError> {
        Self::new(Algorithm::Sha256, digits)
    }

    /// Takes hexadecimal digits, upper or lower case.
    ///
    /// # Errors
    /// When they are not 128 such digits.
    pub fn sha512(digits: &str) -> Result<Self, SourceHashError> {
        Self::new(Algorithm::Sha512, digits)
    }

    fn new(algorithm: Algorithm, text: &str) -> Result<Self, SourceHashError> {
        let digits = text.trim().to_ascii_lowercase();
        match digits.len() == algorithm.digits() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Self { algorithm, digits }),
            false => Err(SourceHashError {
                text: text.to_owned(),
                algorithm: algorithm.name(),
                digits: algorithm.digits(),
            }),
        }
    }

    /// Reads a content to its end and tells the same kind of checksum of it.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of_content(&self, content: &mut impl Read) -> io::Result<Self> {
        let digits = match self.algorithm {
            Algorithm::Sha256 => digits::<Sha256>(content)?,
            Algorithm::Sha512 => digits::<Sha512>(content)?,
        };
        let algorithm = self.algorithm;
        Ok(Self { algorithm, digits })
    }
}

impl std::fmt::Display for SourceHash {
    /// `sha256:` and the digits, as files in melange's own cache directories are called.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.digits)
    }
}

fn digits<D: Digest>(content: &mut impl Read) -> io::Result<String> {
    let mut hash = D::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match content.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    let mut digits = String::new();
    for byte in hash.finalize().iter() {
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}

impl Client {
    /// Fetches a source file from the first of `urls` that gives it, and opens it for reading at its beginning.
    ///
    /// With a checksum it is kept in the cache, if there is one, and a download that broke off is gone on with; without one
    /// it lies in a file without a name in `scratch`.
    ///
    /// # Errors
    /// When none of the URLs gives it, or something else comes from them than the checksum says.
    pub fn read_source(
        &self,
        urls: &[&str],
        expected: Option<&SourceHash>,
        scratch: &Path,
    ) -> Result<File, RepositoryError> {
        let urls: Vec<HttpUrl> = urls
            .iter()
            .map(|url| crate::client::parse_url(url))
            .collect::<Result<_, _>>()?;
        let (Some(cache), Some(expected)) = (&self.options().cache, expected) else {
            return self.unkept_source(&urls, expected, scratch);
        };
        let key = Key::of(&[expected.to_string().as_bytes()]);
        let read = |path: &Path| {
            let mut file = File::open(path).ok()?;
            let found = expected.of_content(&mut file).ok()?;
            file.rewind().ok()?;
            (found == *expected).then_some(file)
        };
        let make = |partial: &mut Partial| self.first_source(&urls, Some(expected), partial);
        match cache.file(SOURCES, &key, read, make) {
            Ok(file) => Ok(file),
            Err(CacheError::Make(error)) => Err(error),
            Err(error) => Err(RepositoryError::Cache {
                reason: error.to_string(),
            }),
        }
    }

    fn unkept_source(
        &self,
        urls: &[HttpUrl],
        expected: Option<&SourceHash>,
        scratch: &Path,
    ) -> Result<File, RepositoryError> {
        let failed = |source| RepositoryError::Read {
            at: scratch.display().to_string(),
            source,
        };
        let mut file = tempfile::tempfile_in(scratch).map_err(failed)?;
        self.first_source(urls, expected, &mut file)?;
        file.rewind().map_err(failed)?;
        Ok(file)
    }

    /// Fetches from one URL after the other until one gives what is wanted.
    fn first_source(
        &self,
        urls: &[HttpUrl],
        expected: Option<&SourceHash>,
        sink: &mut impl SourceSink,
    ) -> Result<(), RepositoryError> {
        let mut errors = Vec::new();
        for url in urls {
            let goes_on = sink.length().is_ok_and(|length| length > 0);
            let mut done = self.one_source(url, expected, sink);
            if goes_on && matches!(done, Err(RepositoryError::Hash { .. })) {
                // What was there before may have been of another file.
                done = self.one_source(url, expected, sink);
            }
            match done {
                Ok(()) => return Ok(()),
                Err(error) => errors.push(error),
            }
        }
        Err(match errors.len() {
            1 => errors.remove(0),
            _ => RepositoryError::NoMirror { errors },
        })
    }

    fn one_source(
        &self,
        url: &HttpUrl,
        expected: Option<&SourceHash>,
        sink: &mut impl SourceSink,
    ) -> Result<(), RepositoryError> {
        let wanted = Wanted {
            url,
            limit: (self.options().max_response_size, "--max-http-response-size"),
            size: None,
            known: None,
            is_checked: expected.is_some(),
        };
        self.download(&wanted, sink)?;
        let Some(expected) = expected else { return Ok(()) };
        let at = url.to_string();
        let found = sink
            .reopen()
            .and_then(|mut file| expected.of_content(&mut file))
            .map_err(|source| RepositoryError::Read {
                at: at.clone(),
                source,
            })?;
        if found == *expected {
            return Ok(());
        }
        let _ = sink.restart();
        Err(RepositoryError::Hash {
            at,
            expected: expected.to_string(),
            found: found.to_string(),
        })
    }
}

/// A sink whose content can be read again.
trait SourceSink: Sink {
    fn reopen(&mut self) -> io::Result<File>;
}

impl SourceSink for Partial {
    fn reopen(&mut self) -> io::Result<File> {
        File::open(self.path())
    }
}

impl SourceSink for File {
    fn reopen(&mut self) -> io::Result<File> {
        let mut file = self.try_clone()?;
        file.rewind()?;
        Ok(file)
    }
}

impl Sink for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.set_len(0)?;
        self.rewind()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
}
