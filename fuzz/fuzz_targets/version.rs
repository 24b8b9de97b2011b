//! Versions: any two texts are read or refused, and the order is one.
#![no_main]

use apk_types::Version;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str, &str)| {
    let (a, b, c) = texts;
    let (Ok(a), Ok(b)) = (Version::parse(a), Version::parse(b)) else {
        return;
    };
    assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    assert!(a.matches_fuzzily(&a));
    let _ = a.matches_fuzzily(&b);
    if let Ok(c) = Version::parse(c)
        && a <= b
        && b <= c
    {
        assert!(a <= c);
    }
});
