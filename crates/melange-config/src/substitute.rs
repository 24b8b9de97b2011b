//! Variables: `${{name}}` in texts.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use spanned_yaml::Span;

use crate::condition::is_word;
use crate::source::SourceText;

/// The longest text that substitution may make.
pub(crate) const LONGEST: usize = 16 << 20;

/// How many bytes of text one compilation may make out of variables, all in all.
const BUDGET: usize = 256 << 20;

/// How many names one compilation may compare with misspelt ones.
const COMPARISONS: usize = 1 << 21;

/// What a value takes beside its text.
const VALUE_OVERHEAD: usize = 64;

/// How often values that hold variables themselves are looked at.
const ROUNDS: usize = 32;

/// Says why a text's variables cannot be replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubstitutionError {
    /// A name nobody gave a value.
    #[error("variable `{name}` is not defined")]
    Undefined {
        /// The name.
        name: String,
        /// The defined name that is most like it.
        nearest: Option<String>,
    },
    /// `${{` without a name or without `}}`.
    #[error("`{text}` is not a variable: write `${{{{name}}}}`")]
    Malformed {
        /// The text from `${{` on.
        text: String,
    },
    /// A value that needs itself.
    #[error("variable `{name}` is defined by itself")]
    Circular {
        /// The name.
        name: String,
    },
    /// More text than is reasonable.
    #[error("replacing variables makes more text than is reasonable")]
    TooLong,
}

impl SubstitutionError {
    /// Finds the text that the error is about in a span.
    pub(crate) fn find(&self, text: &SourceText, within: Span) -> Option<Span> {
        match self {
            Self::Undefined { name, .. } => text.find_variable(within, name),
            Self::Malformed { text: malformed } => text.find(within, malformed),
            Self::Circular { name } => text.find_variable(within, name),
            Self::TooLong => None,
        }
    }
}

/// The values of variables by their names, without `${{` and `}}`.
///
/// A scope sees what is defined around it. All that belong together share what they may still make.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    values: HashMap<String, String>,
    /// The names of values with variables in them.
    open: BTreeSet<String>,
    outer: Option<Rc<Scope>>,
    spent: Rc<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    text: Cell<usize>,
    comparisons: Cell<usize>,
}

