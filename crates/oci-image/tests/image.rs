//! Images as a whole: config bytes, layouts and archives.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use oci_image::{
    Algorithm, Annotations, BlobSource, Compression, Descriptor, Digest, Image, ImageIndex, ImageSpec, Layer,
    LayerError, LayerWriter, Platform, Tag, Timestamp, media_type,
};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use tarball::{Header, Kind};

const CREATED: &str = "2024-09-03T18:09:57Z";

fn time() -> Timestamp {
    CREATED.parse().unwrap()
}

fn regular(path: &str, content: &'static str) -> (Header, Bytes) {
    let header = Header {
        path: path.into(),
        mode: 0o644,
        size: content.len() as u64,
        ..Header::new(Kind::Regular)
    };
    (header, Bytes::from_static(content.as_bytes()))
}

fn layer(files: &[(&str, &'static str)]) -> (Layer, BlobSource) {
    let mut writer = LayerWriter::new(Vec::new(), Compression::default()).unwrap();
    for (path, content) in files {
        let (header, content) = regular(path, content);
        writer.append(&header, &content.clone().into()).unwrap();
    }
    let (layer, blob) = writer.finish().unwrap();
    (layer, BlobSource::Memory(blob.into()))
}

/// A layer of which nothing but the diff ID matters.
fn diff_id(text: &str) -> (Layer, BlobSource) {
    let descriptor = Descriptor::of(media_type::LAYER_GZIP, b"");
    let layer = Layer {
        descriptor,
        diff_id: text.parse().unwrap(),
        uncompressed_size: 0,
    };
    (layer, BlobSource::Memory(Bytes::new()))
}

fn index(architectures: &[&str]) -> ImageIndex {
    let image = |architecture: &&str| {
        let spec = ImageSpec::new(Platform::linux(architecture), time());
        Image::new(&spec, vec![layer(&[("a", "same"), ("arch", "")])], None).unwrap()
    };
    ImageIndex::new(
        architectures.iter().map(image).collect(),
        &Annotations::default(),
        &time(),
    )
    .unwrap()
}

#[test]
fn the_config_of_a_known_image_has_its_digest() {
    let mut spec = ImageSpec::new(Platform::linux("amd64"), time());
    spec.entrypoint = vec!["/bin/sh".into(), "-l".into()];
    spec.environment
        .insert("PATH".into(), "/usr/sbin:/sbin:/usr/bin:/bin".into());
    let layer = diff_id("sha256:2321de940538bd5d8a0e5a4ba73646d0abc76a00cbc6b1cfe5d01bb7d9f29060");
    let image = Image::new(&spec, vec![layer], None).unwrap();
    assert_eq!(
        image.manifest.config.digest.to_string(),
        "sha256:2dc4751aa936e888f4f9a3bd12dc1e6094012e771e2c9085a18a787195ed4b55"
    );
}

#[test]
fn the_config_says_all_that_the_specification_says() {
    let mut spec = ImageSpec::new(Platform::linux("arm/v7"), time());
    spec.entrypoint = oci_image::shell_entrypoint("exec \"$0\" < /dev/null");
    spec.cmd = vec!["serve".into()];
    spec.environment = BTreeMap::from([("A".into(), "1".into()), ("A1".into(), "2".into())]);
    spec.user = "65532:65532".into();
    spec.working_dir = "/srv".into();
    spec.volumes = Some(vec!["/data".into(), "/cache".into()]);
    spec.stop_signal = "SIGINT".into();
    spec.annotations.custom = BTreeMap::from([
        ("org.opencontainers.image.title".into(), "hello".into()),
        ("org.opencontainers.image.vendor".into(), "me".into()),
    ]);
    spec.annotations.source = Some(("https://example.org/r".into(), "0123abc".into()));
    let zeros = format!("sha256:{}", "0".repeat(64));
    let image = Image::new(&spec, vec![diff_id(&zeros), diff_id(&zeros)], None).unwrap();
    let annotations = concat!(
        r#"{"org.opencontainers.image.created":"2024-09-03T18:09:57Z","org.opencontainers.image.revision":"0123abc","#,
        r#""org.opencontainers.image.source":"https://example.org/r","org.opencontainers.image.title":"hello","#,
        r#""org.opencontainers.image.vendor":"me"}"#
    );
    let history =
        r#"{"author":"apko","created":"2024-09-03T18:09:57Z","created_by":"apko","comment":"hello by me"}"#;
    let want = [
        r#"{"architecture":"arm","author":"github.com/chainguard-dev/apko","created":"2024-09-03T18:09:57Z","history":["#,
        history,
        ",",
        history,
        r#"],"os":"linux","rootfs":{"type":"layers","diff_ids":[""#,
        &zeros,
        r#"",""#,
        &zeros,
        r#""]},"config":{"Cmd":["serve"],"Entrypoint":["/bin/sh","-c","exec \"$0\" \u003c /dev/null"],"#,
        // `1` sorts before `=`.
        r#""Env":["A1=2","A=1","PATH=/usr/local/sbin:/usr/local/bin:/usr/bin:/usr/sbin:/sbin:/bin","#,
        r#""SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],"Labels":"#,
        annotations,
        r#","User":"65532:65532","Volumes":{"/cache":{},"/data":{}},"WorkingDir":"/srv","StopSignal":"SIGINT"},"variant":"v7"}"#,
    ]
    .concat();
    assert_eq!(image.config_json, want);
    assert!(
        image
            .manifest_json
            .ends_with(format!(r#","annotations":{annotations}}}"#).as_bytes())
    );
}

#[test]
fn the_index_names_platforms_and_artifact_types_in_order() {
    let index = index(&["arm64", "riscv64", "arm/v7", "amd64"]);
    let json = std::str::from_utf8(&index.json).unwrap();
    let arm = &index.images[1];
    let entry = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":{},"digest":"{}","platform":{{"architecture":"arm","os":"linux","variant":"v7"}},"artifactType":"application/vnd.oci.image.config.v1+json"}}"#,
        arm.manifest_json.len(),
        arm.digest(),
    );
    assert!(json.contains(&entry), "{json}");
    let order: Vec<_> = index
        .images
        .iter()
        .map(|i| i.config.architecture.as_str())
        .collect();
    assert_eq!(order, ["amd64", "arm", "arm64", "riscv64"]);
}

#[test]
fn content_of_another_size_than_declared_is_refused_by_name() {
    let (mut header, content) = regular("etc/liar", "four");
    header.size = 5;
    let mut writer = LayerWriter::new(Vec::new(), Compression::default()).unwrap();
    let error = writer.append(&header, &content.clone().into()).unwrap_err();
    assert!(matches!(&error, LayerError::Size { path, declared: 5, actual: 4 } if path == "etc/liar"));
}

#[test]
fn thread_counts_change_neither_digest_nor_diff_id() {
    let big = Bytes::from((0..5_000_000u32).map(|i| (i / 97) as u8).collect::<Vec<_>>());
    let write = |algorithm: Algorithm, threads: usize| {
        let compression = Compression {
            threads: threads.try_into().unwrap(),
            ..Compression::with(algorithm)
        };
        let mut writer = LayerWriter::new(Vec::new(), compression).unwrap();
        for i in 0..40 {
            let content = big.slice(..i * 1000);
            let header = Header {
                path: format!("f{i}"),
                size: content.len() as u64,
                ..Header::new(Kind::Regular)
            };
            writer.append(&header, &content.clone().into()).unwrap();
        }
        let header = Header {
            path: "big".into(),
            size: big.len() as u64,
            ..Header::new(Kind::Regular)
        };
        writer.append(&header, &big.clone().into()).unwrap();
        let (layer, blob) = writer.finish().unwrap();
        let mut tar = Vec::new();
        let media_type = match algorithm {
            Algorithm::Gzip => {
                flate2::read::GzDecoder::new(&blob[..])
                    .read_to_end(&mut tar)
                    .unwrap();
                media_type::LAYER_GZIP
            }
            Algorithm::Zstd => {
                zstd::Decoder::new(&blob[..])
                    .unwrap()
                    .read_to_end(&mut tar)
                    .unwrap();
                media_type::LAYER_ZSTD
            }
        };
        assert_eq!(Digest::of(&tar), layer.diff_id);
        assert_eq!(tar.len() as u64, layer.uncompressed_size);
        assert_eq!(Descriptor::of(media_type, &blob), layer.descriptor);
        layer
    };
    let algorithms = [Algorithm::Gzip, Algorithm::Zstd];
    let [gzip, zstd] = algorithms.map(|algorithm| {
        let want = write(algorithm, 1);
        for threads in [2, 7, 8] {
            assert_eq!(write(algorithm, threads), want);
        }
        want
    });
    assert_eq!(gzip.diff_id, zstd.diff_id);
    assert!(zstd.descriptor.size < gzip.descriptor.size);
}

/// Every file under `dir` by its path.
fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn expected_files(index: &ImageIndex) -> Vec<String> {
    let mut names: Vec<_> = index
        .images
        .iter()
        .flat_map(|i| {
            i.manifest
                .layers
                .iter()
                .map(|l| l.digest)
                .chain([i.manifest.config.digest, i.digest()])
        })
        .map(|digest| format!("blobs/sha256/{}", digest.hex()))
        .chain(["index.json".to_owned(), "oci-layout".to_owned()])
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn a_layout_appears_where_nothing_or_an_empty_directory_was() {
    let tmp = tempfile::tempdir().unwrap();
    let index = index(&["amd64", "arm64"]);
    fs::create_dir(tmp.path().join("empty")).unwrap();
    for name in ["new", "empty"] {
        let dir = tmp.path().join(name);
        oci_image::write_layout(&dir, &index).unwrap();
        assert_eq!(files(&dir), expected_files(&index));
        assert_eq!(fs::read(dir.join("index.json")).unwrap(), index.json);
    }
    assert_eq!(
        fs::read_dir(tmp.path()).unwrap().count(),
        2,
        "nothing temporary is left"
    );
}

#[test]
fn an_empty_directory_stays_the_same_directory() {
    use std::os::unix::fs::MetadataExt;
    let tmp = tempfile::tempdir().unwrap();
    let before = fs::metadata(tmp.path()).unwrap().ino();
    oci_image::write_layout(tmp.path(), &index(&["amd64"])).unwrap();
    // A shell whose working directory it is must see the layout.
    assert_eq!(fs::metadata(tmp.path()).unwrap().ino(), before);
}

#[test]
fn a_second_layout_replaces_the_index_and_keeps_other_files() {
    let tmp = tempfile::tempdir().unwrap();
    oci_image::write_layout(tmp.path(), &index(&["amd64"])).unwrap();
    fs::write(tmp.path().join("notes"), "mine").unwrap();
    let second = index(&["arm64"]);
    oci_image::write_layout(tmp.path(), &second).unwrap();
    let found = files(tmp.path());
    assert_eq!(fs::read(tmp.path().join("index.json")).unwrap(), second.json);
    assert!(expected_files(&second).iter().all(|f| found.contains(f)));
    assert!(found.contains(&"notes".to_owned()));
    assert!(!found.iter().any(|f| f.starts_with('.')), "{found:?}");
}

#[test]
fn a_damaged_blob_leaves_the_output_as_it_was() {
    let tmp = tempfile::tempdir().unwrap();
    let blob = tmp.path().join("blob");
    let (layer, _) = layer(&[("a", "b")]);
    fs::write(&blob, "something else").unwrap();
    let spec = ImageSpec::new(Platform::linux("amd64"), time());
    let image = Image::new(&spec, vec![(layer, BlobSource::File(blob.clone()))], None).unwrap();
    let index = ImageIndex::new(vec![image], &Annotations::default(), &time()).unwrap();
    let tag: Tag = "a/b".parse().unwrap();
    for existing in [false, true] {
        let out = tmp.path().join(format!("out-{existing}"));
        if existing {
            fs::create_dir(&out).unwrap();
            fs::write(out.join("index.json"), "old").unwrap();
        }
        let error = oci_image::write_layout(&out, &index).unwrap_err().to_string();
        assert!(error.contains("blob has digest sha256:"), "{error}");
        assert_eq!(
            if existing { files(&out) } else { vec![] },
            if existing { vec!["index.json"] } else { vec![] }
        );
        assert_eq!(out.exists(), existing);
    }
    let out = tmp.path().join("out.tar");
    assert!(oci_image::write_archive(&out, &index, &[tag]).is_err());
    let mut left: Vec<_> = fs::read_dir(tmp.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["blob", "out-true"]);
}

#[test]
fn a_spooled_layer_becomes_a_blob_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let tmp = tempfile::tempdir().unwrap();
    let spool = tempfile::NamedTempFile::new_in(tmp.path()).unwrap();
    let mut writer = LayerWriter::new(spool, Compression::default()).unwrap();
    let (header, content) = regular("a", "b");
    writer.append(&header, &content.clone().into()).unwrap();
    let (layer, spool) = writer.finish().unwrap();
    let (digest, blob) = (layer.descriptor.digest, BlobSource::from(spool.into_temp_path()));
    let spec = ImageSpec::new(Platform::linux("amd64"), time());
    let image = Image::new(&spec, vec![(layer, blob)], None).unwrap();
    let index = ImageIndex::new(vec![image], &Annotations::default(), &time()).unwrap();
    let out = tmp.path().join("out");
    oci_image::write_layout(&out, &index).unwrap();
    drop(index);
    let blob = out.join("blobs/sha256").join(digest.hex());
    assert_eq!(Digest::of(&fs::read(&blob).unwrap()), digest);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&blob), mode(&out.join("index.json")));
    assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 1);
}

