//! Pipelines that were parsed ahead of time.

use serde::{Deserialize, Serialize};
use spanned_yaml::Span;

use crate::error::ConfigError;
use crate::written::{Pipeline, PipelineFile, parse_pipeline, text};

/// Parses the YAML of a pipeline and writes it in a form that takes next to no time to read, for
/// [`PipelineText::prepared`](crate::PipelineText::prepared); `path` names it in messages.
///
/// The form belongs to this version of the crate: it is for programs that make it while they are built.
///
/// # Errors
/// For what is no pipeline, and for keys that mean nothing in one.
///
/// ```
/// let prepared = melange_config::prepare_pipeline("runs: make\n", "make.yaml")?;
/// assert!(melange_config::prepare_pipeline("run: make\n", "make.yaml").is_err());
/// # Ok::<(), melange_config::ConfigError>(())
/// ```
pub fn prepare_pipeline(source: &str, path: &str) -> Result<Vec<u8>, ConfigError> {
    let file = parse_pipeline(source, path)?;
    match file.unknown.is_empty() {
        // Writing to memory fails for types that postcard does not know, and there is none of them in a pipeline.
        true => Ok(postcard::to_stdvec(&file.pipeline).unwrap_or_default()),
        false => Err(ConfigError::of(&file.text, file.unknown)),
    }
}

/// Reads what [`prepare_pipeline`] made of `source`; nothing where another version made it.
pub(crate) fn read(prepared: &[u8], source: &str, path: &str) -> Option<PipelineFile> {
    let (pipeline, rest): (Pipeline, _) = postcard::take_from_bytes(prepared).ok()?;
    rest.is_empty().then(|| PipelineFile {
        text: text(source, path),
        pipeline,
        unknown: Vec::new(),
    })
}

/// A [`Span`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Span")]
pub(crate) struct PreparedSpan {
    start: usize,
    end: usize,
    line: u32,
    column: u32,
}

#[cfg(test)]
mod tests {
    use super::{prepare_pipeline, read};
    use crate::written::parse_pipeline;

    const SOURCE: &str = "\
if: ${{inputs.a}} == 'b'
needs:
  packages: [make]
inputs:
  a:
    description: Ä
    default: b
    required: true
environment: {LANG: C}
pipeline:
  - uses: fetch
    with: {uri: x}
  - runs: make
    working-directory: src
assertions:
  required-steps: 1
";

    #[test]
    fn what_is_prepared_is_what_is_parsed() {
        let parsed = parse_pipeline(SOURCE, "a.yaml").expect("valid");
        let prepared = prepare_pipeline(SOURCE, "a.yaml").expect("valid");
        let read = read(&prepared, SOURCE, "a.yaml").expect("of this version");
        assert_eq!(read.pipeline, parsed.pipeline);
        assert_eq!(read.text, parsed.text);
        assert!(parsed.unknown.is_empty());
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_not_read() {
        let mut prepared = prepare_pipeline(SOURCE, "a.yaml").expect("valid");
        for length in 0..prepared.len() {
            assert!(read(&prepared[..length], SOURCE, "a.yaml").is_none(), "{length}");
        }
        prepared.push(0);
        assert!(read(&prepared, SOURCE, "a.yaml").is_none());
    }
}
