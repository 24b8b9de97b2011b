//! What is kept from one build to the next never changes an image, whatever happens to it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use apk_types::Arch;
use apko::{Additions, BuildRequest, Event, Policy, Store, build, config};
use oci_image::Timestamp;
use testkit::{Package, Repository};

const YAML: &str = "{contents: {packages: [tool, library]}}";

/// Text that compresses, but not to nothing.
fn text(length: usize, seed: u32) -> String {
    let word = |at: u32| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 20).to_string();
    let mut text = String::new();
    for at in 0.. {
        if text.len() >= length {
            break;
        }
        text += &word(at);
        text.push('\n');
    }
    text
}

/// A repository with small files and some large enough to be cut out of their package's stream.
fn repository() -> Repository {
    let repository = Repository::new("x86_64");
    let mut tool = Package::new("tool", "1.0-r0").depends(&["library"]);
    for at in 0..40 {
        tool = tool.file(
            &format!("usr/share/tool/{at}"),
            0o644,
            &text(3000 + at * 700, at as u32),
        );
    }
    let library = Package::new("library", "2.0-r0")
        .file("usr/lib/large", 0o755, &text(2_000_000, 7))
        .file("usr/lib/larger", 0o755, &text(3_000_000, 9));
    repository.publish(&[tool, library]);
    repository
}

/// Builds; returns the digest, the layer's blob, and the warnings.
fn made(repository: &Repository, store: &Store, yaml: &str) -> (String, Vec<u8>, Vec<String>) {
    let spool = tempfile::tempdir().unwrap();
    let additions = Additions {
        repositories: vec![repository.location()],
        keys: vec![repository.key()],
        ..Additions::default()
    };
    let request = BuildRequest {
        configuration: &config::parse(yaml).unwrap(),
        additions: &additions,
        include_paths: &[],
        lockfile: None,
        repositories: None,
        archs: &[Arch::X86_64],
        policy: &Policy::default(),
        tag: &"example/image:1".parse().unwrap(),
        source_date_epoch: Some(0),
        build_date: &Timestamp::from_unix(0).unwrap(),
        sboms: &[],
        store,
        compression: oci_image::Compression::default(),
        spool: spool.path(),
    };
    let mut warnings = Vec::new();
    let built = build(&request, &mut |event| {
        if let Event::Warning(text) = event {
            warnings.push(text);
        }
    });
    let layout = spool.path().join("layout");
    let built = built.unwrap();
    oci_image::write_layout(&layout, &built.index).unwrap();
    let layer = built.index.images[0].manifest.layers[0].digest.hex();
    let blob = fs::read(layout.join("blobs/sha256").join(layer)).unwrap();
    (built.index.digest().to_string(), blob, warnings)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

#[test]
fn a_full_store_an_empty_one_and_none_give_the_same_bytes() {
    let repository = repository();
    let directory = tempfile::tempdir().unwrap();
    let none = Store::temporary(directory.path()).unwrap();
    let store = Store::at(directory.path().join("store"));
    let wanted = made(&repository, &none, YAML);
    assert_eq!(made(&repository, &store, YAML), wanted);
    assert_eq!(made(&repository, &store, YAML), wanted);
    // The layer is another one, most of its pieces are the same.
    let other =
        "{contents: {packages: [tool]}, paths: [{path: /run/it, type: empty-file, permissions: 0o644}]}";
    assert_eq!(made(&repository, &store, other), made(&repository, &none, other));
}

#[test]
fn damage_is_noticed_told_and_mended() {
    let repository = repository();
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let wanted = made(&repository, &store, YAML);
    let mut told = 0;
    for round in 0..6 {
        // Layers that are whole would hide what else is wrong.
        let kept = |path: &PathBuf| !path.to_string_lossy().contains("/layers/");
        for path in files(directory.path()) {
            if !kept(&path) && round > 0 {
                fs::remove_file(path).unwrap();
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() * (round + 1) / 8;
            match bytes.get_mut(at) {
                Some(byte) => *byte ^= 1,
                None => continue,
            }
            // A new file, since blobs share theirs with layouts.
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }
        let (digest, blob, warnings) = made(&repository, &store, YAML);
        assert!(
            (digest, blob) == (wanted.0.clone(), wanted.1.clone()),
            "round {round}"
        );
        told += warnings.len();
        for warning in warnings {
            assert!(
                warning.contains("damaged") && warning.contains("made anew"),
                "{warning}"
            );
        }
    }
    assert!(told > 0);
}

#[test]
fn what_an_older_release_kept_is_made_anew() {
    let repository = repository();
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    let wanted = made(&repository, &store, YAML);
    // The layout of a release before this one lies beside this one's, and is not touched.
    let (current, older) = (directory.path().join("v2"), directory.path().join("v1"));
    fs::rename(&current, &older).unwrap();
    let kept = files(&older);
    assert!(made(&repository, &store, YAML) == wanted);
    assert_eq!(files(&older), kept);
    // Packages that end with the mark of an older format, and layers that would hide them are gone.
    fs::remove_dir_all(current.join("layers")).unwrap();
    let packages = files(&current.join("packages"));
    assert_eq!(packages.len(), 2);
    for path in packages {
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() = b'0';
        fs::write(&path, bytes).unwrap();
    }
    assert!(made(&repository, &store, YAML) == wanted);
}

#[test]
fn builds_at_the_same_time_share_a_store() {
    let repository = repository();
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path());
    thread::scope(|scope| {
        let builds: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| made(&repository, &store, YAML)))
            .collect();
        let digests: Vec<_> = builds.into_iter().map(|build| build.join().unwrap().0).collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]));
    });
}
