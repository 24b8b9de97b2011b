//! passwd and group.
#![no_main]

use apk_rootfs::accounts::{parse_groups, parse_users, write_groups, write_users};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (users, _) = parse_users(text);
    let (groups, _) = parse_groups(text);
    assert_eq!(parse_users(&write_users(&users)).0.len(), users.len());
    assert_eq!(parse_groups(&write_groups(&groups)).0.len(), groups.len());
});
