//! Settings for compilers in the workspace: each program linked with them carries the note that says which package
//! it belongs to ([package metadata](https://uapi-group.org/specifications/specs/package_metadata_for_executable_files/)).

use std::fs;
use std::io;
use std::path::Path;

use crate::plan::Plan;

/// The versions of clang that are prepared for.
const CLANG_VERSIONS: std::ops::RangeInclusive<u32> = 15..=42;

/// Writes a spec file for GCC, a C header for code that adds the note itself, and configurations for clang.
pub(crate) fn write_settings(workspace: &Path, plan: &Plan, namespace: &str, arch: &str) -> io::Result<()> {
    let metadata = metadata(plan, namespace, arch);
    let write = |name: &str, content: String| fs::write(workspace.join(name), content);
    let spec = format!("*link:\n+ %{{!r:--package-metadata={metadata}}}\n");
    write(".melange.gcc.spec", spec)?;
    write(".melange.fdo.h", note_header(&metadata))?;
    write(
        ".melange.clang.cfg",
        format!("-Xlinker --package-metadata='{metadata}'\n"),
    )?;
    for version in CLANG_VERSIONS {
        let directory = format!(".config/clang-{version}");
        fs::create_dir_all(workspace.join(&directory))?;
        for driver in ["clang", "clang++"] {
            for machine in ["aarch64", "x86_64"] {
                let file = format!("{machine}-unknown-linux-gnu-{driver}.cfg");
                let content = format!("@../../.melange.clang.cfg\n@/etc/clang-{version}/{file}\n");
                write(&format!("{directory}/{file}"), content)?;
            }
        }
    }
    Ok(())
}

fn metadata(plan: &Plan, namespace: &str, arch: &str) -> String {
    let name = plan.packages.first().map_or("", |main| main.name.as_str());
    let cpe = plan
        .cpe
        .as_ref()
        .map_or_else(String::new, |cpe| format!(",\"appCpe\":\"{cpe}\""));
    let version = &plan.version;
    format!(
        r#"{{"type":"apk","os":"{namespace}","name":"{name}","version":"{version}","architecture":"{arch}"{cpe}}}"#
    )
}

fn note_header(metadata: &str) -> String {
    let literal = metadata.replace('\\', r"\\").replace('"', r#"\""#);
    format!(
        r#"/* Include this once to give a program the note that its package's linker settings would give it. */
#ifndef MELANGE_PACKAGE_NOTE_H
#define MELANGE_PACKAGE_NOTE_H
#if defined(__ELF__)
#define MELANGE_PACKAGE_NOTE_JSON "{literal}"
__attribute__((used, retain, section(".note.package"), aligned(4)))
static const struct {{
	unsigned int owner_size;
	unsigned int content_size;
	unsigned int type;
	char owner[4];
	char content[sizeof(MELANGE_PACKAGE_NOTE_JSON)];
}} melange_package_note = {{
	sizeof("FDO"), sizeof(MELANGE_PACKAGE_NOTE_JSON), 0xcafe1a7e, "FDO", MELANGE_PACKAGE_NOTE_JSON
}};
#endif
#endif
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackagePlan;

    #[test]
    fn all_settings_name_the_package() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan {
            version: "1.2-r3".to_owned(),
            packages: vec![PackagePlan {
                name: "tool".to_owned(),
                ..PackagePlan::default()
            }],
            ..Plan::default()
        };
        write_settings(dir.path(), &plan, "wolfi", "x86_64").unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let metadata =
            r#"{"type":"apk","os":"wolfi","name":"tool","version":"1.2-r3","architecture":"x86_64"}"#;
        assert_eq!(
            read(".melange.gcc.spec"),
            format!("*link:\n+ %{{!r:--package-metadata={metadata}}}\n")
        );
        assert!(read(".melange.fdo.h").contains(r#"{\"type\":\"apk\""#));
        let config = read(".config/clang-20/x86_64-unknown-linux-gnu-clang++.cfg");
        assert!(config.starts_with("@../../.melange.clang.cfg\n"));
    }
}
