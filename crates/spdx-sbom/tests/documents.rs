//! Documents as a whole, and what becomes of documents inside packages.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use spdx_sbom::{
    Configuration, Creation, DEFAULT_SUPPLIER, Document, EmbeddedSbom, ImageSbom, ImageSbomError, IndexSbom,
    IndexedImage, Layer, OsRelease, PackageSbom, SbomWarning, Source,
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn creation() -> Creation {
    Creation {
        created: "2023-11-14T22:13:20Z".to_owned(),
        creators: vec!["Tool: test (1)".to_owned()],
    }
}

fn image(packages: &[(&str, Value)]) -> ImageSbom {
    let embedded = |(package, json): &(&str, Value)| EmbeddedSbom {
        package: (*package).to_owned(),
        json: json.to_string().into_bytes(),
    };
    let layer = Layer {
        digest: "sha256:aa".to_owned(),
        media_type: LAYER.to_owned(),
    };
    ImageSbom {
        creation: creation(),
        repository: Some("library/example".to_owned()),
        architecture: "amd64".to_owned(),
        digest: "sha256:bb".to_owned(),
        layers: vec![layer],
        os: OsRelease::parse("ID=test\nNAME=\"Test OS\"\nVERSION_ID=1\n").unwrap(),
        vcs_url: None,
        packages: packages.iter().map(embedded).collect(),
    }
}

fn ids(doc: &Document) -> Vec<&str> {
    doc.packages.iter().map(|p| p.id.as_str()).collect()
}

fn relations(doc: &Document) -> Vec<String> {
    doc.relationships
        .iter()
        .map(|r| format!("{} {} {}", r.element, r.kind, r.related).replace("SPDXRef-", ""))
        .collect()
}

#[test]
fn an_image_is_described_with_its_layers_and_system() {
    let mut sbom = image(&[]);
    sbom.vcs_url = Some("https://github.com/org/repo.git@0123abc".to_owned());
    let (doc, warnings) = sbom.document().unwrap();
    assert_eq!(warnings, []);
    assert_eq!(
        ids(&doc),
        [
            "SPDXRef-Package-Image-sha256-bb",
            "SPDXRef-Package-ImageLayer-sha256-aa",
            "SPDXRef-OperatingSystem-test",
            "SPDXRef-Package-https-C47C47github.comC47orgC47repo.gitC640123abc",
        ]
    );
    let image = serde_json::to_value(&doc.packages[0]).unwrap();
    let want = json!({
        "SPDXID": "SPDXRef-Package-Image-sha256-bb",
        "name": "sha256:bb",
        "versionInfo": "sha256:bb",
        "filesAnalyzed": false,
        "description": "apko container image",
        "downloadLocation": "NOASSERTION",
        "supplier": "Organization: Test OS",
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{ "algorithm": "SHA256", "checksumValue": "bb" }],
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceLocator": "pkg:oci/example@sha256:bb?arch=amd64&mediaType=application%2Fvnd.oci.image.manifest.v1%2Bjson&os=linux",
            "referenceType": "purl",
        }],
    });
    assert_eq!(image, want);
    let source = &doc.packages[3];
    assert_eq!(
        (source.name.as_str(), source.version.as_str()),
        ("github.com/org/repo.git", "0123abc")
    );
    assert_eq!(source.external_refs[0].locator, "pkg:github/org/repo@0123abc");
}

