//! The `update` section: where new versions are looked for. The build only carries it along.

/// How new versions of the package are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Whether they are looked for.
    pub enabled: bool,
    /// Whether a person updates it.
    pub manual: bool,
    /// Whether updates must go in one after the other.
    pub require_sequential: bool,
    /// Whether dependents must be rebuilt.
    pub shared: bool,
    /// What separates the parts of a version.
    pub version_separator: String,
    /// Versions to pass over.
    pub ignore_regex_patterns: Vec<String>,
    /// The source release-monitoring.org.
    pub release_monitor: Option<ReleaseMonitor>,
    /// The source GitHub.
    pub github: Option<GitHubMonitor>,
    /// The source git.
    pub git: Option<TagMonitor>,
    /// The tags of an image.
    pub oci: Option<OciMonitor>,
    /// The source of version data.
    pub version_data: Option<VersionDataMonitor>,
    /// How a version becomes one of apk's.
    pub version_transform: Vec<VersionTransform>,
    /// Why updates are off.
    pub exclude_reason: String,
    /// When to look.
    pub schedule: Option<Schedule>,
    /// Whether pre-releases count.
    pub enable_prerelease_tags: bool,
}

/// A project on release-monitoring.org.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseMonitor {
    /// The project's number.
    pub identifier: i64,
    /// A prefix to take off.
    pub strip_prefix: String,
    /// A suffix to take off.
    pub strip_suffix: String,
    /// What a version must contain.
    pub version_filter_contains: String,
    /// What a version must start with.
    pub version_filter_prefix: String,
}

/// Which tags count, and what is taken off them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagMonitor {
    /// A prefix to take off.
    pub strip_prefix: String,
    /// A suffix to take off.
    pub strip_suffix: String,
    /// What a tag must start with.
    pub tag_filter_prefix: String,
    /// What a tag must contain.
    pub tag_filter_contains: String,
}

/// A repository on GitHub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitHubMonitor {
    /// The owner and the name.
    pub identifier: String,
    /// Which tags count.
    pub tags: TagMonitor,
    /// The older word for the prefix a tag must have.
    pub tag_filter: String,
    /// Whether tags count instead of releases.
    pub use_tag: bool,
}

/// An image in a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OciMonitor {
    /// The image.
    pub identifier: String,
    /// Which tags count.
    pub tags: TagMonitor,
}

/// A service of version data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionDataMonitor {
    /// How a version is put together.
    pub version_format: String,
    /// Where its parts come from.
    pub sources: Vec<VersionDataSource>,
}

/// One source of version data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionDataSource {
    /// The name.
    pub name: String,
    /// The stream followed.
    pub stream: String,
    /// Versions to pass over.
    pub ignore: Vec<String>,
    /// The source whose commits are used.
    pub commit_source: String,
    /// Whether releases count instead of tags.
    pub use_release: bool,
}

/// Replaces parts of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionTransform {
    /// The regular expression.
    pub pattern: String,
    /// What replaces a match.
    pub replace: String,
}

/// When to look for versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Why at certain times only.
    pub reason: String,
    /// `daily`, `weekly` or `monthly`.
    pub period: String,
}
