//! What the analysis and the linters need to know of an ELF file, read piece by piece.

use std::io::{Read, SeekFrom};

use object::Endianness;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _};
use object::read::{ReadCache, ReadRef, StringTable};

use crate::ReadSeek;

/// The largest `.go.buildinfo` section that is looked at.
const LARGEST_BUILD_INFO: u64 = 1 << 20;

/// An ELF file's answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ElfFile {
    /// The machine, an `EM_` number.
    pub(crate) machine: elf::Machine,
    /// The program interpreter, where one is asked for.
    pub(crate) interpreter: Option<String>,
    /// `DT_NEEDED`, in order, where the dynamic section can be read.
    pub(crate) needed: Option<Vec<String>>,
    /// `DT_SONAME`; more than one is odd but possible.
    pub(crate) sonames: Vec<String>,
    /// Whether debug sections are left in.
    pub(crate) has_debug_sections: bool,
    /// Whether it is a Go program whose cryptography loads OpenSSL at run time.
    pub(crate) loads_openssl_from_go: bool,
}

/// Reads an ELF file; nothing where it is none or is broken.
pub(crate) fn read(mut file: Box<dyn ReadSeek + '_>) -> Option<ElfFile> {
    let mut ident = [0; 5];
    file.read_exact(&mut ident).ok()?;
    let (magic, class) = ident.split_at(4);
    if magic != elf::ELFMAG {
        return None;
    }
    file.seek(SeekFrom::Start(0)).ok()?;
    let cache = ReadCache::new(file);
    match class {
        [class] if *class == elf::ELFCLASS32.0 => parse::<FileHeader32<Endianness>, _>(&cache),
        [class] if *class == elf::ELFCLASS64.0 => parse::<FileHeader64<Endianness>, _>(&cache),
        _ => None,
    }
}

fn parse<'data, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(data: R) -> Option<ElfFile> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).ok()?;
    let sections = header.sections(endian, data).ok()?;
    let mut file = ElfFile {
        machine: header.e_machine(endian),
        ..ElfFile::default()
    };
    for segment in segments {
        if segment.p_type(endian) == elf::PT_INTERP {
            let bytes = segment.data(endian, data).ok()?;
            file.interpreter = Some(text(bytes)).filter(|path| !path.is_empty());
            break;
        }
    }
    for section in sections.iter() {
        match sections.section_name(endian, section).unwrap_or_default() {
            b".debug" | b".zdebug" => file.has_debug_sections = true,
            b".go.buildinfo" if section.sh_size(endian).into() <= LARGEST_BUILD_INFO => {
                let bytes = section.data(endian, data).unwrap_or_default();
                file.loads_openssl_from_go = loads_openssl(bytes);
            }
            _ => {}
        }
    }
    // Without section headers the Go tools see no dynamic section, and neither do we.
    let Ok(Some((entries, link))) = sections.dynamic(endian, data) else {
        file.needed = Some(Vec::new());
        return Some(file);
    };
    let Ok(strings) = sections.strings(endian, data, link) else {
        return Some(file);
    };
    file.needed = dynamic_strings::<Elf, R>(endian, entries, &strings, elf::DT_NEEDED);
    file.sonames = dynamic_strings::<Elf, R>(endian, entries, &strings, elf::DT_SONAME).unwrap_or_default();
    Some(file)
}

fn dynamic_strings<'data, Elf: FileHeader<Endian = Endianness>, R: ReadRef<'data>>(
    endian: Endianness,
    entries: &[Elf::Dyn],
    strings: &StringTable<'data, R>,
    tag: elf::DynamicTag,
) -> Option<Vec<String>> {
    entries
        .iter()
        .take_while(|entry| entry.d_tag(endian) != elf::DT_NULL)
        .filter(|entry| entry.d_tag(endian) == tag)
        .map(|entry| {
            let offset = u32::try_from(entry.d_val(endian).into()).ok()?;
            strings.get(offset).ok().map(text)
        })
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_matches('\0').to_owned()
}

/// Whether the build information that Go's linker leaves (Go 1.18 and later) names cgo together with one of the
/// toolchains that take their cryptography from OpenSSL.
fn loads_openssl(section: &[u8]) -> bool {
    let Some(settings) = build_settings(section) else {
        return false;
    };
    let (mut cgo, mut openssl) = (false, false);
    for line in settings.lines() {
        let Some((key, value)) = line
            .strip_prefix("build\t")
            .and_then(|setting| setting.split_once('='))
        else {
            continue;
        };
        match (key, value) {
            ("CGO_ENABLED", "1") => cgo = true,
            ("GOEXPERIMENT", "boringcrypto" | "systemcrypto" | "opensslcrypto") => openssl = true,
            ("microsoft_systemcrypto", "1") => openssl = true,
            _ => {}
        }
    }
    cgo && openssl
}

/// The module information of a `.go.buildinfo` section: a 32-byte header whose flags say that two strings follow,
/// each after its length, the second between 16-byte marks.
fn build_settings(section: &[u8]) -> Option<String> {
    const STRINGS_FOLLOW: u8 = 2;
    if !section.starts_with(b"\xff Go buildinf:") || section.get(15)? & STRINGS_FOLLOW == 0 {
        return None;
    }
    let (_, rest) = prefixed(section.get(32..)?)?;
    let (settings, _) = prefixed(rest)?;
    let inner = settings.get(16..settings.len().checked_sub(16)?)?;
    Some(String::from_utf8_lossy(inner).into_owned())
}

/// Splits off a string that its length in base-128 digits precedes.
fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes[index + 1..].split_at_checked(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn what_is_no_elf_file_is_nothing() {
        for bytes in [
            &b""[..],
            b"#!/bin/sh\n",
            b"\x7fELF",
            b"\x7fELF\x02\x01\x01",
            b"\x7fELF\x09aaaaaaaaaaaaaa",
        ] {
            assert_eq!(read(Box::new(Cursor::new(bytes))), None);
        }
    }

    #[test]
    fn this_very_program_is_read() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let found = read(Box::new(file)).unwrap();
        assert!(found.interpreter.unwrap_or_default().starts_with('/'));
        assert!(
            found
                .needed
                .unwrap()
                .iter()
                .any(|library| library.starts_with("libc.so"))
        );
        assert_eq!(found.sonames, Vec::<String>::new());
    }

    #[test]
    fn go_build_information_tells_of_openssl() {
        let section = |settings: &str| {
            let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
            bytes.resize(32, 0);
            bytes.extend(b"\x08go1.22.1");
            let inner = format!("{0}{settings}{0}", "0123456789abcdef");
            bytes.extend([(inner.len() & 0x7f) as u8 | 0x80, (inner.len() >> 7) as u8]);
            bytes.extend(inner.bytes());
            bytes
        };
        let both = "path\tx\nbuild\tCGO_ENABLED=1\nbuild\tGOEXPERIMENT=systemcrypto\n";
        assert!(loads_openssl(&section(both)));
        assert!(!loads_openssl(&section("build\tCGO_ENABLED=1\n")));
        for length in 0..80 {
            assert!(!loads_openssl(&section(both)[..length]));
        }
    }
}
