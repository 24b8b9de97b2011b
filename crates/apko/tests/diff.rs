//! What `Diff` tells of images and lock files.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use apk_types::Arch;
use apko::config::parse;
use apko::{Additions, BuildRequest, Contents, Diff, Policy, Store, build};
use oci_image::{Algorithm, Compression, Timestamp};
use testkit::{Package, Repository};

fn image(directory: &Path, packages: &[Package], yaml: &str, algorithm: Algorithm) -> Contents {
    let repository = Repository::new("x86_64");
    repository.publish(packages);
    let additions = Additions {
        keys: vec![repository.key()],
        repositories: vec![repository.location()],
        ..Additions::default()
    };
    let request = BuildRequest {
        configuration: &parse(yaml).unwrap(),
        additions: &additions,
        include_paths: &[],
        lockfile: None,
        repositories: None,
        archs: &[Arch::X86_64],
        policy: &Policy::default(),
        tag: &"example/image:1".parse().unwrap(),
        source_date_epoch: None,
        build_date: &Timestamp::from_unix(0).unwrap(),
        sboms: &[],
        compression: Compression::with(algorithm),
        spool: directory,
        store: &Store::temporary(directory).unwrap(),
    };
    let built = build(&request, &mut |_| {}).unwrap();
    let layout = tempfile::tempdir_in(directory).unwrap();
    oci_image::write_layout(layout.path(), &built.index).unwrap();
    Contents::of_image(&oci_image::read_layout(layout.path(), "amd64").unwrap()).unwrap()
}

#[test]
fn images_differ_by_packages_files_and_settings() {
    let directory = tempfile::tempdir().unwrap();
    let old = Package::new("app", "1.0-r0")
        .file("usr/bin/app", 0o755, "one")
        .file("usr/bin/gone", 0o755, "x");
    let new = Package::new("app", "1.1-r0").file("usr/bin/app", 0o4755, "two!");
    let formats = [
        ("tar", Algorithm::Gzip),
        ("tar", Algorithm::Zstd),
        ("erofs", Algorithm::Gzip),
    ];
    for (format, algorithm) in formats {
        let yaml = |rest: &str| format!("{{contents: {{packages: [app]}}, format: {format}, {rest}}}");
        let before = image(
            directory.path(),
            std::slice::from_ref(&old),
            &yaml("environment: {A: '1'}"),
            algorithm,
        );
        let after = image(
            directory.path(),
            std::slice::from_ref(&new),
            &yaml("environment: {A: '2'}"),
            algorithm,
        );
        assert!(Diff::between(&before, &before).is_empty());
        let diff = Diff::between(&before, &after);
        let package = &diff.packages[0];
        assert_eq!(
            (package.before.as_deref(), package.after.as_deref()),
            (Some("1.0-r0"), Some("1.1-r0"))
        );
        let file = |name: &str| diff.files.iter().find(|file| file.name == name).unwrap();
        assert_eq!(file("usr/bin/gone").after, None);
        let app = file("usr/bin/app").after.clone().unwrap();
        assert_eq!((app.mode, app.size), (0o4755, 4));
        assert!(diff.settings.iter().any(|setting| setting.name == "Env.A"));
    }
}
