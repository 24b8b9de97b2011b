//! Names that look like another.

use crate::universe::Universe;

impl Universe<'_> {
    /// Names of packages that look like `name`, the closest first, at most `most`: those that provide it as a
    /// command, those that differ in a few letters, those that begin with it.
    pub fn similar(&self, name: &str, most: usize) -> Vec<String> {
        let wanted: Vec<char> = name.chars().collect();
        // With more letters changed it is another name.
        let farthest = wanted.len() / 3;
        let mut found: Vec<(usize, &str)> = Vec::new();
        if let Some(command) = self.find(&format!("cmd:{name}")) {
            let providers = self.providers(command).iter();
            found.extend(providers.map(|id| (0, self.record(*id).name.as_str())));
        }
        for package in self.packages() {
            let other = self.record(package).name.as_str();
            let is_own = other == name;
            let is_near = other.len().abs_diff(name.len()) <= farthest;
            let distance = match is_near && !is_own {
                true => strsim::osa_distance(name, other),
                false => usize::MAX,
            };
            if distance <= farthest {
                found.push((distance, other));
            } else if !is_own && wanted.len() > 2 && other.starts_with(name) {
                found.push((farthest + other.len() - name.len(), other));
            }
        }
        found.sort_unstable();
        let mut names: Vec<String> = Vec::new();
        for (_, other) in found {
            if names.len() < most && !names.iter().any(|known| known == other) {
                names.push(other.to_owned());
            }
        }
        names
    }
}
