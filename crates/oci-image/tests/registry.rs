//! Images into registries that do as they should, and into some that do not.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_exchange::Login;
use oci_image::registry::{
    Access, DockerConfig, Published, RegistryClient, RegistryError, RegistryEvent, RegistryLogin,
    RegistryOptions, helper_store, publish, with_login,
};
use oci_image::{
    Annotations, BlobSource, Compression, Digest, Image, ImageIndex, ImageSpec, LayerWriter, Platform, Tag,
    Timestamp,
};
use tarball::{Header, Kind};
use testkit::{Authentication, RegistryFault, RegistryServer};

/// Bytes that do not compress, different for each seed.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let byte = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(byte).collect()
}

fn layer(seed: u32, length: usize) -> (oci_image::Layer, BlobSource) {
    let mut layer = LayerWriter::new(Vec::new(), Compression::default()).unwrap();
    let content = noise(length, seed);
    let header = Header {
        path: "noise".to_owned(),
        size: content.len() as u64,
        ..Header::new(Kind::Regular)
    };
    layer.append(&header, &content.into()).unwrap();
    let (layer, blob) = layer.finish().unwrap();
    (layer, BlobSource::Memory(blob.into()))
}

/// An index of images for some architectures, each with layers of so many bytes.
fn index_of(layers: &[(u32, usize)]) -> ImageIndex {
    let images = ["amd64", "arm64"].map(|architecture| {
        let spec = ImageSpec::new(Platform::linux(architecture), Timestamp::default());
        let layers = layers.iter().map(|(seed, length)| layer(*seed, *length));
        Image::new(&spec, layers.collect(), None).unwrap()
    });
    ImageIndex::new(images.into(), &Annotations::default(), &Timestamp::default()).unwrap()
}

/// An index with one layer that is large enough for parts.
fn large() -> ImageIndex {
    index_of(&[(1, 3 << 20)])
}

fn layer_digest(index: &ImageIndex) -> String {
    index.images[0].manifest.layers[0].digest.to_string()
}

/// A client that does not wait.
fn options() -> RegistryOptions {
    let mut options = RegistryOptions {
        part_size: 1 << 20,
        ..RegistryOptions::default()
    };
    options.http.sleep = Arc::new(|_| {});
    options
}

fn push(
    server: &RegistryServer,
    options: RegistryOptions,
    index: &ImageIndex,
) -> Result<Published, RegistryError> {
    let tag = format!("{}/team/web:1.0", server.authority()).parse().unwrap();
    publish(&RegistryClient::new(options), index, &[tag], &[])
}

/// Everything of the image is there as it should be, and the tag names it.
#[track_caller]
fn assert_whole(server: &RegistryServer, index: &ImageIndex) {
    let (digest, _, content) = server.manifest("team/web", "1.0").unwrap();
    assert_eq!(
        (digest, &content[..]),
        (index.digest().to_string(), &index.json[..])
    );
    for image in &index.images {
        assert!(server.manifest("team/web", &image.digest().to_string()).is_some());
        for blob in image.manifest.layers.iter().chain([&image.manifest.config]) {
            let content = server.blob("team/web", &blob.digest.to_string()).unwrap();
            assert_eq!(Digest::of(&content), blob.digest);
        }
    }
}

fn with_password(user: &str, password: &str) -> DockerConfig {
    let mut config = DockerConfig::default();
    let login = RegistryLogin::Password(Login::new(user, password));
    config.add("127.0.0.1:1", login);
    config
}

/// The same for a server.
fn credentials(server: &RegistryServer, login: RegistryLogin) -> RegistryOptions {
    let mut options = options();
    options.credentials.add(&server.authority(), login);
    options
}

fn password(user: &str, password: &str) -> RegistryLogin {
    RegistryLogin::Password(Login::new(user, password))
}