#[test]
fn an_image_on_a_base_keeps_its_layers_history_and_settings() {
    let tmp = tempfile::tempdir().unwrap();
    let mut spec = ImageSpec::new(Platform::linux("amd64"), "2020-01-01T00:00:00Z".parse().unwrap());
    spec.cmd = vec!["from-base".into()];
    spec.annotations.custom.insert("base".into(), "yes".into());
    let below = Image::new(&spec, vec![layer(&[("a", "base")])], None).unwrap();
    let lower = below.manifest.layers[0].digest;
    let index = ImageIndex::new(vec![below], &Annotations::default(), &time()).unwrap();
    oci_image::write_layout(&tmp.path().join("base"), &index).unwrap();

    let missing = oci_image::read_layout(&tmp.path().join("base"), "arm64").unwrap_err();
    assert!(missing.to_string().contains("has no image for arm64"));

    let base = oci_image::read_layout(&tmp.path().join("base"), "amd64").unwrap();
    let mut spec = ImageSpec::new(Platform::linux("amd64"), time());
    spec.entrypoint = vec!["/new".into()];
    let image = Image::new(&spec, vec![layer(&[("b", "top")])], Some(base)).unwrap();
    assert_eq!(image.manifest.layers[0].digest, lower);
    assert_eq!(image.config.rootfs.diff_ids.len(), 2);
    assert_eq!(image.config.history[0].created.as_str(), "2020-01-01T00:00:00Z");
    assert_eq!(image.config.config.cmd, ["from-base"]);
    assert_eq!(image.config.config.entrypoint, ["/new"]);
    assert!(
        !image.config.config.labels.contains_key("base"),
        "labels are the image's own"
    );
    assert!(
        image.manifest.annotations.contains_key("base"),
        "annotations are added to the base's"
    );

    let index = ImageIndex::new(vec![image], &Annotations::default(), &time()).unwrap();
    let out = tmp.path().join("out");
    oci_image::write_layout(&out, &index).unwrap();
    assert_eq!(files(&out), expected_files(&index));
}

