//! What a package of very many entries costs.

#![allow(clippy::unwrap_used)]

use allocation_counter::AllocationInfo;
use apk_rootfs::{Installation, Package, Tree};
use apk_types::{Arch, PackageRecord};
use tarball::{Entry, Header, Kind};

/// Files in directories of a thousand each.
fn entries(number: usize) -> Vec<Entry<file_content::Content>> {
    let entry = |kind: Kind, path: String| Entry {
        header: Header {
            path,
            mode: 0o755,
            ..Header::new(kind)
        },
        content: "".into(),
    };
    let file = |place: usize| match place % 1000 {
        0 => entry(Kind::Directory, format!("directory-{}", place / 1000)),
        _ => entry(Kind::Regular, format!("directory-{}/file-{place}", place / 1000)),
    };
    (0..number).map(file).collect()
}

/// Installs so many entries, and walks over the tree.
fn cost(number: usize) -> AllocationInfo {
    let data = entries(number);
    allocation_counter::measure(|| {
        let mut tree = Tree::new();
        apk_rootfs::initialize(&mut tree, Arch::X86_64).unwrap();
        let mut installation = Installation::new(tree);
        let record = PackageRecord {
            name: "many".to_owned(),
            version: "1.0-r0".to_owned(),
            ..PackageRecord::default()
        };
        let package = Package {
            record: &record,
            control: &[],
            data: &data,
            triggers: &[],
        };
        installation.install(&package, 0).unwrap();
        let (tree, _) = installation.finish(&[]).unwrap();
        assert!(tree.walk().count() >= number);
    })
}

#[test]
fn ten_times_as_many_entries_cost_ten_times_as_much() {
    let (few, many) = (cost(10_000), cost(100_000));
    for (what, few, many) in [
        ("bytes at most", few.bytes_max, many.bytes_max),
        ("bytes", few.bytes_total, many.bytes_total),
        ("allocations", few.count_total, many.count_total),
    ] {
        let factor = many as f64 / few as f64;
        assert!(
            factor < 13.0,
            "{what}: {few} became {many}, {factor} times as much"
        );
    }
    assert!(many.bytes_max < 100_000 * 2000, "{many:?}");
}
