//! `etc/ld.so.cache`, which glibc's dynamic linker looks libraries up in and `ldconfig` writes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use object::ReadRef;
use object::elf;
use object::read::elf::{Dyn as _, FileHeader, SectionHeader as _};

use crate::go_sort;
use crate::tree::{Content, Fault, Tree, TreeError, normal, parts};

const CONF: &str = "etc/ld.so.conf";
const CACHE: &str = "etc/ld.so.cache";
const HEADER_SIZE: usize = 48;
const ENTRY_SIZE: usize = 24;
/// How deep `include` may nest.
const MAX_INCLUDES: usize = 8;
/// The cache's flag of an ELF library for glibc.
const GLIBC: u32 = 0x0003;

/// A library of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// glibc's flags: kind and architecture.
    pub flags: u32,
    /// Its absolute path.
    pub path: String,
}

/// Writes `etc/ld.so.cache` with the libraries of `/lib` and of the directories in `etc/ld.so.conf`, if there is such
/// a file.
pub fn update(tree: &mut Tree) -> Result<(), TreeError> {
    if tree.lookup(CONF).is_err() {
        return Ok(());
    }
    let mut directories = vec!["/lib".to_owned()];
    configured(tree, CONF, 0, &mut directories)?;
    let mut libraries = Vec::new();
    for directory in &directories {
        libraries.extend(in_directory(tree, directory)?);
    }
    let name = |library: &Library| library.path.rsplit('/').next().unwrap_or_default().to_owned();
    go_sort::sort(&mut libraries, |a, b| compare(&name(b), &name(a)).is_lt());
    tree.write_file(CACHE, write(&libraries), 0o644)?;
    tree.chmod(CACHE, 0o644)
}

/// Appends the directories that a configuration file lists. As in the Go tool, what follows an `include` line is
/// not read, and included files that cannot be read are passed over.
fn configured(tree: &Tree, path: &str, depth: usize, out: &mut Vec<String>) -> Result<(), TreeError> {
    let content = tree.read(path)?;
    let first = out.len();
    for line in String::from_utf8_lossy(&content).lines() {
        match directive(line) {
            None => {}
            Some(Directive::Include(pattern)) => {
                if depth < MAX_INCLUDES {
                    for file in glob(tree, pattern) {
                        let _ = configured(tree, &file, depth + 1, out);
                    }
                }
                return Ok(());
            }
            Some(Directive::Directory(seen)) if out[first..].iter().any(|other| other == seen) => {}
            Some(Directive::Directory(directory)) => out.push(directory.to_owned()),
        }
    }
    Ok(())
}

/// A line of `ld.so.conf` that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive<'l> {
    /// A directory with libraries.
    Directory(&'l str),
    /// `include`: a pattern of files to read.
    Include(&'l str),
}

/// Reads a line of `ld.so.conf`; none if it is empty or a comment.
pub fn directive(line: &str) -> Option<Directive<'_>> {
    let line = line.split('#').next().unwrap_or_default().trim();
    match line.strip_prefix("include ") {
        Some(pattern) => Some(Directive::Include(pattern.trim())),
        None if line.is_empty() => None,
        None => Some(Directive::Directory(line)),
    }
}

