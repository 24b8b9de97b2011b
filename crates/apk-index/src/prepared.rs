//! An index in a form of which a part can be read.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use apk_types::{Dependency, PackageRecord};
use bytes::Bytes;

use crate::text::{self, LineError, MAX_PACKAGES};

/// What the bytes begin with; to be changed with the form.
const MAGIC: &[u8; 8] = b"apkidx\x00\x01";

/// How many lists of numbers there are.
const LISTS: usize = 10;

/// Where each block begins and ends in the text.
const BLOCKS: usize = 0;
/// Where each name ends; they are sorted.
const NAMES: usize = 1;
/// Of each name: where its packages end.
const PROVIDER_ENDS: usize = 2;
const PROVIDERS: usize = 3;
/// Of each package: where the names end that it has and needs.
const NEED_ENDS: usize = 4;
const NEEDS: usize = 5;
/// The packages with `install_if`, and for each where its names end.
const TRIGGERED: usize = 6;
const TRIGGER_ENDS: usize = 7;
const TRIGGERS: usize = 8;
/// Of each block: the beginning of its BLAKE3 hash, in four numbers.
const HASHES: usize = 9;

/// How many bytes of a block's hash are kept.
const HASH: usize = 16;

/// Gives parts of the text of an index.
pub trait Text: Send + Sync {
    /// The bytes of a range; `None` where they cannot be had.
    fn part(&self, range: Range<usize>) -> Option<Vec<u8>>;
}

impl Text for Bytes {
    fn part(&self, range: Range<usize>) -> Option<Vec<u8>> {
        self.get(range).map(<[u8]>::to_vec)
    }
}

/// An index prepared for questions about a part of it: which names its packages have, provide and need is known without
/// its text, of which only those packages are read that are asked for.
///
/// The text is verified as it is read. The rest is trusted: keep it where nobody changes it, or beside a hash.
#[derive(Clone)]
pub struct Prepared {
    bytes: Bytes,
    lists: [Range<usize>; LISTS],
    names: Range<usize>,
    text: Arc<dyn Text>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packages = self.length(NEED_ENDS);
        f.debug_struct("Prepared")
            .field("packages", &packages)
            .finish_non_exhaustive()
    }
}

/// A text that is not the one that was prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text of the index is not the one that was prepared")]
pub struct OtherText;

