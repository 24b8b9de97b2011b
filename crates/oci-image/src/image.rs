//! One image for one platform: its config and manifest, from what it shall do and its layers.

use crate::config::{History, ImageConfig, Present};
use crate::layout::BaseImage;
use crate::{BlobSource, Descriptor, Digest, Layer, Manifest, Platform, Timestamp, media_type};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Variables that every image gets unless it sets them itself.
pub const DEFAULT_ENVIRONMENT: [(&str, &str); 2] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin",
    ),
    ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
];

/// The `author` of the configs written here. It is the reference's, since configs equal its bytes.
const AUTHOR: &str = "github.com/chainguard-dev/apko";

/// The `author` and `created_by` of layers, for the same reason.
const LAYER_AUTHOR: &str = "apko";

/// What an image shall do and say, apart from its layers.
///
/// Fields left empty keep what a base image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// What the image runs on.
    pub platform: Platform,
    /// The time in config, history, labels and annotations.
    pub created: Timestamp,
    /// The program and its first arguments; see [`shell_entrypoint`] for shell text.
    pub entrypoint: Vec<String>,
    /// The arguments that a user can replace.
    pub cmd: Vec<String>,
    /// Environment variables; [`DEFAULT_ENVIRONMENT`] is added where it is not set.
    pub environment: BTreeMap<String, String>,
    /// The user, by name or number, with an optional group after a colon.
    pub user: String,
    /// The directory in which the program starts.
    pub working_dir: String,
    /// Directories that hold data of their own; `Some` replaces those of a base image.
    pub volumes: Option<Vec<String>>,
    /// The signal that asks the program to end.
    pub stop_signal: String,
    /// Annotations of the manifest, which are the config's labels too.
    pub annotations: Annotations,
}

impl ImageSpec {
    /// Returns the specification of an image that says only what every image must.
    pub fn new(platform: Platform, created: Timestamp) -> Self {
        Self {
            platform,
            created,
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            environment: BTreeMap::new(),
            user: String::new(),
            working_dir: String::new(),
            volumes: None,
            stop_signal: String::new(),
            annotations: Annotations::default(),
        }
    }

    fn comment(&self, layers: usize) -> String {
        let annotation = |key| self.annotations.custom.get(key);
        match (
            annotation("org.opencontainers.image.title"),
            annotation("org.opencontainers.image.vendor"),
        ) {
            (Some(title), Some(vendor)) => format!("{title} by {vendor}"),
            _ if layers > 1 => String::new(),
            _ => "This is an apko single-layer image".to_owned(),
        }
    }

    /// Returns `KEY=value` lines in the order of their bytes.
    fn env(&self) -> Vec<String> {
        let mut env: Vec<String> = DEFAULT_ENVIRONMENT
            .into_iter()
            .filter(|(key, _)| !self.environment.contains_key(*key))
            .chain(
                self.environment
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str())),
            )
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        env.sort_unstable();
        env
    }

    fn config(&self, layers: &[(Layer, BlobSource)], base: ImageConfig) -> ImageConfig {
        let mut file = base;
        for (layer, _) in layers {
            file.rootfs.diff_ids.push(layer.diff_id);
            file.history.push(History {
                author: LAYER_AUTHOR.to_owned(),
                created: self.created.clone(),
                created_by: LAYER_AUTHOR.to_owned(),
                comment: self.comment(layers.len()),
                empty_layer: false,
            });
        }
        file.author = AUTHOR.to_owned();
        file.architecture.clone_from(&self.platform.architecture);
        file.variant.clone_from(&self.platform.variant);
        file.os.clone_from(&self.platform.os);
        for feature in &self.platform.os_features {
            if !file.os_features.contains(feature) {
                file.os_features.push(feature.clone());
            }
        }
        file.created = self.created.clone();
        let config = &mut file.config;
        config.labels = self.annotations.resolve(&self.created);
        config.env = self.env();
        if let Some(volumes) = &self.volumes {
            config.volumes = volumes.iter().map(|v| (v.clone(), Present {})).collect();
        }
        replace(&mut config.entrypoint, &self.entrypoint, Vec::is_empty);
        replace(&mut config.cmd, &self.cmd, Vec::is_empty);
        replace(&mut config.working_dir, &self.working_dir, String::is_empty);
        replace(&mut config.user, &self.user, String::is_empty);
        replace(&mut config.stop_signal, &self.stop_signal, String::is_empty);
        file
    }
}

fn replace<T: Clone>(old: &mut T, new: &T, is_empty: impl Fn(&T) -> bool) {
    if !is_empty(new) {
        old.clone_from(new);
    }
}

/// Returns the entry point that runs `fragment` in the image's shell.
pub fn shell_entrypoint(fragment: &str) -> Vec<String> {
    ["/bin/sh", "-c", fragment].map(str::to_owned).to_vec()
}

