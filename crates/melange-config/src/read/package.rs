//! The `package` section and what subpackages have in common with it.

use spanned_yaml::{Diagnostic, Fields, Node};

use super::{Read, flag, list, map, section, string};
use crate::duration;
use crate::types::{
    Capability, Checks, Copyright, Cpe, Dependencies, Package, PackageOptions, Resources, Scriptlets, Trigger,
};

pub(super) fn package(node: &Node) -> Read<Package> {
    let mut fields = Fields::new(node, "a package")?;
    let package = Package {
        version: string(&mut fields, "version")?,
        epoch: fields.int("epoch")?.unwrap_or_default(),
        target_architecture: fields.strings("target-architecture")?,
        copyright: list(&mut fields, "copyright", copyright)?,
        cpe: section(&mut fields, "cpe", cpe)?.unwrap_or_default(),
        timeout: section(&mut fields, "timeout", timeout)?.unwrap_or_default(),
        resources: section(&mut fields, "resources", resources)?,
        test_resources: section(&mut fields, "test-resources", resources)?,
        ..of_subpackage(&mut fields)?
    };
    fields.finish()?;
    Ok(package)
}

/// Reads the keys that packages and subpackages share.
pub(super) fn of_subpackage(fields: &mut Fields<'_>) -> Read<Package> {
    Ok(Package {
        name: string(fields, "name")?,
        description: string(fields, "description")?,
        annotations: map(fields, "annotations")?,
        url: string(fields, "url")?,
        commit: string(fields, "commit")?,
        dependencies: section(fields, "dependencies", dependencies)?.unwrap_or_default(),
        options: section(fields, "options", options)?,
        scriptlets: section(fields, "scriptlets", scriptlets)?,
        checks: section(fields, "checks", checks)?.unwrap_or_default(),
        setcap: list(fields, "setcap", capability)?,
        ..Package::default()
    })
}

fn timeout(node: &Node) -> Read<std::time::Duration> {
    let text = node.as_str().unwrap_or_default();
    let is_number = node.as_float().is_some();
    duration::parse(text).filter(|_| !is_number).ok_or_else(|| {
        Diagnostic::new("`timeout` must be a time with its unit")
            .at(node.span)
            .label(format!("this is {}", node.kind_name()))
            .help("write `90s`, `30m` or `2h15m`")
    })
}

fn copyright(node: &Node) -> Read<Copyright> {
    let mut fields = Fields::new(node, "a copyright")?;
    let copyright = Copyright {
        paths: fields.strings("paths")?,
        attestation: string(&mut fields, "attestation")?,
        license: string(&mut fields, "license")?,
        license_path: string(&mut fields, "license-path")?,
        detection_override: string(&mut fields, "detection-override")?,
    };
    fields.finish()?;
    Ok(copyright)
}

fn dependencies(node: &Node) -> Read<Dependencies> {
    let mut fields = Fields::new(node, "dependencies")?;
    let dependencies = Dependencies {
        runtime: fields.strings("runtime")?,
        provides: fields.strings("provides")?,
        replaces: fields.strings("replaces")?,
        provider_priority: string(&mut fields, "provider-priority")?,
        replaces_priority: string(&mut fields, "replaces-priority")?,
    };
    fields.finish()?;
    Ok(dependencies)
}

fn options(node: &Node) -> Read<PackageOptions> {
    let mut fields = Fields::new(node, "package options")?;
    let options = PackageOptions {
        no_provides: flag(&mut fields, "no-provides")?,
        no_depends: flag(&mut fields, "no-depends")?,
        no_commands: flag(&mut fields, "no-commands")?,
        no_versioned_shlib_deps: flag(&mut fields, "no-versioned-shlib-deps")?,
    };
    fields.finish()?;
    Ok(options)
}

fn scriptlets(node: &Node) -> Read<Scriptlets> {
    let mut fields = Fields::new(node, "scriptlets")?;
    let scriptlets = Scriptlets {
        trigger: section(&mut fields, "trigger", trigger)?.unwrap_or_default(),
        pre_install: string(&mut fields, "pre-install")?,
        post_install: string(&mut fields, "post-install")?,
        pre_deinstall: string(&mut fields, "pre-deinstall")?,
        post_deinstall: string(&mut fields, "post-deinstall")?,
        pre_upgrade: string(&mut fields, "pre-upgrade")?,
        post_upgrade: string(&mut fields, "post-upgrade")?,
    };
    fields.finish()?;
    Ok(scriptlets)
}

fn trigger(node: &Node) -> Read<Trigger> {
    let mut fields = Fields::new(node, "a trigger")?;
    let trigger = Trigger {
        script: string(&mut fields, "script")?,
        paths: fields.strings("paths")?,
    };
    fields.finish()?;
    Ok(trigger)
}

fn checks(node: &Node) -> Read<Checks> {
    let mut fields = Fields::new(node, "checks")?;
    let disabled = fields.strings("disabled")?;
    fields.finish()?;
    Ok(Checks { disabled })
}

fn capability(node: &Node) -> Read<Capability> {
    let mut fields = Fields::new(node, "a file capability")?;
    let capability = Capability {
        path: string(&mut fields, "path")?,
        add: map(&mut fields, "add")?,
        reason: string(&mut fields, "reason")?,
    };
    fields.finish()?;
    Ok(capability)
}

fn cpe(node: &Node) -> Read<Cpe> {
    let mut fields = Fields::new(node, "a CPE")?;
    let cpe = Cpe {
        part: string(&mut fields, "part")?,
        vendor: string(&mut fields, "vendor")?,
        product: string(&mut fields, "product")?,
        edition: string(&mut fields, "edition")?,
        language: string(&mut fields, "language")?,
        sw_edition: string(&mut fields, "sw_edition")?,
        target_sw: string(&mut fields, "target_sw")?,
        target_hw: string(&mut fields, "target_hw")?,
        other: string(&mut fields, "other")?,
    };
    fields.finish()?;
    Ok(cpe)
}

fn resources(node: &Node) -> Read<Resources> {
    let mut fields = Fields::new(node, "resources")?;
    let resources = Resources {
        cpu: string(&mut fields, "cpu")?,
        cpu_model: string(&mut fields, "cpumodel")?,
        memory: string(&mut fields, "memory")?,
        disk: string(&mut fields, "disk")?,
    };
    fields.finish()?;
    Ok(resources)
}
