//! Which nodes files have to do with.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use build_graph::NodeId;

use crate::definition::source_directory;
use crate::error::WorkspaceError;
use crate::recipes::index_node;
use crate::resolver::arch_of;
use crate::settings::FILE_NAME;
use crate::workspace::Workspace;

/// What files have to do with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The nodes that one of the files is an input of.
    pub nodes: BTreeSet<NodeId>,
    /// The files that no node has to do with.
    pub unrelated: Vec<String>,
}

impl Workspace {
    /// Tells which nodes have to do with files, whose paths start at the root: configurations, sources, pipelines, and
    /// `workspace.yaml`, which all nodes have to do with.
    pub fn changed<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Changed {
        let mut changed = Changed::default();
        for path in paths {
            let nodes = self.nodes_of(path.trim_start_matches("./"));
            if nodes.is_empty() {
                changed.unrelated.push(path.to_owned());
            }
            changed.nodes.extend(nodes);
        }
        changed
    }

    fn nodes_of(&self, path: &str) -> Vec<NodeId> {
        let pipeline = self.settings.pipelines.iter().find_map(|directory| {
            let name = Path::new(path).strip_prefix(directory).ok()?.to_str()?;
            name.strip_suffix(".yaml").map(str::to_owned)
        });
        let is_all = path == FILE_NAME;
        let mut nodes = Vec::new();
        for definition in &self.definitions {
            let is_source = || {
                let directory = source_directory(&self.root, &self.settings, definition);
                directory.is_some_and(|directory| self.root.join(path).starts_with(directory))
            };
            let uses = |name: &String| definition.pipelines.iter().any(|(used, _)| used == name);
            if is_all || definition.file == path || pipeline.as_ref().is_some_and(uses) || is_source() {
                nodes.push(definition.node());
                if !definition.tests.is_empty() {
                    nodes.push(definition.test_node());
                }
            }
        }
        for image in &self.images {
            let is_read = || {
                let mut files = image.loaded.files.iter();
                files.any(|file| file.strip_prefix(&self.root).unwrap_or(file) == Path::new(path))
            };
            if is_all || image.file == path || is_read() {
                nodes.push(image.node());
            }
        }
        nodes
    }

    /// All nodes, in the order of their names.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes = BTreeSet::new();
        for definition in &self.definitions {
            nodes.insert(definition.node());
            if !definition.tests.is_empty() {
                nodes.insert(definition.test_node());
            }
            nodes.extend(arch_of(definition).map(index_node));
        }
        let images = self.images.iter().filter(|image| !image.archs.is_empty());
        nodes.extend(images.map(|image| image.node()));
        nodes.into_iter().collect()
    }

    /// The files that are others than in a revision of the git repository that the workspace is in, as git knows them,
    /// and those that git does not know; relative to the root.
    ///
    /// # Errors
    /// When git cannot tell.
    pub fn changed_since(&self, revision: &str) -> Result<Vec<String>, WorkspaceError> {
        let failed = |reason: String| WorkspaceError::Git {
            revision: revision.to_owned(),
            reason,
        };
        let git = |arguments: &[&str]| -> Result<Vec<String>, WorkspaceError> {
            let output = Command::new("git")
                .arg("-C")
                .arg(&self.root)
                .args(arguments)
                .output();
            let output = output.map_err(|error| failed(error.to_string()))?;
            if !output.status.success() {
                return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
            }
            let names = output
                .stdout
                .split(|byte| *byte == 0)
                .filter(|name| !name.is_empty());
            Ok(names
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect())
        };
        if revision.starts_with('-') {
            return Err(failed("it is no revision".to_owned()));
        }
        let mut files = git(&["diff", "--name-only", "--relative", "-z", revision, "--"])?;
        files.extend(git(&["ls-files", "--others", "--exclude-standard", "-z"])?);
        files.retain(|file| !file.starts_with(crate::STATE));
        files.sort();
        files.dedup();
        Ok(files)
    }
}

impl Workspace {
    /// The nodes that a person means by a name: that of a node (`package:hello@x86_64`), of a package or one of its subpackages, or
    /// of an image; with the kind in front to tell one from another, with the architecture behind for one alone.
    ///
    /// # Errors
    /// When no node has the name; with one that has a similar name.
    pub fn find_nodes(&self, name: &str) -> Result<Vec<NodeId>, WorkspaceError> {
        let (kind, bare) = name
            .split_once(':')
            .map_or((None, name), |(kind, bare)| (Some(kind), bare));
        let (bare, arch) = bare
            .split_once('@')
            .map_or((bare, None), |(bare, arch)| (bare, Some(arch)));
        let is_meant = |node: &NodeId, of: &str| {
            let (own, own_arch) = node
                .name()
                .split_once('@')
                .map_or((node.name(), None), |(own, arch)| (own, Some(arch)));
            own == of && kind.is_none_or(|kind| kind == node.kind()) && (arch.is_none() || arch == own_arch)
        };
        let nodes = self.nodes();
        let of =
            |of: &str| -> Vec<NodeId> { nodes.iter().filter(|node| is_meant(node, of)).cloned().collect() };
        let mut found = of(bare);
        if found.is_empty() {
            let has = |definition: &&std::sync::Arc<crate::Definition>| {
                definition.packages.iter().any(|package| package.name == bare)
            };
            found = self
                .definitions
                .iter()
                .find(has)
                .map(|definition| of(&definition.name))
                .unwrap_or_default();
        }
        // A name alone is a package before it is that package's test.
        if kind.is_none() && found.iter().any(|node| node.kind() != "test") {
            found.retain(|node| node.kind() != "test");
        }
        match found.is_empty() {
            false => Ok(found),
            true => {
                let names = self
                    .definitions
                    .iter()
                    .flat_map(|one| &one.packages)
                    .map(|package| package.name.as_str());
                let names = names.chain(self.images.iter().map(|image| image.name.as_str()));
                Err(WorkspaceError::UnknownNode {
                    name: name.to_owned(),
                    similar: spanned_yaml::nearest(bare, names).map(str::to_owned),
                })
            }
        }
    }
}
