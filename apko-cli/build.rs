//! How the program is linked.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        // At a fixed address, as Go links its programs: otherwise each start relocates and copies half a megabyte of
        // tables, which takes longer than many commands do.
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
