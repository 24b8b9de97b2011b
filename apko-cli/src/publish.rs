//! `apko publish`.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::{env, fs};

use apk_repository::Event;
use apko::Built;
use clap::Args;
use cli_support::{Progress, Steps};
use http_exchange::{Identity, Login};
use oci_image::registry::{
    Access, DockerConfig, Published, RegistryClient, RegistryError, RegistryEvent, RegistryLogin,
    RegistryOptions, Repository, publish as send,
};
use oci_image::{Descriptor, ImageIndex, Tag};
use serde_json::json;

use crate::args::Making;
use crate::build::{write_file, write_sboms};
use crate::failure::{Failure, Outcome};
use crate::load::{ENGINES, load_into};
use crate::login::{config_paths, read_config};
use crate::report::Report;
use crate::spool::Spool;

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko publish web.yaml ghcr.io/team/web:1.0
  apko publish web.yaml ghcr.io/team/web:1.0 ghcr.io/team/web:latest
  apko publish --image-refs refs.txt --sbom-path sboms/ web.yaml registry.example.org/web:1.0
  apko publish --ca-file ca.pem web.yaml registry.example.org:5000/web:1.0
  apko publish --local web.yaml web:dev            # into docker or podman on this machine

The image's name with its digest is printed to standard output:
  kubectl create deployment web --image=$(apko publish web.yaml ghcr.io/team/web:1.0)

Credentials are those of `apko login`, `docker login` and `podman login`, with the programs that keep them
(`credsStore`, `credHelpers`). Exit status: 0 published, 1 the work failed, 2 the command line or the
configuration is wrong, 130 interrupted: the tags then name what they named before.";

/// The repository of images that are on this machine alone, as the Go apko calls it.
const LOCAL: &str = "apko.local/cache";

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The image configuration
    config: PathBuf,
    /// The names and tags for the image
    #[arg(required = true, value_name = "TAG")]
    tags: Vec<String>,
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    registry: Registry,
    /// The file to write the names of the images to, by their digests, one a line, the index last
    #[arg(long, value_name = "FILE")]
    image_refs: Option<PathBuf>,
    /// Loads the image for this machine into docker or podman, and sends it to no registry
    #[arg(long)]
    local: bool,
}

/// How registries are spoken with.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct Registry {
    /// Speaks HTTP with registries that do not speak HTTPS; those on this machine may always do so
    #[arg(long)]
    insecure_allow_http: bool,
    /// Takes any certificate of a registry
    #[arg(long)]
    insecure_tls_skip_verify: bool,
    /// The certificate to show to registries, in PEM
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Other repositories of the registry that may have layers already, which are then not sent
    #[arg(long, value_name = "REPOSITORY", value_delimiter = ',')]
    mount_from: Vec<String>,
}

pub(crate) fn publish(arguments: &Publish, steps: &Steps) -> Outcome {
    let mut report = Report::new(*steps, &arguments.making);
    let outcome = match arguments.local {
        true => local(arguments, steps, &mut report),
        false => remote(arguments, steps, &mut report),
    };
    outcome.inspect_err(|failure| report.failed(failure))
}

fn remote(arguments: &Publish, steps: &Steps, report: &mut Report) -> Outcome {
    let making = &arguments.making;
    let tags = tags(arguments)?;
    if making.sources.offline {
        return Err(Failure::usage(
            "--offline: a registry cannot be reached without a network",
        ));
    }
    let progress = Progress::of_sending(*steps);
    let client = client(arguments, &progress, report.is_json(), steps)?;
    let spool = Spool::temporary()?;
    let store = making
        .sources
        .store(spool.path(), steps)?
        .with_elsewhere(asking(&client, &tags));
    let place = (spool.path(), &store);
    let built = making.make((&arguments.config, &tags[0]), place, steps, report)?;
    let published = send(&client, &built.index, &tags, &arguments.registry.mount_from).map_err(failure)?;
    progress.done();
    for tag in &tags {
        report.step("Published", &tag.to_string());
    }
    leave(arguments, &built, &published)?;
    report.published(
        &published.reference,
        json!({
            "event": "published",
            "reference": published.reference,
            "digest": built.index.digest().to_string(),
            "tags": tags.iter().map(Tag::to_string).collect::<Vec<_>>(),
            "images": published.images,
            "sent": published.sent,
            "sent_bytes": published.sent_bytes,
            "mounted": published.mounted,
            "existing": published.existing,
        }),
    )
}

