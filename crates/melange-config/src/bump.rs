//! A configuration brought to a new version, with everything else left as it was written.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Read};

use apk_types::{Arch, Version};
use sha2::{Digest as _, Sha256, Sha512};
use spanned_yaml::{Diagnostic, Document, EditError, EmitValue, Node, NodePath};

use crate::compile::{CompileOptions, build_variables};
use crate::error::ConfigError;
use crate::substitute::Scope;
use crate::written::{Configuration, parse};

/// Opens what a URL names, for its checksums.
pub trait Fetch {
    /// Starts reading the file behind a URL.
    ///
    /// # Errors
    /// When there is no such file or it cannot be had.
    fn open(&mut self, url: &str) -> Result<Box<dyn Read + '_>, Box<dyn Error + Send + Sync>>;
}

/// What to bring a configuration to.
#[derive(Clone, Debug)]
pub struct BumpRequest {
    /// The version, without the release.
    pub version: String,
    /// The commit that `git-checkout` steps should expect.
    pub expected_commit: Option<String>,
    /// The architecture whose values the variables of URLs have.
    pub arch: Arch,
}

/// A configuration that was brought to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bumped {
    /// The new text of the configuration.
    pub text: String,
    /// What was changed, in the order it was.
    pub changes: Vec<Change>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

/// One value that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path, such as `package.version`.
    pub path: String,
    /// What it was; nothing where the key is new.
    pub old: Option<String>,
    /// What it is.
    pub new: String,
}

