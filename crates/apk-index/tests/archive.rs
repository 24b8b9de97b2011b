//! Indexes written, signed, read back and tampered with.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::LazyLock;

use apk_index::{Index, IndexError, add_signature, parse, sign, unsigned, write};
use apk_package::{Digest, Keyring, PrivateKey, Problem, SignatureError, SignaturePolicy, deflate};
use apk_types::{Checksum, Dependency, PackageRecord};
use proptest::prelude::*;
use tarball::{Header, Kind};

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());
static SIGNED: LazyLock<Vec<u8>> =
    LazyLock::new(|| sign(&index().to_archive().unwrap(), &KEY, "test.rsa.pub").unwrap());

fn record(name: &str, version: &str) -> PackageRecord {
    PackageRecord {
        name: name.into(),
        version: version.into(),
        description: format!("the package {name}"),
        checksum: Some(Checksum::Sha1([7; 20])),
        depends: vec![Dependency::lenient("so:libc.so.6")],
        build_time: Some(0),
        ..PackageRecord::default()
    }
}

fn index() -> Index {
    Index {
        description: "a repository".into(),
        packages: vec![record("a", "1-r0"), record("b", "2-r0"), record("a", "2-r0")],
        signatures: vec![],
    }
}

fn keyring() -> Keyring {
    let mut keyring = Keyring::default();
    keyring.insert("test.rsa.pub", KEY.public_key());
    keyring
}

#[test]
fn what_is_written_is_read() {
    let unsigned = Index::open_unverified(&index().to_archive().unwrap(), Index::MAX_SIZE).unwrap();
    assert_eq!(unsigned, index());
    let signed = Index::open(&SIGNED, &keyring(), Index::MAX_SIZE).unwrap();
    assert_eq!(signed.packages, index().packages);
    assert_eq!(signed.signatures[0].member_name(), ".SIGN.RSA256.test.rsa.pub");
}

#[test]
fn signing_again_replaces_the_signature() {
    let again = sign(&SIGNED, &KEY, "new.rsa.pub").unwrap();
    assert_eq!(unsigned(&again).unwrap(), unsigned(&SIGNED).unwrap());
    let index = Index::open_unverified(&again, Index::MAX_SIZE).unwrap();
    let names: Vec<&str> = index
        .signatures
        .iter()
        .map(|signature| signature.key.as_str())
        .collect();
    assert_eq!(names, ["new.rsa.pub"]);
}

#[test]
fn each_of_several_signatures_suffices() {
    let other = PrivateKey::generate(2048).unwrap();
    let both = add_signature(&SIGNED, &other, "other.rsa.pub", Digest::Sha1).unwrap();
    let all = add_signature(&both, &other, "other.rsa.pub", Digest::Sha512).unwrap();
    let again = add_signature(&all, &KEY, "test.rsa.pub", Digest::Sha256).unwrap();
    let index = Index::open_unverified(&again, Index::MAX_SIZE).unwrap();
    let mut names: Vec<String> = index.signatures.iter().map(|one| one.member_name()).collect();
    names.sort();
    let wanted = [
        ".SIGN.RSA.other.rsa.pub",
        ".SIGN.RSA256.test.rsa.pub",
        ".SIGN.RSA512.other.rsa.pub",
    ];
    assert_eq!(names, wanted);
    for (name, key) in [("test.rsa.pub", &*KEY), ("other.rsa.pub", &other)] {
        let mut keyring = Keyring::default();
        keyring.insert(name, key.public_key());
        assert!(Index::open(&again, &keyring, Index::MAX_SIZE).is_ok(), "{name}");
    }
    // The one over SHA-1 does not count under a policy, the one over SHA-512 does.
    let mut strict = Keyring::new(SignaturePolicy::NoSha1);
    strict.insert("other.rsa.pub", other.public_key());
    assert!(Index::open(&all, &strict, Index::MAX_SIZE).is_ok());
    assert!(Index::open(&both, &strict, Index::MAX_SIZE).is_err());
}

#[test]
fn an_index_of_apk_v3_is_named_for_what_it_is() {
    for magic in [b"ADB.", b"ADBd", b"ADBc"] {
        let error = Index::open_unverified(&[magic, &[0; 60][..]].concat(), Index::MAX_SIZE).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it is an apk v3 (ADB) index, which is not supported yet; only apk v2 is"
        );
    }
}

#[test]
fn an_unverified_index_is_refused_with_the_reason() {
    let refused = |archive: &[u8], keyring: &Keyring| match Index::open(archive, keyring, Index::MAX_SIZE) {
        Err(IndexError::Signature(error)) => error,
        other => panic!("{other:?}"),
    };
    let mut strange = Keyring::default();
    assert!(refused(&SIGNED, &strange).to_string().contains("no key"));
    assert_eq!(
        refused(unsigned(&SIGNED).unwrap(), &keyring()),
        SignatureError::Unsigned
    );
    strange.insert("other.rsa.pub", KEY.public_key());
    let message = refused(&SIGNED, &strange).to_string();
    assert!(
        message.contains("signature") && message.contains("test.rsa.pub"),
        "{message}"
    );
}

