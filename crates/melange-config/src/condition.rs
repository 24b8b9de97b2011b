//! The language of `if`: comparisons of strings joined by `&&` and `||`.
//!
//! ```text
//! expression = term { ("&&" | "||") term }        from left to right, neither binds tighter
//! term       = "(" expression ")" | value ("==" | "!=") value
//! value      = 'text' | "text" | word             with \\ \' \" \n \t in quotes
//! ```
//!
//! A bare word stands for itself: that is what a variable leaves behind where it was written
//! without quotes. The reference accepts quoted values only.

/// Says why a condition cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the condition `{condition}` cannot be read: {problem}")]
pub struct ConditionError {
    /// The condition, with variables replaced.
    pub condition: String,
    /// What was expected and what was found.
    pub problem: String,
}

/// The deepest nesting of parentheses.
const DEPTH: usize = 64;

/// Evaluates a condition whose variables are replaced; an empty one holds.
///
/// # Errors
/// When it is not a condition.
///
/// ```
/// use melange_config::evaluate;
///
/// assert_eq!(evaluate("'a' == 'a' && (\"b\" != 'b' || x == 'x')"), Ok(true));
/// assert!(evaluate("'a' === 'a'").is_err());
/// ```
pub fn evaluate(condition: &str) -> Result<bool, ConditionError> {
    let fault = |problem: String| ConditionError {
        condition: condition.to_owned(),
        problem,
    };
    if condition.is_empty() {
        return Ok(true);
    }
    let mut reader = Reader {
        rest: condition,
        depth: 0,
    };
    let result = reader.expression().map_err(fault)?;
    if reader.peek().is_some() {
        return Err(fault(reader.expected("`&&`, `||` or the end")));
    }
    Ok(result)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        self.rest.strip_prefix(token).is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    fn expected(&mut self, what: &str) -> String {
        match self.peek() {
            Some(_) => format!("expected {what} before `{}`", self.rest),
            None => format!("expected {what} at its end"),
        }
    }

    fn expression(&mut self) -> Result<bool, String> {
        let mut result = self.term()?;
        loop {
            if self.eat("&&") {
                result &= self.term()?;
            } else if self.eat("||") {
                result |= self.term()?;
            } else {
                return Ok(result);
            }
        }
    }

    fn term(&mut self) -> Result<bool, String> {
        if self.eat("(") {
            self.depth += 1;
            if self.depth > DEPTH {
                return Err(format!("more than {DEPTH} parentheses inside one another"));
            }
            let result = self.expression()?;
            if !self.eat(")") {
                return Err(self.expected("`)`"));
            }
            self.depth -= 1;
            return Ok(result);
        }
        let left = self.value()?;
        let equal = if self.eat("==") {
            true
        } else if self.eat("!=") {
            false
        } else {
            return Err(self.expected("`==` or `!=`"));
        };
        Ok((left == self.value()?) == equal)
    }

    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            _ => {
                let end = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
                if end == 0 {
                    return Err(self.expected("a value in quotes"));
                }
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                Ok(word.to_owned())
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '\'' | '"'))) => text.push(c),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(format!("the quote {quote} is not closed"))
    }
}

/// Tells whether a character can stand in a value without quotes.
pub(crate) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+:/~@,-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    #[test]
    fn conditions_are_evaluated_from_left_to_right() {
        let table = [
            ("'a' == 'a'", true),
            ("'a'!=\"a\"", false),
            ("\"x86_64\" == 'aarch64'", false),
            ("'a'=='a'||'b'=='c'&&'d'=='e'", false),
            ("'a'=='a'||('b'=='c'&&'d'=='e')", true),
            ("hello == 'hello'", true),
            ("1.2-r0 != 1.2-r1", true),
            (r"'it\'s' == 'it\'s'", true),
            ("'' == \"\"", true),
            ("", true),
        ];
        for (condition, want) in table {
            assert_eq!(evaluate(condition), Ok(want), "{condition}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_text() {
        for condition in [
            "'a' === 'a'",
            "'a' ==",
            "'a",
            "('a'=='a'",
            "'a'=='a')",
            "a b",
            "== 'x'",
            "!",
        ] {
            let fault = evaluate(condition).expect_err("refused").to_string();
            assert!(fault.contains(condition), "{fault}");
        }
        assert!(evaluate(&"(".repeat(100_000)).is_err());
    }
}
