//! Lock files: that a build from one is the build it was made of, and what does not fit is refused by name.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::Path;

use apk_types::Arch;
use apko::config::{Loaded, load};
use apko::{
    Additions, BuildError, BuildRequest, Built, Keep, LockError, LockRequest, Lockfile, Misfit, Policy,
    Store, build, lock,
};
use oci_image::Timestamp;
use tempfile::TempDir;
use testkit::{Package, Repository};

struct Case {
    repository: Repository,
    directory: TempDir,
}

impl Case {
    fn new() -> Self {
        let repository = Repository::new("x86_64");
        repository.publish(&[
            app_package(),
            Package::new("lib", "2-r1").file("usr/lib/lib", 0o644, "lib"),
            Package::new("other", "3-r0"),
        ]);
        let directory = tempfile::tempdir().unwrap();
        Self {
            repository,
            directory,
        }
    }

    fn load(&self, packages: &str) -> Loaded {
        let (repository, key) = (self.repository.location(), self.repository.key());
        let yaml = format!(
            "contents: {{packages: [{packages}], repositories: ['{repository}'], keyring: ['{key}']}}\n"
        );
        let path = self.directory.path().join("image.yaml");
        fs::write(&path, yaml).unwrap();
        load(&path, &[]).unwrap()
    }

    fn lock(&self, packages: &str) -> Lockfile {
        lock_of(&self.load(packages), None).unwrap()
    }

    fn store(&self) -> Store {
        Store::at(self.directory.path().join("cache"))
    }

    fn build(&self, loaded: &Loaded, lockfile: Option<&Lockfile>) -> Result<Built, BuildError> {
        let request = BuildRequest {
            configuration: &loaded.configuration,
            additions: &Additions::default(),
            include_paths: &[],
            lockfile,
            repositories: None,
            archs: &[Arch::X86_64],
            policy: &Policy::default(),
            tag: &"example/image:1".parse().unwrap(),
            source_date_epoch: None,
            build_date: &Timestamp::from_unix(0).unwrap(),
            sboms: &[apko::SbomFormat::Spdx, apko::SbomFormat::CycloneDx],
            store: &self.store(),
            compression: oci_image::Compression::default(),
            spool: self.directory.path(),
        };
        build(&request, &mut |_| {})
    }
}

fn lock_of(loaded: &Loaded, keep: Option<Keep<'_>>) -> Result<Lockfile, BuildError> {
    lock(&LockRequest {
        name: "image.yaml",
        loaded,
        additions: &Additions::default(),
        archs: &[Arch::X86_64],
        policy: &Policy::default(),
        store: &Store::temporary(&std::env::temp_dir()).unwrap(),
        keep,
    })
}

fn app_package() -> Package {
    Package::new("app", "1.0-r0")
        .depends(&["lib"])
        .file("usr/bin/app", 0o755, "#!/bin/sh\n")
}

fn misfits(error: LockError) -> Vec<Misfit> {
    match error {
        LockError::Misfit(misfits) => misfits,
        other => panic!("{other}"),
    }
}

#[test]
fn a_lock_file_reads_back_as_it_was_written() {
    let case = Case::new();
    let lockfile = case.lock("app");
    let path = case.directory.path().join("image.lock.json");
    fs::write(&path, lockfile.to_json().unwrap()).unwrap();
    assert_eq!(Lockfile::read(&path).unwrap(), lockfile);
    let missing = Lockfile::read(Path::new("no/such.lock.json")).unwrap_err();
    assert!(missing.to_string().contains("no/such.lock.json"));
}

#[test]
fn a_build_from_a_lock_file_stays_the_same_when_newer_packages_come() {
    let case = Case::new();
    let loaded = case.load("app");
    let lockfile = case.lock("app");
    assert!(
        lockfile
            .check(&loaded, &Additions::default(), &[Arch::X86_64])
            .is_ok()
    );
    let before = case.build(&loaded, Some(&lockfile)).unwrap();
    let newer = Package::new("lib", "2-r2").file("usr/lib/lib", 0o644, "newer");
    case.repository.publish(&[newer, app_package()]);
    let after = case.build(&loaded, Some(&lockfile)).unwrap();
    assert_eq!(after.index.digest(), before.index.digest());
}

