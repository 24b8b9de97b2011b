//! Enters a guest for the runners of this crate; see `melange_pipeline::runner::Helper`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    melange_pipeline::runner::guest_main(&arguments)
}
