//! What an image costs from its packages on, beside `gzip` and `sha256sum` on the same bytes.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::LazyLock;

use apk_package::{Expected, Limits};
use apk_types::Arch;
use apko::config::{ImageConfiguration, parse};
use apko::{Additions, FetchedPackage, InstallRequest, Policy, Repositories, Root, Store, world};
use divan::Bencher;
use oci_image::{Compression, write_layer};
use tempfile::TempDir;
use testkit::{Package, Repository, yardstick};

const PACKAGES: usize = 40;

/// A text that compresses as programs do, to about a third.
fn text(seed: usize, length: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut next = |place: usize| {
        if place.is_multiple_of(3) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
        char::from((state >> (40 + place % 3)) as u8 & 0x3f)
    };
    (0..length).map(&mut next).collect()
}

/// Packages with a library of 512 KiB and 50 small files each.
fn package(number: usize) -> Package {
    let name = format!("package-{number}");
    let library = text(number, 512 << 10);
    let package = Package::new(&name, "1.0-r0").file(&format!("usr/lib/lib{number}.so"), 0o755, &library);
    (0..50).fold(package, |package, file| {
        let path = format!("usr/share/{name}/file-{file}");
        package.file(&path, 0o644, &library[file * 1000..][..file * 100])
    })
}

struct World {
    repository: Repository,
    configuration: ImageConfiguration,
    additions: Additions,
    repositories: Repositories,
    packages: Vec<FetchedPackage>,
    /// The uncompressed layer.
    tar: PathBuf,
    directory: TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let repository = Repository::new("x86_64");
    let packages: Vec<_> = (0..PACKAGES).map(package).collect();
    repository.publish(&packages);
    let names: Vec<_> = packages.iter().map(Package::name).collect();
    let configuration = parse(&format!("contents: {{packages: [{}]}}", names.join(", "))).unwrap();
    let additions = Additions {
        keys: vec![repository.key()],
        repositories: vec![repository.location()],
        ..Additions::default()
    };
    let policy = Policy::default();
    let repositories = Repositories::open(&configuration, &additions, &[Arch::X86_64], &policy).unwrap();
    let world = world(&configuration, &additions);
    let resolution = repositories
        .resolve(&world, &[Arch::X86_64], true)
        .unwrap()
        .remove(0);
    let directory = tempfile::tempdir().unwrap();
    let packages = apko::fetch(&resolution, &policy, &Store::at(directory.path())).unwrap();
    let world = World {
        repository,
        configuration,
        additions,
        repositories,
        packages,
        tar: directory.path().join("layer.tar"),
        directory,
    };
    let tree = install(&world).tree;
    let members = tree.walk().map(|member| member.entry);
    let (_, layer) = write_layer(members, Vec::new(), Compression::default()).unwrap();
    let mut tar = File::create(&world.tar).unwrap();
    io::copy(&mut flate2::read::MultiGzDecoder::new(&layer[..]), &mut tar).unwrap();
    world
});

fn install(world: &World) -> Root {
    let request = InstallRequest {
        configuration: &world.configuration,
        arch: Arch::X86_64,
        repositories: &world.repositories,
        world: &[],
        below: &[],
        listed_repositories: &world.additions.repositories,
        source_date_epoch: None,
        build_date: 0,
    };
    apko::install(&request, world.packages.clone()).unwrap()
}

/// Verifies, inflates and splits all packages and writes their files, on one thread.
#[divan::bench(sample_count = 20)]
fn stores_packages(bencher: Bencher<'_, '_>) {
    let packages: Vec<_> = (0..PACKAGES)
        .map(|number| std::fs::read(file(number)).unwrap())
        .collect();
    let path = WORLD.directory.path().join("stored");
    bencher.bench(|| {
        for package in &packages {
            let expected = Expected::anything("bench");
            package_store::write(package.clone().into(), &expected, &Limits::default(), &path).unwrap();
        }
    });
}

#[divan::bench(sample_count = 20)]
fn lays_out_the_tree(bencher: Bencher<'_, '_>) {
    let world = &*WORLD;
    bencher.bench(|| install(world).tree.walk().count());
}

/// Hashes and compresses the layer on one compressing thread, with nothing cached.
#[divan::bench(sample_count = 20)]
fn writes_the_layer(bencher: Bencher<'_, '_>) {
    let root = install(&WORLD);
    let compression = Compression {
        threads: NonZeroUsize::MIN,
        ..Compression::default()
    };
    bencher.bench(|| {
        let members = root.tree.walk().map(|member| member.entry);
        write_layer(members, io::sink(), compression).unwrap().0
    });
}

#[divan::bench(sample_count = 20)]
fn yardstick_gzip_d(bencher: Bencher<'_, '_>) {
    let packages: Vec<_> = (0..PACKAGES).map(file).collect();
    bencher.bench(|| {
        packages
            .iter()
            .for_each(|package| yardstick(&["gzip", "-dc"], package))
    });
}

#[divan::bench(sample_count = 20)]
fn yardstick_sha256sum(bencher: Bencher<'_, '_>) {
    bencher.bench(|| yardstick(&["sha256sum"], &WORLD.tar));
}

#[divan::bench(sample_count = 5)]
fn yardstick_gzip_1(bencher: Bencher<'_, '_>) {
    bencher.bench(|| yardstick(&["gzip", "-1c"], &WORLD.tar));
}

fn file(number: usize) -> PathBuf {
    WORLD.repository.file(&format!("package-{number}-1.0-r0.apk"))
}

fn main() {
    divan::main();
}
