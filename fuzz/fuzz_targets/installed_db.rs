//! The database of installed packages.
#![no_main]

use apk_rootfs::installed_db;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(packages) = installed_db::parse(text) {
        packages.iter().for_each(|package| drop(package.write()));
    }
});
