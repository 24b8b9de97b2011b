//! Parameter expansions.

use super::lexer::is_name_char;
use super::names::{is_name, is_number};
use super::{Parser, Result, fail};
use crate::ast::{Param, ParamOp, Part, PartKind, Pos, Word};
use crate::cursor::Ch::{C, Continuation, End};
use crate::token::Mode;

/// The operators after a parameter's name.
const OPERATORS: &[&str] = &[
    ":+", ":-", ":?", ":=", ":#", ":|", ":*", ":", "+", "-", "?", "=", "%%", "%", "##", "#", "//", "/", "^^",
    "^", ",,", ",", "@", "*",
];

impl Parser<'_> {
    /// `name` after `$`; nothing when `$` stands for itself.
    pub(super) fn short_param(&mut self) -> Option<Param> {
        let name = match self.cursor.current() {
            C(c) if is_special(c) || c.is_ascii_digit() => {
                self.cursor.bump();
                c.to_string()
            }
            _ => Some(self.param_name()).filter(|name| is_name(name))?,
        };
        Some(Param {
            short: true,
            prefix: None,
            name,
            index: None,
            op: None,
        })
    }

    fn param_name(&mut self) -> String {
        let mut name = String::with_capacity(16);
        loop {
            match self.cursor.current() {
                current if is_name_char(current) => {
                    self.push_run(&mut name, |byte| is_name_char(C(char::from(byte))));
                }
                Continuation => self.push_char(&mut name),
                _ => return name,
            }
        }
    }

    /// The rest of `${...}` after the brace.
    pub(super) fn braced_param(&mut self, start: Pos) -> Result<PartKind> {
        let mut param = Param {
            short: false,
            prefix: None,
            name: String::new(),
            index: None,
            op: None,
        };
        if let C(c @ ('#' | '!' | '%' | '+')) = self.cursor.current()
            && self.name_follows()
        {
            if matches!(c, '%' | '+') {
                return fail(start, format!("`${{{c}name}}` is not known to bash"));
            }
            self.cursor.bump();
            param.prefix = Some(c);
        }
        self.braced_name(&mut param)?;
        if self.cursor.is('[') {
            if !is_name(&param.name) {
                return fail(self.cursor.pos(), "a special parameter has no subscript");
            }
            self.pos = self.cursor.pos();
            self.cursor.bump();
            let (index, _) = self.subscript()?;
            param.index = Some(index);
            self.skip_continuations();
        }
        if !self.cursor.is('}') {
            param.op = self.param_operation(&param, start)?;
        }
        if !matches!(param.op, Some(ParamOp::Slice { .. })) {
            if !self.cursor.is('}') {
                return fail(start, "`${` has no matching `}`");
            }
            self.cursor.bump();
        }
        Ok(PartKind::Param(Box::new(param)))
    }

    fn name_follows(&self) -> bool {
        match self.cursor.peek() {
            Some(b) => {
                let c = char::from(b);
                is_special(c) || c.is_ascii_alphanumeric() || matches!(c, '_' | '"')
            }
            None => true,
        }
    }

    fn braced_name(&mut self, param: &mut Param) -> Result<()> {
        match self.cursor.current() {
            C('?' | '-') if param.prefix == Some('#') && self.cursor.peek() != Some(b'}') => {
                // Not a length, but the parameter `#` with an operator.
                param.prefix = None;
                param.name.push('#');
            }
            C(c) if is_special(c) => self.push_char(&mut param.name),
            _ => {
                let pos = self.cursor.pos();
                param.name = self.param_name();
                if !is_number(&param.name) && !is_name(&param.name) {
                    return fail(pos, "invalid parameter name");
                }
            }
        }
        Ok(())
    }

    /// The operator and what follows it, up to the closing brace; a slice includes the brace.
    fn param_operation(&mut self, param: &Param, start: Pos) -> Result<Option<ParamOp>> {
        let pos = self.cursor.pos();
        let at_name = is_name_char(self.cursor.current());
        let op = self.longest(OPERATORS);
        if op.is_empty() {
            return match self.cursor.current() {
                End => Ok(None),
                _ if at_name => fail(pos, format!("`{}` cannot be followed by a word", param.name)),
                C(c) => fail(pos, format!("`{c}` is not an operator of parameter expansions")),
                Continuation => fail(pos, "a line break is not an operator of parameter expansions"),
            };
        }
        if param.prefix == Some('#') {
            return fail(pos, "a length takes no operator");
        }
        let indirect = param.prefix == Some('!');
        match op {
            "/" | "//" => self.replacement(op),
            ":" => self.slice(start, pos),
            "*" if !indirect => fail(pos, "`*` is not an operator of parameter expansions"),
            "@" | "*" if indirect && self.cursor.is('}') => Ok(ParamOp::Names(op)),
            ":#" | ":|" | ":*" => fail(pos, format!("`{op}` is not known to bash")),
            _ => {
                let word = self.param_word(false)?;
                if op == "@" && !is_transformation(word.as_ref()) {
                    return fail(pos, "`@` is not followed by a known transformation");
                }
                Ok(ParamOp::Other { op, word })
            }
        }
        .map(Some)
    }

    fn replacement(&mut self, op: &'static str) -> Result<ParamOp> {
        let pattern = self.param_word(true)?;
        let mut with = None;
        if self.cursor.is('/') {
            self.cursor.bump();
            with = self.param_word(false)?;
        }
        Ok(ParamOp::Replace {
            all: op == "//",
            pattern,
            with,
        })
    }

    fn slice(&mut self, start: Pos, mut colon: Pos) -> Result<ParamOp> {
        let outer = self.mode;
        self.mode = Mode::Subscript;
        self.advance()?;
        let offset = if self.at_op(":") {
            None
        } else {
            Some(self.expect_arith(":", colon)?)
        };
        let mut length = None;
        if self.at_op(":") {
            colon = self.pos;
            self.advance()?;
            length = Some(self.expect_arith(":", colon)?);
        }
        if !self.at_op("}") {
            return self.arith_unmatched("}", "${", start);
        }
        self.mode = outer;
        Ok(ParamOp::Slice { offset, length })
    }

    /// A word inside of braces, up to the closing brace or, in a pattern, a slash.
    fn param_word(&mut self, pattern: bool) -> Result<Option<Word>> {
        let mut parts = Vec::new();
        loop {
            self.skip_continuations();
            let start = self.cursor.pos();
            let kind = match self.cursor.current() {
                End | C('}') => break,
                C('/') if pattern => break,
                C('`') if self.cursor.closes_backquote() => break,
                C('`') => self.backquoted()?,
                C('$') => self.dollar(false)?,
                C('"') => self.double_quoted(start, false)?,
                C('\'') => self.single_quoted(start, false)?,
                C(_) | Continuation => PartKind::Literal(self.param_literal(pattern)),
            };
            parts.push(Part {
                start,
                end: self.cursor.pos(),
                kind,
            });
        }
        Ok(if parts.is_empty() {
            None
        } else {
            Some(Word { parts })
        })
    }

    fn param_literal(&mut self, pattern: bool) -> String {
        let mut text = String::new();
        loop {
            match self.cursor.current() {
                End | C('}' | '\'' | '"' | '`' | '$') => return text,
                C('/') if pattern => return text,
                C('\\') => self.push_char(&mut text),
                C(_) | Continuation => {}
            }
            self.push_char(&mut text);
        }
    }
}

/// Whether the word after `@` starts with a literal that bash knows as a transformation.
fn is_transformation(word: Option<&Word>) -> bool {
    match word.and_then(|word| word.parts.first()).map(|part| &part.kind) {
        Some(PartKind::Literal(text)) => {
            matches!(
                text.as_str(),
                "a" | "k" | "u" | "A" | "E" | "K" | "L" | "P" | "Q" | "U"
            )
        }
        _ => false,
    }
}

/// The parameters that are named by one sign.
fn is_special(c: char) -> bool {
    matches!(c, '@' | '*' | '#' | '$' | '?' | '!' | '-')
}