impl Prepared {
    /// Prepares the text of an index, which is to be kept beside what is returned; `None` for one whose packages are not separated by
    /// single empty lines.
    ///
    /// # Errors
    /// As [`parse`](crate::parse).
    pub fn encode(text: &str) -> Result<Option<Vec<u8>>, LineError> {
        if u32::try_from(text.len()).is_err() {
            return text::parse(text).map(|_| None);
        }
        let mut records = Vec::new();
        let mut lists: [Vec<u32>; LISTS] = Default::default();
        let mut start = 0;
        for block in text.split("\n\n") {
            let found = match text::parse(block) {
                Ok(found) if found.len() <= 1 && records.len() <= MAX_PACKAGES => found,
                // Said of the whole text, an error has the right line.
                _ => return text::parse(text).map(|_| None),
            };
            if let Some(record) = found.into_iter().next() {
                records.push(record);
                lists[BLOCKS].extend([start as u32, (start + block.len()) as u32]);
                let hash = blake3::hash(block.as_bytes());
                let (numbers, _) = hash.as_bytes()[..HASH].as_chunks::<4>();
                lists[HASHES].extend(numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)));
            }
            start += block.len() + 2;
        }
        let mut names: Vec<&str> = records.iter().flat_map(all_names).collect();
        names.sort_unstable();
        names.dedup();
        let number = |name: &str| names.binary_search(&name).unwrap_or_default() as u32;
        let mut providers = vec![Vec::new(); names.len()];
        for (place, record) in records.iter().enumerate() {
            let place = place as u32;
            for name in own_names(record) {
                let providers = &mut providers[number(name) as usize];
                if providers.last() != Some(&place) {
                    providers.push(place);
                }
            }
            lists[NEEDS].push(number(&record.name));
            lists[NEEDS].extend(wanted_names(&record.depends).map(number));
            let ends = lists[NEEDS].len() as u32;
            lists[NEED_ENDS].push(ends);
            if !record.install_if.is_empty() {
                lists[TRIGGERED].push(place);
                lists[TRIGGERS].extend(wanted_names(&record.install_if).map(number));
                let ends = lists[TRIGGERS].len() as u32;
                lists[TRIGGER_ENDS].push(ends);
            }
        }
        for providers in providers {
            lists[PROVIDERS].extend(providers);
            let ends = lists[PROVIDERS].len() as u32;
            lists[PROVIDER_ENDS].push(ends);
        }
        let mut all_names = String::new();
        for name in names {
            all_names += name;
            lists[NAMES].push(all_names.len() as u32);
        }
        Ok(Some(bytes(&lists, &all_names)))
    }

    /// Takes what [`encode`](Self::encode) gave, and the text it was given; `None` if the former is something else.
    pub fn open(bytes: Bytes, text: Arc<dyn Text>) -> Option<Self> {
        let mut at = MAGIC.len();
        if bytes.get(..at)? != MAGIC {
            return None;
        }
        let mut part = |unit: usize| {
            let length = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
            let start = at + 4;
            at = start.checked_add(length.checked_mul(unit)?)?;
            bytes.get(start..at).map(|_| start..at)
        };
        let mut lists = [const { 0..0 }; LISTS];
        for list in &mut lists {
            *list = part(4)?;
        }
        let names = part(1)?;
        Some(Self {
            bytes,
            lists,
            names,
            text,
        })
    }

    fn length(&self, list: usize) -> usize {
        self.lists[list].len() / 4
    }

    fn number(&self, list: usize, place: usize) -> usize {
        let list = &self.bytes[self.lists[list].clone()];
        let number = list
            .get(4 * place..4 * place + 4)
            .and_then(|bytes| bytes.try_into().ok());
        number.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize)
    }

    /// A part of `list`, of which `ends` has where the parts end.
    fn part(&self, ends: usize, list: usize, place: usize) -> impl Iterator<Item = usize> + '_ {
        let start = place.checked_sub(1).map_or(0, |before| self.number(ends, before));
        (start..self.number(ends, place)).map(move |place| self.number(list, place))
    }

    fn name(&self, number: usize) -> &str {
        let start = number
            .checked_sub(1)
            .map_or(0, |before| self.number(NAMES, before));
        let name = self.bytes[self.names.clone()].get(start..self.number(NAMES, number));
        name.and_then(|name| std::str::from_utf8(name).ok())
            .unwrap_or_default()
    }

    /// The packages that have or provide a name.
    fn providers(&self, name: &str) -> impl Iterator<Item = usize> + '_ {
        let (mut low, mut high) = (0, self.length(NAMES));
        while low < high {
            let middle = low.midpoint(high);
            match self.name(middle) < name {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let found = (low < self.length(NAMES) && self.name(low) == name).then_some(low);
        found
            .into_iter()
            .flat_map(|number| self.part(PROVIDER_ENDS, PROVIDERS, number))
    }

    fn record(&self, place: usize) -> Result<PackageRecord, OtherText> {
        let range = self.number(BLOCKS, 2 * place)..self.number(BLOCKS, 2 * place + 1);
        let block = self.text.part(range).ok_or(OtherText)?;
        let hashes = &self.bytes[self.lists[HASHES].clone()];
        let hash = hashes.get(HASH * place..HASH * (place + 1));
        if hash != Some(&blake3::hash(&block).as_bytes()[..HASH]) {
            return Err(OtherText);
        }
        let records = std::str::from_utf8(&block).map(text::parse);
        let record = records
            .ok()
            .and_then(Result::ok)
            .and_then(|records| records.into_iter().next());
        record.ok_or(OtherText)
    }
}

/// Of each index, in its order: the packages that a solution for entries of these names can have to do with. Those are
/// the packages that have or provide one of the names, what they depend on, all other packages of the same names, and those
/// whose `install_if` they meet, whichever of the indexes they are in.
///
/// # Errors
/// When the text of an index is not the one that was prepared.
pub fn reachable(indexes: &[&Prepared], names: &[&str]) -> Result<Vec<Vec<PackageRecord>>, OtherText> {
    let mut taken: Vec<Vec<bool>> = indexes
        .iter()
        .map(|index| vec![false; index.length(NEED_ENDS)])
        .collect();
    let mut seen: HashSet<&str> = names.iter().copied().collect();
    let mut pending: Vec<&str> = names.to_vec();
    loop {
        while let Some(name) = pending.pop() {
            for (index, taken) in indexes.iter().zip(&mut taken) {
                for place in index.providers(name) {
                    if taken.get(place) == Some(&false) {
                        taken[place] = true;
                        let needs = index.part(NEED_ENDS, NEEDS, place).map(|need| index.name(need));
                        pending.extend(needs.filter(|need| seen.insert(need)));
                    }
                }
            }
        }
        let is_taken = |number: usize, place: usize| taken[number].get(place) == Some(&true);
        let has = |name: &str| {
            let mut numbered = indexes.iter().enumerate();
            numbered.any(|(number, index)| index.providers(name).any(|place| is_taken(number, place)))
        };
        for (number, index) in indexes.iter().enumerate() {
            for trigger in 0..index.length(TRIGGERED) {
                let place = index.number(TRIGGERED, trigger);
                let is_met = |name: usize| {
                    let mut own = index.part(PROVIDER_ENDS, PROVIDERS, name);
                    own.any(|place| is_taken(number, place)) || indexes.len() > 1 && has(index.name(name))
                };
                if !is_taken(number, place) && index.part(TRIGGER_ENDS, TRIGGERS, trigger).all(is_met) {
                    // Its own name leads to it.
                    let own = index
                        .part(NEED_ENDS, NEEDS, place)
                        .next()
                        .map(|name| index.name(name));
                    pending.extend(own.filter(|own| seen.insert(own)));
                }
            }
        }
        if pending.is_empty() {
            break;
        }
    }
    let records = |(index, taken): (&&Prepared, Vec<bool>)| {
        let places = (0..taken.len()).filter(|place| taken[*place]);
        places.map(|place| index.record(place)).collect()
    };
    indexes.iter().zip(taken).map(records).collect()
}

