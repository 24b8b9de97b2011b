//! Each linter against the trees of `linters.txt`, which says how they are written.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use melange_analyze::MemoryTree;
use melange_analyze::lint::{Default, LINTERS, Subject, defaults, lint};

const TABLE: &str = include_str!("linters.txt");

/// What a linter is shown, and what it is to find in there.
struct Case<'a> {
    tree: MemoryTree,
    package: &'a str,
    pipelines: Vec<&'a str>,
    marked: Vec<&'a str>,
}

impl<'a> Case<'a> {
    fn read(words: &[&'a str]) -> Self {
        let mut case = Self {
            tree: MemoryTree::default(),
            package: "x",
            pipelines: Vec::new(),
            marked: Vec::new(),
        };
        let mut words = words.iter().copied().peekable();
        if words.next_if_eq(&"in").is_some() {
            case.package = words.next().unwrap();
        }
        if words.next_if_eq(&"tested").is_some() {
            case.pipelines.extend(words.nth(1));
        }
        words.for_each(|word| case.member(word));
        case
    }

    fn member(&mut self, word: &'a str) {
        let (word, is_marked) = match word.strip_prefix('!') {
            Some(word) => (word, true),
            None => (word, false),
        };
        let (mode, word) = match word.split_once(':') {
            Some((mode, word)) => (u32::from_str_radix(mode, 8).unwrap(), word),
            None => (0o644, word),
        };
        let (path, content) = word.split_once('=').unwrap_or((word, ""));
        let path = if let Some((path, target)) = path.split_once("->") {
            self.tree.symlink(path, target);
            path
        } else if let Some(path) = path.strip_suffix('/') {
            self.tree
                .directory(path, if mode == 0o644 { 0o755 } else { mode });
            path
        } else {
            self.tree.file(path, mode, bytes(content));
            path
        };
        if is_marked {
            self.marked.push(path);
        }
    }

    fn check(&self, linter: &str, line: &str) {
        let subject = Subject {
            name: self.package,
            tree: &self.tree,
            test_pipelines: &self.pipelines,
        };
        let findings = lint(&subject, &[linter]).unwrap();
        assert_eq!(
            findings.is_empty(),
            line.starts_with("passes"),
            "{linter}: {line}"
        );
        for finding in findings {
            assert_eq!(finding.linter, linter);
            let mut found: Vec<&str> = finding.items.iter().map(|item| item.path.as_str()).collect();
            let mut marked = self.marked.clone();
            found.sort_unstable();
            marked.sort_unstable();
            assert_eq!(found, marked, "{linter}: {line}");
        }
    }
}

fn bytes(content: &str) -> Vec<u8> {
    if content.is_empty() {
        return Vec::new();
    }
    if let Some(machine) = content.strip_prefix("elf-") {
        return match machine.strip_suffix("-debug") {
            Some(machine) => elf(machine, b"\0.debug\0"),
            None => elf(machine, b"\0.text\0"),
        };
    }
    let (letter, number) = content.split_at(1);
    letter.repeat(number.parse().unwrap()).into_bytes()
}

/// An ELF file of one section, whose name is in the section of names.
fn elf(machine: &str, names: &[u8]) -> Vec<u8> {
    let machine: u16 = match machine {
        "i386" => 3,
        "arm" => 40,
        "x86_64" => 62,
        "aarch64" => 183,
        "riscv" => 243,
        _ => panic!("no machine is called {machine}"),
    };
    let at = 64 + names.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend(3_u16.to_le_bytes());
    file.extend(machine.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    for offset in [0, 0, at] {
        file.extend(u64::to_le_bytes(offset));
    }
    file.extend([0; 4]);
    // The sizes and numbers of the headers, and which section holds the names.
    for number in [64, 56, 0, 64, 3, 2] {
        file.extend(u16::to_le_bytes(number));
    }
    file.extend(names);
    let mut section = |name: u32, kind: u32, offset: u64, size: u64| {
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        for field in [0, 0, offset, size, 0, 1, 0] {
            file.extend(u64::to_le_bytes(field));
        }
    };
    section(0, 0, 0, 0);
    section(1, 1, 64, 0);
    section(0, 3, 64, names.len() as u64);
    file
}

#[test]
fn each_linter_finds_what_it_should_and_passes_the_rest() {
    let (mut linter, mut names) = ("", Vec::new());
    let (mut finds, mut passes) = (0, 0);
    for line in TABLE
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["finds", ref members @ ..] => {
                finds += 1;
                Case::read(members).check(linter, line);
            }
            ["passes", ref members @ ..] => {
                passes += 1;
                Case::read(members).check(linter, line);
            }
            [name, default] => {
                assert!(
                    names.is_empty() || finds > 0 && passes > 0,
                    "{linter} lacks a case"
                );
                (finds, passes) = (0, 0);
                linter = name.trim_matches(['[', ']']);
                names.push(linter);
                let known = LINTERS.iter().find(|known| known.name == linter).unwrap();
                let wanted = match default {
                    "ignore" => Default::Ignore,
                    "warn" => Default::Warn,
                    "require" => Default::Require,
                    _ => panic!("`{line}` is no default"),
                };
                assert_eq!(known.default, wanted, "{linter}");
            }
            _ => panic!("`{line}` is not understood"),
        }
    }
    let known: Vec<&str> = LINTERS.iter().map(|linter| linter.name).collect();
    assert_eq!(names, known);
}

#[test]
fn the_lists_that_commands_take_are_those_of_the_go_tool() {
    let lists = [(Default::Require, 8), (Default::Warn, 20), (Default::Ignore, 2)];
    for (default, number) in lists {
        assert_eq!(defaults(default).len(), number, "{default:?}");
        assert!(defaults(default).is_sorted());
    }
}
