//! What comparing costs in memory: nothing.

#![allow(clippy::unwrap_used)]

use apk_types::{Dependency, Version};

#[test]
fn comparing_versions_allocates_nothing() {
    let texts = [
        "1.2.3_rc1_p2~c0ffee-r4",
        "1.2.3_rc1_p2~c0ffee-r5",
        "01.2.3",
        "1.020.3b",
        "7",
    ];
    let versions = texts.map(|text| Version::parse(text).unwrap());
    let allocated = allocation_counter::measure(|| {
        for a in &versions {
            for b in &versions {
                std::hint::black_box((a.cmp(b), a == b, a.matches_fuzzily(b)));
            }
        }
    });
    assert_eq!((allocated.count_total, allocated.bytes_total), (0, 0));
}

#[test]
fn taking_a_dependency_apart_allocates_nothing() {
    let dependency = Dependency::parse("!so:libc.so.6>=2.36@edge").unwrap();
    let allocated = allocation_counter::measure(|| {
        std::hint::black_box((dependency.name(), dependency.constraint(), dependency.pin()));
    });
    assert_eq!(allocated.count_total, 0);
}
