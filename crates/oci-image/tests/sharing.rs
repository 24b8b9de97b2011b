//! Blobs that a layout shares with what they come from.

#![allow(clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use oci_image::{
    Annotations, BlobSource, Compression, Image, ImageIndex, ImageSpec, LayerWriter, LayoutError, Platform,
    Timestamp, write_layout,
};
use tarball::{Header, Kind};

#[test]
fn a_shared_blob_is_linked_if_it_is_as_public_and_verified_if_it_is_copied() {
    let mut writer = LayerWriter::new(Vec::new(), Compression::default()).unwrap();
    let header = Header {
        path: "hello".into(),
        size: 5,
        ..Header::new(Kind::Regular)
    };
    writer.append(&header, &"hello".into()).unwrap();
    let (layer, blob) = writer.finish().unwrap();
    let digest = layer.descriptor.digest.hex();

    let directory = tempfile::tempdir().unwrap();
    let shared = directory.path().join("shared");
    let created = Timestamp::from_unix(0).unwrap();
    let write = |name: &str, content: &[u8], mode: u32| -> Result<(u64, u64), LayoutError> {
        fs::write(&shared, content).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(mode)).unwrap();
        let spec = ImageSpec::new(Platform::linux("amd64"), created.clone());
        let layers = vec![(layer.clone(), BlobSource::Shared(shared.clone()))];
        let image = Image::new(&spec, layers, None).unwrap();
        let index = ImageIndex::new(vec![image], &Annotations::default(), &created).unwrap();
        let layout = directory.path().join(name);
        write_layout(&layout, &index)?;
        let written = layout.join("blobs/sha256").join(&digest);
        assert!(fs::read(&written).unwrap() == blob);
        Ok((
            fs::metadata(written).unwrap().ino(),
            fs::metadata(&shared).unwrap().ino(),
        ))
    };
    // Directories are made with the process's umask, so blobs are as public as this one.
    fs::create_dir(directory.path().join("probe")).unwrap();
    let public = fs::metadata(directory.path().join("probe"))
        .unwrap()
        .permissions()
        .mode()
        & 0o666;

    let (written, source) = write("linked", &blob, public).unwrap();
    assert_eq!(written, source);
    fs::remove_file(&shared).unwrap();
    let (written, source) = write("copied", &blob, 0o400).unwrap();
    assert_ne!(written, source);
    fs::remove_file(&shared).unwrap();
    let mut damaged = blob.clone();
    damaged[20] ^= 1;
    assert!(matches!(
        write("damaged", &damaged, 0o400),
        Err(LayoutError::Mismatch { .. })
    ));
    assert!(!directory.path().join("damaged").exists());
}
