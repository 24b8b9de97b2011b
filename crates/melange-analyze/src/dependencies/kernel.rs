//! Kernels and their modules: a module runs in the kernel that it was built for and in no other.

use std::io::Read;

use flate2::read::GzDecoder;
use object::read::pe::PeFile64;
use object::{Object as _, ObjectSection as _};

use super::{Found, Package};

/// Where kernels lie, and below.
const BOOT_DIRECTORIES: [&str; 3] = ["boot/", "lib/modules/", "usr/lib/modules/"];

/// Where modules lie, and below.
const MODULE_DIRECTORIES: [&str; 2] = ["lib/modules/", "usr/lib/modules/"];

/// Larger files are no kernels.
const LARGEST: u64 = 512 << 20;

const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A kernel provides `linux:VERSION`, a module needs it. Modules may be compressed with gzip or zstd.
pub(super) fn analyze(package: &Package<'_>, found: &mut Found) {
    let tree = package.tree();
    let lies_below =
        |path: &str, directories: &[&str]| directories.iter().any(|directory| path.starts_with(directory));
    for entry in tree.entries() {
        if !entry.is_file() || entry.size > LARGEST || !lies_below(&entry.path, &BOOT_DIRECTORIES) {
            continue;
        }
        let mut content = Vec::new();
        let Ok(Ok(_)) = tree
            .open(&entry.path)
            .map(|file| file.take(LARGEST).read_to_end(&mut content))
        else {
            continue;
        };
        let content = inflated(content);
        if let Some(version) = kernel_version(&content) {
            found.provides(format!("linux:{version}"), &entry.path, "is that kernel");
        }
        if lies_below(&entry.path, &MODULE_DIRECTORIES)
            && let Some(version) = after(&content, b"vermagic=")
        {
            found.needs(
                format!("linux:{version}"),
                &entry.path,
                "is a module of that kernel",
            );
        }
    }
}

/// The content of a compressed file; any other stays as it is.
fn inflated(content: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::new();
    let done = if content.starts_with(&GZIP_MAGIC) {
        GzDecoder::new(&*content)
            .take(LARGEST)
            .read_to_end(&mut plain)
            .is_ok()
    } else if content.starts_with(&ZSTD_MAGIC) {
        ruzstd::decoding::StreamingDecoder::new(&*content)
            .is_ok_and(|decoder| decoder.take(LARGEST).read_to_end(&mut plain).is_ok())
    } else {
        false
    };
    if done { plain } else { content }
}

/// The version in a kernel: one as the boot loader gets it, a unified image, or the plain program.
fn kernel_version(content: &[u8]) -> Option<String> {
    let unified = PeFile64::parse(content).ok().and_then(|image| {
        let section = image.section_by_name(".linux")?;
        section.data().ok()
    });
    let content = unified.unwrap_or(content);
    boot_header(content)
        .or_else(|| {
            // A compressed kernel behind its own unpacker; what follows it is no part of the stream.
            let start = find(content, &GZIP_MAGIC)?;
            let mut plain = Vec::new();
            let _ = GzDecoder::new(&content[start..])
                .take(LARGEST)
                .read_to_end(&mut plain);
            after(&plain, b"Linux version ")
        })
        .or_else(|| after(content, b"Linux version "))
}

/// The version that the header of an x86 kernel points to.
fn boot_header(content: &[u8]) -> Option<String> {
    if content.get(514..518)? != b"HdrS" {
        return None;
    }
    let pointer = usize::from(u16::from_le_bytes(content.get(526..528)?.try_into().ok()?));
    version(content.get(pointer + 0x200..)?).filter(|_| pointer != 0)
}

/// The version that follows a mark.
fn after(content: &[u8], mark: &[u8]) -> Option<String> {
    let start = find(content, mark)? + mark.len();
    version(&content[start..])
}

fn find(content: &[u8], mark: &[u8]) -> Option<usize> {
    content.windows(mark.len()).position(|window| window == mark)
}

/// The first word, as far as it can be part of a version.
fn version(text: &[u8]) -> Option<String> {
    let text = text.trim_ascii_start();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
    let length = text.iter().take_while(|byte| is_part(byte)).count();
    (length > 0).then(|| String::from_utf8_lossy(&text[..length]).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::{Declared, MemoryTree, Options, PackageTree, analyze};

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn bz_image(version: &str) -> Vec<u8> {
        let mut image = vec![0; 0x400];
        image[514..518].copy_from_slice(b"HdrS");
        image[526..528].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x300 + version.len()].copy_from_slice(version.as_bytes());
        image
    }

    #[test]
    fn kernels_of_all_forms_tell_their_version() {
        let plain = b"\x7fELF...Linux version 6.12.57-example (me@host) #1".to_vec();
        let mut packed = vec![7; 100];
        packed.extend(gzip(&plain));
        packed.extend([9; 50]);
        for image in [
            plain.clone(),
            bz_image("6.12.57-example (me@host) #1"),
            packed,
            inflated(gzip(&plain)),
        ] {
            assert_eq!(kernel_version(&image).as_deref(), Some("6.12.57-example"));
        }
        assert_eq!(kernel_version(b"nothing of the kind"), None);
    }

    #[test]
    fn modules_need_the_kernel_they_were_built_for() {
        let mut tree = MemoryTree::default();
        let module = b"\x7fELF\0license=GPL\0vermagic=6.12.57-example SMP preempt\0";
        tree.file("usr/lib/modules/6.12.57-example/a.ko", 0o644, &module[..]);
        tree.file("usr/lib/modules/6.12.57-example/b.ko.gz", 0o644, gzip(module));
        tree.file("boot/vmlinuz", 0o644, bz_image("6.12.57-example (me)"));
        tree.file("opt/c.ko", 0o644, &module[..]);
        let packages = [("kernel", &tree as &dyn PackageTree)];
        let found = analyze(&Package {
            name: "kernel",
            version: "1-r0",
            options: Options::default(),
            declared: &Declared::default(),
            packages: &packages,
        })
        .unwrap();
        assert_eq!(found.runtime, ["linux:6.12.57-example"]);
        assert_eq!(found.provides, ["linux:6.12.57-example"]);
        assert_eq!(found.reasons.len(), 2);
    }
}