#[test]
fn only_what_is_missing_is_sent() {
    let server = RegistryServer::start();
    let first = index_of(&[(1, 1000), (2, 1000)]);
    let published = push(&server, options(), &first).unwrap();
    // Two layers that both images share, and a config for each.
    assert_eq!((published.sent, published.existing), (4, 0));
    assert_whole(&server, &first);
    server.log();

    let again = push(&server, options(), &first).unwrap();
    assert_eq!((again.sent, again.sent_bytes), (0, 0));
    assert_eq!(again.reference, published.reference);
    assert_eq!(
        server.log(),
        ["GET /v2/ 200", "HEAD /v2/team/web/manifests/1.0 200"]
    );

    // One of two layers is another one.
    let changed = index_of(&[(1, 1000), (3, 1000)]);
    let published = push(&server, options(), &changed).unwrap();
    assert_eq!((published.sent, published.existing), (3, 1));
    assert_whole(&server, &changed);
    let writes: Vec<String> = server
        .log()
        .into_iter()
        .filter(|line| line.starts_with("PUT"))
        .collect();
    assert_eq!(writes.len(), 3 + 2 + 1, "{writes:?}");
    assert!(
        writes.last().unwrap().ends_with("/manifests/1.0 201"),
        "the tag comes last"
    );
}

#[test]
fn another_tag_sends_the_index_alone_and_another_repository_takes_blobs_over() {
    let server = RegistryServer::start();
    let index = index_of(&[(1, 1000)]);
    let tag = |text: &str| -> Tag { format!("{}/{text}", server.authority()).parse().unwrap() };
    let client = RegistryClient::new(options());
    let tags = [tag("team/web:1.0"), tag("team/web:1"), tag("team/other:1.0")];
    let published = publish(&client, &index, &tags, &[]).unwrap();
    assert_eq!((published.sent, published.mounted), (3, 3));
    assert_eq!(server.tags("team/web"), ["1", "1.0"]);
    assert_eq!(server.tags("team/other"), ["1.0"]);
    assert!(server.blob("team/other", &layer_digest(&index)).is_some());

    let sources = [format!("{}/team/other", server.authority())];
    let published = publish(&client, &index, &[tag("team/third:2")], &sources).unwrap();
    assert_eq!((published.sent, published.mounted), (0, 3));
    let published = publish(&client, &index, &[tag("team/web:2")], &[]).unwrap();
    assert_eq!(published.sent_bytes, index.descriptor.size);
}

#[test]
fn a_large_blob_goes_in_parts_and_on_from_where_it_broke() {
    let server = RegistryServer::start();
    let index = large();
    // The second part breaks after some of it is there, the third one before any is, and the answer to the last is lost.
    let size = index.images[0].manifest.layers[0].size;
    let half = 1 << 19;
    server.fail(
        "PATCH",
        "/uploads/",
        [RegistryFault::Slow(Duration::ZERO), RegistryFault::Reset(half)],
    );
    server.fail(
        "PATCH",
        "/uploads/",
        [RegistryFault::Reset(0), RegistryFault::ResetAfterwards],
    );
    let (sent, most) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (counted, noted) = (Arc::clone(&sent), Arc::clone(&most));
    let mut options = options();
    options.watch = Some(Arc::new(move |event| {
        if let RegistryEvent::Sending { sent, size, .. } = event
            && *size > 1 << 20
        {
            counted.store(*sent, Ordering::Relaxed);
            noted.lock().unwrap().push(*sent);
        }
    }));
    push(&server, options, &index).unwrap();
    assert_whole(&server, &index);
    assert_eq!(sent.load(Ordering::Relaxed), size);
    let ranges: Vec<String> = server
        .requests()
        .iter()
        .filter(|request| request.method == "PATCH")
        .map(|request| request.headers["content-range"].clone())
        .collect();
    let mb = 1 << 20;
    let want = [
        format!("0-{}", mb - 1),
        format!("{mb}-{}", 2 * mb - 1),
        format!("{}-{}", mb + half, 2 * mb + half - 1),
        format!("{}-{}", mb + half, 2 * mb + half - 1),
        format!("{}-{}", 2 * mb + half, size - 1),
    ];
    assert_eq!(ranges, want);
}

