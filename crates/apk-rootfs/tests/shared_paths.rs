//! Two packages with the same path: each case of the table in `docs/apko/file-tree.md`.

#![allow(clippy::unwrap_used, clippy::panic)]

use apk_package::{Expected, Limits};
use apk_rootfs::{Content, InstallError, Installation, Installed, Package, Tree};
use apk_types::Arch;
use testkit::{Holder, SharedPath};

fn install(packages: &[testkit::Package]) -> Result<(Tree, Vec<Installed>), InstallError> {
    let mut tree = Tree::new();
    apk_rootfs::initialize(&mut tree, Arch::X86_64)?;
    let mut installation = Installation::new(tree);
    for package in packages {
        let opened = apk_package::open(
            package.build().into(),
            &Expected::anything(package.name()),
            &Limits::default(),
        );
        let opened = opened.unwrap();
        let data: Vec<_> = opened
            .data
            .into_iter()
            .map(|entry| entry.map(Into::into))
            .collect();
        let record = opened.info.to_record(opened.control_checksum, opened.size);
        let package = Package {
            record: &record,
            control: &opened.control,
            data: &data,
            triggers: &[],
        };
        installation.install(&package, 0)?;
    }
    installation.finish(&[])
}

/// Whose the path is, by what is there and by what the database says.
fn holder(case: &SharedPath) -> Holder {
    let (tree, installed) = match install(&case.packages) {
        Ok(done) => done,
        Err(error) => {
            let text = error.to_string();
            for part in [case.packages[0].name(), case.packages[1].name(), &case.path] {
                assert!(text.contains(part), "{}: {text}", case.name);
            }
            assert!(text.contains("leave one of the two out"), "{}: {text}", case.name);
            return Holder::Refused;
        }
    };
    let node = tree.node(tree.lookup_no_follow(&case.path).unwrap());
    let content = match node.content() {
        Content::Directory(_) => return Holder::Both,
        Content::File(content) => content.read().unwrap(),
        Content::Symlink(target) => target.clone().into(),
        Content::CharDevice(..) => panic!("{}: a device", case.name),
    };
    let is_second = match node.content() {
        // The database says whose a file is.
        Content::File(_) => {
            let lists = |one: &Installed| one.package.files.iter().any(|file| file.path == case.path);
            let owners = [lists(&installed[0]), lists(&installed[1])];
            assert!(owners[0] != owners[1], "{}: {owners:?}", case.name);
            owners[1]
        }
        _ => content != case.contents[0],
    };
    assert_eq!(content, case.contents[usize::from(is_second)], "{}", case.name);
    if is_second { Holder::Second } else { Holder::First }
}

#[test]
fn the_table_says_whose_a_shared_path_is() {
    let cases = testkit::shared_paths();
    assert_eq!(cases.len(), 12 * 9);
    let differing: Vec<String> = cases
        .iter()
        .filter(|case| holder(case) != case.here)
        .map(|case| format!("{}: {:?}", case.name, holder(case)))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}
