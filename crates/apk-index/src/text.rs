//! The text inside an index: blocks of one-letter fields, one block a package.

use std::fmt::{Display, Write as _};

use memchr::memmem;

use apk_types::{Checksum, Dependency, PackageRecord};

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: `{text}`")]
pub struct LineError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
    /// The line's first 80 characters.
    pub text: String,
}

/// A record that an index cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("package `{package}`: the field `{field}:` contains a line break")]
pub struct WriteError {
    /// The package.
    pub package: String,
    /// The letter of the field.
    pub field: char,
}

/// How many packages an index may have at most; the largest of the field have some 100,000.
pub const MAX_PACKAGES: usize = 1 << 20;

/// Reads the text of an index (or the package fields of an installed database).
///
/// As the Go apko has it, unknown fields and blocks without a name are skipped, and a checksum of an unknown kind
/// counts as none; a line that is not `X:value` and a number that is none are errors. The last block needs no empty line.
///
/// More than [`MAX_PACKAGES`] are an error too. The records take at most 300 times the bytes of the text, whatever is in
/// it; those of a real index take about twice as many.
pub fn parse(text: &str) -> Result<Vec<PackageRecord>, LineError> {
    // Not one too many: an index stays in memory, and a record is large. The shortest real ones have over 64 bytes.
    let names = memmem::find_iter(text.as_bytes(), b"\nP:").count() + usize::from(text.starts_with("P:"));
    let mut packages = Vec::with_capacity(names.min(text.len() / 64));
    let mut record = PackageRecord::default();
    for (index, line) in lines(text).enumerate() {
        let read = match line.is_empty() {
            true => {
                finish(&mut record, &mut packages);
                Ok(())
            }
            false if packages.len() == MAX_PACKAGES => Err("more packages than the limit of 1048576"),
            false => field(line, &mut record),
        };
        read.map_err(|reason| LineError {
            line: index + 1,
            reason,
            text: line.chars().take(80).collect(),
        })?;
    }
    finish(&mut record, &mut packages);
    Ok(packages)
}

/// The lines without what ends them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
    ends.scan(0, |start, end| {
        let bytes = &text.as_bytes()[*start..end];
        let line = &text[*start..end - usize::from(bytes.last() == Some(&b'\r'))];
        *start = end + 1;
        Some(line)
    })
}

fn finish(record: &mut PackageRecord, packages: &mut Vec<PackageRecord>) {
    let record = std::mem::take(record);
    if !record.name.is_empty() {
        packages.push(record);
    }
}

fn field(line: &str, record: &mut PackageRecord) -> Result<(), &'static str> {
    let &[letter, b':', ..] = line.as_bytes() else {
        return Err("not a letter, a colon and a value");
    };
    let value = &line[2..];
    let number = || value.parse::<u64>().map_err(|_| "not a number");
    match letter {
        b'P' => record.name = value.to_owned(),
        b'V' => record.version = value.to_owned(),
        b'A' => record.arch = value.to_owned(),
        b'L' => record.license = value.to_owned(),
        b'T' => record.description = value.to_owned(),
        b'o' => record.origin = value.to_owned(),
        b'm' => record.maintainer = value.to_owned(),
        b'U' => record.url = value.to_owned(),
        b'c' => record.commit = value.to_owned(),
        b'D' => record.depends = expressions(value),
        b'p' => record.provides = expressions(value),
        b'i' => record.install_if = expressions(value),
        b'r' => record.replaces = expressions(value),
        b'q' => record.replaces_priority = value.parse().ok(),
        b't' => record.build_time = Some(value.parse().map_err(|_| "not a time")?),
        b'S' => record.size = number()?,
        b'I' => record.installed_size = number()?,
        b'k' => record.provider_priority = Some(number()?),
        b'C' => record.checksum = checksum(value)?,
        _ => {}
    }
    Ok(())
}

fn checksum(value: &str) -> Result<Option<Checksum>, &'static str> {
    if let [b'Q', b'1' | b'2', ..] = value.as_bytes() {
        value.parse().map(Some).map_err(|_| "not a checksum")
    } else {
        Ok(None)
    }
}

fn expressions(value: &str) -> Vec<Dependency> {
    let count = value.bytes().filter(|byte| *byte == b' ').count() + 1;
    let mut expressions = Vec::with_capacity(count);
    let texts = value.split(' ').filter(|text| !text.is_empty());
    expressions.extend(texts.map(Dependency::lenient));
    expressions
}

/// Whose order the fields of a block have. Readers do not care; the bytes differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// melange's, and the Go apko's: the provider priority comes last.
    #[default]
    Melange,
    /// apk-tools', as in Alpine's indexes: the provider priority comes before the dependencies, and `install_if` last.
    ApkTools,
}

/// Writes the text of an index as melange writes it, but for `install_if`, which is written as apk reads it, separated
/// by spaces. Records without a name are left out.
pub fn write(packages: &[PackageRecord]) -> Result<String, WriteError> {
    write_as(Layout::Melange, packages)
}

/// Writes the text of an index with the fields in a certain order.
pub fn write_as(layout: Layout, packages: &[PackageRecord]) -> Result<String, WriteError> {
    let mut block = Block {
        layout,
        text: String::with_capacity(packages.len() * 512),
        broken: None,
    };
    for record in packages.iter().filter(|record| !record.name.is_empty()) {
        block.record(record);
        if let Some(field) = block.broken {
            let package = record.name.clone();
            return Err(WriteError { package, field });
        }
    }
    Ok(block.text)
}