fn own_names(record: &PackageRecord) -> impl Iterator<Item = &str> {
    let provided = record.provides.iter().map(|entry| entry.name());
    std::iter::once(record.name.as_str()).chain(provided)
}

/// The names that entries ask for.
fn wanted_names(entries: &[Dependency]) -> impl Iterator<Item = &str> {
    entries
        .iter()
        .filter(|entry| !entry.is_conflict())
        .map(|entry| entry.name())
}

fn all_names(record: &PackageRecord) -> impl Iterator<Item = &str> {
    own_names(record)
        .chain(wanted_names(&record.depends))
        .chain(wanted_names(&record.install_if))
}

fn bytes(lists: &[Vec<u32>; LISTS], names: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for list in lists {
        bytes.extend((list.len() as u32).to_le_bytes());
        bytes.extend(list.iter().flat_map(|number| number.to_le_bytes()));
    }
    bytes.extend((names.len() as u32).to_le_bytes());
    bytes.extend(names.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "P:app\nV:1\nD:so:lib.so.1 !old\n\nP:lib\nV:2\np:so:lib.so.1=1\n\nP:lib\nV:1\n\n\
        P:old\nV:1\n\nP:app-doc\nV:1\ni:app docs\n\nP:docs\nV:1\nD:viewer\n\nP:viewer\nV:1\n\n";

    fn prepared(text: &str) -> Prepared {
        let bytes = Prepared::encode(text).unwrap().unwrap();
        Prepared::open(bytes.into(), Arc::new(Bytes::copy_from_slice(text.as_bytes()))).unwrap()
    }

    fn names(indexes: &[&Prepared], world: &[&str]) -> Vec<Vec<String>> {
        let found = reachable(indexes, world).unwrap().into_iter();
        let name = |record: &PackageRecord| format!("{}-{}", record.name, record.version);
        found.map(|records| records.iter().map(name).collect()).collect()
    }

    #[test]
    fn a_record_is_the_one_of_the_text_and_another_text_is_refused() {
        let records = text::parse(TEXT).unwrap();
        let bytes = Bytes::from(Prepared::encode(TEXT).unwrap().unwrap());
        let other = Bytes::from(TEXT.replace("V:2", "V:3"));
        let other = Prepared::open(bytes, Arc::new(other)).unwrap();
        for (place, record) in records.iter().enumerate() {
            assert_eq!(prepared(TEXT).record(place).as_ref(), Ok(record));
            assert_eq!(other.record(place).is_err(), record.version == "2", "{place}");
        }
        assert_eq!(reachable(&[&other], &["app"]), Err(OtherText));
        assert!(reachable(&[&other], &["viewer"]).is_ok());
    }

    #[test]
    fn what_a_world_can_lead_to_is_found_and_nothing_else() {
        let index = prepared(TEXT);
        assert_eq!(names(&[&index], &["app"]), [["app-1", "lib-2", "lib-1"]]);
        assert_eq!(
            names(&[&index], &["app", "docs"]),
            [["app-1", "lib-2", "lib-1", "app-doc-1", "docs-1", "viewer-1"]]
        );
        assert_eq!(names(&[&index], &["nothing"]), [[""; 0]]);
    }

    #[test]
    fn what_is_provided_sets_off_install_if_in_any_index() {
        let index = prepared("P:app\nV:1\np:service\n\nP:unit\nV:1\ni:service other\n\n");
        let other = prepared("P:other\nV:1\n\n");
        assert_eq!(
            names(&[&index, &other], &["app", "other"]),
            [vec!["app-1", "unit-1"], vec!["other-1"]]
        );
        assert_eq!(names(&[&index, &other], &["app"]), [vec!["app-1"], vec![]]);
    }

    #[test]
    fn names_lead_from_one_index_into_another() {
        let other = prepared("P:other\nV:1\np:so:lib.so.1=2\nD:viewer\n\n");
        assert_eq!(
            names(&[&prepared(TEXT), &other], &["app"]),
            [vec!["app-1", "lib-2", "lib-1", "viewer-1"], vec!["other-1"]]
        );
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = Prepared::encode(TEXT).unwrap().unwrap();
        for end in 0..bytes.len() {
            assert!(
                Prepared::open(bytes[..end].to_vec().into(), Arc::new(Bytes::new())).is_none(),
                "{end}"
            );
        }
        assert!(Prepared::open(Bytes::from_static(b"P:app\nV:1\n\n"), Arc::new(Bytes::new())).is_none());
        assert!(Prepared::encode("P:a\r\n\r\nP:b\r\n\r\n").unwrap().is_none());
        assert!(Prepared::encode("nonsense").is_err());
        assert_eq!(Prepared::encode("P:a\n\nP:b\nnonsense\n").unwrap_err().line, 4);
    }
}
