//! Configurations of images.

use std::path::{Path, PathBuf};

use apk_types::Arch;
use apko::config::{ImageConfiguration, Loaded};
use build_graph::{Input, NodeId, Origin};

use crate::definition::EnvironmentSpec;
use crate::error::{Duplicate, Place, WorkspaceError};
use crate::inputs::{entry_line, hash, line_of, value};

/// A configuration of an image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The name: that of the file without its ending.
    pub name: String,
    /// The file, relative to the root.
    pub file: String,
    /// The architectures that it is built for.
    pub archs: Vec<Arch>,
    /// The configuration with all that it includes.
    pub loaded: Loaded,
    /// What of the configuration the image depends on.
    pub inputs: Vec<Input>,
}

impl Image {
    pub(crate) fn load(root: &Path, file: &str, archs: &[Arch]) -> Result<Self, WorkspaceError> {
        let path = root.join(file);
        let include_paths: Vec<PathBuf> = path
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .chain([root.to_owned()])
            .collect();
        let loaded = apko::config::load(&path, &include_paths)?;
        let own = &loaded.configuration.archs;
        let name = Path::new(file).file_stem().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            file: file.to_owned(),
            archs: archs
                .iter()
                .filter(|arch| own.is_empty() || own.contains(arch))
                .copied()
                .collect(),
            inputs: inputs(
                &loaded.configuration,
                file,
                loaded.texts.first().map_or("", String::as_str),
            ),
            loaded,
        })
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        NodeId::new("image", &self.name)
    }

    /// What its file tree is made from.
    pub fn environment(&self) -> EnvironmentSpec {
        let configuration = self.loaded.configuration.clone().with_service_bundle();
        let contents = &configuration.contents;
        EnvironmentSpec {
            packages: contents.packages.clone(),
            repositories: [&contents.build_repositories[..], &contents.repositories].concat(),
            keyring: contents.keyring.clone(),
        }
    }

    /// Where a package is asked for: in the file itself or in one that it includes.
    pub fn place_of(&self, package: &str) -> Option<Place> {
        let lines = self.loaded.files.iter().zip(&self.loaded.texts);
        lines.into_iter().find_map(|(file, text)| {
            let line = entry_line(text, package)?;
            Some(Place {
                file: file.display().to_string(),
                line,
            })
        })
    }
}

/// The parts of the configuration; the packages asked for are not among them, for what is installed is.
fn inputs(configuration: &ImageConfiguration, file: &str, text: &str) -> Vec<Input> {
    let mut list = Vec::new();
    let json = serde_json::to_value(configuration).unwrap_or_default();
    for (key, part) in json.as_object().into_iter().flatten() {
        let mut part = part.clone();
        if key == "contents"
            && let Some(contents) = part.as_object_mut()
        {
            contents.remove("packages");
        }
        let is_empty = part.as_object().is_some_and(serde_json::Map::is_empty);
        if !is_empty {
            list.push(Input {
                name: format!("image/{key}"),
                value: part.as_str().map_or_else(|| value(&part.to_string()), value),
                origin: line_of(text, &[key]).map(|line| Origin::new(file, line)),
            });
        }
    }
    let world = configuration.contents.packages.join(", ");
    list.push(Input {
        name: "image/world".to_owned(),
        value: hash(world.as_bytes()),
        origin: line_of(text, &["contents", "packages"]).map(|line| Origin::new(file, line)),
    });
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

/// Refuses images of the same name.
pub(crate) fn refuse_duplicates(images: &[Image]) -> Result<(), WorkspaceError> {
    let mut duplicates = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let same: Vec<&Image> = images.iter().filter(|other| other.name == image.name).collect();
        if same.len() > 1 && images.iter().position(|other| other.name == image.name) == Some(at) {
            let place = |image: &&Image| Place {
                file: image.file.clone(),
                line: 1,
            };
            duplicates.push(Duplicate {
                kind: "image",
                name: image.name.clone(),
                places: same.iter().map(place).collect(),
            });
        }
    }
    match duplicates.is_empty() {
        true => Ok(()),
        false => Err(WorkspaceError::Duplicates(duplicates)),
    }
}
