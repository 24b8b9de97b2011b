//! What is remembered of each node.

mod file;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::error::StoreError;
use crate::{Hash, Input, Inputs, Key, NodeId};
use file::Batch;
pub(crate) use file::PackedInputs;

/// What is remembered of each node: a file, written as nodes end. Many processes may use it at the same time.
///
/// What is new is appended; when much of the file is outdated it is written anew and takes the old one's place. So a kill
/// costs at most the entry that was being written.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    damage: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<NodeId, Entry>,
    /// What the file has beside the first batch, in bytes, and what that has.
    appended: u64,
    first: u64,
}

/// What is remembered of a node. Cloning it is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its key when it last had a result.
    pub key: Key,
    /// The identity of that result.
    pub identity: Hash,
    /// When that was.
    pub when: SystemTime,
    /// How long building it took, here or where the result came from.
    pub took: Duration,
    /// Whether it was built then; else its result was there.
    pub was_built: bool,
    /// Why it failed when it was tried last, if it did. All else is of the time before.
    pub failure: Option<String>,
    /// What had changed when it was built: the inputs' names. Empty if it never was before.
    pub because: Vec<String>,
    pub(crate) inputs: PackedInputs,
}

impl Entry {
    /// The inputs that it had, in the order of their names.
    pub fn inputs(&self) -> Vec<Input> {
        self.inputs.unpack()
    }
}

/// Batches that are appended may have as many bytes as this before the file is written anew, or half of its first batch.
const APPENDED: u64 = 256 << 10;

impl History {
    /// Reads a history; one that is not there is empty. What is damaged in it is left out, and told by
    /// [`History::damage`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let (state, damage) = load(&path)?;
        Ok(Self {
            path,
            damage,
            state: Mutex::new(state),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was damaged in the file when it was read, if anything was.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// What is remembered of a node.
    pub fn get(&self, node: &NodeId) -> Option<Entry> {
        self.state().entries.get(node).cloned()
    }

    /// The nodes that are remembered, in their order.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self.state().entries.keys().cloned().collect();
        nodes.sort();
        nodes
    }

    /// How long nodes took on the average, by their kinds.
    pub(crate) fn means(&self) -> HashMap<String, Duration> {
        let mut sums: HashMap<String, (Duration, u32)> = HashMap::new();
        for (node, entry) in &self.state().entries {
            match sums.get_mut(node.kind()) {
                Some((sum, count)) => (*sum, *count) = (*sum + entry.took, *count + 1),
                None => drop(sums.insert(node.kind().to_owned(), (entry.took, 1))),
            }
        }
        let mean = |(kind, (sum, count)): (String, (Duration, u32))| (kind, sum / count);
        sums.into_iter().map(mean).collect()
    }

    /// Remembers what became of a node.
    pub(crate) fn put(&self, node: &NodeId, entry: Entry) -> Result<(), StoreError> {
        let frame = file::frame(&Batch::of([(node, &entry)]));
        let mut state = self.state();
        state.entries.insert(node.clone(), entry);
        let _lock = self.lock()?;
        // By name each time, since another process may have written the file anew.
        let opened = File::options().create(true).append(true).open(&self.path);
        let written = opened.and_then(|mut file| file.write_all(&frame));
        state.appended += frame.len() as u64;
        written.map_err(|source| self.trouble(source))
    }

    /// Remembers that a node failed; all else that is known of it stays. Nothing is remembered of a node that never had
    /// a result.
    pub(crate) fn put_failure(&self, node: &NodeId, failure: String) -> Result<(), StoreError> {
        match self.get(node) {
            Some(entry) => self.put(
                node,
                Entry {
                    failure: Some(failure),
                    ..entry
                },
            ),
            None => Ok(()),
        }
    }

    /// Writes the file anew if much of it is outdated.
    pub(crate) fn tidy(&self) -> Result<(), StoreError> {
        let State { appended, first, .. } = *self.state();
        match appended > APPENDED.max(first / 2) {
            true => self.retain(|_, _| true),
            false => Ok(()),
        }
    }

    /// Writes the file anew with those nodes that are to be kept, among them what other processes have written.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn retain(&self, mut keep: impl FnMut(&NodeId, &Entry) -> bool) -> Result<(), StoreError> {
        let mut state = self.state();
        let _lock = self.lock()?;
        let (mut now, _) = load(&self.path)?;
        now.entries.retain(|node, entry| keep(node, entry));
        let mut entries: Vec<_> = now.entries.iter().collect();
        entries.sort_by_key(|(node, _)| *node);
        let frame = file::frame(&Batch::of(entries));
        self.replace(&frame).map_err(|source| self.trouble(source))?;
        (now.first, now.appended) = (frame.len() as u64, 0);
        *state = now;
        Ok(())
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut temporary = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        temporary.write_all(bytes)?;
        temporary.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Holds off other processes that write.
    fn lock(&self) -> Result<File, StoreError> {
        let mut path = self.path.clone().into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|source| self.trouble(source))?;
        }
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let locked = opened.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|source| StoreError::Io { path, source })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self, source: io::Error) -> StoreError {
        let path = self.path.clone();
        StoreError::Io { path, source }
    }
}

impl Entry {
    pub(crate) fn new(key: Key, identity: Hash, took: Duration, was_built: bool, inputs: &Inputs) -> Self {
        Self {
            key,
            identity,
            when: SystemTime::now(),
            took,
            was_built,
            failure: None,
            because: Vec::new(),
            inputs: PackedInputs::of(inputs.list()),
        }
    }
}

fn load(path: &Path) -> Result<(State, Option<String>), StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => {
            let path = path.to_owned();
            return Err(StoreError::Io { path, source });
        }
    };
    let mut state = State::default();
    let mut damage = None;
    file::read(&bytes, |batch| match batch {
        Ok((batch, size)) => {
            match state.first {
                0 => state.first = size,
                _ => state.appended += size,
            }
            let strings: Arc<[Box<str>]> = batch.strings.iter().map(|text| (*text).into()).collect();
            for raw in batch.entries {
                if let Some((node, entry)) = raw.unpack(&strings) {
                    state.entries.insert(node, entry);
                }
            }
        }
        Err(reason) => damage = Some(reason),
    });
    Ok((state, damage))
}
