//! A directory of configurations, opened.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use apk_types::Arch;
use spanned_yaml::Diagnostic;

use crate::definition::{CompiledFile, Compiler, Definition, refuse_duplicates};
use crate::error::{Fault, WorkspaceError, io_error};
use crate::image::{self, Image};
use crate::settings::{self, FILE_NAME, Pattern, Settings};
use crate::snapshot::Snapshot;
use crate::stamps::{Content, Stamps};

/// The directory, below the root, that has what a workspace remembers.
pub const STATE: &str = ".melange";

/// A workspace: its settings, and all configurations of packages and images.
#[derive(Debug)]
pub struct Workspace {
    /// The root.
    pub root: PathBuf,
    /// The settings.
    pub settings: Settings,
    /// The architectures.
    pub archs: Vec<Arch>,
    /// The configurations of packages for each architecture, in the order of the files.
    pub definitions: Vec<Arc<Definition>>,
    /// The configurations of images.
    pub images: Vec<Image>,
    /// How it was opened.
    pub opened: Opened,
    pub(crate) stamps: Stamps,
    pub(crate) snapshot: Snapshot,
}

/// How much there was to do to open a workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many configurations there are.
    pub files: usize,
    /// How many of them were compiled; the others are as they were.
    pub compiled: usize,
    /// How long it took.
    pub took: Duration,
}

impl Workspace {
    /// The root of the workspace that a directory is in: the nearest directory from there upwards with a `workspace.yaml`, else
    /// the directory itself.
    pub fn root_of(directory: &Path) -> PathBuf {
        let mut candidates = directory.ancestors();
        let found = candidates.find(|candidate| candidate.join(FILE_NAME).is_file());
        found.unwrap_or(directory).to_owned()
    }

    /// Reads the settings and all configurations.
    ///
    /// # Errors
    /// With all that is wrong with the settings; then with all that is wrong with configurations; then with the packages that
    /// more than one of them defines.
    pub fn open(root: &Path) -> Result<Self, WorkspaceError> {
        let start = Instant::now();
        let (settings, text) = read_settings(root)?;
        let archs = match settings.architectures.is_empty() {
            true => vec![Arch::host().ok_or(WorkspaceError::Host)?],
            false => settings.architectures.clone(),
        };
        let places = Finder::new(root, &settings, &text)?;
        let images = places.find(&settings.images)?;
        let mut files = places.find(&settings.packages)?;
        files.retain(|file| images.binary_search(file).is_err());
        let snapshot = Snapshot::at(root.join(STATE).join("snapshot"));
        let stamps = snapshot.stamps();
        let key = settings_key(&settings, &archs);
        let known = snapshot.compiled(&key);
        let before = known.len();
        let compiler = Compiler::new(root, &settings, &archs, &stamps);
        let (compiled_files, compiled) = compiler.compile_all(&files, known)?;
        if compiled > 0 || before != compiled_files.len() {
            // What cannot be kept is compiled again.
            let _ = snapshot.save_compiled(&key, &compiled_files);
        }
        let definitions: Vec<Arc<Definition>> = compiled_files
            .into_iter()
            .flat_map(|CompiledFile { definitions, .. }| definitions)
            .collect();
        refuse_duplicates(&definitions)?;
        let images: Vec<Image> = images
            .iter()
            .map(|file| Image::load(root, file, &archs))
            .collect::<Result<_, _>>()?;
        image::refuse_duplicates(&images)?;
        if definitions.is_empty() && images.is_empty() {
            return Err(WorkspaceError::Empty {
                path: root.to_owned(),
            });
        }
        Ok(Self {
            root: root.to_owned(),
            archs,
            images,
            opened: Opened {
                files: files.len(),
                compiled,
                took: start.elapsed(),
            },
            definitions,
            settings,
            stamps,
            snapshot,
        })
    }

    /// The directory of what the workspace remembers.
    pub fn state(&self) -> PathBuf {
        self.root.join(STATE)
    }

    /// The definition whose main package has a name, for an architecture.
    pub fn definition(&self, name: &str, arch: &str) -> Option<&Arc<Definition>> {
        self.definitions
            .iter()
            .find(|one| one.name == name && one.arch == arch)
    }
}

fn read_settings(root: &Path) -> Result<(Settings, String), WorkspaceError> {
    let path = root.join(FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Settings::default(), String::new()));
        }
        Err(error) => return Err(io_error("reading", path)(error)),
    };
    match settings::parse(&text) {
        Ok(settings) => Ok((settings, text)),
        Err(diagnostics) => {
            let fault = |diagnostic| Fault {
                path: path.clone(),
                diagnostic: Box::new(diagnostic),
                text: text.clone(),
            };
            Err(WorkspaceError::Yaml {
                faults: diagnostics.into_iter().map(fault).collect(),
            })
        }
    }
}

/// A hash of all settings that what is compiled depends on.
fn settings_key(settings: &Settings, archs: &[Arch]) -> Content {
    let Settings {
        build_options,
        vars,
        environment,
        libc,
        ..
    } = settings;
    let text = format!("{archs:?} {build_options:?} {vars:?} {environment:?} {libc:?}");
    *blake3::hash(text.as_bytes()).as_bytes()
}

/// Finds files by patterns.
struct Finder<'a> {
    root: &'a Path,
    text: &'a str,
    excluded: Vec<glob::Pattern>,
}

/// A `*` stays within one directory, and files that begin with a dot have to be named as such.
const OPTIONS: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

impl<'a> Finder<'a> {
    fn new(root: &'a Path, settings: &Settings, text: &'a str) -> Result<Self, WorkspaceError> {
        // They were checked when they were read.
        let excluded = settings
            .exclude
            .iter()
            .filter_map(|pattern| glob::Pattern::new(&pattern.text).ok());
        Ok(Self {
            root,
            text,
            excluded: excluded.collect(),
        })
    }

    /// The files that match patterns, relative to the root and sorted.
    fn find(&self, patterns: &[Pattern]) -> Result<Vec<String>, WorkspaceError> {
        let (mut files, mut faults) = (BTreeSet::new(), Vec::new());
        for pattern in patterns {
            let before = files.len();
            let whole = format!(
                "{}/{}",
                glob::Pattern::escape(&self.root.to_string_lossy()),
                pattern.text
            );
            let found = glob::glob_with(&whole, OPTIONS).into_iter().flatten().flatten();
            let mut any = false;
            for path in found.filter(|path| path.is_file()) {
                let Some(name) = path.strip_prefix(self.root).ok().and_then(Path::to_str) else {
                    continue;
                };
                any = true;
                if name != FILE_NAME
                    && !self
                        .excluded
                        .iter()
                        .any(|pattern| pattern.matches_with(name, OPTIONS))
                {
                    files.insert(name.to_owned());
                }
            }
            if let Some(span) = pattern.span.filter(|_| !any && files.len() == before) {
                let message = format!("no file matches `{}`", pattern.text);
                faults.push(Fault {
                    path: self.root.join(FILE_NAME),
                    diagnostic: Box::new(Diagnostic::new(message).at(span)),
                    text: self.text.to_owned(),
                });
            }
        }
        match faults.is_empty() {
            true => Ok(files.into_iter().collect()),
            false => Err(WorkspaceError::Yaml { faults }),
        }
    }
}