/// The paths that match a pattern with `*`, `?` and `[...]`, in byte order.
fn glob(tree: &Tree, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for part in parts(pattern) {
        found = found
            .iter()
            .flat_map(|directory| {
                let names = tree.list(directory).into_iter().flatten();
                let names = names.filter(|(name, _)| matches(part.as_bytes(), name.as_bytes()));
                names
                    .map(|(name, _)| format!("{directory}/{name}"))
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    found
}

/// Whether a name matches a part of a pattern. A malformed class matches nothing.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Where to go on after the last `*`, had it taken one byte more.
    let mut retry: Option<(usize, usize)> = None;
    let (mut p, mut n) = (0, 0);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n + 1));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(length) = one(&pattern[p..], name[n]) {
                    p += length;
                    n += 1;
                    continue;
                }
            }
            None => {}
        }
        match retry {
            Some((after, at)) => {
                (p, n) = (after, at);
                retry = Some((after, at + 1));
            }
            None => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// The length of the pattern's first element, if it is one that matches the byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', literal, ..] => (*literal == byte).then_some(2),
        [b'[', class @ ..] => {
            let end = class.iter().position(|byte| *byte == b']')?;
            let (negated, mut members) = match &class[..end] {
                [b'^', members @ ..] => (true, members),
                members => (false, members),
            };
            let mut is_member = false;
            while let [first, rest @ ..] = members {
                let (last, rest) = match rest {
                    [b'-', last, rest @ ..] => (last, rest),
                    _ => (first, rest),
                };
                is_member |= (first..=last).contains(&&byte);
                members = rest;
            }
            (is_member != negated).then_some(end + 2)
        }
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// The libraries of a directory in byte order of their names; none if there is no such directory.
fn in_directory(tree: &Tree, directory: &str) -> Result<Vec<Library>, TreeError> {
    let names = match tree.list(directory) {
        Ok(names) => names,
        Err(error) if error.fault == Fault::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let directory = normal(directory);
    let mut libraries = BTreeMap::new();
    for (name, _) in names.filter(|(name, _)| stem(name).is_some()) {
        let path = match directory.is_empty() {
            true => format!("/{name}"),
            false => format!("/{directory}/{name}"),
        };
        let Ok(content) = tree.get(&path).map(|node| node.content()) else {
            continue;
        };
        let Content::File(content) = content else { continue };
        let reader = object::ReadCache::new(content.reader());
        let Some((flags, mut sonames)) = inspect(&reader) else {
            continue;
        };
        if sonames.is_empty() && name.ends_with(".so") {
            sonames.push(name.to_owned());
        }
        let is_named = |soname: &String| {
            stem(soname).is_some_and(|stem| name == soname || name.strip_suffix(".so") == Some(stem))
        };
        if sonames.iter().any(is_named) {
            libraries.insert(name, Library { flags, path });
        }
    }
    Ok(libraries.into_values().collect())
}

/// What precedes `.so` in the name of a library: `lib*.so*` or `ld-*.so*`.
fn stem(name: &str) -> Option<&str> {
    if !name.starts_with("lib") && !name.starts_with("ld-") {
        return None;
    }
    name.strip_suffix(".so")
        .or_else(|| name.rfind(".so.").map(|at| &name[..at]))
}

/// The flags and sonames of a shared object; none if it is something else or for an unknown machine.
pub fn inspect<'d, R: ReadRef<'d>>(data: R) -> Option<(u32, Vec<String>)> {
    match object::FileKind::parse(data).ok()? {
        object::FileKind::Elf32 => inspect_class::<elf::FileHeader32<object::Endianness>, R>(data, 8),
        object::FileKind::Elf64 => inspect_class::<elf::FileHeader64<object::Endianness>, R>(data, 16),
        _ => None,
    }
}

fn inspect_class<'d, Elf: FileHeader<Endian = object::Endianness>, R: ReadRef<'d>>(
    data: R,
    entry_size: usize,
) -> Option<(u32, Vec<String>)> {
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    if header.e_type(endian) != elf::ET_DYN {
        return None;
    }
    let flags = GLIBC | machine_flags(header.e_machine(endian), header.e_flags(endian), entry_size == 16)?;
    let sections = header.sections(endian, data).ok()?;
    // Like the Go tool, look for the section and not for the program header.
    let dynamic = sections
        .iter()
        .find(|section| section.sh_type(endian) == elf::SHT_DYNAMIC);
    let Some(section) = dynamic else {
        return Some((flags, Vec::new()));
    };
    let (entries, link) = section.dynamic(endian, data).ok()??;
    let strings = sections.strings(endian, data, link).ok()?;
    let mut sonames = Vec::new();
    for entry in entries.iter().filter(|entry| entry.tag(endian) == elf::DT_SONAME) {
        let name = strings.get(u32::try_from(entry.val(endian)).ok()?).ok()?;
        sonames.push(String::from_utf8(name.to_vec()).ok()?);
    }
    Some((flags, sonames))
}

/// glibc's flag of a machine and its calling convention (`sysdeps/generic/ldconfig.h`).
fn machine_flags(machine: elf::Machine, flags: elf::FileFlags, is_64: bool) -> Option<u32> {
    let flags = flags.0;
    Some(match machine {
        elf::EM_X86_64 if is_64 => 0x0300,
        elf::EM_X86_64 => 0x0800,
        elf::EM_AARCH64 => 0x0a00,
        elf::EM_386 => 0,
        elf::EM_ARM if flags & 0x400 != 0 => 0x0900,
        elf::EM_ARM => 0x0b00,
        elf::EM_PPC64 => 0x0500,
        elf::EM_S390 if is_64 => 0x0400,
        elf::EM_RISCV if flags & 0x6 == 0x4 => 0x1000,
        elf::EM_RISCV => 0x0f00,
        elf::EM_LOONGARCH if flags & 0x7 == 0x3 => 0x1200,
        elf::EM_LOONGARCH => 0x1100,
        _ => return None,
    })
}

/// glibc's order of library names: runs of digits count as numbers, digits come after all else.
fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let ([x, ..], [y, ..]) = (a, b) {
        let order = match (x.is_ascii_digit(), y.is_ascii_digit()) {
            (true, true) => {
                let (left, right) = (number(&mut a), number(&mut b));
                if left != right {
                    return left.cmp(&right);
                }
                continue;
            }
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => x.cmp(y),
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (&a[1..], &b[1..]);
    }
    a.len().cmp(&b.len())
}

fn number(text: &mut &[u8]) -> i64 {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    digits.iter().fold(0_i64, |number, digit| {
        number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'))
    })
}

/// Writes a cache in glibc's format 1.1, little-endian, without extensions.
pub fn write(libraries: &[Library]) -> Vec<u8> {
    let strings_at = HEADER_SIZE + libraries.len() * ENTRY_SIZE;
    let mut entries = Vec::new();
    let mut strings: Vec<u8> = Vec::new();
    for library in libraries {
        let value = strings_at + strings.len();
        let key = value + library.path.rfind('/').map_or(0, |at| at + 1);
        for word in [library.flags, key as u32, value as u32, 0, 0, 0] {
            entries.extend_from_slice(&word.to_le_bytes());
        }
        strings.extend_from_slice(library.path.as_bytes());
        strings.push(0);
    }
    let mut out = b"glibc-ld.so.cache1.1".to_vec();
    for number in [libraries.len() as u32, strings.len() as u32] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.resize(HEADER_SIZE, 0);
    out.extend(entries);
    out.extend(strings);
    let padded = (out.len() & !15) + 16;
    out.resize(padded, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_libraries_are_ordered_as_glibc_orders_them() {
        let ascending = ["liba.so.2", "liba.so.10", "libb.so", "libb.so.1", "libb1.so"];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("liba.so.01", "liba.so.1"), Ordering::Equal);
    }

    #[test]
    fn patterns_match_names() {
        let table = [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", true),
            ("*.conf", "a.conf~", false),
            ("*a*b", "xaxbxb", true),
            ("?.conf", "a.conf", true),
            ("[a-c]*", "b", true),
            ("[^a-c]*", "b", false),
            ("[a", "a", false),
            ("\\*", "*", true),
        ];
        for (pattern, name, does) in table {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                does,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn directories_are_read_from_the_configuration_and_what_it_includes() {
        let mut tree = Tree::new();
        tree.mkdir_all("etc/ld.so.conf.d", 0o755).unwrap();
        let files = [
            (
                "etc/ld.so.conf",
                "# libraries\n/opt/lib # ours\n/opt/lib\n\ninclude /etc/ld.so.conf.d/*.conf\n/never\n",
            ),
            ("etc/ld.so.conf.d/b.conf", "/b\n"),
            ("etc/ld.so.conf.d/a.conf", "/a\n/opt/lib\n"),
            (
                "etc/ld.so.conf.d/loop.conf",
                "include /etc/ld.so.conf.d/loop.conf\n",
            ),
            ("etc/ld.so.conf.d/README", "/readme\n"),
        ];
        for (path, content) in files {
            tree.write_file(path, content, 0o644).unwrap();
        }
        let mut directories = Vec::new();
        configured(&tree, CONF, 0, &mut directories).unwrap();
        assert_eq!(directories, ["/opt/lib", "/a", "/opt/lib", "/b"]);
    }

    #[test]
    fn a_cache_holds_offsets_into_its_strings() {
        let library = Library {
            flags: 0x0303,
            path: "/lib/libc.so.6".to_owned(),
        };
        let cache = write(&[library]);
        assert_eq!(cache.len(), 96);
        assert_eq!(&cache[..20], b"glibc-ld.so.cache1.1");
        let word = |at: usize| u32::from_le_bytes(cache[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((word(20), word(24), word(48)), (1, 15, 0x0303));
        assert_eq!(&cache[word(52)..word(52) + 10], b"libc.so.6\0");
        assert_eq!(&cache[word(56)..word(56) + 15], b"/lib/libc.so.6\0");
    }
}
