//! What images depend on, and how they are made.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use apk_repository::Location;
use apk_types::{Arch, PackageRecord};
use apko::{Additions, Resolution};
use build_graph::{Demand, Failure, Finished, Hash, Job, Need, Output, Part};

use super::{BELOW, IMAGE, LAYOUT, Nodes, inputs, plain};
use crate::builder::ImageTask;
use crate::definition::{EnvironmentSpec, package_node};
use crate::image::Image;
use crate::metadata::{self, Known, Wanted};
use crate::pool::{Built, OWN, Pool, Question};
use crate::resolver::{Asked, EnvironmentError};

/// What an image has on an architecture.
struct ImageContents {
    resolution: Resolution,
    known: BTreeMap<String, Arc<metadata::Result>>,
}

enum ImageSettled {
    Needs(Vec<Need>),
    Done(Vec<ImageContents>),
}

/// What is on an architecture, what it was chosen from, and what was known of the workspace's packages then.
type Solved = (Resolution, Arc<Pool>, BTreeMap<String, Built>);

impl Nodes<'_> {
    pub(super) fn image_inputs(&self, image: &Image, finished: &dyn Finished) -> Result<Demand, Failure> {
        let contents = match self.settle_image(image, finished)? {
            ImageSettled::Needs(needs) => return Ok(Demand::Needs(needs)),
            ImageSettled::Done(contents) => contents,
        };
        let mut list = image.inputs.clone();
        for arch in &image.archs {
            let prefix = format!("contents-key/{arch}");
            list.extend(self.key_inputs(&prefix, &image.environment(), *arch)?);
        }
        for ImageContents {
            resolution, known, ..
        } in &contents
        {
            for package in &resolution.packages {
                let name = format!("contents/{}/{}", resolution.arch, package.record.name);
                let own = known.values().find_map(|result| {
                    let is_own = package.location.base() == OWN;
                    result.identities.get(&package.record.name).filter(|_| is_own)
                });
                let value = match own {
                    Some(identity) => format!("{} {identity}", package.record.version),
                    None => {
                        let checksum = package.record.checksum.as_ref().map(ToString::to_string);
                        format!("{} {}", package.record.version, checksum.unwrap_or_default())
                    }
                };
                list.push(plain(&name, &value));
            }
        }
        let archs: Vec<&str> = image.archs.iter().map(|arch| arch.apk_name()).collect();
        list.push(plain("architectures", &archs.join(", ")));
        list.push(plain("name", &image.name));
        Ok(Demand::Ready(inputs(IMAGE, list)))
    }

    /// Tells what an image has on each of its architectures, which agree.
    fn settle_image(&self, image: &Image, finished: &dyn Finished) -> Result<ImageSettled, Failure> {
        let spec = image.environment();
        let mut known: BTreeMap<Arch, Known> = BTreeMap::new();
        let mut wanted: BTreeMap<Arch, Wanted> = BTreeMap::new();
        let own: Location = OWN.parse()?;
        loop {
            let solved = self.solve_image(image, &spec, &known, &own)?;
            let (mut needs, mut news) = (Vec::new(), false);
            for (resolution, pool, question_known) in &solved {
                let asked = image_of(image, &spec, resolution.arch);
                let question = Question {
                    world: &spec.packages,
                    hidden: None,
                    known: question_known,
                };
                let wanted = wanted.entry(resolution.arch).or_default();
                let packages = resolution.packages.iter();
                for package in packages.filter(|package| package.location == own) {
                    let name = &package.record.name;
                    if let Some(owner) = pool.owner(&question, name) {
                        wanted.entry(owner.to_owned()).or_default().insert(name.clone());
                    }
                }
                let node = |name: &str| package_node(name, resolution.arch.apk_name());
                let (unfinished, read) = self.resolver.results.follow(
                    wanted,
                    known.entry(resolution.arch).or_default(),
                    None,
                    |name| finished.output(&node(name)),
                );
                news |= read;
                needs.extend(
                    unfinished
                        .iter()
                        .map(|name| self.resolver.need(&asked, node(name), &wanted[name])),
                );
            }
            match (needs.is_empty(), news) {
                (false, _) => return Ok(ImageSettled::Needs(needs)),
                (true, true) => {}
                (true, false) => {
                    let contents = solved.into_iter().map(|(resolution, ..)| ImageContents {
                        known: known.remove(&resolution.arch).unwrap_or_default(),
                        resolution,
                    });
                    return Ok(ImageSettled::Done(contents.collect()));
                }
            }
        }
    }

    /// Solves an image as the build will, out of what is known of the workspace's packages.
    fn solve_image(
        &self,
        image: &Image,
        spec: &EnvironmentSpec,
        known: &BTreeMap<Arch, BTreeMap<String, Arc<metadata::Result>>>,
        own: &Location,
    ) -> Result<Vec<Solved>, Failure> {
        let (mut packages, mut questions) = (BTreeMap::new(), Vec::new());
        for arch in &image.archs {
            let asked = image_of(image, spec, *arch);
            let pool = self.resolver.pool_of(&asked)?;
            let built: BTreeMap<_, _> = known
                .get(arch)
                .into_iter()
                .flatten()
                .map(|(name, result)| (name.clone(), result.built.clone()))
                .collect();
            let question = Question {
                world: &spec.packages,
                hidden: None,
                known: &built,
            };
            let reachable = pool.reachable(&question)?;
            let lists = reachable
                .into_iter()
                .map(|(location, list)| (location.unwrap_or_else(|| own.clone()), list));
            packages.insert(*arch, lists.collect());
            questions.push((*arch, pool, built));
        }
        let configuration = &image.loaded.configuration;
        let repositories = self.repositories(spec, packages)?;
        let additions = Additions::default();
        let failed = |error: apko::ResolveError| -> Failure { self.image_error(image, &error).into() };
        let locked = apko::lock_configurations(configuration, &additions, &image.archs, &repositories)
            .map_err(failed)?;
        let mut solved = Vec::new();
        for (arch, pool, built) in questions {
            let world = locked
                .get(&arch)
                .map(|one| apko::world(one, &additions))
                .unwrap_or_default();
            let resolution = repositories
                .resolve(&world, &[arch], false)
                .map_err(failed)?
                .pop();
            solved.extend(resolution.map(|resolution| (resolution, pool, built)));
        }
        Ok(solved)
    }

    fn image_error(&self, image: &Image, error: &apko::ResolveError) -> EnvironmentError {
        let entry = match error {
            apko::ResolveError::Unsolvable { conflict, .. } => conflict
                .chain
                .first()
                .map(|demand| demand.dependency.as_str().to_owned()),
            _ => None,
        };
        let place = entry.as_ref().and_then(|entry| image.place_of(entry));
        EnvironmentError::Unsolvable {
            what: format!("image {}", image.name),
            entry,
            place: place.map(|place| self.relative(place)),
            reason: error.to_string(),
        }
    }

    fn relative(&self, mut place: crate::Place) -> crate::Place {
        if let Ok(file) = Path::new(&place.file).strip_prefix(&self.resolver.workspace.root) {
            place.file = file.display().to_string();
        }
        place
    }

    pub(super) fn build_image(&self, job: &Job<'_>, image: &Image) -> Result<Output, Failure> {
        let ImageSettled::Done(contents) = self.settle_image(image, job.finished())? else {
            return Err(Failure::new("what is needed is not finished"));
        };
        let directory = self.directory()?;
        let own: Location = OWN.parse()?;
        let place = directory.path().join("repository");
        let mut packages: BTreeMap<Arch, Vec<(Location, Vec<PackageRecord>)>> = BTreeMap::new();
        for ImageContents { resolution, known } in &contents {
            let mut lists: BTreeMap<Location, Vec<PackageRecord>> = BTreeMap::new();
            for package in &resolution.packages {
                if package.location != own {
                    lists
                        .entry(package.location.clone())
                        .or_default()
                        .push(package.record.clone());
                    continue;
                }
                let name = &package.record.name;
                let owner = known
                    .iter()
                    .find(|(_, result)| result.identities.contains_key(name));
                let Some((definition, result)) = owner else {
                    continue;
                };
                let record = self.fetch(job, resolution.arch, definition, name, Some(result), &place)?;
                lists
                    .entry(place.display().to_string().parse()?)
                    .or_default()
                    .extend(record);
            }
            packages.insert(resolution.arch, lists.into_iter().collect());
        }
        let log = self.log_of(&self.logs.join(format!("image-{}.log", image.name)))?;
        let write = |line: &str| log.line(job, line);
        let task = ImageTask {
            image,
            repositories: self.repositories(&image.environment(), packages)?,
            directory: directory.path(),
            log: &write,
        };
        let layout = directory.path().join("layout");
        fs::create_dir(&layout)?;
        let digest = self.builder.image(&task, &layout)?;
        let mut files = Vec::new();
        let mut open = vec![layout.clone()];
        while let Some(at) = open.pop() {
            for entry in fs::read_dir(&at)? {
                let path = entry?.path();
                match path.is_dir() {
                    true => open.push(path),
                    false => {
                        let name = path.strip_prefix(&layout)?.display().to_string();
                        files.push(job.keep(name.replace('/', BELOW), &path)?);
                    }
                }
            }
        }
        files.sort();
        Ok(Output::of([Part {
            name: LAYOUT.to_owned(),
            identity: Hash::of([&digest]),
            metadata: digest.into_bytes(),
            files,
        }]))
    }
}

fn image_of<'t>(image: &'t Image, spec: &'t EnvironmentSpec, arch: Arch) -> Asked<'t> {
    Asked {
        spec,
        definition: &image.name,
        file: &image.file,
        arch,
        what: "it",
        is_build: false,
    }
}
