//! Packages and repositories made without melange, by the crates that melange itself uses.

use std::fs;
use std::path::Path;

use apk_index::Index;
use apk_package::{DataWriter, Limits, PkgInfo, PrivateKey};
use tarball::{Header, Kind};

use crate::Outcome;
use crate::tools::At as _;

/// A private key and the file name of its public key, which signatures carry.
pub(crate) struct Signer {
    pub(crate) key: PrivateKey,
    pub(crate) name: String,
}

impl Signer {
    /// Reads a private key; the public key is said to lie beside it with the ending `.pub`.
    pub(crate) fn load(path: &Path) -> Outcome<Self> {
        let pem = fs::read_to_string(path).at(path)?;
        let key = PrivateKey::from_pem(&pem).at(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            key,
            name: format!("{name}.pub"),
        })
    }
}

/// A file or directory of a package.
pub(crate) struct Member {
    path: String,
    kind: Kind,
    mode: u32,
    content: Vec<u8>,
}

impl Member {
    pub(crate) fn directory(path: &str, mode: u32) -> Self {
        Self {
            path: path.to_owned(),
            kind: Kind::Directory,
            mode,
            content: Vec::new(),
        }
    }

    pub(crate) fn file(path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            kind: Kind::Regular,
            mode,
            content: content.into(),
        }
    }
}

/// Packs and signs a package. All its files are root's and have its build date.
pub(crate) fn pack(info: PkgInfo, members: &[Member], signer: &Signer) -> Outcome<Vec<u8>> {
    let time = info.build_date.unwrap_or(0);
    let mut data = DataWriter::new(Vec::new());
    for member in members {
        let header = Header {
            path: member.path.clone(),
            mode: member.mode,
            uname: "root".to_owned(),
            gname: "root".to_owned(),
            mtime: time,
            size: member.content.len() as u64,
            ..Header::new(member.kind)
        };
        data.append(header, || Ok(&member.content[..]))?;
    }
    let data = data.finish()?;
    let installed_size = members.iter().map(|member| member.content.len() as u64).sum();
    let info = PkgInfo {
        installed_size,
        data_hash: data.hash,
        ..info
    };
    let control = apk_package::control_section(&info, &[], time)?;
    let signature = apk_package::sign_control(&control, &signer.key, &signer.name, time)?;
    let mut package = Vec::new();
    apk_package::write_package(&mut package, Some(&signature), &control, &mut &data.out[..])?;
    Ok(package)
}

/// Writes a signed index of all packages that lie in a directory.
pub(crate) fn write_index(directory: &Path, signer: &Signer) -> Outcome {
    let mut packages = Vec::new();
    for entry in fs::read_dir(directory).at(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "apk") {
            let bytes = fs::read(&path).at(&path)?;
            let name = path.display().to_string();
            packages.push(apk_index::record(
                &name,
                &mut &bytes[..],
                bytes.len() as u64,
                &Limits::default(),
            )?);
        }
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    let index = Index {
        description: "packages made without melange".to_owned(),
        packages,
        ..Index::default()
    };
    let archive = apk_index::sign(&index.to_archive()?, &signer.key, &signer.name)?;
    let path = directory.join("APKINDEX.tar.gz");
    fs::write(&path, archive).at(&path)
}
