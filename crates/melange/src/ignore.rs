//! `.melangeignore`: which source files do not go into the workspace.

use regex::Regex;

/// The rules of an ignore file, in the shape of `.gitignore`: the last rule that matches a path decides.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<(Regex, bool)>);

impl Rules {
    /// Reads a file's rules. Lines that begin with `#` are comments, `!` takes back what an earlier rule ignores.
    pub(crate) fn parse(text: &str) -> Result<Self, regex::Error> {
        let lines = text.trim_start_matches('\u{feff}').lines();
        let lines = lines.map(str::trim_end);
        let rules = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        rules
            .map(|line| match line.strip_prefix('!') {
                Some(pattern) => Ok((compile(pattern)?, false)),
                None => Ok((compile(line)?, true)),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the file at `path`, or a directory above it, is ignored.
    pub(crate) fn ignore(&self, path: &str) -> bool {
        let rule = self.0.iter().rev().find(|(pattern, _)| pattern.is_match(path));
        rule.is_some_and(|(_, ignored)| *ignored)
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    let trimmed = pattern.trim_end_matches('/');
    // A slash before the end ties a pattern to the root; without one it matches at any depth.
    let anchored = trimmed.contains('/');
    let mut rest = trimmed.trim_start_matches('/');
    let mut regex = String::from(if anchored { "^" } else { "(?:^|/)" });
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '*' if rest.starts_with("**/") => {
                regex.push_str("(?:.*/)?");
                3
            }
            '*' if rest.starts_with("**") => {
                regex.push_str(".*");
                2
            }
            '*' => {
                regex.push_str("[^/]*");
                1
            }
            '?' => {
                regex.push_str("[^/]");
                1
            }
            '[' if rest.contains(']') => {
                let end = rest.find(']').map_or(1, |end| end + 1);
                regex.push_str(&rest[..end].replacen("[!", "[^", 1));
                end
            }
            '\\' if rest.len() > 1 => {
                let escaped: String = rest.chars().skip(1).take(1).collect();
                regex.push_str(&regex::escape(&escaped));
                1 + escaped.len()
            }
            c => {
                regex.push_str(&regex::escape(&c.to_string()));
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    regex.push_str("(?:/|$)");
    Regex::new(&regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_as_in_gitignore() {
        let rules =
            Rules::parse("# comment\n*.o\n/top\nbuild/\na/**/z\n[xy].txt\n!keep.o\n\\#odd\n").unwrap();
        for (path, ignored) in [
            ("x.o", true),
            ("deep/x.o", true),
            ("keep.o", false),
            ("top", true),
            ("top/below", true),
            ("deep/top", false),
            ("deep/build/x", true),
            ("rebuild/x", false),
            ("a/z", true),
            ("a/b/c/z", true),
            ("x.txt", true),
            ("z.txt", false),
            ("#odd", true),
            ("plain", false),
        ] {
            assert_eq!(rules.ignore(path), ignored, "{path}");
        }
    }

    #[test]
    fn any_text_is_answered() {
        for text in ["[", "\\", "[]", "**", "a[", "((", "!", "/"] {
            let _ = Rules::parse(text).map(|rules| rules.ignore("x"));
        }
    }
}