struct Block {
    layout: Layout,
    text: String,
    broken: Option<char>,
}

impl Block {
    fn record(&mut self, record: &PackageRecord) {
        let number = |value: u64| (value != 0).then_some(value);
        self.some('C', record.checksum);
        self.line('P', &record.name);
        self.line('V', &record.version);
        self.text('A', &record.arch);
        self.some('S', number(record.size));
        self.some('I', number(record.installed_size));
        self.line('T', &record.description);
        self.text('U', &record.url);
        self.text('L', &record.license);
        self.text('o', &record.origin);
        self.text('m', &record.maintainer);
        self.some('t', record.build_time);
        self.text('c', &record.commit);
        let priority = record.provider_priority.and_then(number);
        match self.layout {
            Layout::Melange => {
                self.list('D', &record.depends);
                self.list('i', &record.install_if);
                self.list('p', &record.provides);
                self.some('k', priority);
            }
            Layout::ApkTools => {
                self.some('k', priority);
                self.list('D', &record.depends);
                self.list('p', &record.provides);
                self.list('i', &record.install_if);
            }
        }
        self.text.push('\n');
    }

    fn line(&mut self, field: char, value: impl Display) {
        let start = self.text.len();
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{field}:{value}");
        self.end_line(field, start);
    }

    fn end_line(&mut self, field: char, start: usize) {
        if memchr::memchr2(b'\n', b'\r', &self.text.as_bytes()[start..]).is_some() {
            self.broken = Some(field);
        }
        self.text.push('\n');
    }

    fn text(&mut self, field: char, value: &str) {
        self.some(field, (!value.is_empty()).then_some(value));
    }

    fn some(&mut self, field: char, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(field, value);
        }
    }

    fn list(&mut self, field: char, values: &[Dependency]) {
        if values.is_empty() {
            return;
        }
        let start = self.text.len();
        self.text.extend([field, ':']);
        for (place, value) in values.iter().enumerate() {
            self.text.push_str(if place > 0 { " " } else { "" });
            self.text.push_str(value.as_str());
        }
        self.end_line(field, start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_fields_are_refused_with_their_number() {
        let rows = [
            ("P:a\nV:1\nx", 3, "not a letter, a colon and a value"),
            ("P:a\n\nPa:b", 3, "not a letter, a colon and a value"),
            ("P:a\nS:many", 2, "not a number"),
            ("k:-1", 1, "not a number"),
            ("t:now", 1, "not a time"),
            ("C:Q1AAAA", 1, "not a checksum"),
            ("é:b", 1, "not a letter, a colon and a value"),
        ];
        for (text, line, reason) in rows {
            let error = parse(text).unwrap_err();
            assert_eq!((error.line, error.reason), (line, reason), "{text}");
        }
    }

    #[test]
    fn what_the_reference_tolerates_is_tolerated() {
        let packages = parse("V:1\n\n\nP:a\r\nZ:unknown\nC:X2ab\nD:b  c \nq:first\nT:\n").unwrap();
        assert_eq!(packages.len(), 1);
        assert_eq!(packages[0].name, "a");
        assert_eq!(packages[0].checksum, None);
        assert_eq!(packages[0].depends, ["b", "c"].map(Dependency::lenient));
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn fields_stand_in_the_order_of_melange() {
        let record = PackageRecord {
            name: "a".into(),
            version: "1-r0".into(),
            arch: "x86_64".into(),
            description: String::new(),
            license: "MIT".into(),
            origin: "o".into(),
            maintainer: "m".into(),
            url: "u".into(),
            checksum: Some(Checksum::Sha1([0; 20])),
            depends: ["x", "y>1"].map(Dependency::lenient).into(),
            provides: ["p=1"].map(Dependency::lenient).into(),
            install_if: ["a", "b"].map(Dependency::lenient).into(),
            replaces: ["r"].map(Dependency::lenient).into(),
            replaces_priority: Some(2),
            provider_priority: Some(3),
            size: 4,
            installed_size: 5,
            build_time: Some(0),
            commit: "c0ffee".into(),
            data_hash: "00".into(),
        };
        let wanted = "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:a\nV:1-r0\nA:x86_64\nS:4\nI:5\nT:\nU:u\nL:MIT\no:o\nm:m\n\
                      t:0\nc:c0ffee\nD:x y>1\ni:a b\np:p=1\nk:3\n\n";
        assert_eq!(write(std::slice::from_ref(&record)).unwrap(), wanted);
        let bare = PackageRecord {
            name: "b".into(),
            ..PackageRecord::default()
        };
        assert_eq!(
            write(&[PackageRecord::default(), bare]).unwrap(),
            "P:b\nV:\nT:\n\n"
        );
    }

    #[test]
    fn a_line_break_cannot_bring_in_a_field() {
        let record = PackageRecord {
            name: "a".into(),
            description: "innocent\nP:evil".into(),
            ..PackageRecord::default()
        };
        let error = write(&[record]).unwrap_err();
        assert_eq!((error.package.as_str(), error.field), ("a", 'T'));
    }
}
