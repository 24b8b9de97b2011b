//! `melange schema`.

use melange_config::SCHEMA;

use crate::failure::{Outcome, print};

pub(crate) const EXAMPLES: &str = "\
Example:
  melange schema > melange.schema.json    # for editors: `# yaml-language-server: $schema=melange.schema.json`";

pub(crate) fn schema() -> Outcome {
    print(SCHEMA)
}