#[test]
fn errors_that_pass_are_tried_again_and_others_are_not() {
    for (status, times) in [(500, 3), (503, 3), (429, 3), (400, 1), (413, 1)] {
        let server = RegistryServer::start();
        let index = large();
        server.fail("PATCH", "/uploads/", vec![RegistryFault::status(status); 2]);
        let outcome = push(&server, options(), &index);
        let asked = server
            .log()
            .iter()
            .filter(|line| line.starts_with("PATCH") && line.ends_with(&status.to_string()))
            .count();
        match times {
            1 => {
                let error = outcome.unwrap_err();
                assert_eq!((error.status(), asked), (Some(status), 1));
                let (registry, digest) = (server.authority(), layer_digest(&index));
                let hint = if status == 429 { " (too many requests)" } else { "" };
                let want = format!(
                    "cannot upload {registry}/team/web@{digest}: the server answers {status}{hint}: on purpose"
                );
                assert_eq!(error.to_string(), want);
                assert!(server.manifest("team/web", "1.0").is_none(), "no tag");
            }
            _ => {
                outcome.unwrap();
                assert_eq!(asked, 2);
                assert_whole(&server, &index);
            }
        }
    }
}

#[test]
fn a_server_that_never_recovers_is_given_up_with_the_number_of_attempts() {
    let server = RegistryServer::start();
    server.fail("POST", "/uploads/", vec![RegistryFault::status(502); 50]);
    let error = push(&server, options(), &index_of(&[(1, 100)])).unwrap_err();
    assert!(
        matches!(
            &error,
            RegistryError::Http {
                digest: Some(_),
                status: Some(502),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .ends_with("the server answers 502: on purpose (the last of 5 attempts)"),
        "{error}"
    );
    assert_eq!(server.tags("team/web"), [""; 0]);
}

#[test]
fn a_server_says_how_long_to_wait() {
    let server = RegistryServer::start();
    let after = |seconds: &str| {
        RegistryFault::Status(
            429,
            vec![("Retry-After", seconds.to_owned())],
            "slowly".to_owned(),
        )
    };
    server.fail("PUT", "/manifests/", [after("7")]);
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let mut patient = options();
    patient.http.sleep = Arc::new(move |wait| noted.lock().unwrap().push(wait.as_secs()));
    push(&server, patient, &index_of(&[(1, 100)])).unwrap();
    assert_eq!(*waits.lock().unwrap(), [7]);

    server.fail("PUT", "/manifests/", [after("3600")]);
    let error = push(&server, options(), &index_of(&[(2, 100)])).unwrap_err();
    let want = "the server answers 429 (too many requests): slowly, and asks to wait 3600 s, longer than the 30 s that are waited";
    assert!(error.to_string().ends_with(want), "{error}");
}

#[test]
fn a_lost_upload_is_begun_anew_but_not_for_ever() {
    let server = RegistryServer::start();
    let index = large();
    server.fail(
        "PATCH",
        "/uploads/",
        [RegistryFault::Slow(Duration::ZERO), RegistryFault::LoseUploads],
    );
    server.fail("PUT", "/uploads/", [RegistryFault::LoseUploads]);
    push(&server, options(), &index).unwrap();
    assert_whole(&server, &index);

    let server = RegistryServer::start();
    server.fail("PATCH", "/uploads/", vec![RegistryFault::LoseUploads; 10]);
    let error = push(&server, options(), &index).unwrap_err().to_string();
    assert!(
        error.ends_with(": the registry lost the upload 4 times"),
        "{error}"
    );
}

#[test]
fn an_upload_that_ended_unheard_is_not_sent_again() {
    let server = RegistryServer::start();
    let index = large();
    server.fail(
        "PUT",
        &layer_digest(&index).replace(':', "%3A"),
        [RegistryFault::ResetAfterwards],
    );
    push(&server, options(), &index).unwrap();
    assert_whole(&server, &index);
    let parts = server
        .log()
        .iter()
        .filter(|line| line.starts_with("PATCH"))
        .count();
    assert_eq!(parts, 4, "each part once");
}

#[test]
fn a_registry_that_takes_no_parts_gets_blobs_as_a_whole() {
    let server = RegistryServer::start();
    server.fail("PATCH", "/uploads/", vec![RegistryFault::status(405); 10]);
    push(&server, options(), &large()).unwrap();
    assert_whole(&server, &large());
}

#[test]
fn what_arrives_changed_is_an_error() {
    let server = RegistryServer::start();
    let index = index_of(&[(1, 100)]);
    server.fail("PUT", "/manifests/", [RegistryFault::WrongDigest]);
    let error = push(&server, options(), &index).unwrap_err();
    let RegistryError::WrongDigest {
        registry,
        repository,
        digest,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((registry, repository.as_str()), (&server.authority(), "team/web"));
    assert!(index.images.iter().any(|image| image.digest() == *digest));
    assert!(
        error.to_string().contains(&format!(" where {digest} was sent")),
        "{error}"
    );
    assert_eq!(server.tags("team/web"), [""; 0]);

    // A blob whose file was changed meanwhile.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let mut index = large();
    let size = index.images[0].manifest.layers[0].size as usize;
    fs::write(&path, noise(size - 1, 9)).unwrap();
    for image in &mut index.images {
        image.layers = vec![BlobSource::File(path.clone())];
    }
    let error = push(&server, options(), &index).unwrap_err().to_string();
    assert!(
        error.ends_with(&format!("it has {} bytes in the place of {size}", size - 1)),
        "{error}"
    );
    fs::write(&path, noise(size, 9)).unwrap();
    let error = push(&server, options(), &index).unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert!(
        error
            .to_string()
            .contains("provided digest did not match uploaded content"),
        "{error}"
    );
}

#[test]
fn a_blob_that_is_nowhere_is_named() {
    let server = RegistryServer::start();
    let mut index = index_of(&[(1, 100)]);
    for image in &mut index.images {
        image.layers = vec![BlobSource::File("/no/such/layer".into())];
    }
    let error = push(&server, options(), &index).unwrap_err();
    assert!(matches!(error, RegistryError::Blob { .. }), "{error:?}");
    for image in &mut index.images {
        image.layers = vec![BlobSource::Elsewhere];
    }
    let error = push(&server, options(), &index).unwrap_err().to_string();
    assert!(
        error.contains("the registry had this blob when the image was built"),
        "{error}"
    );
}

#[test]
fn a_slow_registry_is_waited_for_so_long_and_no_longer() {
    let server = RegistryServer::start();
    server.fail(
        "PUT",
        "/manifests/",
        [RegistryFault::Slow(Duration::from_millis(300))],
    );
    push(&server, options(), &index_of(&[(1, 100)])).unwrap();
    server.fail(
        "PUT",
        "/manifests/",
        [RegistryFault::Slow(Duration::from_secs(3))],
    );
    let mut hasty = options();
    hasty.http.timeouts.read = Duration::from_millis(200);
    let error = push(&server, hasty, &index_of(&[(2, 100)]))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("no answer within 0.2 s (--http-timeout)"),
        "{error}"
    );
}

#[test]
fn a_registry_wants_a_password() {
    for authentication in [
        Authentication::Basic("me".to_owned(), "s3cret".to_owned()),
        Authentication::Bearer("me".to_owned(), "s3cret".to_owned()),
    ] {
        let server = RegistryServer::start();
        server.authenticate(authentication.clone());
        let index = index_of(&[(1, 100)]);
        let error = push(&server, options(), &index).unwrap_err();
        assert_eq!(error.status(), Some(401), "{error}");
        assert!(
            error.to_string().contains("no credentials for it were found"),
            "{error}"
        );
        let error = push(&server, credentials(&server, password("me", "wr0ng")), &index).unwrap_err();
        assert!(
            error.to_string().contains("with the credentials that were sent"),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("wr0ng"));
        push(&server, credentials(&server, password("me", "s3cret")), &index).unwrap();
        assert_whole(&server, &index);
    }
    // Another server's password is not sent.
    let server = RegistryServer::start();
    server.authenticate(Authentication::Basic("me".to_owned(), "s3cret".to_owned()));
    let mut options = options();
    options.credentials = with_password("me", "s3cret");
    assert_eq!(push(&server, options, &large()).unwrap_err().status(), Some(401));
}

#[test]
fn tokens_are_renewed_and_identity_tokens_exchanged() {
    let server = RegistryServer::start();
    server.authenticate(Authentication::Bearer("me".to_owned(), "s3cret".to_owned()));
    server.fail(
        "PATCH",
        "/uploads/",
        [RegistryFault::Slow(Duration::ZERO), RegistryFault::ExpireTokens],
    );
    server.fail("PUT", "/manifests/", [RegistryFault::ExpireTokens]);
    let index = large();
    push(&server, credentials(&server, password("me", "s3cret")), &index).unwrap();
    assert_whole(&server, &index);
    let tokens = server
        .log()
        .iter()
        .filter(|line| line.contains("/token?"))
        .count();
    assert_eq!(tokens, 3);

    let identity = RegistryLogin::IdentityToken("identity".to_owned());
    push(&server, credentials(&server, identity), &index_of(&[(7, 10)])).unwrap();
    let token = RegistryLogin::RegistryToken("token-2".to_owned());
    push(&server, credentials(&server, token), &index_of(&[(8, 10)])).unwrap();
}

#[test]
fn tls_is_verified_unless_it_is_said_not_to_be() {
    let server = RegistryServer::start_tls();
    let index = index_of(&[(1, 100)]);
    let error = push(&server, options(), &index).unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    // Plain HTTP is another matter.
    let mut plain = options();
    plain.allow_http = true;
    assert!(push(&server, plain, &index).is_err());
    let mut trusting = options();
    let pem = server.certificate().unwrap();
    trusting
        .http
        .roots
        .bundles
        .push(("ca.pem".to_owned(), pem.into()));
    push(&server, trusting, &index).unwrap();
    let mut careless = options();
    careless.http.skip_verification = true;
    push(&server, careless, &index_of(&[(2, 100)])).unwrap();
}

#[test]
fn whoever_cancels_leaves_no_tag() {
    let server = RegistryServer::start();
    let mut options = options();
    let cancel = Arc::clone(&options.http.cancel);
    options.watch = Some(Arc::new(move |event| {
        if matches!(event, RegistryEvent::Sent { .. }) {
            cancel.store(true, Ordering::Relaxed);
        }
    }));
    let index = large();
    let error = push(&server, options, &index).unwrap_err();
    assert!(matches!(error, RegistryError::Cancelled), "{error:?}");
    assert_eq!(server.tags("team/web"), [""; 0]);
    // The next one goes on with what is there.
    let published = push(&server, self::options(), &index).unwrap();
    assert!(published.existing > 0);
    assert_whole(&server, &index);
}

#[test]
fn a_program_keeps_the_password() {
    let directory = tempfile::tempdir().unwrap();
    let (program, kept) = (
        directory.path().join("docker-credential-fake"),
        directory.path().join("kept"),
    );
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat > {kept} ;;\nget) read -r server; [ \"$server\" = h ] || {{ echo 'credentials not found in native keychain'; exit 1; }}; cat {kept} ;;\nesac\n",
        kept = kept.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // A name with a slash is no name of Docker's, and finds the program without a search path.
    let program = program.to_str().unwrap();
    helper_store(program, "h", &Login::new("me", "s3cret")).unwrap();
    let stored = fs::read_to_string(&kept).unwrap();
    assert_eq!(stored, r#"{"ServerURL":"h","Username":"me","Secret":"s3cret"}"#);

    let error = helper_store("/no/such/docker-credential-x", "h", &Login::new("me", "s3cret")).unwrap_err();
    assert!(
        error.to_string().starts_with("/no/such/docker-credential-x: "),
        "{error}"
    );
    let error = helper_store("/bin/false", "h", &Login::new("me", "s3cret")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    assert!(
        with_login("", "h", &Login::new("me", "s3cret"))
            .unwrap()
            .contains("auths")
    );
}

#[test]
fn a_repository_that_may_not_be_written_to_is_told_from_one_that_is_not_there() {
    let server = RegistryServer::start();
    server.fail(
        "POST",
        "/uploads/",
        [RegistryFault::Status(
            403,
            Vec::new(),
            "requested access to the resource is denied".to_owned(),
        )],
    );
    let error = push(&server, options(), &index_of(&[(1, 100)])).unwrap_err();
    let RegistryError::Denied {
        status: 403,
        action: "write to",
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert!(
        error
            .to_string()
            .ends_with("requested access to the resource is denied"),
        "{error}"
    );
    let client = RegistryClient::new(options());
    let repository = client
        .repository(&server.authority(), "team/none", Access::Pull, &[])
        .unwrap();
    assert_eq!(repository.digest_of_tag("1.0").unwrap(), None);
    assert!(!repository.has_blob(Digest::of(b"")).unwrap());
}
