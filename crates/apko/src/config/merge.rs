//! Laying one configuration over another.

use super::{Contents, Entrypoint, ImageConfiguration};

impl ImageConfiguration {
    /// Lays this configuration over `base`, by the rules of `include`: single values of this one win, maps are
    /// united, lists of `base` come first. `vcs-url` and `include` of `base` are left out, as the Go apko does.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        let mut merged = Self {
            contents: self.contents.over(base.contents),
            entrypoint: if self.entrypoint == Entrypoint::default() {
                base.entrypoint
            } else {
                self.entrypoint
            },
            cmd: or(self.cmd, base.cmd),
            stop_signal: or(self.stop_signal, base.stop_signal),
            work_dir: or(self.work_dir, base.work_dir),
            accounts: self.accounts,
            archs: if self.archs.is_empty() {
                base.archs
            } else {
                self.archs
            },
            environment: base.environment,
            paths: concat(base.paths, self.paths),
            vcs_url: self.vcs_url,
            annotations: base.annotations,
            include: self.include,
            volumes: concat(base.volumes, self.volumes),
            layering: self.layering.or(base.layering),
            format: or(self.format, base.format),
            certificates: self.certificates.or(base.certificates),
        };
        merged.environment.extend(self.environment);
        merged.annotations.extend(self.annotations);
        merged.accounts.run_as = or(merged.accounts.run_as, base.accounts.run_as);
        merged.accounts.users = concat(base.accounts.users, merged.accounts.users);
        merged.accounts.groups = concat(base.accounts.groups, merged.accounts.groups);
        merged
    }
}

impl Contents {
    fn over(self, base: Self) -> Self {
        Self {
            build_repositories: concat(base.build_repositories, self.build_repositories),
            runtime_repositories: concat(base.runtime_repositories, self.runtime_repositories),
            repositories: concat(base.repositories, self.repositories),
            keyring: concat(base.keyring, self.keyring),
            runtime_keyring: concat(base.runtime_keyring, self.runtime_keyring),
            packages: concat(base.packages, self.packages),
            baseimage: self.baseimage.or(base.baseimage),
        }
    }
}

fn or(own: String, base: String) -> String {
    if own.is_empty() { base } else { own }
}

fn concat<T>(mut base: Vec<T>, own: Vec<T>) -> Vec<T> {
    base.extend(own);
    base
}