impl Scope {
    /// Makes a scope inside of another one.
    pub(crate) fn inside(outer: &Rc<Self>) -> Self {
        Self {
            outer: Some(Rc::clone(outer)),
            spent: Rc::clone(&outer.spent),
            ..Self::default()
        }
    }

    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match value.contains("${{") {
            true => drop(self.open.insert(name.clone())),
            false => drop(self.open.remove(&name)),
        }
        self.values.insert(name, value);
    }

    /// Counts text that is made; false once it is too much.
    fn spend(&self, bytes: usize) -> bool {
        let spent = self.spent.text.get().saturating_add(bytes);
        self.spent.text.set(spent);
        spent <= BUDGET
    }

    /// Tells whether more text was made than is reasonable, and variables were left as they are.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.spent.text.get() > BUDGET
    }

    /// The scope and those around it, the innermost first.
    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |scope| scope.outer.as_deref())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.layers()
            .find_map(|scope| scope.values.get(name))
            .map(String::as_str)
    }

    /// Replaces the variables that are defined and written without blanks, and leaves the rest.
    pub(crate) fn replace(&self, text: &str) -> String {
        self.replace_with(text, |_, value| value.to_owned())
    }

    /// As [`Scope::replace`] in a condition: outside of quotes a plain value is put in quotes.
    pub(crate) fn replace_in_condition(&self, text: &str) -> String {
        let mut quotes = Quotes::default();
        self.replace_with(text, |before, value| {
            if quotes.are_open(before) || !value.chars().all(|c| is_word(c) || c == ' ') {
                value.to_owned()
            } else {
                quote(value)
            }
        })
    }

    fn replace_with(&self, text: &str, mut put: impl FnMut(&str, &str) -> String) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${{") {
            let (before, after) = (&rest[..at], &rest[at + 3..]);
            out.push_str(before);
            let value = after
                .find("}}")
                .and_then(|end| Some((end, self.get(&after[..end])?)));
            match value {
                Some((end, value)) if self.spend(value.len()) && out.len() <= LONGEST => {
                    let value = put(&out, value);
                    out.push_str(&value);
                    rest = &after[end + 2..];
                }
                _ => {
                    out.push_str("${{");
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        self.spend(out.len() + VALUE_OVERHEAD);
        out
    }

    /// Replaces all variables.
    pub(crate) fn substitute(&self, text: &str) -> Result<String, SubstitutionError> {
        self.expand(text, str::to_owned)
    }

    /// Replaces all variables by their values in double quotes, as a condition wants them.
    pub(crate) fn substitute_quoted(&self, text: &str) -> Result<String, SubstitutionError> {
        self.expand(text, quote)
    }

    fn expand(&self, text: &str, put: impl Fn(&str) -> String) -> Result<String, SubstitutionError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${{") {
            out.push_str(&rest[..at]);
            let (name, after) = name(&rest[at..])?;
            let value = self.get(name).ok_or_else(|| self.undefined(name))?;
            out.push_str(&put(value));
            if out.len() > LONGEST || !self.spend(value.len()) {
                return Err(SubstitutionError::TooLong);
            }
            rest = after;
        }
        out.push_str(rest);
        match self.spend(out.len()) {
            true => Ok(out),
            false => Err(SubstitutionError::TooLong),
        }
    }

    fn undefined(&self, name: &str) -> SubstitutionError {
        let known = || self.layers().flat_map(|scope| scope.values.keys());
        let compared = self.spent.comparisons.get().saturating_add(known().count());
        self.spent.comparisons.set(compared);
        let nearest = match compared <= COMPARISONS {
            true => spanned_yaml::nearest(name, known().map(String::as_str)).map(str::to_owned),
            false => None,
        };
        SubstitutionError::Undefined {
            name: name.to_owned(),
            nearest,
        }
    }

    /// Replaces variables inside the values, until none is left.
    pub(crate) fn settle(&mut self) -> Result<(), SubstitutionError> {
        let mut open = self.open();
        if let Some(name) = self.circle(&open) {
            return Err(SubstitutionError::Circular { name });
        }
        for _ in 0..ROUNDS {
            if open.is_empty() {
                return Ok(());
            }
            for name in open {
                let value = self.substitute(self.get(&name).unwrap_or_default())?;
                self.set(name, value);
            }
            open = self.open();
        }
        match open.into_iter().next() {
            Some(name) => Err(SubstitutionError::Circular { name }),
            None => Ok(()),
        }
    }

    /// Finds a variable that is defined by itself, before its value grows.
    fn circle(&self, open: &BTreeSet<String>) -> Option<String> {
        let mut waiting: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut needed_by: HashMap<&str, Vec<&str>> = HashMap::new();
        for name in open {
            let value = self.get(name).unwrap_or_default();
            let needs: Vec<_> = names(value).filter(|needed| open.contains(*needed)).collect();
            for needed in &needs {
                needed_by.entry(needed).or_default().push(name);
            }
            waiting.insert(name, needs);
        }
        // What needs nothing that waits is settled, and then what needed that alone.
        let mut counts: HashMap<&str, usize> =
            waiting.iter().map(|(name, needs)| (*name, needs.len())).collect();
        let mut settled: Vec<&str> = counts
            .iter()
            .filter(|(_, count)| **count == 0)
            .map(|(name, _)| *name)
            .collect();
        while let Some(name) = settled.pop() {
            waiting.remove(name);
            for dependent in needed_by.get(name).into_iter().flatten() {
                let count = counts.entry(dependent).or_default();
                *count = count.saturating_sub(1);
                if *count == 0 {
                    settled.push(dependent);
                }
            }
        }
        // Each one left needs another one left, so that the way from any of them ends in a circle.
        let mut name = *waiting.keys().min()?;
        let mut seen = BTreeSet::new();
        while seen.insert(name) {
            name = waiting
                .get(name)?
                .iter()
                .find(|needed| waiting.contains_key(**needed))?;
        }
        Some(name.to_owned())
    }

    /// The names of the values that have variables in them, in order.
    fn open(&self) -> BTreeSet<String> {
        let names = self.layers().flat_map(|scope| &scope.open);
        let is_open = |name: &&String| self.get(name).is_some_and(|value| value.contains("${{"));
        names.filter(is_open).cloned().collect()
    }
}

/// The names of the variables in a text, those left out that cannot be read.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("${{")
        .filter_map(|(at, _)| Some(name(&text[at..]).ok()?.0))
}

/// Reads the name at the start of a text that begins with `${{`; returns what follows `}}`.
fn name(text: &str) -> Result<(&str, &str), SubstitutionError> {
    let malformed = || SubstitutionError::Malformed {
        text: text.lines().next().unwrap_or_default().chars().take(40).collect(),
    };
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let inner = text[3..].trim_start_matches(blank);
    let end = inner
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_'))
        .filter(|end| *end > 0)
        .ok_or_else(malformed)?;
    let after = inner[end..].trim_start_matches(blank);
    let after = after.strip_prefix("}}").ok_or_else(malformed)?;
    Ok((&inner[..end], after))
}

fn quote(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Follows the quotes of a condition that is being put together.
#[derive(Default)]
struct Quotes {
    open: Option<char>,
    escaped: bool,
    seen: usize,
}

impl Quotes {
    /// Tells whether the condition is inside quotes at its end; it may only have grown since the last question.
    fn are_open(&mut self, condition: &str) -> bool {
        for c in condition[self.seen..].chars() {
            match (self.open, c) {
                _ if self.escaped => self.escaped = false,
                (Some(_), '\\') => self.escaped = true,
                (Some(quote), c) if c == quote => self.open = None,
                (None, '\'' | '"') => self.open = Some(c),
                _ => {}
            }
        }
        self.seen = condition.len();
        self.open.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, SubstitutionError};

    fn scope() -> Scope {
        let mut scope = Scope::default();
        scope.set("package.name", "hello");
        scope.set("vars.a", "[${{vars.b}}]");
        scope.set("vars.b", "b");
        scope.set("vars.empty", "");
        scope
    }

    #[test]
    fn replacing_leaves_what_it_does_not_know() {
        let text = "${{package.name}} ${{ package.name }} ${{vars.x}} ${{ ${{vars.b}}";
        assert_eq!(
            scope().replace(text),
            "hello ${{ package.name }} ${{vars.x}} ${{ b"
        );
    }

    #[test]
    fn substituting_knows_blanks_and_refuses_the_rest() {
        assert_eq!(
            scope().substitute("a ${{ package.name }}b"),
            Ok("a hellob".to_owned())
        );
        let undefined = scope().substitute("${{package.nam}}");
        let nearest = Some("package.name".to_owned());
        let name = "package.nam".to_owned();
        assert_eq!(undefined, Err(SubstitutionError::Undefined { name, nearest }));
        for text in ["${{", "${{}}", "${{a b}}", "${{a}", "${{a"] {
            let fault = scope().substitute(text).expect_err(text);
            assert!(matches!(fault, SubstitutionError::Malformed { .. }), "{text}");
        }
    }

    #[test]
    fn conditions_get_quotes_where_they_have_none() {
        let text = "${{package.name}} == '${{package.name}}' && ${{vars.empty}} == ''";
        let want = "\"hello\" == 'hello' && \"\" == ''";
        assert_eq!(scope().replace_in_condition(text), want);
    }

    #[test]
    fn values_settle_or_turn_in_a_circle() {
        let mut settled = scope();
        settled.settle().expect("settles");
        assert_eq!(settled.get("vars.a"), Some("[b]"));
        let mut circle = scope();
        circle.set("vars.b", "${{vars.a}} ${{vars.empty}}");
        circle.set("vars.0", "${{vars.b}}");
        let mut growing = scope();
        growing.set("vars.b", "${{vars.b}}${{vars.b}}");
        for mut scope in [circle, growing] {
            let name = "vars.b".to_owned();
            assert_eq!(scope.settle(), Err(SubstitutionError::Circular { name }));
        }
    }
}
