//! Named pipelines: where they come from, and what was read of them already.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use crate::error::ConfigError;
use crate::prepared;
use crate::written::{PipelineFile, parse_pipeline};

/// Where named pipelines come from.
pub trait PipelineSource {
    /// Finds the YAML text of a pipeline by its name, such as `autoconf/make`.
    ///
    /// # Errors
    /// When the pipeline is there and cannot be read; `Ok(None)` when there is none of that name.
    fn find(&self, name: &str) -> io::Result<Option<PipelineText<'_>>>;

    /// The names that could have been meant where one is not found; none if they cannot be told.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The text of a named pipeline.
#[derive(Clone, Debug)]
pub struct PipelineText<'a> {
    /// Where it was found, for messages.
    pub path: Cow<'a, str>,
    /// The YAML.
    pub text: Cow<'a, str>,
    /// What [`prepare_pipeline`](crate::prepare_pipeline) made of the YAML, where that was done: it is then not parsed.
    pub prepared: Option<&'a [u8]>,
}

/// A map from names to texts is a source.
impl PipelineSource for BTreeMap<String, String> {
    fn find(&self, name: &str) -> io::Result<Option<PipelineText<'_>>> {
        Ok(self.get(name).map(|text| PipelineText {
            path: Cow::Owned(format!("{name}.yaml")),
            text: Cow::Borrowed(text),
            prepared: None,
        }))
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// A source of pipelines that finds and parses each of them once, for programs that compile many configurations.
///
/// What is found is taken to stay as it is.
pub struct PipelineCache<'a> {
    source: &'a dyn PipelineSource,
    files: RefCell<HashMap<String, Arc<PipelineFile>>>,
    names: OnceCell<Vec<String>>,
}

/// Says why there is no pipeline.
pub(crate) enum Missing {
    /// None has the name.
    Unknown,
    /// It cannot be read.
    Unreadable(io::Error),
    /// It is none.
    Wrong(ConfigError),
}

impl<'a> PipelineCache<'a> {
    /// Starts with nothing read.
    #[must_use]
    pub fn new(source: &'a dyn PipelineSource) -> Self {
        Self {
            source,
            files: RefCell::default(),
            names: OnceCell::new(),
        }
    }

    pub(crate) fn file(&self, name: &str) -> Result<Arc<PipelineFile>, Missing> {
        if let Some(file) = self.files.borrow().get(name) {
            return Ok(Arc::clone(file));
        }
        let found = self.source.find(name).map_err(Missing::Unreadable)?;
        let found = found.ok_or(Missing::Unknown)?;
        let prepared = found.prepared;
        let file = match prepared.and_then(|prepared| prepared::read(prepared, &found.text, &found.path)) {
            Some(file) => Arc::new(file),
            None => Arc::new(parse_pipeline(&found.text, &found.path).map_err(Missing::Wrong)?),
        };
        self.files.borrow_mut().insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    pub(crate) fn names(&self) -> &[String] {
        self.names.get_or_init(|| self.source.names())
    }
}
