//! Replacing the variables that do not depend on a step, part by part.
//!
//! Which parts take variables is the reference's choice: accounts, paths, options, checks and
//! the like do not.

use crate::substitute::Scope;
use crate::types::{
    Contents, Copyright, Dependencies, Entrypoint, Environment, Package, Scriptlets, StringMap, Trigger,
};
use crate::update::{GitHubMonitor, ReleaseMonitor, TagMonitor, Update};
use crate::written::{Argument, Pipeline, Subpackage, Test};

pub(super) trait Replace {
    /// Returns a copy with the variables of `scope` replaced.
    fn replaced(&self, scope: &Scope) -> Self;
}

impl Replace for String {
    fn replaced(&self, scope: &Scope) -> Self {
        scope.replace(self)
    }
}

impl<T: Replace> Replace for Vec<T> {
    fn replaced(&self, scope: &Scope) -> Self {
        self.iter().map(|item| item.replaced(scope)).collect()
    }
}

impl<T: Replace> Replace for Option<T> {
    fn replaced(&self, scope: &Scope) -> Self {
        self.as_ref().map(|value| value.replaced(scope))
    }
}

impl Replace for StringMap {
    fn replaced(&self, scope: &Scope) -> Self {
        let entries = self.iter();
        entries
            .map(|(key, value)| (key.clone(), scope.replace(value)))
            .collect()
    }
}

impl Replace for Package {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            name: self.name.replaced(scope),
            version: self.version.replaced(scope),
            description: self.description.replaced(scope),
            annotations: self.annotations.replaced(scope),
            url: self.url.replaced(scope),
            target_architecture: self.target_architecture.replaced(scope),
            copyright: self.copyright.replaced(scope),
            dependencies: self.dependencies.replaced(scope),
            scriptlets: self.scriptlets.replaced(scope),
            ..self.clone()
        }
    }
}

impl Replace for Copyright {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            paths: self.paths.replaced(scope),
            license: self.license.replaced(scope),
            license_path: self.license_path.replaced(scope),
            ..self.clone()
        }
    }
}

impl Replace for Dependencies {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            runtime: self.runtime.replaced(scope),
            provides: self.provides.replaced(scope),
            replaces: self.replaces.replaced(scope),
            provider_priority: self.provider_priority.replaced(scope),
            replaces_priority: self.replaces_priority.replaced(scope),
        }
    }
}

impl Replace for Scriptlets {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            trigger: Trigger {
                script: self.trigger.script.replaced(scope),
                paths: self.trigger.paths.replaced(scope),
            },
            pre_install: self.pre_install.replaced(scope),
            post_install: self.post_install.replaced(scope),
            pre_deinstall: self.pre_deinstall.replaced(scope),
            post_deinstall: self.post_deinstall.replaced(scope),
            pre_upgrade: self.pre_upgrade.replaced(scope),
            post_upgrade: self.post_upgrade.replaced(scope),
        }
    }
}

impl Replace for Subpackage {
    fn replaced(&self, scope: &Scope) -> Self {
        let mut package = self.package.replaced(scope);
        // The reference sets file capabilities of the main package only.
        package.setcap.clear();
        Self {
            condition: scope.replace_in_condition(&self.condition),
            pipeline: self.pipeline.replaced(scope),
            test: self.test.replaced(scope),
            package,
            ..self.clone()
        }
    }
}

impl Replace for Test {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            environment: self.environment.replaced(scope),
            pipeline: self.pipeline.replaced(scope),
        }
    }
}

impl Replace for Pipeline {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            condition: scope.replace_in_condition(&self.condition),
            name: self.name.replaced(scope),
            with: self.with.replaced(scope),
            runs: self.runs.replaced(scope),
            pipeline: self.pipeline.replaced(scope),
            needs: self.needs.replaced(scope),
            working_directory: self.working_directory.replaced(scope),
            environment: self.environment.replaced(scope),
            ..self.clone()
        }
    }
}

impl Replace for Argument {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            value: self.value.replaced(scope),
            ..self.clone()
        }
    }
}

impl Replace for Environment {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            contents: self.contents.replaced(scope),
            entrypoint: self.entrypoint.replaced(scope),
            cmd: self.cmd.replaced(scope),
            stop_signal: self.stop_signal.replaced(scope),
            work_dir: self.work_dir.replaced(scope),
            environment: self.environment.replaced(scope),
            vcs_url: self.vcs_url.replaced(scope),
            annotations: self.annotations.replaced(scope),
            volumes: self.volumes.replaced(scope),
            ..self.clone()
        }
    }
}

impl Replace for Contents {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            build_repositories: self.build_repositories.replaced(scope),
            repositories: self.repositories.replaced(scope),
            keyring: self.keyring.replaced(scope),
            packages: self.packages.replaced(scope),
            base_image: self.base_image.clone(),
        }
    }
}

impl Replace for Entrypoint {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            kind: self.kind.clone(),
            command: self.command.replaced(scope),
            shell_fragment: self.shell_fragment.replaced(scope),
            services: self.services.replaced(scope),
        }
    }
}

impl Replace for Update {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            release_monitor: self.release_monitor.replaced(scope),
            github: self.github.replaced(scope),
            git: self.git.replaced(scope),
            ..self.clone()
        }
    }
}

impl Replace for ReleaseMonitor {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            version_filter_contains: self.version_filter_contains.replaced(scope),
            version_filter_prefix: self.version_filter_prefix.replaced(scope),
            ..self.clone()
        }
    }
}

impl Replace for TagMonitor {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            tag_filter_prefix: self.tag_filter_prefix.replaced(scope),
            tag_filter_contains: self.tag_filter_contains.replaced(scope),
            ..self.clone()
        }
    }
}

impl Replace for GitHubMonitor {
    fn replaced(&self, scope: &Scope) -> Self {
        Self {
            identifier: self.identifier.replaced(scope),
            tags: self.tags.replaced(scope),
            tag_filter: self.tag_filter.replaced(scope),
            use_tag: self.use_tag,
        }
    }
}
