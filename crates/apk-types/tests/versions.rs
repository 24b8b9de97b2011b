//! The order and validity of versions, against what apk-tools says of them.

#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use apk_types::Version;

/// What apk-tools says of the order: `?` where one of the two is not valid.
fn order(a: &str, b: &str) -> &'static str {
    match (Version::parse(a), Version::parse(b)) {
        (Ok(a), Ok(b)) => match a.cmp(&b) {
            Ordering::Less => "<",
            Ordering::Equal => "=",
            Ordering::Greater => ">",
        },
        _ => "?",
    }
}

/// The pairs that `testdata/versions.sh` makes.
#[test]
fn own_pairs_stand_in_the_order_of_apk_tools() {
    let rows = include_str!("../testdata/versions.tsv").lines();
    let mut count = 0;
    for row in rows.filter(|row| !row.starts_with('#')) {
        let [a, wanted, b] = row.split('\t').collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(order(a, b), wanted, "{a} {b}");
        count += 1;
    }
    assert!(count > 1000, "{count}");
}

/// Real and mutated versions, where the conformance sets are at hand.
#[test]
fn the_pairs_of_the_conformance_set_stand_in_the_order_of_apk_tools() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance/version/versions.jsonl"
    );
    let Ok(rows) = std::fs::read_to_string(path) else {
        eprintln!("skipped: the conformance sets are not here");
        return;
    };
    for line in rows.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let [a, b] = ["a", "b"].map(|key| row[key].as_str().unwrap());
        assert_eq!(Version::parse(a).is_ok(), row["a_valid"], "{line}");
        assert_eq!(Version::parse(b).is_ok(), row["b_valid"], "{line}");
        let wanted = Some(row["cmp"].as_str().unwrap()).filter(|order| !order.is_empty());
        assert_eq!(order(a, b), wanted.unwrap_or("?"), "{line}");
    }
}