#[test]
fn what_does_not_fit_is_named() {
    let case = Case::new();
    let lockfile = case.lock("app");
    let changed = case.load("app>=2, other");
    let found = misfits(
        lockfile
            .check(&changed, &Additions::default(), &[Arch::X86_64, Arch::Aarch64])
            .unwrap_err(),
    );
    let package = |wanted: &str, arch| Misfit::Package {
        wanted: wanted.to_owned(),
        arch,
    };
    assert!(matches!(&found[0], Misfit::Configuration { name } if name == "image.yaml"));
    for arch in [Arch::X86_64, Arch::Aarch64] {
        assert!(found.contains(&package("app>=2", arch)) && found.contains(&package("other", arch)));
    }
    let aarch64 = Misfit::Architecture {
        arch: Arch::Aarch64,
        locked: vec!["x86_64".to_owned()],
    };
    assert_eq!(found.last(), Some(&aarch64));
}

#[test]
fn a_build_refuses_a_lock_file_without_what_is_asked_for() {
    let case = Case::new();
    let lockfile = case.lock("app");
    let error = case.build(&case.load("app, other"), Some(&lockfile)).unwrap_err();
    assert!(error.to_string().contains("`other` is asked for"), "{error}");
}

#[test]
fn a_locked_package_of_other_content_is_refused() {
    let case = Case::new();
    let loaded = case.load("app");
    let mut lockfile = case.lock("app");
    lockfile.contents.packages[0].data.checksum = "sha256-AAAA".to_owned();
    let error = case.build(&loaded, Some(&lockfile)).unwrap_err().to_string();
    assert!(
        error.contains("lib-2-r1.apk") && error.contains("sha256-AAAA"),
        "{error}"
    );
    lockfile.contents.packages[0].url = "elsewhere/lib.apk".to_owned();
    let error = case.build(&loaded, Some(&lockfile)).unwrap_err().to_string();
    assert!(error.contains("elsewhere/lib.apk"), "{error}");
}

#[test]
fn a_base_image_stays_below_and_is_not_installed_again() {
    let case = Case::new();
    let base = case.build(&case.load("lib"), None).unwrap();
    let layout = case.directory.path().join("base");
    oci_image::write_layout(&layout, &base.index).unwrap();
    let metadata = case.directory.path().join("metadata/x86_64");
    fs::create_dir_all(&metadata).unwrap();
    let database = "P:lib\nV:2-r1\nA:x86_64\ni:[]\nF:usr\nM:0:0:0700\nF:usr/lib\nR:lib\na:0:0:0755\n\n";
    fs::write(metadata.join("APKINDEX"), database).unwrap();

    let mut loaded = case.load("app");
    loaded.configuration.contents.baseimage = Some(apko::config::BaseImage {
        image: layout.display().to_string(),
        apkindex: metadata.parent().unwrap().display().to_string(),
    });
    let lockfile = lock_of(&loaded, None).unwrap();
    let names: Vec<&str> = lockfile
        .contents
        .packages
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["app"]);

    let built = case.build(&loaded, Some(&lockfile)).unwrap();
    let (image, below) = (&built.index.images[0], &base.index.images[0]);
    assert_eq!(image.manifest.layers.len(), 2);
    assert_eq!(image.manifest.layers[0], below.manifest.layers[0]);
    // Without a lock file the same packages are chosen.
    let chosen = case.build(&loaded, None).unwrap();
    assert_eq!(chosen.index.digest(), built.index.digest());
}

#[test]
fn an_update_moves_only_what_is_named() {
    let case = Case::new();
    let old = case.lock("app, other");
    case.repository.publish(&[
        app_package(),
        Package::new("lib", "2-r1").file("usr/lib/lib", 0o644, "lib"),
        Package::new("lib", "2-r2").file("usr/lib/lib", 0o644, "newer"),
        Package::new("other", "3-r0"),
        Package::new("other", "4-r0"),
    ]);
    let versions = |except: &[&str]| {
        let except: Vec<String> = except.iter().map(|name| (*name).to_owned()).collect();
        let keep = Keep {
            lockfile: &old,
            except: &except,
        };
        let updated = lock_of(&case.load("app, other"), Some(keep))?;
        let version = |package: apko::LockedPackage| (package.name, package.version);
        Ok(updated
            .contents
            .packages
            .into_iter()
            .map(version)
            .collect::<Vec<_>>())
    };
    let version = |except: &[&str], name: &str| {
        let all: Result<Vec<(String, String)>, BuildError> = versions(except);
        all.unwrap()
            .into_iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
    };
    assert_eq!(version(&[], "lib"), "2-r1");
    assert_eq!(
        (version(&["lib"], "lib"), version(&["lib"], "other")),
        ("2-r2".into(), "3-r0".into())
    );
    let unknown: Result<_, BuildError> = versions(&["none"]);
    assert!(unknown.unwrap_err().to_string().contains("`none`"));
}
