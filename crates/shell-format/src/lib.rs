//! Parses POSIX shell and bash scripts and prints them in one canonical form.
//!
//! The form is that of the `mvdan.cc/sh` printer (v3.13, without options), which melange applies to the
//! `runs:` of every pipeline step: comments are dropped, blocks are indented with tabs, each statement
//! has its own line, redirects stick to their targets, backquotes become `$(...)`, and single empty
//! lines inside of blocks stay. [`strip_comments`] gives melange's text for a script; [`parse`] and
//! [`print_statement`] are the two halves of it, with the syntax tree of [`ast`] between them.
//!
//! The crate executes, expands and checks nothing beyond the grammar, and does no I/O. It takes time in
//! proportion to the script, and refuses constructs nested deeper than any person writes them.
//!
//! ```
//! let script = "# Builds.\nif [ -f Makefile ]\nthen make   >log   # not in parallel\nfi\n";
//! assert_eq!(
//!     shell_format::strip_comments(script)?,
//!     "if [ -f Makefile ]; then\n\tmake >log\nfi\n",
//! );
//! # Ok::<(), shell_format::ShellError>(())
//! ```
//!
//! # Where it differs from the reference
//!
//! The reference's habits are kept, even odd ones (a comment that ends in a backslash joins the next
//! line to the one before it). Not kept is what destroys a script:
//!
//! - `cat <<EOF; echo` at the top: the reference prints the first statement before it has read the
//!   here-document, and so loses its body;
//! - a here-document with a quoted delimiter whose line has lost dropped comment lines: the reference
//!   puts lines of a lone backslash into its text;
//! - `if x=$(a &); then`: the reference takes the `&` inside for the end of the condition, and leaves
//!   the `;` before `then` out.

pub mod ast;
mod cursor;
mod error;
mod parse;
mod place;
mod print;
mod token;

pub use error::ShellError;
pub use parse::parse;
pub use print::print_statement;

/// Prints a script without its comments, as `melange compile` writes the `runs:` of a step.
///
/// The statements at the top follow each other without empty lines, each with a newline at its end.
/// A first line that starts with `#!` is kept.
///
/// # Errors
///
/// The first fault of the script, when it cannot be parsed. [`ShellError::render`] shows it with its
/// line, as melange does.
pub fn strip_comments(script: &str) -> Result<String, ShellError> {
    let mut out = String::with_capacity(script.len());
    if script.starts_with("#!")
        && let Some((first, _)) = script.split_once('\n')
    {
        out.push_str(first);
        out.push('\n');
    }
    let script = parse(script)?;
    for statement in &script.statements {
        out.push_str(&print_statement(&script, statement));
        out.push('\n');
    }
    Ok(out)
}
