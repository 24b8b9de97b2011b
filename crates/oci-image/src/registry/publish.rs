//! An image's way into registries.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use http_exchange::each;

use super::RegistryEvent;
use super::client::{Access, RegistryClient, Repository};
use super::error::RegistryError;
use super::upload::{Arrival, upload};
use crate::{BlobSource, Descriptor, Digest, Image, ImageIndex, Tag};

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The index by its digest, in the repository of the first tag: `ghcr.io/team/web@sha256:…`.
    pub reference: String,
    /// The images by their digests, in the order of the index.
    pub images: Vec<String>,
    /// How many blobs were sent.
    pub sent: usize,
    /// The bytes of those, and of manifests and indexes that were written.
    pub sent_bytes: u64,
    /// How many blobs were taken over from other repositories.
    pub mounted: usize,
    /// How many blobs were there already.
    pub existing: usize,
}

/// Sends images to the repositories of all `tags`, and lets the tags name the index.
///
/// Layers are sent before the manifests that name them, and all of it before any tag, so that whoever is interrupted leaves
/// tags as they were. What a registry has got is not sent, and blobs are taken over where it has them in another of the
/// repositories, or in one of `sources`, written as `ghcr.io/team/base`.
///
/// # Errors
/// When a registry does not take something, or a blob cannot be read.
pub fn publish(
    client: &RegistryClient,
    index: &ImageIndex,
    tags: &[Tag],
    sources: &[String],
) -> Result<Published, RegistryError> {
    let mut published = Published {
        reference: String::new(),
        images: Vec::new(),
        sent: 0,
        sent_bytes: 0,
        mounted: 0,
        existing: 0,
    };
    if let Some(first) = tags.first() {
        let repository = format!("{}/{}", first.registry(), first.repository());
        published.reference = format!("{repository}@{}", index.digest());
        let images = index.images.iter();
        published.images = images
            .map(|image| format!("{repository}@{}", image.digest()))
            .collect();
    }
    let mut targets: Vec<(Repository, Vec<&Tag>)> = Vec::new();
    for tag in tags {
        let is_it = |(repository, _): &&mut (Repository, Vec<&Tag>)| {
            (repository.registry(), repository.name()) == (tag.registry(), tag.repository())
        };
        match targets.iter_mut().find(is_it) {
            Some((_, tags)) => tags.push(tag),
            None => {
                let sources = mountable(tag, tags, sources);
                let found = client.repository(tag.registry(), tag.repository(), Access::Push, &sources)?;
                targets.push((found, vec![tag]));
            }
        }
    }
    let mut stale: Vec<(&Repository, &Tag)> = Vec::new();
    for (repository, tags) in &targets {
        let mut others = Vec::new();
        for tag in tags {
            match repository.digest_of_tag(tag.tag())? == Some(index.digest()) {
                true => told_of_tag(client, tag, true),
                false => others.push((repository, *tag)),
            }
        }
        // A tag that names the index says that all of it is there.
        if others.len() == tags.len() {
            send_images(repository, index, &mut published)?;
        }
        stale.extend(others);
    }
    for (repository, tag) in stale {
        write(
            repository,
            tag.tag(),
            &index.descriptor,
            &index.json,
            &mut published,
        )?;
        told_of_tag(client, tag, false);
    }
    Ok(published)
}

fn told_of_tag(client: &RegistryClient, tag: &Tag, is_unchanged: bool) {
    let tag = &tag.to_string();
    client
        .options()
        .tell(&RegistryEvent::Tagged { tag, is_unchanged });
}

/// The other repositories of a tag's registry.
fn mountable(tag: &Tag, tags: &[Tag], sources: &[String]) -> Vec<String> {
    let of_tags = tags
        .iter()
        .filter(|other| other.registry() == tag.registry())
        .map(|other| other.repository().to_owned());
    let given = sources
        .iter()
        .filter_map(|source| source.parse::<Tag>().ok())
        .filter(|source| source.registry() == tag.registry())
        .map(|source| source.repository().to_owned());
    let mut all: Vec<String> = of_tags
        .chain(given)
        .filter(|name| name != tag.repository())
        .collect();
    let mut seen = HashSet::new();
    all.retain(|name| seen.insert(name.clone()));
    all
}

