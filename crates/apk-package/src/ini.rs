//! The dialect of INI that the Go apko reads `.PKGINFO` with.

use crate::PkgInfoError;

/// One `key = value` line, whose value may go on in the lines after it.
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Reads the pairs before the first section.
///
/// `#` and `;` begin a comment, in a value too. A value may stand in single or double quotes, in back quotes or three
/// double quotes also over several lines, and goes on in the next line after a backslash.
pub(crate) fn parse(text: &str) -> Result<Vec<Pair>, PkgInfoError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate();
    let mut pairs = Vec::new();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let fail = |reason| PkgInfoError {
            line: index + 1,
            reason,
            text: line.to_owned(),
        };
        if line.starts_with('[') {
            if !line.contains(']') {
                return Err(fail("a section without `]`"));
            }
            break;
        }
        let (key, rest) = line.split_once(['=', ':']).ok_or_else(|| fail("no `=`"))?;
        if key.is_empty() {
            return Err(fail("no key before `=`"));
        }
        let mut following = lines.by_ref().map(|(_, line)| line);
        let value = value(rest, &mut following).ok_or_else(|| fail("a quote without its end"))?;
        let key = key.trim_end().trim_matches(['"', '`']).to_owned();
        pairs.push(Pair { key, value });
    }
    Ok(pairs)
}

/// All values of a key, without the empty and the repeated ones.
pub(crate) fn distinct_values<'a>(pairs: &'a [Pair], key: &str) -> impl Iterator<Item = &'a str> {
    let mut seen = std::collections::HashSet::new();
    let values = pairs.iter().filter(move |pair| pair.key == key);
    values
        .map(|pair| pair.value.as_str())
        .filter(move |value| !value.is_empty() && seen.insert(*value))
}

fn value<'a>(rest: &str, following: &mut impl Iterator<Item = &'a str>) -> Option<String> {
    let rest = rest.trim_start();
    for quote in ["\"\"\"", "`"] {
        if let Some(quoted) = rest.strip_prefix(quote) {
            return match quoted.rfind(quote) {
                Some(end) => Some(quoted[..end].to_owned()),
                None => quoted_lines(quoted, quote, following),
            };
        }
    }
    let rest = rest.trim_end();
    if let Some(begun) = rest.strip_suffix('\\') {
        return Some(continued(begun, following));
    }
    let rest = rest
        .find(['#', ';'])
        .map_or(rest, |comment| rest[..comment].trim_end());
    Some(unquote(rest).to_owned())
}

fn quoted_lines<'a>(
    first: &str,
    quote: &str,
    following: &mut impl Iterator<Item = &'a str>,
) -> Option<String> {
    let mut value = first.to_owned();
    loop {
        value.push('\n');
        let line = following.next()?;
        if let Some(end) = line.rfind(quote) {
            value.push_str(&line[..end]);
            return Some(value);
        }
        value.push_str(line);
    }
}

fn continued<'a>(begun: &str, following: &mut impl Iterator<Item = &'a str>) -> String {
    let mut value = begun.to_owned();
    for line in following {
        let line = line.trim();
        match line.strip_suffix('\\') {
            Some(line) => value.push_str(line),
            None => {
                value.push_str(line);
                break;
            }
        }
    }
    value
}

/// Takes single or double quotes off, unless there are more of the kind inside.
fn unquote(text: &str) -> &str {
    ['\'', '"']
        .into_iter()
        .find_map(|quote| {
            let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.contains(quote)).then_some(inner)
        })
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_reference_reads_them() {
        let rows = [
            ("a = b", "b"),
            ("a=b", "b"),
            ("a : b=c", "b=c"),
            ("a = ", ""),
            ("a = b # c", "b"),
            ("a = b;c", "b"),
            ("a = 'b c'", "b c"),
            ("a = \"b\"", "b"),
            ("a = \"b\" \"c\"", "\"b\" \"c\""),
            ("a = `b # c`", "b # c"),
            ("a = \"\"\"b\nc\"\"\"", "b\nc"),
            ("a = b \\\n  c", "b c"),
            ("a = b \\\n", "b "),
        ];
        for (text, wanted) in rows {
            let pairs = parse(text).unwrap();
            assert_eq!(
                (pairs[0].key.as_str(), pairs[0].value.as_str()),
                ("a", wanted),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_line() {
        let rows = [("a = b\n\nc", 3), ("= b", 1), ("# x\n[y", 2), ("a = `b", 1)];
        for (text, line) in rows {
            assert_eq!(parse(text).err().map(|error| error.line), Some(line), "{text}");
        }
        assert_eq!(parse("a = b\n[section]\nno pair here").unwrap().len(), 1);
    }

    #[test]
    fn repeated_values_count_once() {
        let pairs = parse("a = 1\nb = 2\na = 3\na = 1\na =\n").unwrap();
        assert_eq!(distinct_values(&pairs, "a").collect::<Vec<_>>(), ["1", "3"]);
    }
}
