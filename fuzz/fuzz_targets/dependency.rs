//! Dependency expressions: what is read is kept as written, and the parts lie inside it.
#![no_main]

use apk_types::{Checksum, Dependency, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let dependency = Dependency::lenient(text);
    assert_eq!(dependency.as_str(), text);
    assert!(text.contains(dependency.name()));
    if let Ok(strict) = Dependency::parse(text) {
        assert_eq!(strict, dependency);
        let parts = [Some(strict.name()), strict.version(), strict.pin()];
        let length: usize = parts.into_iter().flatten().map(str::len).sum();
        assert!(length <= text.len(), "the parts overlap");
    }
    let _ = dependency.is_conflict();
    if let Ok(version) = Version::parse("1.2.3-r4") {
        let _ = dependency.accepts(&version);
    }
    if let Ok(checksum) = text.parse::<Checksum>() {
        assert_eq!(checksum.to_string().parse(), Ok(checksum));
    }
});
