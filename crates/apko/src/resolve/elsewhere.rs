//! Which other architecture has what is missing for one.

use apk_repository::Client;
use apk_solver::{Explanation, Step};
use apk_types::{Arch, PackageRecord};

use super::Repositories;

impl Repositories {
    /// Adds to what nothing provides the architectures that were not asked for and have it, as far as their indexes lie on
    /// this machine.
    pub(super) fn look_elsewhere(&self, explanation: &mut Explanation) {
        let steps = || explanation.contradictions.iter().flat_map(|one| &one.steps);
        if !steps().any(is_about_nothing) {
            return;
        }
        let mut options = self.client.options().clone();
        options.offline = true;
        options.http.watch = None;
        let client = Client::new(options);
        for arch in Arch::ALL
            .into_iter()
            .filter(|arch| !self.indexes.contains_key(arch))
        {
            let read = |location| client.read_index(location, arch, &self.trust);
            let Ok(indexes) = self.locations.iter().map(read).collect::<Result<Vec<_>, _>>() else {
                continue;
            };
            let steps = explanation
                .contradictions
                .iter_mut()
                .flat_map(|one| &mut one.steps);
            for step in steps.filter(|step| is_about_nothing(step)) {
                let name = step.dependency.name();
                let mut packages = indexes.iter().flatten().flat_map(|index| &index.packages);
                if packages.any(|package| has(package, name)) {
                    step.elsewhere.push(arch.apk_name().to_owned());
                }
            }
        }
    }
}

/// True for a demand that no package has the name for.
fn is_about_nothing(step: &Step) -> bool {
    !step.dependency.is_conflict() && step.candidates.is_empty() && step.rejected.is_empty()
}

fn has(package: &PackageRecord, name: &str) -> bool {
    package.name == name || package.provides.iter().any(|provided| provided.name() == name)
}
