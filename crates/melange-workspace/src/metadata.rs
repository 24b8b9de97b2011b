//! What the results of package builds say of themselves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use apk_types::PackageRecord;
use build_graph::{Hash, Output, Part};
use serde::{Deserialize, Serialize};

use crate::pool::Built;

/// What a part of a result says of the package that it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// The package as an index has it.
    record: String,
    /// Which configurations of the workspace provide what the package depends on, as far as they were in the environment of
    /// the build: pairs of the name needed and the name of the main package.
    pub(crate) providers: Vec<(String, String)>,
}

impl Metadata {
    pub(crate) fn new(record: &PackageRecord, providers: Vec<(String, String)>) -> Self {
        let record = apk_index::write(std::slice::from_ref(record)).unwrap_or_default();
        Self { record, providers }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    pub(crate) fn record(&self) -> Option<PackageRecord> {
        apk_index::parse(&self.record).ok()?.into_iter().next()
    }

    /// What a part says; `None` for one that is not of a package.
    pub(crate) fn of(part: &Part) -> Option<Self> {
        postcard::from_bytes(&part.metadata).ok()
    }
}

/// Packages of an environment by their configuration's main package: their names, or the names by which others need them.
pub(crate) type Wanted = BTreeMap<String, BTreeSet<String>>;

/// Results by the main package's name.
pub(crate) type Known = BTreeMap<String, Arc<Result>>;

/// A result of a package build, read.
#[derive(Clone, Debug)]
pub(crate) struct Result {
    pub(crate) built: Built,
    /// By package: its identity.
    pub(crate) identities: BTreeMap<String, Hash>,
    /// By package: which configurations provide what it depends on.
    pub(crate) providers: BTreeMap<String, Vec<(String, String)>>,
}

/// Reads each result once.
#[derive(Debug, Default)]
pub(crate) struct Results(Mutex<HashMap<(String, Hash), Arc<Result>>>);

impl Results {
    pub(crate) fn read(&self, name: &str, output: &Output) -> Arc<Result> {
        let parts = output.parts.iter();
        let key =
            Hash::of(parts.flat_map(|part| [part.name.as_bytes(), part.identity.as_bytes(), &part.metadata]));
        let key = (name.to_owned(), key);
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || Arc::new(Result::read(name, output));
        Arc::clone(results.entry(key).or_insert_with(read))
    }
}

impl Results {
    /// Reads what is wanted and not known yet, and what that leads to in turn: without those, what is known has needs that
    /// nothing satisfies. `output` gives what is finished. Returns what is not, and whether anything was read.
    pub(crate) fn follow<'o>(
        &self,
        wanted: &mut Wanted,
        known: &mut Known,
        hidden: Option<&BTreeSet<String>>,
        output: impl Fn(&str) -> Option<&'o Output>,
    ) -> (BTreeSet<String>, bool) {
        let (mut unfinished, mut has_news) = (BTreeSet::new(), false);
        let mut rest: Vec<String> = wanted.keys().cloned().collect();
        while let Some(name) = rest.pop() {
            if !known.contains_key(&name) {
                let Some(output) = output(&name) else {
                    unfinished.insert(name);
                    continue;
                };
                known.insert(name.clone(), self.read(&name, output));
                has_news = true;
            }
            for (need, provider) in known[&name].leads_to(&wanted[&name]) {
                let is_hidden = hidden.is_some_and(|hidden| hidden.contains(&provider));
                if !is_hidden && wanted.entry(provider.clone()).or_default().insert(need) {
                    rest.push(provider);
                }
            }
        }
        (unfinished, has_news)
    }
}

impl Result {
    /// Who provides what those of the packages depend on that have one of these names or provide it.
    fn leads_to(&self, names: &BTreeSet<String>) -> Vec<(String, String)> {
        let is_meant = |record: &&PackageRecord| {
            let provided = record.provides.iter().any(|entry| names.contains(entry.name()));
            provided || names.contains(&record.name)
        };
        let meant = self.built.records.iter().filter(is_meant);
        let providers = meant.filter_map(|record| self.providers.get(&record.name));
        providers.flatten().cloned().collect()
    }

    fn read(name: &str, output: &Output) -> Self {
        let (mut records, mut identities, mut providers) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for part in &output.parts {
            if let Some(metadata) = Metadata::of(part)
                && let Some(record) = metadata.record()
            {
                records.push(record);
                identities.insert(part.name.clone(), part.identity);
                providers.insert(part.name.clone(), metadata.providers);
            }
        }
        Self {
            built: Built::new(name, Arc::new(records)),
            identities,
            providers,
        }
    }
}
