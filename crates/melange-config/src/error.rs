//! What can be wrong with a configuration.

use std::fmt;
use std::sync::Arc;

use spanned_yaml::Diagnostic;

use crate::source::{Location, SourceText};

/// How many faults are shown at once.
const SHOWN: usize = 20;

/// How many faults of compiling are told apart.
const COLLECTED: usize = 200;

/// Says what is wrong with a configuration and shows where: everything that could be told at once.
#[derive(Clone, Debug)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The text it was found in: the configuration or the file of a pipeline.
    pub text: Arc<SourceText>,
    /// What is wrong.
    pub diagnostic: Box<Diagnostic>,
    /// Where the pipeline is used whose file it was found in.
    pub used_at: Option<Arc<Location>>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, more)) = self.faults.split_first() else {
            return f.write_str("the configuration is wrong");
        };
        write!(f, "{}: {}", first.text.path, first.diagnostic)?;
        match more.len() {
            0 => Ok(()),
            1 => f.write_str(" (and one more fault)"),
            more => write!(f, " (and {more} more faults)"),
        }
    }
}

impl ConfigError {
    pub(crate) fn new(text: &Arc<SourceText>, diagnostic: Diagnostic) -> Self {
        Self::of(text, vec![diagnostic])
    }

    pub(crate) fn of(text: &Arc<SourceText>, diagnostics: Vec<Diagnostic>) -> Self {
        let fault = |diagnostic| Fault {
            text: Arc::clone(text),
            diagnostic: Box::new(diagnostic),
            used_at: None,
        };
        Self {
            faults: diagnostics.into_iter().map(fault).collect(),
        }
    }

    /// Says where the pipeline is used that the faults are in, unless that is said already.
    pub(crate) fn used_at(mut self, location: &Arc<Location>) -> Self {
        for fault in &mut self.faults {
            fault.used_at.get_or_insert_with(|| Arc::clone(location));
        }
        self
    }

    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// What is wrong, in the order it was found; there is at least one fault.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Draws the faults with the lines they are about, the first twenty of them; see [`spanned_yaml::render`].
    #[must_use]
    pub fn render(&self) -> String {
        let drawn: Vec<_> = self.faults.iter().take(SHOWN).map(Fault::render).collect();
        let mut out = drawn.join("\n");
        if self.faults.len() > SHOWN {
            out.push_str(&format!(
                "\n{} more faults are not shown\n",
                self.faults.len() - SHOWN
            ));
        }
        out
    }
}

impl Fault {
    /// Draws the fault with the line it is about; see [`spanned_yaml::render`].
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = spanned_yaml::render(&self.diagnostic, &self.text.path, &self.text.text);
        if let Some(location) = &self.used_at {
            out.push_str(&format!("  = used at {location}\n"));
        }
        out
    }
}

/// Collects the faults of parts, so that those of one part do not hide those of another.
#[derive(Debug, Default)]
pub(crate) struct Collected(Vec<Fault>);

impl Collected {
    pub(crate) fn keep<T>(&mut self, part: Result<T, ConfigError>) -> Option<T> {
        part.map_err(|error| self.extend(error)).ok()
    }

    pub(crate) fn extend(&mut self, error: ConfigError) {
        for fault in error.faults {
            // What is made from a range repeats its faults.
            if self.0.len() < COLLECTED && !self.0.contains(&fault) {
                self.0.push(fault);
            }
        }
    }

    /// Tells whether no more faults are kept, so that the rest need not be looked at.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= COLLECTED
    }

    /// Returns the whole if no part had a fault.
    pub(crate) fn end<T>(self, whole: T) -> Result<T, ConfigError> {
        match self.0.is_empty() {
            true => Ok(whole),
            false => Err(ConfigError { faults: self.0 }),
        }
    }
}
