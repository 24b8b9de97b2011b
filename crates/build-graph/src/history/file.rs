//! The history's file: a row of frames, each a batch of entries.
//!
//! A frame is [`MARKER`], the length of the batch in four bytes (little-endian), the first 16 bytes of its BLAKE3 hash, and
//! the batch in postcard's encoding. Texts are written once a batch; entries refer to them by number. Where a frame is
//! damaged, as when a process was killed while it wrote, reading goes on at the next marker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Entry;
use crate::{Hash, Input, Key, NodeId, Origin};

/// What a frame begins with: the format and its version.
const MARKER: &[u8; 8] = b"bghist\x00\x01";

/// Entries, and the texts they refer to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Batch<'a> {
    #[serde(borrow)]
    pub(super) strings: Vec<&'a str>,
    pub(super) entries: Vec<Raw>,
}

/// An entry; numbers are those of texts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Raw {
    node: u32,
    key: Key,
    identity: Hash,
    when: SystemTime,
    took: Duration,
    was_built: bool,
    failure: Option<u32>,
    because: Vec<u32>,
    inputs: Vec<PackedInput>,
}

/// An input: the numbers of its name, its value, and the file it is written in with the line, where 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PackedInput {
    name: u32,
    value: u32,
    file: Option<u32>,
    line: u32,
}

/// Inputs as they lie in the file, beside the texts of their batch.
#[derive(Clone, Debug)]
pub(crate) struct PackedInputs {
    strings: Arc<[Box<str>]>,
    list: Arc<[PackedInput]>,
}

impl PartialEq for PackedInputs {
    fn eq(&self, other: &Self) -> bool {
        self.unpack() == other.unpack()
    }
}

impl Eq for PackedInputs {}

impl PackedInputs {
    pub(crate) fn of(inputs: &[Input]) -> Self {
        let mut texts = Texts::default();
        let list = inputs.iter().map(|input| PackedInput {
            name: texts.number(&input.name),
            value: texts.number(&input.value),
            file: input.origin.as_ref().map(|origin| texts.number(&origin.file)),
            line: input.origin.as_ref().and_then(|origin| origin.line).unwrap_or(0),
        });
        let list = list.collect();
        let strings = texts.list.into_iter().map(Box::from).collect();
        Self { strings, list }
    }

    pub(crate) fn unpack(&self) -> Vec<Input> {
        self.list.iter().filter_map(|packed| self.input(packed)).collect()
    }

    fn text(&self, number: u32) -> Option<&str> {
        self.strings.get(number as usize).map(|text| &**text)
    }

    fn input(&self, packed: &PackedInput) -> Option<Input> {
        let origin = packed.file.and_then(|file| self.text(file)).map(|file| Origin {
            file: file.to_owned(),
            line: Some(packed.line).filter(|line| *line > 0),
        });
        Some(Input {
            name: self.text(packed.name)?.to_owned(),
            value: self.text(packed.value)?.to_owned(),
            origin,
        })
    }
}

/// Texts, each once.
#[derive(Default)]
struct Texts<'a> {
    list: Vec<&'a str>,
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u32 {
        let next = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            self.list.push(text);
        }
        number
    }
}

impl<'a> Batch<'a> {
    pub(super) fn of(entries: impl IntoIterator<Item = (&'a NodeId, &'a Entry)>) -> Self {
        let mut texts = Texts::default();
        let entries = entries.into_iter().map(|(node, entry)| {
            let PackedInputs { strings, list } = &entry.inputs;
            let mut number = |number: u32| strings.get(number as usize).map_or(0, |text| texts.number(text));
            let inputs = list.iter().map(|input| PackedInput {
                name: number(input.name),
                value: number(input.value),
                file: input.file.map(&mut number),
                line: input.line,
            });
            Raw {
                inputs: inputs.collect(),
                node: texts.number(node.as_str()),
                key: entry.key,
                identity: entry.identity,
                when: entry.when,
                took: entry.took,
                was_built: entry.was_built,
                failure: entry.failure.as_deref().map(|text| texts.number(text)),
                because: entry.because.iter().map(|text| texts.number(text)).collect(),
            }
        });
        let entries = entries.collect();
        Self {
            strings: texts.list,
            entries,
        }
    }
}

impl Raw {
    /// The node and its entry, `None` if a number is of no text.
    pub(super) fn unpack(self, strings: &Arc<[Box<str>]>) -> Option<(NodeId, Entry)> {
        let text = |number: u32| strings.get(number as usize).map(|text| &**text);
        let node = NodeId::from(text(self.node)?);
        let because: Option<Vec<String>> = self
            .because
            .iter()
            .map(|number| text(*number).map(str::to_owned))
            .collect();
        let entry = Entry {
            key: self.key,
            identity: self.identity,
            when: self.when,
            took: self.took,
            was_built: self.was_built,
            failure: self.failure.and_then(text).map(str::to_owned),
            because: because?,
            inputs: PackedInputs {
                strings: Arc::clone(strings),
                list: self.inputs.into(),
            },
        };
        Some((node, entry))
    }
}

/// The frame of a batch.
pub(super) fn frame(batch: &Batch<'_>) -> Vec<u8> {
    // Encoding to memory fails for types that postcard does not know, and there is none of them in a batch.
    let body = postcard::to_stdvec(batch).unwrap_or_default();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&MARKER[..], &length, check(&body).as_slice(), &body].concat()
}

fn check(body: &[u8]) -> [u8; 16] {
    let mut check = [0; 16];
    check.copy_from_slice(&blake3::hash(body).as_bytes()[..16]);
    check
}

/// Gives all batches that are whole, each with the size of its frame, and tells what is not.
pub(super) fn read<'a>(bytes: &'a [u8], mut give: impl FnMut(Result<(Batch<'a>, u64), String>)) {
    let mut at = 0;
    while at < bytes.len() {
        if let Some((batch, size)) = first_frame(&bytes[at..]) {
            give(Ok((batch, size as u64)));
            at += size;
            continue;
        }
        let next = bytes[at + 1..]
            .windows(MARKER.len())
            .position(|window| window == MARKER);
        let end = next.map_or(bytes.len(), |next| at + 1 + next);
        give(Err(format!(
            "bytes {at} to {end} are damaged, or of another version"
        )));
        at = end;
    }
}

fn first_frame(bytes: &[u8]) -> Option<(Batch<'_>, usize)> {
    let rest = bytes.strip_prefix(MARKER)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (hash, rest) = rest.split_first_chunk::<16>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let body = rest.get(..length)?;
    let batch = (check(body) == *hash).then(|| postcard::from_bytes(body).ok())??;
    Some((batch, MARKER.len() + 4 + 16 + length))
}