/// The annotations of an image or index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Annotations {
    /// Those that the user gives.
    pub custom: BTreeMap<String, String>,
    /// Where the configuration is kept under version control, and which revision it is.
    pub source: Option<(String, String)>,
}

impl Annotations {
    /// Returns all annotations: the user's, then source and revision, then the time of creation. The
    /// later ones win.
    fn resolve(&self, created: &Timestamp) -> BTreeMap<String, String> {
        let mut all = self.custom.clone();
        if let Some((url, revision)) = &self.source {
            all.insert("org.opencontainers.image.source".to_owned(), url.clone());
            all.insert("org.opencontainers.image.revision".to_owned(), revision.clone());
        }
        all.insert("org.opencontainers.image.created".to_owned(), created.to_string());
        all
    }
}

/// An image for one platform: its blobs, ready to be written.
#[derive(Debug, Clone)]
pub struct Image {
    /// Points at the manifest, as an index does: with platform and artifact type.
    pub descriptor: Descriptor,
    /// The manifest, parsed.
    pub manifest: Manifest,
    /// The manifest's bytes.
    pub manifest_json: Bytes,
    /// The config, parsed.
    pub config: ImageConfig,
    /// The config's bytes.
    pub config_json: Bytes,
    /// The layer blobs, in the manifest's order.
    pub layers: Vec<BlobSource>,
}

impl Image {
    /// Makes an image of `layers`, lowest first, above those of `base` where there is one.
    ///
    /// # Errors
    /// None that input can cause: when JSON cannot be written.
    pub fn new(
        spec: &ImageSpec,
        layers: Vec<(Layer, BlobSource)>,
        base: Option<BaseImage>,
    ) -> serde_json::Result<Self> {
        let base = base.unwrap_or_default();
        let config = spec.config(&layers, base.config);
        let config_json = Bytes::from(go_json::to_vec(&config)?);

        let mut manifest = Manifest {
            schema_version: 2,
            media_type: media_type::MANIFEST.to_owned(),
            config: Descriptor::of(media_type::CONFIG, &config_json),
            layers: base
                .layers
                .iter()
                .map(|(descriptor, _)| descriptor.clone())
                .collect(),
            annotations: base.annotations,
            subject: None,
            artifact_type: None,
        };
        manifest
            .annotations
            .extend(spec.annotations.resolve(&spec.created));
        let mut blobs: Vec<_> = base.layers.into_iter().map(|(_, blob)| blob).collect();
        for (layer, blob) in layers {
            manifest.layers.push(layer.descriptor);
            blobs.push(blob);
        }
        let manifest_json = Bytes::from(go_json::to_vec(&manifest)?);

        let mut descriptor = Descriptor::of(media_type::MANIFEST, &manifest_json);
        descriptor.platform = Some(Platform {
            os_features: config.os_features.clone(),
            ..spec.platform.clone()
        });
        descriptor.artifact_type = Some(media_type::CONFIG.to_owned());
        Ok(Self {
            descriptor,
            manifest,
            manifest_json,
            config,
            config_json,
            layers: blobs,
        })
    }

    /// Returns the digest of the manifest, by which the image is known.
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    /// Returns all blobs with their descriptors: layers lowest first, the config, the manifest.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (&Descriptor, BlobSource)> {
        let documents = [
            (&self.manifest.config, &self.config_json),
            (&self.descriptor, &self.manifest_json),
        ];
        self.manifest
            .layers
            .iter()
            .zip(self.layers.iter().cloned())
            .chain(documents.map(|(descriptor, json)| (descriptor, BlobSource::Memory(json.clone()))))
    }
}

/// The images for all platforms under one index.
#[derive(Debug, Clone)]
pub struct ImageIndex {
    /// The images, in the index's order.
    pub images: Vec<Image>,
    /// The index's bytes.
    pub json: Bytes,
    /// Points at the index.
    pub descriptor: Descriptor,
}

impl ImageIndex {
    /// Makes an index of `images`, ordered by platform (`386`, `amd64`, `arm/v6`, `arm/v7`, `arm64` ...).
    ///
    /// # Errors
    /// None that input can cause: when JSON cannot be written.
    pub fn new(
        mut images: Vec<Image>,
        annotations: &Annotations,
        created: &Timestamp,
    ) -> serde_json::Result<Self> {
        images.sort_by_key(|image| {
            image
                .descriptor
                .platform
                .as_ref()
                .map(Platform::architecture_and_variant)
        });
        let index = crate::Index {
            schema_version: 2,
            media_type: media_type::INDEX.to_owned(),
            manifests: images.iter().map(|image| image.descriptor.clone()).collect(),
            annotations: annotations.resolve(created),
            subject: None,
            artifact_type: None,
        };
        let json = Bytes::from(go_json::to_vec(&index)?);
        let descriptor = Descriptor::of(media_type::INDEX, &json);
        Ok(Self {
            images,
            json,
            descriptor,
        })
    }

    /// Returns the digest of the index.
    pub fn digest(&self) -> Digest {
        self.descriptor.digest
    }
}
