//! The repositories beside the workspace's own packages.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use apk_package::Keyring;
use apk_repository::{Location, OpenIndex, RepositoryError, Trust};
use apk_types::{Arch, PackageRecord};
use apko::{Policy, ResolveError};

use crate::definition::EnvironmentSpec;
use crate::settings::Settings;
use crate::stamps::Content;

/// A repository's packages for one architecture.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) location: Location,
    /// A hash that is another one as soon as anything in the index is.
    pub(crate) digest: Content,
    index: Option<OpenIndex>,
    records: OnceLock<Result<Vec<PackageRecord>, Arc<RepositoryError>>>,
}

impl Remote {
    /// All packages, in the order of the index; parsed the first time.
    pub(crate) fn records(&self) -> Result<&[PackageRecord], Arc<RepositoryError>> {
        let parse = || {
            let packages = self.index.as_ref().map(OpenIndex::packages);
            packages.unwrap_or_else(|| Ok(Vec::new())).map_err(Arc::new)
        };
        self.records.get_or_init(parse).as_deref().map_err(Arc::clone)
    }
}

/// Opens repositories, each once.
#[derive(Debug)]
pub(crate) struct Remotes<'a> {
    root: &'a Path,
    settings: &'a Settings,
    pub(crate) policy: &'a Policy,
    trust: OnceLock<Result<Trust, Arc<ResolveError>>>,
    open: Mutex<BTreeMap<(Arch, String), Arc<Remote>>>,
}

impl<'a> Remotes<'a> {
    pub(crate) fn new(root: &'a Path, settings: &'a Settings, policy: &'a Policy) -> Self {
        Self {
            root,
            settings,
            policy,
            trust: OnceLock::new(),
            open: Mutex::default(),
        }
    }

    /// A repository as the workspace's files name it, with a path that starts at the root made one that starts anywhere;
    /// `None` for the workspace's own.
    pub(crate) fn absolute(&self, text: &str) -> Option<String> {
        let (tag, place) = match text.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
            Some((tag, place)) => (format!("@{tag} "), place.trim()),
            None => (String::new(), text),
        };
        if place.contains("://") {
            return Some(text.to_owned());
        }
        let path = self.root.join(place);
        let own = self.root.join(&self.settings.output.packages);
        let normal = |path: &Path| path.components().collect::<std::path::PathBuf>();
        (normal(&path) != normal(&own)).then(|| format!("{tag}{}", path.display()))
    }

    /// All repositories of an environment, in the order in which they count behind the workspace's own.
    pub(crate) fn of(
        &self,
        environment: &EnvironmentSpec,
        arch: Arch,
        with_seed: bool,
    ) -> Result<Vec<Arc<Remote>>, Arc<ResolveError>> {
        let seed: &[String] = if with_seed { &self.settings.seed } else { &[] };
        let texts = [&self.settings.repositories[..], &environment.repositories, seed].concat();
        let mut wanted: Vec<String> = texts.iter().filter_map(|text| self.absolute(text)).collect();
        let mut seen = std::collections::BTreeSet::new();
        wanted.retain(|text| seen.insert(text.clone()));
        wanted
            .iter()
            .map(|text| self.open(text, environment, arch))
            .collect()
    }

    fn open(
        &self,
        text: &str,
        environment: &EnvironmentSpec,
        arch: Arch,
    ) -> Result<Arc<Remote>, Arc<ResolveError>> {
        let place = (arch, text.to_owned());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = open.get(&place) {
            return Ok(Arc::clone(remote));
        }
        let mut trust = self.trust(environment)?;
        let location: Location = text
            .parse()
            .map_err(|error: apk_repository::LocationError| Arc::new(error.into()))?;
        if let Some(keyring) = &mut trust.keyring {
            let announced = self.policy.client.announced_keys(&location, arch);
            for key in announced.map_err(|error| Arc::new(error.into()))? {
                let _ = keyring.insert_pem(key.name.as_str(), &key.pem);
            }
        }
        let wanted = [(location.clone(), arch)];
        let indexes = self.policy.client.open_indexes(&wanted, &trust);
        let index = indexes.map_err(|error| Arc::new(error.into()))?.pop().flatten();
        let digest = match &index {
            None => [0; 32],
            Some(index) => match index.key() {
                Some(key) => *blake3::hash(key.as_str().as_bytes()).as_bytes(),
                None => {
                    let packages = index.packages().map_err(|error| Arc::new(error.into()))?;
                    *blake3::hash(format!("{packages:?}").as_bytes()).as_bytes()
                }
            },
        };
        let remote = Arc::new(Remote {
            location,
            digest,
            index,
            records: OnceLock::new(),
        });
        open.insert(place, Arc::clone(&remote));
        Ok(remote)
    }

    /// Whom the indexes are trusted to come from: the keys of the workspace and those of an environment. Those that a
    /// repository announces come to these.
    fn trust(&self, environment: &EnvironmentSpec) -> Result<Trust, Arc<ResolveError>> {
        let of_workspace = self
            .trust
            .get_or_init(|| self.trust_of(&self.settings.keyring).map_err(Arc::new));
        let trust = of_workspace.clone()?;
        match environment.keyring.is_empty() && environment.repositories.is_empty() {
            true => Ok(trust),
            false => {
                let keys = [&self.settings.keyring[..], &environment.keyring].concat();
                self.trust_of(&keys).map_err(Arc::new)
            }
        }
    }

    fn trust_of(&self, keys: &[String]) -> Result<Trust, ResolveError> {
        let mut keyring = Keyring::default();
        if !self.policy.ignore_signatures {
            for key in keys {
                let (name, pem) = self.policy.client.read_key(&self.key(key))?;
                // The client has read it as a key already.
                let _ = keyring.insert_pem(name, &pem);
            }
        }
        Ok(Trust {
            keyring: (!self.policy.ignore_signatures).then_some(keyring),
            index_limit: self.policy.index_limit,
            package_limits: self.policy.package_limits,
        })
    }

    /// A key as the workspace's files name it, with a path that starts anywhere.
    pub(crate) fn key(&self, text: &str) -> String {
        match text.contains("://") {
            true => text.to_owned(),
            false => self.root.join(text).display().to_string(),
        }
    }
}
