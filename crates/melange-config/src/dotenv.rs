//! Files of environment variables: `NAME=value` lines.

use crate::types::StringMap;

/// Says which line of a file of environment variables cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct EnvironmentFileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Reads the text of an `--env-file`.
///
/// A line is `NAME=value` or `NAME: value`, with `export` before it if you like; values stand
/// plain (up to ` #`), in single quotes, or in double quotes with `\n`, `\"` and the like, and
/// quoted ones may go over several lines. `$NAME` and `${NAME}` stand for variables set above,
/// but in single quotes. These are the rules of the reference's `godotenv`.
///
/// # Errors
/// For a line without a name or a value, and for a quote that is never closed.
pub fn parse_environment_file(text: &str) -> Result<StringMap, EnvironmentFileError> {
    let mut variables = StringMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(variables);
        }
        let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let fault = |problem| EnvironmentFileError { line, problem };
        let end = rest.find('\n').unwrap_or(rest.len());
        if rest.starts_with('#') {
            rest = &rest[end..];
            continue;
        }
        let at = rest[..end]
            .find(['=', ':'])
            .ok_or_else(|| fault("no `=` between a name and its value"))?;
        let name = rest[..at].trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if name.is_empty() || !name.chars().all(valid) {
            return Err(fault("not the name of a variable"));
        }
        let value = rest[at + 1..].trim_start_matches([' ', '\t']);
        let (value, after) = match value.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                quoted(value, quote, &variables).ok_or_else(|| fault("the quote is not closed"))?
            }
            _ => {
                let end = value.find('\n').unwrap_or(value.len());
                let plain = value[..end].trim_end_matches('\r');
                let plain = plain.find(" #").map_or(plain, |at| &plain[..at]);
                (expand(plain.trim(), &variables), &value[end..])
            }
        };
        variables.insert(name.to_owned(), value);
        rest = after;
    }
}

/// Reads a quoted value; returns it and what follows its line.
fn quoted<'a>(text: &'a str, quote: char, variables: &StringMap) -> Option<(String, &'a str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => {
                let value = if quote == '"' {
                    expand(&value, variables)
                } else {
                    value
                };
                let rest = &text[at + 1..];
                return Some((value, &rest[rest.find('\n').unwrap_or(rest.len())..]));
            }
            '\\' if quote == '"' => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                '$' => value.push_str("\\$"),
                c => value.push(c),
            },
            c => value.push(c),
        }
    }
    None
}

fn expand(text: &str, variables: &StringMap) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        if rest[..at].ends_with('\\') {
            out.push_str(&rest[..at - 1]);
            out.push('$');
            rest = &rest[at + 1..];
            continue;
        }
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let name_end = |text: &str| {
            text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(text.len())
        };
        match braced {
            Some((name, tail)) => {
                out.push_str(variables.get(name).map_or("", String::as_str));
                rest = tail;
            }
            None if name_end(after) > 0 => {
                let (name, tail) = after.split_at(name_end(after));
                out.push_str(variables.get(name).map_or("", String::as_str));
                rest = tail;
            }
            None => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::parse_environment_file;

    #[test]
    fn variables_are_read_with_quotes_comments_and_expansion() {
        let text = "# first\nA=plain value # note\nexport B='sing$A'\nC=\"x\\n$A ${B}\"\n\nD: yaml\nE=\nF=\"two\nlines\"\n";
        let variables = parse_environment_file(text).expect("readable");
        let got: Vec<_> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            got,
            [
                ("A", "plain value"),
                ("B", "sing$A"),
                ("C", "x\nplain value sing$A"),
                ("D", "yaml"),
                ("E", ""),
                ("F", "two\nlines"),
            ]
        );
    }

    #[test]
    fn faults_have_a_line() {
        for (text, line) in [("A=1\nnonsense\n", 2), ("A='x", 1), ("=x", 1)] {
            assert_eq!(parse_environment_file(text).expect_err(text).line, line);
        }
    }
}
