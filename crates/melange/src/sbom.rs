//! The SBOM of each package.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path};

use spdx_sbom::{Configuration, Creation, PackageSbom};

use crate::error::SbomError;
use crate::plan::{PackagePlan, Plan};

/// What the documents of a build say besides what its plan says.
pub(crate) struct Documents<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) arch: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) creation: Creation,
    pub(crate) configuration: Option<Configuration>,
    pub(crate) license_texts: BTreeMap<String, String>,
}

impl Documents<'_> {
    /// The path and the content of a package's document.
    pub(crate) fn of(&self, package: &PackagePlan, is_main: bool) -> Result<(String, Vec<u8>), SbomError> {
        let main_sources = self.plan.packages.first().map(|main| main.sources.clone());
        let sbom = PackageSbom {
            creation: self.creation.clone(),
            name: package.name.clone(),
            version: self.plan.version.clone(),
            arch: self.arch.to_owned(),
            namespace: self.namespace.to_owned(),
            license: self.plan.license_expression(),
            copyright: self.plan.notices(),
            cpe: self.plan.cpe.clone(),
            configuration: self.configuration.clone(),
            sources: main_sources.unwrap_or_default(),
            own_sources: if is_main {
                Vec::new()
            } else {
                package.sources.clone()
            },
            license_texts: self.license_texts.clone(),
        };
        let document = sbom.document()?;
        let json = document
            .to_json()
            .map_err(|error| SbomError::Json(error.to_string()))?;
        Ok((sbom.path(), json))
    }
}

/// The texts of licences that lie in the workspace, and a word on those that SPDX does not know.
pub(crate) fn license_texts(plan: &Plan, workspace: &Path) -> Result<BTreeMap<String, String>, SbomError> {
    let mut texts = BTreeMap::new();
    for copyright in &plan.copyright {
        let id = melange_analyze::license::normalize(&copyright.license);
        if !copyright.license_path.is_empty() {
            let text =
                read_inside(workspace, &copyright.license_path).map_err(|source| SbomError::LicenseText {
                    path: copyright.license_path.clone(),
                    source,
                })?;
            texts.insert(id, text);
        } else if id.starts_with("LicenseRef-") {
            texts.insert(id, format!("Non-SPDX License: {}", copyright.license));
        }
    }
    Ok(texts)
}

/// Reads a file of the workspace; neither `..` nor links lead out of it.
fn read_inside(workspace: &Path, path: &str) -> io::Result<String> {
    let leaves = |part: Component<'_>| !matches!(part, Component::Normal(_) | Component::CurDir);
    if Path::new(path).components().any(leaves) {
        return Err(io::Error::other("the path leaves the workspace"));
    }
    let root = fs::canonicalize(workspace)?;
    let file = fs::canonicalize(root.join(path))?;
    match file.starts_with(&root) {
        true => fs::read(file).map(|text| String::from_utf8_lossy(&text).into_owned()),
        false => Err(io::Error::other("the path leaves the workspace")),
    }
}
