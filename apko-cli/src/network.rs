//! How repositories are reached, by what the command line and the environment say.

use std::env;
use std::path::{Path, PathBuf};

use apk_repository::Client;
use apko::Store;
use apko::config::{Loaded, load_with};
use cli_support::{Network, Progress, Steps};

use crate::args::{Limits, Sources};
use crate::failure::{Failure, Outcome};

/// What other flags say of the network.
pub(crate) struct Reach<'a> {
    pub(crate) cache_dir: Option<&'a Path>,
    pub(crate) offline: bool,
    /// The defaults without them.
    pub(crate) limits: Option<&'a Limits>,
}

impl Sources {
    /// Where packages are kept: in the directory asked for, that of the user, or else for as long as the command runs, below
    /// `spool`.
    pub(crate) fn store(&self, spool: &Path, steps: &Steps) -> Outcome<Store> {
        match self.network.cache(self.cache_dir.as_deref(), steps) {
            Some(cache) => Ok(Store::new(cache)),
            None => Store::temporary(spool).map_err(|error| Failure::at(spool, &error)),
        }
    }

    /// The configuration with what it includes, from URLs too.
    pub(crate) fn load(&self, config: &Path, include_paths: &[PathBuf], steps: &Steps) -> Outcome<Loaded> {
        let fetch = |url: &str| {
            let (client, progress) = self.client(None, steps).map_err(|failure| failure.text)?;
            let text = client.read_text(url)?;
            progress.done();
            Ok(text)
        };
        let loaded = load_with(config, include_paths, &fetch)?;
        Ok(match self.strict_compat {
            true => loaded.strictly_compatible()?,
            false => loaded,
        })
    }

    /// What fetches, and what shows it.
    pub(crate) fn client(&self, limits: Option<&Limits>, steps: &Steps) -> Outcome<(Client, Progress)> {
        let reach = Reach {
            cache_dir: self.cache_dir.as_deref(),
            offline: self.offline,
            limits,
        };
        client(&self.network, &reach, steps)
    }
}

/// What fetches, and what shows it.
pub(crate) fn client(network: &Network, reach: &Reach<'_>, steps: &Steps) -> Outcome<(Client, Progress)> {
    let variable = |name: &str| env::var(name).ok();
    let (mut options, progress) = network
        .options(&variable, steps)
        .map_err(|error| Failure::usage(error.to_string()))?;
    options.cache = network.cache(reach.cache_dir, steps);
    options.offline = reach.offline;
    options.http.user_agent = concat!("apko/", env!("CARGO_PKG_VERSION")).to_owned();
    if let Some(limits) = reach.limits {
        limits.of_answers(&mut options);
    }
    Ok((Client::new(options), progress))
}