/// Loads the image for this machine into the container engine that is there.
fn local(arguments: &Publish, steps: &Steps, report: &mut Report) -> Outcome {
    let mut tags = tags(arguments)?;
    let making = &arguments.making;
    let spool = Spool::temporary()?;
    let store = making.sources.store(spool.path(), steps)?;
    let place = (spool.path(), &store);
    let mut built = making.make((&arguments.config, &tags[0]), place, steps, report)?;
    let host = apk_types::Arch::host().map(|arch| arch.platform().architecture);
    let images = &mut built.index.images;
    let at = images
        .iter()
        .position(|image| Some(image.config.architecture.as_str()) == host);
    if images.is_empty() {
        return Err(Failure::usage("--arch: no architecture"));
    }
    let image = images.swap_remove(at.unwrap_or(0));
    let reference = format!("{LOCAL}:{}", image.digest().hex());
    tags.push(reference.parse().map_err(|error| Failure::work(&error))?);
    let one = ImageIndex {
        images: vec![image],
        ..built.index
    };
    let archive = spool.path().join("image.tar");
    oci_image::write_archive(&archive, &one, &tags).map_err(|error| Failure::work(&error))?;
    let (engine, _) = load_into(&ENGINES, &archive)?;
    report.step("Loaded", &format!("{reference} into {engine}"));
    report.published(
        &reference,
        json!({ "event": "loaded", "reference": reference, "engine": engine }),
    )
}

fn tags(arguments: &Publish) -> Outcome<Vec<Tag>> {
    let parse = |text: &String| text.parse().map_err(|error| Failure::usage(format!("{error}")));
    arguments.tags.iter().map(parse).collect()
}

/// Files that were asked for.
fn leave(arguments: &Publish, built: &Built, published: &Published) -> Outcome {
    if let Some(path) = &arguments.image_refs {
        let references = published.images.iter().chain([&published.reference]);
        let lines: String = references.map(|reference| format!("{reference}\n")).collect();
        write_file(path, lines.as_bytes())?;
    }
    match &arguments.making.sbom_path {
        Some(directory) => write_sboms(directory, built),
        None => Ok(()),
    }
}

