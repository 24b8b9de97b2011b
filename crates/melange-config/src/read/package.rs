//! The `package` section and what subpackages have in common with it.

use spanned_yaml::{Diagnostic, Fields, Node};

use super::{Faults, Read, end, flag, list, map, section, string, strings};
use crate::duration;
use crate::types::{
    Capability, Checks, Copyright, Cpe, Dependencies, Package, PackageOptions, Resources, Scriptlets, Trigger,
};

pub(super) fn package(node: &Node) -> Read<Package> {
    let mut fields = Fields::new(node, "a package")?;
    let mut faults = Faults::default();
    let cpe = section(&mut fields, "cpe", cpe);
    let timeout = section(&mut fields, "timeout", timeout);
    let package = Package {
        version: faults.keep(string(&mut fields, "version")),
        epoch: faults.keep(epoch(&mut fields)),
        target_architecture: faults.keep(strings(&mut fields, "target-architecture")),
        copyright: faults.keep(list(&mut fields, "copyright", copyright)),
        cpe: faults.keep(cpe).unwrap_or_default(),
        timeout: faults.keep(timeout).unwrap_or_default(),
        resources: faults.keep(section(&mut fields, "resources", resources)),
        test_resources: faults.keep(section(&mut fields, "test-resources", resources)),
        ..faults.keep(of_subpackage(&mut fields))
    };
    faults.keep(end(fields));
    faults.end(package)
}

fn epoch(fields: &mut Fields<'_>) -> Read<u64> {
    Ok(fields.int("epoch")?.unwrap_or_default())
}

/// Reads the keys that packages and subpackages share.
pub(super) fn of_subpackage(fields: &mut Fields<'_>) -> Read<Package> {
    let mut faults = Faults::default();
    let dependencies = section(fields, "dependencies", dependencies);
    let checks = section(fields, "checks", checks);
    let package = Package {
        name: faults.keep(string(fields, "name")),
        description: faults.keep(string(fields, "description")),
        annotations: faults.keep(map(fields, "annotations")),
        url: faults.keep(string(fields, "url")),
        commit: faults.keep(string(fields, "commit")),
        dependencies: faults.keep(dependencies).unwrap_or_default(),
        options: faults.keep(section(fields, "options", options)),
        scriptlets: faults.keep(section(fields, "scriptlets", scriptlets)),
        checks: faults.keep(checks).unwrap_or_default(),
        setcap: faults.keep(list(fields, "setcap", capability)),
        ..Package::default()
    };
    faults.end(package)
}

fn timeout(node: &Node) -> Read<std::time::Duration> {
    let text = node.as_str().unwrap_or_default();
    let is_number = node.as_float().is_some();
    let timeout = duration::parse(text).filter(|_| !is_number).ok_or_else(|| {
        Diagnostic::new("`timeout` must be a time with its unit")
            .at(node.span)
            .label(format!("this is {}", node.kind_name()))
            .help("write `90s`, `30m` or `2h15m`")
    })?;
    Ok(timeout)
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
    end(fields)?;
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
    end(fields)?;
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
    end(fields)?;
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
    end(fields)?;
    Ok(scriptlets)
}

fn trigger(node: &Node) -> Read<Trigger> {
    let mut fields = Fields::new(node, "a trigger")?;
    let trigger = Trigger {
        script: string(&mut fields, "script")?,
        paths: fields.strings("paths")?,
    };
    end(fields)?;
    Ok(trigger)
}

fn checks(node: &Node) -> Read<Checks> {
    let mut fields = Fields::new(node, "checks")?;
    let disabled = fields.strings("disabled")?;
    end(fields)?;
    Ok(Checks { disabled })
}

fn capability(node: &Node) -> Read<Capability> {
    let mut fields = Fields::new(node, "a file capability")?;
    let capability = Capability {
        path: string(&mut fields, "path")?,
        add: map(&mut fields, "add")?,
        reason: string(&mut fields, "reason")?,
    };
    end(fields)?;
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
    end(fields)?;
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
    end(fields)?;
    Ok(resources)
}
