//! Configurations as templates see them: the fields' names are those of the Go melange.

use std::collections::BTreeMap;

use super::value::Value;
use crate::compile::Draft;
use crate::types::{
    Accounts, BaseImage, BuildOption, Capabilities, Capability, Checks, Contents, Copyright, Cpe,
    Dependencies, Entrypoint, Environment, Group, Package, PackageOptions, PathMutation, Resources,
    Scriptlets, Trigger, User, VarTransform,
};
use crate::update::{
    GitHubMonitor, OciMonitor, ReleaseMonitor, Schedule, TagMonitor, Update, VersionDataMonitor,
    VersionDataSource, VersionTransform,
};
use crate::written::{Input, Pipeline, Range, Subpackage, Test};

pub(super) trait ToValue {
    fn to_value(&self) -> Value;
}

impl ToValue for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value {
                Value::Int((*self).into())
            }
        }
    )*};
}

numbers!(u32, u64, i64);

impl<T: ToValue> ToValue for Vec<T> {
    fn to_value(&self) -> Value {
        Value::List(self.iter().map(ToValue::to_value).collect())
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Nil, ToValue::to_value)
    }
}

impl<T: ToValue> ToValue for BTreeMap<String, T> {
    fn to_value(&self) -> Value {
        Value::Map(
            self.iter()
                .map(|(key, value)| (key.clone(), value.to_value()))
                .collect(),
        )
    }
}

macro_rules! record {
    ($self:ident: $type:ty => $($name:literal: $value:expr),* $(,)?) => {
        impl ToValue for $type {
            fn to_value(&$self) -> Value {
                Value::Record(vec![$(($name, $value.to_value())),*])
            }
        }
    };
}

record!(self: Draft =>
    "Package": self.compiled.package, "Environment": self.compiled.environment,
    "Capabilities": self.compiled.capabilities, "Pipeline": self.pipeline, "Subpackages": self.subpackages,
    "Data": self.data, "Update": self.compiled.update, "Vars": self.vars,
    "VarTransforms": self.compiled.var_transforms, "Options": self.compiled.options, "Test": self.test,
    "Name": self.compiled.package.name,
);
record!(self: Package =>
    "Name": self.name, "Version": self.version, "Epoch": self.epoch, "Description": self.description,
    "Annotations": self.annotations, "URL": self.url, "Commit": self.commit,
    "TargetArchitecture": self.target_architecture, "Copyright": self.copyright,
    "Dependencies": self.dependencies, "Options": self.options, "Scriptlets": self.scriptlets,
    "Checks": self.checks, "CPE": self.cpe, "SetCap": self.setcap,
    "Timeout": crate::duration::format(self.timeout), "Resources": self.resources,
    "TestResources": self.test_resources, "FullVersion": self.full_version(),
);
record!(self: Subpackage =>
    "If": self.condition, "Range": self.range, "Name": self.package.name, "Pipeline": self.pipeline,
    "Dependencies": self.package.dependencies, "Options": self.package.options,
    "Scriptlets": self.package.scriptlets, "Description": self.package.description,
    "Annotations": self.package.annotations, "URL": self.package.url, "Commit": self.package.commit,
    "Checks": self.package.checks, "Test": self.test, "SetCap": self.package.setcap,
);
record!(self: Pipeline =>
    "If": self.condition, "Name": self.name, "Uses": self.uses,
    "With": self.with.iter().map(|a| (a.name.clone(), a.value.clone())).collect::<BTreeMap<_, _>>(),
    "Runs": self.runs, "Pipeline": self.pipeline, "Inputs": self.inputs,
    "Needs": self.needs.as_ref().map(Needs), "Label": self.label,
    "Assertions": self.required_steps.map(Assertions), "WorkDir": self.working_directory,
    "Environment": self.environment,
);

struct Needs<'a>(&'a Vec<String>);
struct Assertions(i64);

