//! The commands that answer questions about a configuration.

use crate::args;
use crate::build::print;
use crate::failure::Outcome;

pub(crate) fn version(arguments: &args::Version) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    match arguments.json {
        true => print(&format!(
            "{}\n",
            serde_json::json!({ "name": "apko", "version": version })
        )),
        false => print(&format!("apko {version}\n")),
    }
}