/// Says why a configuration was not brought to a version.
#[derive(Debug, thiserror::Error)]
pub enum BumpError {
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// The version is none that apk can compare.
    #[error("`{version}` cannot be a package's version: {reason}")]
    Version {
        /// The version.
        version: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A commit is 40 hexadecimal digits.
    #[error("`{commit}` is not a commit: that has 40 hexadecimal digits")]
    Commit {
        /// What was given.
        commit: String,
    },
    /// A value cannot be changed.
    #[error("{path}: {source}")]
    Edit {
        /// The configuration.
        path: String,
        /// The reason.
        source: EditError,
    },
    /// A file for whose checksum a step asks cannot be had.
    #[error("{path}:{line}: the new checksum of {url} cannot be found")]
    Fetch {
        /// The configuration.
        path: String,
        /// The line of the URL.
        line: u32,
        /// The URL with its variables replaced.
        url: String,
        /// The reason.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Brings a configuration to a version, as the Go `melange bump` does: the epoch becomes 0, or one more where the version
/// stays; the checksums of all `fetch` steps are those of what their URLs now name; and the commit that is expected by
/// the `git-checkout` step (by those whose tag depends on the version, where there are several) is the one given.
///
/// Unlike the Go tool it leaves all else byte for byte as it was, follows the steps of subpackages too, and where a
/// checksum is written as `${{vars.name}}`, it changes that variable.
///
/// # Errors
/// When the configuration or the version is wrong, or a file cannot be read.
pub fn bump(
    source: &str,
    path: &str,
    request: &BumpRequest,
    fetch: &mut dyn Fetch,
) -> Result<Bumped, BumpError> {
    let version = request.version.trim();
    Version::parse(version).map_err(|error| BumpError::Version {
        version: version.to_owned(),
        reason: error.to_string(),
    })?;
    let is_commit = |commit: &&String| commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(commit) = request
        .expected_commit
        .as_ref()
        .filter(|commit| !is_commit(commit))
    {
        return Err(BumpError::Commit {
            commit: commit.clone(),
        });
    }
    let configuration = parse(source, path)?;
    let document = Document::parse(source).map_err(|fault| ConfigError::new(&configuration.text, fault))?;
    let mut bumper = Bumper {
        path,
        document,
        changes: Vec::new(),
        warnings: Vec::new(),
    };
    bumper.version(&configuration, version)?;
    // The variables of URLs are those of the new version.
    let bumped = parse(bumper.document.text(), path)?;
    let scope = build_variables(&bumped, &CompileOptions::new(request.arch))?;
    let steps = steps(bumper.document.root());
    for step in steps.iter().filter(|step| step.uses == "fetch") {
        bumper.fetch(step, &scope, fetch)?;
    }
    bumper.checkouts(&steps, &bumped, request.expected_commit.as_deref())?;
    Ok(Bumped {
        text: bumper.document.text().to_owned(),
        changes: bumper.changes,
        warnings: bumper.warnings,
    })
}

/// A step that uses a pipeline with inputs.
struct Step {
    uses: String,
    with: NodePath,
    in_subpackage: bool,
}

/// Finds the steps of the package and of its subpackages that use a pipeline.
fn steps(root: &Node) -> Vec<Step> {
    let mut found = Vec::new();
    collect(root, NodePath::root(), false, &mut found);
    let subpackages = root.get("subpackages").and_then(Node::as_seq).unwrap_or_default();
    for (place, subpackage) in subpackages.iter().enumerate() {
        let path = NodePath::root().key("subpackages").index(place);
        collect(subpackage, path, true, &mut found);
    }
    found
}

fn collect(node: &Node, path: NodePath, in_subpackage: bool, found: &mut Vec<Step>) {
    if let Some(uses) = node.get("uses").and_then(Node::as_str) {
        found.push(Step {
            uses: uses.to_owned(),
            with: path.clone().key("with"),
            in_subpackage,
        });
    }
    let inner = node.get("pipeline").and_then(Node::as_seq).unwrap_or_default();
    for (place, step) in inner.iter().enumerate() {
        let path = path.clone().key("pipeline").index(place);
        collect(step, path, in_subpackage, found);
    }
}

struct Bumper<'a> {
    path: &'a str,
    document: Document,
    changes: Vec<Change>,
    warnings: Vec<String>,
}

impl Bumper<'_> {
    fn text_at(&self, path: &NodePath) -> Option<&str> {
        path.of(self.document.root()).and_then(Node::as_str)
    }

    /// Says something about the line of a value.
    fn warn(&mut self, path: &NodePath, what: &str) {
        let line = path.of(self.document.root()).map_or(1, |node| node.span.line);
        self.warnings.push(format!("{}:{line}: {what}", self.path));
    }

    fn set(&mut self, path: &NodePath, value: impl Into<EmitValue>, new: &str) -> Result<(), BumpError> {
        let old = self.text_at(path).map(str::to_owned);
        if old.as_deref() == Some(new) {
            return Ok(());
        }
        self.document.set(path, value).map_err(|source| BumpError::Edit {
            path: self.path.to_owned(),
            source,
        })?;
        self.changes.push(Change {
            path: path.to_string(),
            old,
            new: new.to_owned(),
        });
        Ok(())
    }

    fn version(&mut self, configuration: &Configuration, version: &str) -> Result<(), BumpError> {
        let package = NodePath::root().key("package");
        let same = configuration.package.version == version;
        let epoch = if same {
            configuration.package.epoch.saturating_add(1)
        } else {
            0
        };
        self.set(&package.clone().key("version"), version, version)?;
        let path = package.clone().key("epoch");
        if path.of(self.document.root()).is_some() {
            return self.set(&path, epoch, &epoch.to_string());
        }
        // Without one it is 0.
        if epoch > 0 {
            let inserted = self.document.insert(&package, "epoch", epoch);
            inserted.map_err(|source| BumpError::Edit {
                path: self.path.to_owned(),
                source,
            })?;
            self.changes.push(Change {
                path: path.to_string(),
                old: None,
                new: epoch.to_string(),
            });
        }
        Ok(())
    }

    /// Gives the checksums of a `fetch` step the values of what its URL names.
    fn fetch(&mut self, step: &Step, scope: &Scope, fetch: &mut dyn Fetch) -> Result<(), BumpError> {
        let uri = step.with.clone().key("uri");
        let sums = ["expected-sha256", "expected-sha512"].map(|key| step.with.clone().key(key));
        let Some(url) = self
            .text_at(&uri)
            .filter(|_| sums.iter().any(|sum| self.text_at(sum).is_some()))
        else {
            return Ok(());
        };
        let url = match scope.substitute(url) {
            Ok(url) => url,
            Err(error) if step.in_subpackage => {
                self.warn(&uri, &format!("the checksum is not updated: {error}"));
                return Ok(());
            }
            Err(error) => {
                let span = uri
                    .of(self.document.root())
                    .map(|node| node.span)
                    .unwrap_or_default();
                let text = parse(self.document.text(), self.path)?.text;
                let span = error.find(&text, span).unwrap_or(span);
                return Err(ConfigError::new(&text, Diagnostic::new(error.to_string()).at(span)).into());
            }
        };
        let line = uri.of(self.document.root()).map_or(1, |node| node.span.line);
        let failed = |source| BumpError::Fetch {
            path: self.path.to_owned(),
            line,
            url: url.clone(),
            source,
        };
        let mut digests = Digests::default();
        let mut reader = fetch.open(&url).map_err(failed)?;
        io::copy(&mut reader, &mut digests).map_err(|error| failed(error.into()))?;
        drop(reader);
        let found = [hex(&digests.sha256.finalize()), hex(&digests.sha512.finalize())];
        for (path, digest) in sums.iter().zip(found) {
            self.set_input(path, &digest)?;
        }
        Ok(())
    }

    /// Changes an input that is given, or the variable that it is made of.
    fn set_input(&mut self, path: &NodePath, value: &str) -> Result<(), BumpError> {
        let Some(old) = self.text_at(path) else {
            return Ok(());
        };
        let variable = variables(old)
            .first()
            .and_then(|name| name.strip_prefix("vars.").map(str::to_owned));
        let target = match variable {
            None if !old.contains("${{") => path.clone(),
            Some(name) if old.trim() == format!("${{{{vars.{name}}}}}") => {
                NodePath::root().key("vars").key(name)
            }
            _ => path.clone(),
        };
        let is_plain = self.text_at(&target).is_some_and(|text| !text.contains("${{"));
        if !is_plain {
            self.warn(path, "made of variables, which is left as it is");
            return Ok(());
        }
        self.set(&target, value, value)
    }

    fn checkouts(
        &mut self,
        steps: &[Step],
        configuration: &Configuration,
        commit: Option<&str>,
    ) -> Result<(), BumpError> {
        let checkouts: Vec<_> = steps.iter().filter(|step| step.uses == "git-checkout").collect();
        for step in &checkouts {
            let expected = step.with.clone().key("expected-commit");
            let tag = self.text_at(&step.with.clone().key("tag"));
            let follows = tag.is_none_or(|tag| depends_on_version(tag, configuration));
            if self.text_at(&expected).is_none() || checkouts.len() > 1 && !follows {
                continue;
            }
            match commit {
                // A commit in a variable may be that of another branch, which the Go tool leaves alone.
                Some(_) if self.text_at(&expected).is_some_and(|text| text.contains("${{")) => {
                    self.warn(&expected, "made of variables, which is left as it is");
                }
                Some(commit) => self.set(&expected, commit, commit)?,
                None if follows => self.warn(&expected, "this is still the commit of the version before"),
                None => {}
            }
        }
        Ok(())
    }
}

/// The names of the variables in a text.
fn variables(text: &str) -> Vec<&str> {
    let parts = text.split("${{").skip(1);
    parts
        .filter_map(|part| Some(part.split_once("}}")?.0.trim()))
        .collect()
}

/// Tells whether the package's version is among the values that a text is made of.
fn depends_on_version(text: &str, configuration: &Configuration) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = variables(text);
    while let Some(name) = open.pop() {
        if matches!(name, "package.version" | "package.full-version") {
            return true;
        }
        let Some(name) = name
            .strip_prefix("vars.")
            .filter(|name| seen.insert(name.to_owned()))
        else {
            continue;
        };
        let value = configuration.vars.get(name).map(String::as_str);
        let transforms = configuration.var_transforms.iter();
        let from = transforms
            .filter(|transform| transform.to == name)
            .map(|t| t.from.as_str());
        open.extend(value.into_iter().chain(from).flat_map(variables));
    }
    false
}

#[derive(Default)]
struct Digests {
    sha256: Sha256,
    sha512: Sha512,
}

impl io::Write for Digests {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.sha512.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