record!(self: Needs<'_> => "Packages": self.0);
record!(self: Assertions => "RequiredSteps": self.0);
record!(self: Input => "Description": self.description, "Default": self.default, "Required": self.required);
record!(self: Test => "Environment": self.environment, "Pipeline": self.pipeline);
record!(self: Range => "Name": self.name, "Items": self.items);
record!(self: VarTransform => "From": self.from, "Match": self.pattern, "Replace": self.replace, "To": self.to);
record!(self: BuildOption => "Vars": self.vars, "Add": self.add, "Remove": self.remove);
record!(self: Capabilities => "Add": self.add, "Drop": self.drop);
record!(self: Copyright =>
    "Paths": self.paths, "Attestation": self.attestation, "License": self.license,
    "LicensePath": self.license_path, "DetectionOverride": self.detection_override,
);
record!(self: Dependencies =>
    "Runtime": self.runtime, "Provides": self.provides, "Replaces": self.replaces,
    "ProviderPriority": self.provider_priority, "ReplacesPriority": self.replaces_priority,
);
record!(self: PackageOptions =>
    "NoProvides": self.no_provides, "NoDepends": self.no_depends, "NoCommands": self.no_commands,
    "NoVersionedShlibDeps": self.no_versioned_shlib_deps,
);
record!(self: Scriptlets =>
    "Trigger": self.trigger, "PreInstall": self.pre_install, "PostInstall": self.post_install,
    "PreDeinstall": self.pre_deinstall, "PostDeinstall": self.post_deinstall, "PreUpgrade": self.pre_upgrade,
    "PostUpgrade": self.post_upgrade,
);
record!(self: Trigger => "Script": self.script, "Paths": self.paths);
record!(self: Checks => "Disabled": self.disabled);
record!(self: Cpe =>
    "Part": self.part, "Vendor": self.vendor, "Product": self.product, "Edition": self.edition,
    "Language": self.language, "SWEdition": self.sw_edition, "TargetSW": self.target_sw,
    "TargetHW": self.target_hw, "Other": self.other,
);
record!(self: Capability => "Path": self.path, "Add": self.add, "Reason": self.reason);
record!(self: Resources => "CPU": self.cpu, "CPUModel": self.cpu_model, "Memory": self.memory, "Disk": self.disk);
record!(self: Environment =>
    "Contents": self.contents, "Entrypoint": self.entrypoint, "Cmd": self.cmd, "StopSignal": self.stop_signal,
    "WorkDir": self.work_dir, "Accounts": self.accounts, "Archs": self.archs, "Environment": self.environment,
    "Paths": self.paths, "VCSUrl": self.vcs_url, "Annotations": self.annotations, "Include": self.include,
    "Volumes": self.volumes,
);
record!(self: Contents =>
    "BuildRepositories": self.build_repositories, "Repositories": self.repositories, "Keyring": self.keyring,
    "Packages": self.packages, "BaseImage": self.base_image,
);
record!(self: BaseImage => "Image": self.image, "APKIndex": self.apk_index);
record!(self: Entrypoint =>
    "Type": self.kind, "Command": self.command, "ShellFragment": self.shell_fragment, "Services": self.services,
);
record!(self: Accounts => "RunAs": self.run_as, "Users": self.users, "Groups": self.groups);
record!(self: User =>
    "UserName": self.name, "UID": self.uid, "GID": self.gid, "Shell": self.shell, "HomeDir": self.home,
);
record!(self: Group => "GroupName": self.name, "GID": self.gid, "Members": self.members);
record!(self: PathMutation =>
    "Path": self.path, "Type": self.kind, "UID": self.uid, "GID": self.gid, "Permissions": self.permissions,
    "Source": self.source, "Recursive": self.recursive,
);
record!(self: Update =>
    "Enabled": self.enabled, "Manual": self.manual, "RequireSequential": self.require_sequential,
    "Shared": self.shared, "VersionSeparator": self.version_separator,
    "IgnoreRegexPatterns": self.ignore_regex_patterns, "ReleaseMonitor": self.release_monitor,
    "GitHubMonitor": self.github, "GitMonitor": self.git, "OCIMonitor": self.oci,
    "VersionDataMonitor": self.version_data, "VersionTransform": self.version_transform,
    "ExcludeReason": self.exclude_reason, "Schedule": self.schedule,
    "EnablePreReleaseTags": self.enable_prerelease_tags,
);
record!(self: ReleaseMonitor =>
    "Identifier": self.identifier, "StripPrefix": self.strip_prefix, "StripSuffix": self.strip_suffix,
    "VersionFilterContains": self.version_filter_contains, "VersionFilterPrefix": self.version_filter_prefix,
);
record!(self: TagMonitor =>
    "StripPrefix": self.strip_prefix, "StripSuffix": self.strip_suffix,
    "TagFilterPrefix": self.tag_filter_prefix, "TagFilterContains": self.tag_filter_contains,
);
record!(self: GitHubMonitor =>
    "Identifier": self.identifier, "StripPrefix": self.tags.strip_prefix, "StripSuffix": self.tags.strip_suffix,
    "TagFilter": self.tag_filter, "TagFilterPrefix": self.tags.tag_filter_prefix,
    "TagFilterContains": self.tags.tag_filter_contains, "UseTags": self.use_tag,
);
record!(self: OciMonitor =>
    "Identifier": self.identifier, "StripPrefix": self.tags.strip_prefix, "StripSuffix": self.tags.strip_suffix,
    "TagFilterPrefix": self.tags.tag_filter_prefix, "TagFilterContains": self.tags.tag_filter_contains,
);
record!(self: VersionDataMonitor => "Format": self.version_format, "Sources": self.sources);
record!(self: VersionDataSource =>
    "Name": self.name, "Stream": self.stream, "Ignore": self.ignore, "CommitSource": self.commit_source,
    "UseRelease": self.use_release,
);
record!(self: VersionTransform => "Match": self.pattern, "Replace": self.replace);
record!(self: Schedule => "Reason": self.reason, "Period": self.period);
