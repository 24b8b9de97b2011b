//! The commands that answer questions about a configuration.

use apko::config::{Loaded, load};

use crate::args;
use crate::build::print;
use crate::failure::Outcome;

pub(crate) fn show_config(arguments: &args::ShowConfig) -> Outcome {
    let Loaded { configuration, .. } = load(&arguments.config, &[])?;
    print(&configuration.with_service_bundle().to_yaml())
}

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
