//! `cargo xtask synthetic DIR`: a repository of many packages, and configurations of ever larger images of it, to see
//! how cost grows.

use std::fs;
use std::ops::Range;
use std::path::Path;

use apk_package::{PkgInfo, PrivateKey};

use crate::Outcome;
use crate::package::{Member, Signer, pack, write_index};
use crate::tools::At as _;

/// How many packages the images have.
const IMAGES: [usize; 4] = [20, 60, 187, 2000];

const ARCH: &str = "x86_64";

/// The files of each package: how many, and their sizes. About 1.5 MB in all, most of it in few files, as in the field.
const FILES: [(usize, Range<u64>); 3] = [(20, 500..12_000), (4, 30_000..120_000), (2, 300_000..800_000)];

/// Numbers that are the same on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, range: Range<u64>) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        range.start + (self.0 >> 11) % (range.end - range.start)
    }
}

/// Writes the repository, its key, and `N.yaml` for an image of N packages.
pub(crate) fn command(directory: &Path) -> Outcome {
    let repository = directory.join(ARCH);
    fs::create_dir_all(&repository).at(&repository)?;
    let key = PrivateKey::generate(2048)?;
    let public = directory.join("synthetic.rsa.pub");
    fs::write(&public, key.public_key().to_pem()?).at(&public)?;
    let signer = Signer {
        key,
        name: "synthetic.rsa.pub".to_owned(),
    };
    let names: Vec<String> = (0..IMAGES[IMAGES.len() - 1])
        .map(|number| format!("part-{number:04}"))
        .collect();
    for (name, seed) in names.iter().zip(1..) {
        let path = repository.join(format!("{name}-1.0-r0.apk"));
        fs::write(&path, package(name, seed, &signer)?).at(&path)?;
    }
    write_index(&repository, &signer)?;
    for packages in IMAGES {
        let path = directory.join(format!("{packages}.yaml"));
        let list: String = names[..packages]
            .iter()
            .map(|name| format!("    - {name}\n"))
            .collect();
        let text = format!(
            "contents:\n  keyring: [{}]\n  repositories: [{}]\n  packages:\n{list}archs: [{ARCH}]\n",
            public.display(),
            directory.display(),
        );
        fs::write(&path, text).at(&path)?;
    }
    Ok(())
}

fn package(name: &str, seed: u64, signer: &Signer) -> Outcome<Vec<u8>> {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let top = format!("usr/share/{name}");
    let mut members = vec![
        Member::directory("usr", 0o755),
        Member::directory("usr/share", 0o755),
    ];
    members.push(Member::directory(&top, 0o755));
    for (kind, (count, sizes)) in FILES.into_iter().enumerate() {
        for number in 0..count {
            let size = numbers.next(sizes.clone());
            let content = content(&mut numbers, size as usize);
            members.push(Member::file(&format!("{top}/{kind}-{number:02}"), 0o644, content));
        }
    }
    let info = PkgInfo {
        name: name.to_owned(),
        version: "1.0-r0".to_owned(),
        arch: ARCH.to_owned(),
        origin: name.to_owned(),
        description: "a part of a large image".to_owned(),
        licenses: vec!["MIT".to_owned()],
        ..PkgInfo::default()
    };
    pack(info, &members, signer)
}

/// Words out of a small vocabulary of the file's own, with some noise: deflates to about two fifths.
fn content(numbers: &mut Numbers, size: usize) -> Vec<u8> {
    let words: Vec<Vec<u8>> = (0..512)
        .map(|_| {
            (0..numbers.next(2..12))
                .map(|_| numbers.next(0..256) as u8)
                .collect()
        })
        .collect();
    let mut content = Vec::with_capacity(size + 16);
    while content.len() < size {
        let skewed = numbers.next(1..23) * numbers.next(1..23);
        content.extend_from_slice(&words[skewed as usize]);
    }
    content.truncate(size);
    content
}
