//! Records of results, and the history: what is read is written so that it reads back the same, and hostile bytes are
//! refused.
#![no_main]

use build_graph::{Hash, History, Key, Record};
use libfuzzer_sys::fuzz_target;

/// The key that records in the corpus are of.
fn key() -> Key {
    Key::from(Hash::from([7; 32]))
}

/// The head that makes a payload a record, so that the fuzzer need not find a hash.
fn framed(payload: &[u8]) -> Vec<u8> {
    [&b"bgraph\x00\x01"[..], blake3::hash(payload).as_bytes(), payload].concat()
}

fuzz_target!(|bytes: &[u8]| {
    for bytes in [bytes.to_vec(), framed(bytes)] {
        if let Ok(record) = Record::decode(&bytes, &key(), None)
            && let Ok(again) = record.encode(None)
        {
            assert_eq!(Record::decode(&again, &key(), None).as_ref(), Ok(&record));
        }
    }
    // As a batch of a history too.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    let hash = blake3::hash(bytes);
    let frame = [&b"bghist\x00\x01"[..], &length, &hash.as_bytes()[..16], bytes].concat();
    let file = std::env::temp_dir().join(format!("fuzz-history-{}", std::process::id()));
    if std::fs::write(&file, frame).is_ok()
        && let Ok(history) = History::open(&file)
    {
        for node in history.nodes() {
            history.get(&node).map(|entry| entry.inputs());
        }
    }
});
