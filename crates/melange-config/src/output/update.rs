//! The `update` section.

use spanned_yaml::EmitValue;

use super::{Format, Section};
use crate::update::{TagMonitor, Update, VersionDataMonitor};

pub(super) fn update(update: &Update, format: Format) -> Section {
    let mut out = Section::new(format);
    out.put("enabled", update.enabled);
    out.flag_in_yaml("manual", update.manual);
    out.flag_in_yaml("require-sequential", update.require_sequential);
    out.flag("shared", update.shared);
    out.text("version-separator", &update.version_separator);
    out.strings("ignore-regex-patterns", &update.ignore_regex_patterns);
    monitors(&mut out, update);
    let transforms = update.version_transform.iter().map(|transform| {
        let mut out = Section::new(format);
        out.put("match", transform.pattern.as_str());
        out.put("replace", transform.replace.as_str());
        out.done()
    });
    out.list("version-transform", transforms.collect());
    out.text("exclude-reason", &update.exclude_reason);
    if let Some(schedule) = &update.schedule {
        let mut section = Section::new(format);
        section.text("reason", &schedule.reason);
        section.text("period", &schedule.period);
        out.put("schedule", section.done());
    }
    out.flag("enable-prerelease-tags", update.enable_prerelease_tags);
    out
}

fn monitors(out: &mut Section, update: &Update) {
    let format = out.format;
    if let Some(monitor) = &update.release_monitor {
        let mut section = Section::new(format);
        section.put("identifier", EmitValue::Int(monitor.identifier.into()));
        section.text("strip-prefix", &monitor.strip_prefix);
        section.text("strip-suffix", &monitor.strip_suffix);
        section.text("version-filter-contains", &monitor.version_filter_contains);
        section.text("version-filter-prefix", &monitor.version_filter_prefix);
        out.put("release-monitor", section.done());
    }
    if let Some(monitor) = &update.github {
        let mut section = Section::new(format);
        section.put("identifier", monitor.identifier.as_str());
        strip(&mut section, &monitor.tags);
        section.text("tag-filter", &monitor.tag_filter);
        filter(&mut section, &monitor.tags);
        section.flag("use-tag", monitor.use_tag);
        out.put("github", section.done());
    }
    if let Some(monitor) = &update.git {
        let mut section = Section::new(format);
        strip(&mut section, monitor);
        filter(&mut section, monitor);
        out.put("git", section.done());
    }
    if let Some(monitor) = &update.oci {
        let mut section = Section::new(format);
        section.put("identifier", monitor.identifier.as_str());
        strip(&mut section, &monitor.tags);
        filter(&mut section, &monitor.tags);
        out.put("oci", section.done());
    }
    if let Some(monitor) = &update.version_data {
        out.put("version_data", version_data(monitor, format));
    }
}

fn strip(out: &mut Section, tags: &TagMonitor) {
    out.text("strip-prefix", &tags.strip_prefix);
    out.text("strip-suffix", &tags.strip_suffix);
}

fn filter(out: &mut Section, tags: &TagMonitor) {
    out.text("tag-filter-prefix", &tags.tag_filter_prefix);
    out.text("tag-filter-contains", &tags.tag_filter_contains);
}

fn version_data(monitor: &VersionDataMonitor, format: Format) -> EmitValue {
    let sources = monitor.sources.iter().map(|source| {
        let mut out = Section::new(format);
        out.put("name", source.name.as_str());
        out.put("stream", source.stream.as_str());
        out.strings("ignore", &source.ignore);
        out.text("commit_source", &source.commit_source);
        out.flag("use_release", source.use_release);
        out.done()
    });
    let mut out = Section::new(format);
    out.put("version_format", monitor.version_format.as_str());
    out.put("sources", EmitValue::Seq(sources.collect()));
    out.done()
}
