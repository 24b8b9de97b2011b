//! The `update` section.

use spanned_yaml::{Fields, Node};

use super::{Read, end, flag, list, section, string};
use crate::update::{
    GitHubMonitor, OciMonitor, ReleaseMonitor, Schedule, TagMonitor, Update, VersionDataMonitor,
    VersionDataSource, VersionTransform,
};

pub(super) fn update(node: &Node) -> Read<Update> {
    let mut fields = Fields::new(node, "an update section")?;
    let update = Update {
        enabled: flag(&mut fields, "enabled")?,
        manual: flag(&mut fields, "manual")?,
        require_sequential: flag(&mut fields, "require-sequential")?,
        shared: flag(&mut fields, "shared")?,
        version_separator: string(&mut fields, "version-separator")?,
        ignore_regex_patterns: fields.strings("ignore-regex-patterns")?,
        release_monitor: section(&mut fields, "release-monitor", release_monitor)?,
        github: section(&mut fields, "github", github)?,
        git: section(&mut fields, "git", git)?,
        oci: section(&mut fields, "oci", oci)?,
        version_data: section(&mut fields, "version_data", version_data)?,
        version_transform: list(&mut fields, "version-transform", version_transform)?,
        exclude_reason: string(&mut fields, "exclude-reason")?,
        schedule: section(&mut fields, "schedule", schedule)?,
        enable_prerelease_tags: flag(&mut fields, "enable-prerelease-tags")?,
    };
    end(fields)?;
    Ok(update)
}

fn release_monitor(node: &Node) -> Read<ReleaseMonitor> {
    let mut fields = Fields::new(node, "a release monitor")?;
    let monitor = ReleaseMonitor {
        identifier: fields.int("identifier")?.unwrap_or_default(),
        strip_prefix: string(&mut fields, "strip-prefix")?,
        strip_suffix: string(&mut fields, "strip-suffix")?,
        version_filter_contains: string(&mut fields, "version-filter-contains")?,
        version_filter_prefix: string(&mut fields, "version-filter-prefix")?,
    };
    end(fields)?;
    Ok(monitor)
}

fn tags(fields: &mut Fields<'_>) -> Read<TagMonitor> {
    Ok(TagMonitor {
        strip_prefix: string(fields, "strip-prefix")?,
        strip_suffix: string(fields, "strip-suffix")?,
        tag_filter_prefix: string(fields, "tag-filter-prefix")?,
        tag_filter_contains: string(fields, "tag-filter-contains")?,
    })
}

fn github(node: &Node) -> Read<GitHubMonitor> {
    let mut fields = Fields::new(node, "a GitHub monitor")?;
    let monitor = GitHubMonitor {
        identifier: string(&mut fields, "identifier")?,
        tags: tags(&mut fields)?,
        tag_filter: string(&mut fields, "tag-filter")?,
        use_tag: flag(&mut fields, "use-tag")?,
    };
    end(fields)?;
    Ok(monitor)
}

fn git(node: &Node) -> Read<TagMonitor> {
    let mut fields = Fields::new(node, "a git monitor")?;
    let monitor = tags(&mut fields)?;
    end(fields)?;
    Ok(monitor)
}

fn oci(node: &Node) -> Read<OciMonitor> {
    let mut fields = Fields::new(node, "an OCI monitor")?;
    let monitor = OciMonitor {
        identifier: string(&mut fields, "identifier")?,
        tags: tags(&mut fields)?,
    };
    end(fields)?;
    Ok(monitor)
}

fn version_data(node: &Node) -> Read<VersionDataMonitor> {
    let mut fields = Fields::new(node, "a version data monitor")?;
    let monitor = VersionDataMonitor {
        version_format: string(&mut fields, "version_format")?,
        sources: list(&mut fields, "sources", version_data_source)?,
    };
    end(fields)?;
    Ok(monitor)
}

fn version_data_source(node: &Node) -> Read<VersionDataSource> {
    let mut fields = Fields::new(node, "a source of version data")?;
    let source = VersionDataSource {
        name: string(&mut fields, "name")?,
        stream: string(&mut fields, "stream")?,
        ignore: fields.strings("ignore")?,
        commit_source: string(&mut fields, "commit_source")?,
        use_release: flag(&mut fields, "use_release")?,
    };
    end(fields)?;
    Ok(source)
}

fn version_transform(node: &Node) -> Read<VersionTransform> {
    let mut fields = Fields::new(node, "a version transform")?;
    let transform = VersionTransform {
        pattern: string(&mut fields, "match")?,
        replace: string(&mut fields, "replace")?,
    };
    end(fields)?;
    Ok(transform)
}

fn schedule(node: &Node) -> Read<Schedule> {
    let mut fields = Fields::new(node, "a schedule")?;
    let schedule = Schedule {
        reason: string(&mut fields, "reason")?,
        period: string(&mut fields, "period")?,
    };
    end(fields)?;
    Ok(schedule)
}