fn client(arguments: &Publish, progress: &Progress, is_json: bool, steps: &Steps) -> Outcome<RegistryClient> {
    let variable = |name: &str| env::var(name).ok();
    let (network, _) = arguments
        .making
        .sources
        .network
        .options(&variable, steps)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let registry = &arguments.registry;
    let mut options = RegistryOptions {
        http: network.http,
        credentials: credentials(&variable)?,
        allow_http: registry.insecure_allow_http,
        ..RegistryOptions::default()
    };
    options.http.user_agent = concat!("apko/", env!("CARGO_PKG_VERSION")).to_owned();
    options.http.skip_verification = registry.insecure_tls_skip_verify;
    let files = registry.client_cert.clone().zip(registry.client_key.clone());
    options.http.identity = files.map(|(certificate, key)| Identity { certificate, key });
    for path in [&registry.client_cert, &registry.client_key]
        .into_iter()
        .flatten()
    {
        fs::metadata(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    let progress = progress.clone();
    options.watch = Some(Arc::new(move |event| {
        show(&progress, event);
        if is_json && let Some(object) = as_json(event) {
            // Who does not listen any more does not mind.
            let _ = cli_support::print(&format!("{object}\n"));
        }
    }));
    Ok(RegistryClient::new(options))
}

/// Credentials as other tools leave them.
fn credentials(variable: &dyn Fn(&str) -> Option<String>) -> Outcome<DockerConfig> {
    let mut config = match config_paths(variable).into_iter().find(|path| path.is_file()) {
        Some(path) => {
            let parsed = DockerConfig::parse(&read_config(&path)?);
            parsed.map_err(|error| Failure::at(&path, &error))?
        }
        None => DockerConfig::default(),
    };
    // As in workflows of GitHub; any user name will do.
    if let Some(token) = variable("GITHUB_TOKEN").filter(|token| !token.is_empty()) {
        config.add("ghcr.io", RegistryLogin::Password(Login::new("unset", token)));
    }
    Ok(config)
}

/// Asks all repositories whether they have a layer, once it is known that there are any to ask about.
fn asking(client: &RegistryClient, tags: &[Tag]) -> impl Fn(&Descriptor) -> bool + Send + Sync + use<> {
    let (client, tags) = (client.clone(), tags.to_vec());
    let repositories: OnceLock<Option<Vec<Repository>>> = OnceLock::new();
    move |layer| {
        let find = || {
            let find = |tag: &Tag| client.repository(tag.registry(), tag.repository(), Access::Push, &[]);
            // What is wrong is told when the image is sent.
            tags.iter().map(find).collect::<Result<Vec<_>, _>>().ok()
        };
        let mut all = repositories.get_or_init(find).iter().flatten().peekable();
        all.peek().is_some() && all.all(|one| one.has_blob(layer.digest).unwrap_or(false))
    }
}

fn show(progress: &Progress, event: &RegistryEvent<'_>) {
    match *event {
        RegistryEvent::Sending { digest, sent, size } => progress.note(&Event::Received {
            url: &digest.to_string(),
            bytes: sent,
            size: Some(size),
        }),
        RegistryEvent::Sent { digest, size } => progress.note(&Event::Finished {
            url: &digest.to_string(),
            bytes: size,
        }),
        RegistryEvent::Exists { digest, .. } | RegistryEvent::Mounted { digest, .. } => {
            progress.note(&Event::Unchanged {
                url: &digest.to_string(),
            })
        }
        _ => {}
    }
}

fn as_json(event: &RegistryEvent<'_>) -> Option<serde_json::Value> {
    Some(match event {
        RegistryEvent::Exists { digest, size } => {
            json!({ "event": "exists", "digest": digest.to_string(), "bytes": size })
        }
        RegistryEvent::Mounted { digest, size, from } => {
            json!({ "event": "mounted", "digest": digest.to_string(), "bytes": size, "from": from })
        }
        RegistryEvent::Sent { digest, size } => {
            json!({ "event": "sent", "digest": digest.to_string(), "bytes": size })
        }
        RegistryEvent::Tagged { tag, is_unchanged } => {
            json!({ "event": "tagged", "tag": tag, "unchanged": is_unchanged })
        }
        _ => return None,
    })
}

/// What went wrong, with what to do about it.
fn failure(error: RegistryError) -> Failure {
    let failure = Failure::work(&error);
    match &error {
        RegistryError::Denied {
            registry,
            status: 401,
            ..
        } => failure.hint(&format!(
            "\n  `apko login {registry}` keeps a user name and password for it"
        )),
        RegistryError::Http {
            source: http_exchange::HttpError::Connect { reason, .. },
            ..
        } if reason.contains("certificate") => failure
            .hint("\n  --ca-file FILE trusts an authority of your own, --insecure-tls-skip-verify anybody"),
        RegistryError::Http {
            source: http_exchange::HttpError::Connect { .. } | http_exchange::HttpError::Protocol { .. },
            action: "reach",
            ..
        } => failure.hint("\n  --insecure-allow-http speaks HTTP with registries that do not speak HTTPS"),
        _ => failure,
    }
}