#[test]
fn an_index_stays_within_its_limit() {
    let error = Index::open(&SIGNED, &keyring(), 100).unwrap_err();
    assert!(
        matches!(error, IndexError::Archive(Problem::TooLarge { limit: 100, .. })),
        "{error}"
    );
}

#[test]
fn what_is_no_index_is_named() {
    let rows: [(&[u8], &str); 3] = [
        (b"<html>", "the index is not gzip"),
        (&SIGNED[..SIGNED.len() - 1], "the index is truncated"),
        (b"", "the index is truncated"),
    ];
    for (bytes, message) in rows {
        let error = Index::open_unverified(bytes, Index::MAX_SIZE).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn members_that_do_not_belong_there_are_named() {
    let archive = |name: &str| {
        let mut tar = tarball::Writer::new(Vec::new());
        tar.append(
            &Header {
                path: name.into(),
                ..Header::new(Kind::Regular)
            },
            b"",
        )
        .unwrap();
        deflate(&tar.finish().unwrap())
    };
    let open = |name| {
        Index::open_unverified(&archive(name), Index::MAX_SIZE)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        open("evil"),
        "the index contains `evil`, which does not belong there"
    );
    assert_eq!(open("DESCRIPTION"), "the index contains no `APKINDEX`");
}

#[test]
fn merging_replaces_the_same_version_and_appends_the_others() {
    let mut merged = index();
    let replacement = PackageRecord {
        description: "new".into(),
        ..record("b", "2-r0")
    };
    merged.merge([replacement, record("c", "1-r0"), record("c", "1-r0")]);
    let names: Vec<String> = merged.packages.iter().map(PackageRecord::file_name).collect();
    assert_eq!(names, ["a-1-r0.apk", "b-2-r0.apk", "a-2-r0.apk", "c-1-r0.apk"]);
    assert_eq!(merged.packages[1].description, "new");
}

#[test]
fn the_archive_before_compression_is_that_of_melange() {
    let tar = apk_package::inflate("index", &Index::default().to_archive().unwrap(), 1 << 20).unwrap();
    // Two empty members and the two blocks that end an archive.
    assert_eq!(tar.len(), 4 * 512);
    assert_eq!(&tar[..9], b"APKINDEX\0");
    assert_eq!(&tar[512..523], b"DESCRIPTION");
    assert_eq!(&tar[100..116], b"0000644\x000000000\0");
    assert_eq!(&tar[265..329], [0; 64], "no owner's name");
}

fn texts() -> impl Strategy<Value = Vec<Dependency>> {
    prop::collection::vec("[!a-z:=<>~.0-9]{1,8}", 0..3)
        .prop_map(|texts| texts.iter().map(|text| Dependency::lenient(text)).collect())
}

prop_compose! {
    fn records()(
        texts in prop::array::uniform8("[^\r\n]{0,6}"),
        name in "[a-z]{1,5}",
        checksum in any::<Option<[u8; 20]>>(),
        (depends, provides, install_if) in (texts(), texts(), texts()),
        (size, installed_size) in any::<(u64, u64)>(),
        build_time in any::<Option<i64>>(),
        provider_priority in prop::option::of(1_u64..),
    ) -> PackageRecord {
        let [version, arch, description, license, origin, maintainer, url, commit] = texts;
        PackageRecord {
            name, version, arch, description, license, origin, maintainer, url, commit, depends, provides,
            install_if, size, installed_size, build_time, provider_priority,
            checksum: checksum.map(Checksum::Sha1),
            ..PackageRecord::default()
        }
    }
}

proptest! {
    #[test]
    fn any_records_are_read_as_written(records in prop::collection::vec(records(), 0..4)) {
        prop_assert_eq!(parse(&write(&records).unwrap()).unwrap(), records);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([A-Za-z]:?\\PC{0,9}\n?){0,9}") {
        let _ = parse(&text);
    }

    #[test]
    fn one_changed_byte_anywhere_is_refused(place in any::<prop::sample::Index>(), bits in 1_u8..) {
        let mut changed = SIGNED.clone();
        let place = place.index(changed.len());
        changed[place] ^= bits;
        if let Ok(index) = Index::open(&changed, &keyring(), Index::MAX_SIZE) {
            let start = SIGNED.len() - unsigned(&SIGNED).unwrap().len();
            prop_assert!(place < start, "byte {} was changed", place);
            prop_assert_eq!(index.packages, self::index().packages);
        }
    }
}

/// What melange wrote reads back as written, where the conformance sets are at hand.
#[test]
fn indexes_of_melange_are_written_as_read() {
    let cases = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/melange/cases"
    );
    let Ok(cases) = std::fs::read_dir(cases) else {
        println!("skipped: the conformance sets are not here");
        return;
    };
    let goldens = cases.map(|case| case.unwrap().path().join("golden/APKINDEX"));
    for golden in goldens.filter(|golden| golden.exists()) {
        let text = std::fs::read_to_string(golden).unwrap();
        assert_eq!(write(&parse(&text).unwrap()).unwrap(), text);
    }
}
