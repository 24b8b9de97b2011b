//! Where the time of a build goes.

use std::fmt;
use std::time::Instant;

use apk_types::Arch;

use crate::build::Event;

/// A part of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Keys are read; indexes are fetched, verified and opened.
    Indexes,
    /// Packages are chosen.
    Solve,
    /// Packages are fetched, verified, inflated and split, or found in the store.
    Packages,
    /// The file tree is laid out.
    Tree,
    /// Layers are hashed and compressed, or found in the store.
    Layers,
    /// Manifests, configurations and SBOMs are made.
    Documents,
}

impl Phase {
    /// A word for it: `indexes`, `solve`, `packages`, `tree`, `layers` or `documents`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Indexes => "indexes",
            Self::Solve => "solve",
            Self::Packages => "packages",
            Self::Tree => "tree",
            Self::Layers => "layers",
            Self::Documents => "documents",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tells how long each phase took, one after the other.
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Ends a phase; the next one begins.
    pub(crate) fn end(&mut self, phase: Phase, arch: Option<Arch>, watch: &mut dyn FnMut(Event<'_>)) {
        let now = Instant::now();
        let took = now - self.0;
        self.0 = now;
        watch(Event::Timed { phase, arch, took });
    }
}
