//! YAML into a tree that remembers where everything was written.
//!
//! The configurations of apko and melange are YAML, and a mistake in one has to be shown where it
//! was made. This crate reads a document into [`Node`]s that carry byte offsets, lines and
//! columns, offers a typed reader over mappings ([`Fields`]) that refuses unknown keys with a
//! suggestion, draws a [`Diagnostic`] under the offending text ([`render`]), and writes YAML the
//! way Go's `yaml.v3` encoder does ([`emit`]). A [`Document`] changes single values of a text and keeps the
//! rest as it was written.
//!
//! Scalars are resolved as `gopkg.in/yaml.v3` resolves them when it decodes into typed fields,
//! since existing configurations were written against it: `version: 1.10` read as a string is
//! `1.10`, `yes` read as a boolean is true, `0755` read as an integer is 493.
//!
//! It does no I/O, knows nothing of either configuration language, reads the first document of a
//! stream only, and the tree keeps neither comments nor anchors.
//!
//! ```
//! use spanned_yaml::{Fields, parse, render};
//!
//! let source = "name: hello\nverson: 1.10\n";
//! let document = parse(source).expect("well-formed");
//! let mut fields = Fields::new(&document, "a package").expect("a mapping");
//! assert_eq!(fields.string("name").expect("a string").as_deref(), Some("hello"));
//! assert_eq!(fields.string("version").expect("absent"), None);
//!
//! let diagnostic = fields.finish().expect_err("`verson` is unknown");
//! assert_eq!(diagnostic.to_string(), "line 2, column 1: unknown key `verson`");
//! assert_eq!(
//!     render(&diagnostic, "hello.yaml", source),
//!     "error: unknown key `verson`\n  \
//!        ┌─ hello.yaml:2:1\n  \
//!        │\n\
//!      2 │ verson: 1.10\n  \
//!        │ ^^^^^^ not a key of a package\n  \
//!        = did you mean `version`?\n"
//! );
//! ```

mod diagnostic;
mod edit;
mod emit;
mod fields;
mod node;
mod parse;
mod path;
mod resolve;

pub use diagnostic::{Diagnostic, Severity, nearest, render};
pub use edit::{Document, EditError};
pub use emit::{EmitValue, emit};
pub use fields::Fields;
pub use node::{Node, Scalar, Span, Style, Value};
pub use parse::{Limits, parse, parse_with};
pub use path::NodePath;
pub use resolve::{Resolved, resolve_plain};
