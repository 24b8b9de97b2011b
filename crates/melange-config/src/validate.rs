//! What a configuration must be beyond having the right keys.

use apk_types::Version;
use spanned_yaml::Diagnostic;

use crate::types::{Capability, Cpe, Dependencies};
use crate::written::{Configuration, Pipeline};

/// The file capabilities the reference knows, with their bits.
pub const FILE_CAPABILITIES: [(&str, u32); 5] = [
    ("cap_net_bind_service", 10),
    ("cap_net_admin", 12),
    ("cap_net_raw", 13),
    ("cap_ipc_lock", 14),
    ("cap_sys_admin", 21),
];

/// Checks what needs no variables.
pub(crate) fn written(configuration: &Configuration) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let package = &configuration.package;
    for (key, value) in [("name", &package.name), ("version", &package.version)] {
        if value.is_empty() {
            let fault = Diagnostic::new(format!("the package has no {key}"))
                .at(configuration.places.package)
                .help(format!("add `{key}` to the `package` section"));
            faults.push(fault);
        }
    }
    pipelines(&configuration.pipeline, &mut faults);
    for subpackage in &configuration.subpackages {
        if subpackage.package.name.is_empty() {
            let fault = Diagnostic::new("a subpackage has no name").at(subpackage.span);
            faults.push(fault.help("add `name`"));
        }
        pipelines(&subpackage.pipeline, &mut faults);
    }
    faults
}

fn pipelines(steps: &[Pipeline], faults: &mut Vec<Diagnostic>) {
    for step in steps {
        if !step.uses.is_empty() && !step.runs.is_empty() {
            let message = format!("a step has both `uses: {}` and `runs`", step.uses);
            let fault = Diagnostic::new(message).at(step.span).label("in this step");
            faults.push(fault.help("make them two steps"));
        }
        if let (Some(argument), true) = (step.with.first(), step.uses.is_empty()) {
            let fault = Diagnostic::new("a step has `with` but no `uses`").at(argument.span);
            faults.push(fault.label("nothing takes this input"));
        }
        pipelines(&step.pipeline, faults);
    }
}

/// Checks a package name: letters, digits, `+`, `_`, `.` and `-`, a letter or digit first.
pub(crate) fn package_name(kind: &str, name: &str) -> Result<(), String> {
    let valid = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+_.-".contains(c));
    match valid {
        true => Ok(()),
        false => Err(format!(
            "the {kind} name `{name}` must be letters, digits, `+`, `_`, `.` and `-`"
        )),
    }
}

pub(crate) fn version(text: &str) -> Result<(), String> {
    Version::parse(text)
        .map(drop)
        .map_err(|error| format!("the package version cannot be used: {error}"))
}

pub(crate) fn priorities(owner: &str, dependencies: &Dependencies) -> Result<(), String> {
    let both = [
        ("provider-priority", &dependencies.provider_priority),
        ("replaces-priority", &dependencies.replaces_priority),
    ];
    for (key, value) in both {
        if !value.is_empty() && value.parse::<i64>().is_err() {
            return Err(format!("`{key}` of {owner} must be an integer, not `{value}`"));
        }
    }
    Ok(())
}

pub(crate) fn capabilities(setcap: &[Capability]) -> Result<(), String> {
    for capability in setcap {
        for name in capability.add.keys().flat_map(|names| names.split(',')) {
            if !FILE_CAPABILITIES.iter().any(|(known, _)| *known == name) {
                let path = &capability.path;
                return Err(format!("unknown capability `{name}` for `{path}` in `setcap`"));
            }
        }
        if capability.reason.is_empty() {
            let path = &capability.path;
            return Err(format!(
                "the capabilities of `{path}` in `setcap` need a `reason`"
            ));
        }
    }
    Ok(())
}

pub(crate) fn cpe(cpe: &Cpe) -> Result<(), String> {
    if !matches!(cpe.part.as_str(), "" | "a" | "o") {
        return Err(format!(
            "`part` of the CPE must be `a` or `o`, not `{}`",
            cpe.part
        ));
    }
    if cpe.vendor.is_empty() != cpe.product.is_empty() {
        return Err("`vendor` and `product` of the CPE must be given together".to_owned());
    }
    let fields = [
        ("vendor", &cpe.vendor),
        ("product", &cpe.product),
        ("edition", &cpe.edition),
        ("language", &cpe.language),
        ("sw_edition", &cpe.sw_edition),
        ("target_sw", &cpe.target_sw),
        ("target_hw", &cpe.target_hw),
        ("other", &cpe.other),
    ];
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    for (key, value) in fields {
        let valid = value.starts_with(plain) && value.chars().all(|c| plain(c) || "+_.-".contains(c));
        if !value.is_empty() && !valid {
            return Err(format!("`{value}` is not a valid `{key}` of a CPE"));
        }
    }
    Ok(())
}