/// Sends what the repository has not got of all images: blobs, then manifests.
fn send_images(
    repository: &Repository,
    index: &ImageIndex,
    published: &mut Published,
) -> Result<(), RegistryError> {
    let threads = repository.options().http.parallel;
    let images: Vec<&Image> = index.images.iter().collect();
    let known = each(&images, threads, |image| repository.has_manifest(image.digest()));
    let mut missing: Vec<&Image> = Vec::new();
    for (image, is_there) in images.into_iter().zip(known) {
        match is_there? {
            true => tell_exists(repository, &image.descriptor),
            false => missing.push(image),
        }
    }
    let mut seen: HashSet<Digest> = HashSet::new();
    let blobs: Vec<(&Descriptor, BlobSource)> = missing
        .iter()
        .flat_map(|image| image.blobs())
        .filter(|(blob, _)| missing.iter().all(|image| image.digest() != blob.digest))
        .filter(|(blob, _)| seen.insert(blob.digest))
        .collect();
    let has_failed = AtomicBool::new(false);
    let arrivals = each(&blobs, threads, |(blob, source)| {
        if has_failed.load(Ordering::Relaxed) {
            return Err(RegistryError::Cancelled);
        }
        let arrival = send_blob(repository, blob, source);
        has_failed.fetch_or(arrival.is_err(), Ordering::Relaxed);
        arrival
    });
    // What was given up because of another error is not what is to be told.
    let is_first = |arrival: &Result<_, RegistryError>| matches!(arrival, Err(error) if !matches!(error, RegistryError::Cancelled));
    if arrivals.iter().any(is_first) {
        let mut errors = arrivals.into_iter().filter(is_first);
        return errors.next().map_or(Ok(()), |error| error.map(drop));
    }
    for ((blob, _), arrival) in blobs.iter().zip(arrivals) {
        match arrival? {
            None => published.existing += 1,
            Some(Arrival::Mounted(_)) => published.mounted += 1,
            Some(Arrival::Sent) => {
                published.sent += 1;
                published.sent_bytes += blob.size;
            }
        }
    }
    for image in missing {
        let reference = image.digest().to_string();
        write(
            repository,
            &reference,
            &image.descriptor,
            &image.manifest_json,
            published,
        )?;
    }
    Ok(())
}

fn write(
    repository: &Repository,
    reference: &str,
    manifest: &Descriptor,
    json: &[u8],
    published: &mut Published,
) -> Result<(), RegistryError> {
    repository.put_manifest(reference, &manifest.media_type, json)?;
    published.sent_bytes += manifest.size;
    repository.options().tell(&RegistryEvent::Sent {
        digest: manifest.digest,
        size: manifest.size,
    });
    Ok(())
}

/// Sends a blob; `None` if it is there.
fn send_blob(
    repository: &Repository,
    blob: &Descriptor,
    source: &BlobSource,
) -> Result<Option<Arrival>, RegistryError> {
    let (digest, size) = (blob.digest, blob.size);
    if repository.has_blob(digest)? {
        tell_exists(repository, blob);
        return Ok(None);
    }
    check(repository, blob, source)?;
    let arrival = upload(repository, blob, source, repository.sources())?;
    repository.options().tell(&match &arrival {
        Arrival::Sent => RegistryEvent::Sent { digest, size },
        Arrival::Mounted(from) => RegistryEvent::Mounted { digest, size, from },
    });
    Ok(Some(arrival))
}

/// Looks whether there is something to send.
fn check(repository: &Repository, blob: &Descriptor, source: &BlobSource) -> Result<(), RegistryError> {
    if matches!(source, BlobSource::Elsewhere) {
        return Err(RegistryError::Gone {
            registry: repository.registry().to_owned(),
            repository: repository.name().to_owned(),
            digest: blob.digest,
        });
    }
    let size = source.length().map_err(|source| RegistryError::Blob {
        digest: blob.digest,
        source,
    })?;
    match size == blob.size {
        true => Ok(()),
        false => Err(RegistryError::Blob {
            digest: blob.digest,
            source: io::Error::other(format!("it has {size} bytes in the place of {}", blob.size)),
        }),
    }
}

fn tell_exists(repository: &Repository, blob: &Descriptor) {
    repository.options().tell(&RegistryEvent::Exists {
        digest: blob.digest,
        size: blob.size,
    });
}
