//! `WWW-Authenticate`, as registries send it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    oci_image::registry::parse_challenge(header);
});
