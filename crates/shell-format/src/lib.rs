//! Parses shell scripts.
mod ast;
mod cursor;
mod error;
mod parse;
mod place;
mod print;
mod token;
pub use ast::*;
pub use error::ShellError;
pub use parse::parse;
pub use print::print_statement;

/// Strips comments.
pub fn strip_comments(script: &str) -> Result<String, ShellError> {
    let mut out = String::new();
    if let Some((first, _)) = script.split_once('\n')
        && first.starts_with("#!")
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