#[test]
fn what_a_package_describes_and_depends_on_is_merged() {
    let carrier = json!({
        "SPDXID": "SPDXRef-DOCUMENT",
        "documentDescribes": ["SPDXRef-Package-a"],
        "packages": [
            { "SPDXID": "SPDXRef-Package-a", "name": "a", "filesAnalyzed": true, "downloadLocation": "NOASSERTION",
              "packageVerificationCode": { "packageVerificationCodeValue": "00" } },
            { "SPDXID": "SPDXRef-Package-up", "name": "up", "originator": "Person: me" },
            { "SPDXID": "SPDXRef-Package-unrelated", "name": "no" },
        ],
        "files": [{ "SPDXID": "SPDXRef-File-x" }],
        "relationships": [
            { "spdxElementId": "SPDXRef-Package-a", "relationshipType": "GENERATED_FROM", "relatedSpdxElement": "SPDXRef-Package-up" },
            { "spdxElementId": "SPDXRef-Package-a", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-File-x" },
            { "spdxElementId": "SPDXRef-Package-up", "relationshipType": "VARIANT_OF", "relatedSpdxElement": "SPDXRef-Package-a" },
        ],
        "hasExtractedLicensingInfos": [{ "licenseId": "LicenseRef-x", "extractedText": "one" }],
    });
    // Another package with the same source, described by a relationship, and another text for the licence.
    let second = json!({
        "documentDescribes": null,
        "packages": [{ "SPDXID": "SPDXRef-Package-b", "name": "b" }, { "SPDXID": "SPDXRef-Package-up", "name": "other" }],
        "relationships": [
            { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Package-b" },
            { "spdxElementId": "SPDXRef-Package-b", "relationshipType": "GENERATED_FROM", "relatedSpdxElement": "SPDXRef-Package-up" },
        ],
        "hasExtractedLicensingInfos": [{ "licenseId": "LicenseRef-x", "extractedText": "two" }],
    });
    let (doc, warnings) = image(&[("a", carrier), ("b", second)]).document().unwrap();
    assert_eq!(
        ids(&doc)[3..],
        ["SPDXRef-Package-a", "SPDXRef-Package-up", "SPDXRef-Package-b"]
    );
    assert_eq!(
        relations(&doc),
        [
            "Package-Image-sha256-bb CONTAINS Package-ImageLayer-sha256-aa",
            "Package-a GENERATED_FROM Package-up",
            "Package-up VARIANT_OF Package-a",
            "Package-Image-sha256-bb CONTAINS Package-a",
            "Package-b GENERATED_FROM Package-up",
            "Package-Image-sha256-bb CONTAINS Package-b",
        ]
    );
    let (a, up) = (&doc.packages[3], &doc.packages[4]);
    assert_eq!(
        (a.originator.as_str(), a.supplier.as_str()),
        ("Organization: Test OS", "Organization: Test OS")
    );
    assert!(!a.files_analyzed && a.verification_code.is_none());
    assert_eq!((up.name.as_str(), up.supplier.as_str()), ("up", "Person: me"));
    assert_eq!(doc.licensing_infos.len(), 1);
    let [SbomWarning::LicenseText { package, license }] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert_eq!((package.as_str(), license.as_str()), ("b", "LicenseRef-x"));
}

#[test]
fn a_document_that_is_none_is_passed_over_with_a_warning() {
    let (doc, warnings) = image(&[("odd", json!({ "packages": "none" }))])
        .document()
        .unwrap();
    assert_eq!(doc.packages.len(), 3);
    assert!(matches!(&warnings[..], [SbomWarning::Unreadable { package, .. }] if package == "odd"));
}

#[test]
fn a_relation_to_nothing_names_package_and_element() {
    let dangling = json!({
        "documentDescribes": ["SPDXRef-a"],
        "packages": [{ "SPDXID": "SPDXRef-a" }],
        "relationships": [{ "spdxElementId": "SPDXRef-a", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-gone" }],
    });
    let error = image(&[("pkg", dangling)]).document().unwrap_err();
    assert!(matches!(&error, ImageSbomError::Dangling { package, .. } if package == "pkg"));
    assert!(error.to_string().contains("SPDXRef-gone"));
}

#[test]
fn images_without_layers_and_indexes_without_images_are_errors() {
    let mut sbom = image(&[]);
    sbom.layers.clear();
    assert!(matches!(sbom.document(), Err(ImageSbomError::NoLayers { .. })));
    assert!(matches!(
        IndexSbom::default().document(),
        Err(ImageSbomError::NoImages { .. })
    ));
}

#[test]
fn an_index_lists_its_images_as_variants() {
    let image = |digest: &str, architecture: &str| IndexedImage {
        digest: digest.to_owned(),
        architecture: architecture.to_owned(),
    };
    let doc = IndexSbom {
        creation: creation(),
        repository: None,
        digest: "sha256:cc".to_owned(),
        supplier: DEFAULT_SUPPLIER.to_owned(),
        images: vec![image("sha256:aa", "amd64"), image("sha256:bb", "arm")],
        vcs_url: None,
    }
    .document()
    .unwrap();
    assert_eq!(
        relations(&doc),
        [
            "Package-sha256-cc VARIANT_OF Package-sha256-aa",
            "Package-sha256-cc VARIANT_OF Package-sha256-bb",
        ]
    );
    let purls: Vec<_> = doc
        .packages
        .iter()
        .map(|p| p.external_refs[0].locator.as_str())
        .collect();
    assert_eq!(
        purls,
        [
            "pkg:oci/index@sha256:cc?mediaType=application%2Fvnd.oci.image.index.v1%2Bjson",
            "pkg:oci/image@sha256:aa?arch=amd64&mediaType=application%2Fvnd.oci.image.manifest.v1%2Bjson&os=linux",
            "pkg:oci/image@sha256:bb?arch=arm&mediaType=application%2Fvnd.oci.image.manifest.v1%2Bjson&os=linux",
        ]
    );
    assert_eq!(doc.packages[0].supplier, "Organization: Chainguard, Inc.");
}

#[test]
fn a_package_document_has_the_bytes_of_the_reference() {
    let fetch = Source::Fetch {
        step: 0,
        uri: "https://example.org/hello.tar.gz?a=1&b".to_owned(),
        sha256: "00ff".to_owned(),
        sha512: String::new(),
        name: "hello".to_owned(),
        version: "1.0".to_owned(),
    };
    let sbom = PackageSbom {
        creation: creation(),
        name: "hello".to_owned(),
        version: "1.0-r0".to_owned(),
        arch: "x86_64".to_owned(),
        namespace: "unknown".to_owned(),
        license: "MIT".to_owned(),
        cpe: Some("cpe:2.3:a:example:hello:1.0:*:*:*:*:*:*:*".to_owned()),
        configuration: Some(Configuration {
            path: "dir/hello.yaml".to_owned(),
            repository_url: "https://example.org/repo".to_owned(),
            commit: "0123abc".to_owned(),
            license: String::new(),
        }),
        sources: vec![fetch],
        ..PackageSbom::default()
    };
    let json = String::from_utf8(sbom.document().unwrap().to_json().unwrap()).unwrap();
    let tail = r#"    {
      "SPDXID": "SPDXRef-Package-Melange-dir-hello.yaml-0123abc",
      "name": "dir/hello.yaml",
      "versionInfo": "0123abc",
      "filesAnalyzed": false,
      "licenseConcluded": "NOASSERTION",
      "licenseDeclared": "NOASSERTION",
      "downloadLocation": "NOASSERTION",
      "originator": "Organization: Unknown",
      "supplier": "Organization: Unknown",
      "primaryPackagePurpose": "INSTALL",
      "externalRefs": [
        {
          "referenceCategory": "PACKAGE-MANAGER",
          "referenceLocator": "pkg:github/https:/%2Fexample.org%2Frepo@0123abc#dir/hello.yaml",
          "referenceType": "purl"
        }
      ]
    },
    {
      "SPDXID": "SPDXRef-Package-Source-hello-1.0-0",
      "name": "hello",
      "versionInfo": "1.0",
      "filesAnalyzed": false,
      "licenseConcluded": "NOASSERTION",
      "licenseDeclared": "NOASSERTION",
      "downloadLocation": "https://example.org/hello.tar.gz?a=1\u0026b",
      "originator": "Organization: Unknown",
      "supplier": "Organization: Unknown",
      "primaryPackagePurpose": "SOURCE",
      "checksums": [
        {
          "algorithm": "SHA256",
          "checksumValue": "00ff"
        }
      ],
      "externalRefs": [
        {
          "referenceCategory": "PACKAGE-MANAGER",
          "referenceLocator": "pkg:generic/hello@1.0?checksum=sha256:00ff\u0026download_url=https:%2F%2Fexample.org%2Fhello.tar.gz%3Fa%3D1%26b",
          "referenceType": "purl"
        }
      ]
    }
  ],
  "relationships": [
    {
      "spdxElementId": "SPDXRef-Package-apk-hello-1.0-r0",
      "relationshipType": "DESCRIBED_BY",
      "relatedSpdxElement": "SPDXRef-Package-Melange-dir-hello.yaml-0123abc"
    },
    {
      "spdxElementId": "SPDXRef-Package-apk-hello-1.0-r0",
      "relationshipType": "GENERATED_FROM",
      "relatedSpdxElement": "SPDXRef-Package-Source-hello-1.0-0"
    }
  ]
}
"#;
    assert!(json.ends_with(tail), "{json}");
    assert!(json.starts_with("{\n  \"SPDXID\": \"SPDXRef-DOCUMENT\",\n  \"name\": \"apk-hello-1.0-r0\",\n"));
}

#[test]
fn a_subpackages_own_sources_come_before_those_of_the_package() {
    let git = |tag: &str| Source::Git {
        step: 0,
        repository: "https://github.com/org/repo".to_owned(),
        branch: String::new(),
        tag: tag.to_owned(),
        commit: String::new(),
    };
    let sbom = PackageSbom {
        name: "hello-dev".to_owned(),
        namespace: "example".to_owned(),
        license: "MIT".to_owned(),
        sources: vec![git("main")],
        own_sources: vec![git("own"), git("")],
        ..PackageSbom::default()
    };
    let doc = sbom.document().unwrap();
    let versions: Vec<_> = doc.packages[2..].iter().map(|p| p.version.as_str()).collect();
    assert_eq!(versions, ["own", "main"]);
    assert_eq!(doc.packages[2].supplier, "Organization: Org");
    assert_eq!(doc.packages[2].license_declared, "MIT");
    assert_eq!(
        doc.packages[1].external_refs[0].locator,
        "pkg:apk/example/hello-dev?distro=example"
    );
}
