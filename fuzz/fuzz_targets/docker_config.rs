//! A configuration of Docker: what is read can be asked for, and takes a login more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci_image::registry::{DockerConfig, with_login};

fuzz_target!(|input: (&str, &str)| {
    let (text, registry) = input;
    let Ok(config) = DockerConfig::parse(text) else { return };
    // A program that the input names is not run.
    if config.helper(registry).is_none() {
        let _ = config.find(registry, "team/web");
    }
    let login = http_exchange::Login::new("me", "pw");
    if let Ok(changed) = with_login(text, registry, &login) {
        assert!(DockerConfig::parse(&changed).is_ok());
    }
});