#[test]
fn an_archive_holds_what_docker_load_and_the_reference_expect() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("out.tar");
    fs::write(&path, vec![b'x'; 100_000]).unwrap();
    let index = index(&["amd64", "arm/v6", "arm/v7"]);
    let tag: Tag = "example:v1".parse().unwrap();
    oci_image::write_archive(&path, &index, &[tag.clone(), tag]).unwrap();

    let entries = tarball::read(fs::read(&path).unwrap().into(), &tarball::Limits::default()).unwrap();
    let names: Vec<_> = entries.iter().map(|e| e.header.path.clone()).collect();
    let shared = format!("{}.tar.gz", index.images[0].manifest.layers[0].digest.hex());
    let [amd64, v6, v7] = [0, 1, 2].map(|i| index.images[i].manifest.config.digest.to_string());
    let mut want = vec![
        amd64.clone(),
        shared.clone(),
        v6.clone(),
        v7.clone(),
        "manifest.json".into(),
    ];
    want.extend(index.images.iter().map(|i| i.digest().to_string()));
    want.push("index.json".into());
    assert_eq!(names, want);

    let entry = |config, arch| {
        format!(
            r#"{{"Config":"{config}","RepoTags":["index.docker.io/library/example:v1-{arch}"],"Layers":["{shared}"]}}"#
        )
    };
    let want = [entry(amd64, "amd64"), entry(v6, "arm_v6"), entry(v7, "arm_v7")].join(",");
    assert_eq!(entries[4].content, format!("[{want}]"));
    assert_eq!(entries[8].content, index.json);
    assert_eq!(
        fs::read_dir(tmp.path()).unwrap().count(),
        1,
        "nothing temporary is left"
    );
}
