//! Arithmetic expressions.
//!
//! In `let`, blanks end an expression; there, `compact` is true.

use super::names::is_name;
use super::{Parser, Result, fail};
use crate::ast::{Arith, Part, PartKind, Pos, Word};
use crate::token::{Mode, Tok};

/// The left-associative operators, from the weakest to the strongest.
const LEVELS: &[&[&str]] = &[
    &["||", "^^"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

const ASSIGNMENTS: &[&str] = &["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="];

impl Parser<'_> {
    /// The expression that must follow `left`.
    pub(super) fn expect_arith(&mut self, left: &str, left_pos: Pos) -> Result<Arith> {
        let expr = self.arith(false)?;
        require(expr, left, left_pos)
    }

    /// An expression; nothing when none starts here.
    pub(super) fn arith(&mut self, compact: bool) -> Result<Option<Arith>> {
        let first = self.arith_assignment(compact)?;
        let mut rest = Vec::new();
        while let Some(op) = self.arith_op(compact, &[","]) {
            rest.push(self.arith_operand(op, compact, first.is_some(), Self::arith_assignment)?);
        }
        Ok(chain(first, rest))
    }

    /// The operator at the token when it is one of `ops` and nothing ends the expression before it.
    fn arith_op(&self, compact: bool, ops: &[&str]) -> Option<&'static str> {
        let op = match self.tok {
            Tok::Op(op) | Tok::Redirect(op) => op,
            _ => return None,
        };
        (ops.contains(&op) && !(compact && self.spaced)).then_some(op)
    }

    /// Steps over the operator `op` and reads the operand after it.
    fn arith_operand(
        &mut self,
        op: &'static str,
        compact: bool,
        has_left: bool,
        operand: impl FnOnce(&mut Self, bool) -> Result<Option<Arith>>,
    ) -> Result<(&'static str, Arith)> {
        if !has_left {
            return self.error(format!("`{op}` must follow an expression"));
        }
        let pos = self.pos;
        self.arith_advance_op(op, compact)?;
        let right = operand(self, compact)?;
        Ok((op, require(right, op, pos)?))
    }

    fn arith_advance(&mut self, compact: bool) -> Result<()> {
        self.advance()?;
        if !compact {
            self.got_newline()?;
        }
        Ok(())
    }

    /// Steps over the operator `op`, which needs an operand.
    fn arith_advance_op(&mut self, op: &str, compact: bool) -> Result<()> {
        let pos = self.pos;
        self.advance()?;
        if compact && self.spaced {
            return fail(pos, format!("`{op}` must be followed by an expression"));
        }
        if !compact {
            self.got_newline()?;
        }
        Ok(())
    }

    fn arith_assignment(&mut self, compact: bool) -> Result<Option<Arith>> {
        self.deeper(|parser| {
            let left = parser.arith_ternary(compact)?;
            let Some(op) = parser.arith_op(compact, ASSIGNMENTS) else {
                return Ok(left);
            };
            let Some(left) = left.filter(is_variable) else {
                return parser.error(format!("`{op}` must follow a name"));
            };
            let (op, right) = parser.arith_operand(op, compact, true, Self::arith_assignment)?;
            Ok(Some(Arith::Binary {
                op,
                left: Box::new(left),
                right: Box::new(right),
            }))
        })
    }

    fn arith_ternary(&mut self, compact: bool) -> Result<Option<Arith>> {
        let condition = self.arith_level(0, compact)?;
        if self.arith_op(compact, &["?"]).is_none() {
            return Ok(condition);
        }
        let Some(condition) = condition else {
            return self.error("`?` must follow an expression");
        };
        let question = self.pos;
        self.arith_advance_op("?", compact)?;
        if self.at_op(":") {
            return fail(question, "`?` must be followed by an expression");
        }
        let yes = self.arith(compact)?;
        let yes = require(yes, "?", question)?;
        if !self.at_op(":") {
            return fail(question, "`?` has no `:` after it");
        }
        let (_, no) = self.arith_operand(":", compact, true, |parser, compact| {
            parser.deeper(|p| p.arith_ternary(compact))
        })?;
        Ok(Some(Arith::Ternary(Box::new([condition, yes, no]))))
    }

    /// Operands joined by the operators of `level` or stronger ones.
    fn arith_level(&mut self, level: usize, compact: bool) -> Result<Option<Arith>> {
        let mut left = self.arith_power(compact)?;
        // Whatever has been read is the left side of the operator that comes next: a stronger one before
        // it has already taken its operands.
        while let Some(found) = (level..LEVELS.len()).find(|&l| self.arith_op(compact, LEVELS[l]).is_some()) {
            let mut rest = Vec::new();
            while let Some(op) = self.arith_op(compact, LEVELS[found]) {
                let stronger = |parser: &mut Self, compact| parser.arith_level(found + 1, compact);
                rest.push(self.arith_operand(op, compact, left.is_some(), stronger)?);
            }
            left = chain(left, rest);
        }
        Ok(left)
    }

    fn arith_power(&mut self, compact: bool) -> Result<Option<Arith>> {
        let left = self.arith_unary(compact)?;
        let Some(op) = self.arith_op(compact, &["**"]) else {
            return Ok(left);
        };
        let (op, right) = self.arith_operand(op, compact, left.is_some(), |parser, compact| {
            parser.deeper(|p| p.arith_power(compact))
        })?;
        Ok(left.map(|left| Arith::Binary {
            op,
            left: Box::new(left),
            right: Box::new(right),
        }))
    }

    fn arith_unary(&mut self, compact: bool) -> Result<Option<Arith>> {
        if !compact {
            self.got_newline()?;
        }
        let Tok::Op(op @ ("!" | "~" | "+" | "-")) = self.tok else {
            return self.arith_value(compact);
        };
        let (op, operand) = self.arith_operand(op, compact, true, |parser, compact| {
            parser.deeper(|p| p.arith_unary(compact))
        })?;
        Ok(Some(Arith::Unary {
            op,
            postfix: false,
            operand: Box::new(operand),
        }))
    }

    fn arith_value(&mut self, compact: bool) -> Result<Option<Arith>> {
        let start = self.pos;
        let value = match self.tok {
            Tok::Op(op @ ("++" | "--")) => return self.arith_prefixed(op, compact),
            Tok::Op("(") => {
                self.arith_advance_op("(", compact)?;
                let expr = self.expect_arith("(", start)?;
                self.expect_close(")", "(", start)?;
                Arith::Paren(Box::new(expr))
            }
            Tok::Op("[") => return self.error("`[` must follow a name"),
            Tok::Op(":") => return self.error("`:` has no `?` before it"),
            Tok::Word => Arith::Word(self.arith_name()?),
            Tok::Backquote if self.mode == Mode::Let && self.cursor.open_backquotes > 0 => return Ok(None),
            _ => match self.word()? {
                Some(word) => Arith::Word(word),
                None => return Ok(None),
            },
        };
        if compact && self.spaced {
            return Ok(Some(value));
        }
        if !compact {
            self.got_newline()?;
        }
        let Tok::Op(op @ ("++" | "--")) = self.tok else {
            return Ok(Some(value));
        };
        if !is_variable(&value) {
            return self.error(format!("`{op}` must follow a name"));
        }
        self.arith_advance(compact)?;
        Ok(Some(Arith::Unary {
            op,
            postfix: true,
            operand: Box::new(value),
        }))
    }

    /// `++name` or `--name`
    fn arith_prefixed(&mut self, op: &'static str, compact: bool) -> Result<Option<Arith>> {
        let pos = self.pos;
        self.arith_advance(compact)?;
        if self.tok != Tok::Word {
            return fail(pos, format!("`{op}` must be followed by a name"));
        }
        let operand = self.arith_value(compact)?;
        let operand = Box::new(require(operand, op, pos)?);
        Ok(Some(Arith::Unary {
            op,
            postfix: false,
            operand,
        }))
    }

    /// A literal, with its subscript when it has one.
    fn arith_name(&mut self) -> Result<Word> {
        let start = self.pos;
        let name = self.text.clone();
        let literal = self.literal_word()?;
        if !self.at_op("[") {
            return Ok(literal);
        }
        let (index, _) = self.subscript()?;
        let end = self.cursor.pos();
        self.advance()?;
        let kind = PartKind::Element {
            name,
            index: Box::new(index),
        };
        Ok(Word {
            parts: vec![Part { start, end, kind }],
        })
    }

    /// A subscript of which `[` has been read, up to and with `]`, and where its expression starts. The
    /// next token is still to be read.
    pub(super) fn subscript(&mut self) -> Result<(Arith, Pos)> {
        let open = self.pos;
        let outer = self.mode;
        self.mode = Mode::Subscript;
        self.advance()?;
        if let Tok::Op(sign @ ("*" | "@")) = self.tok {
            self.tok = Tok::Word;
            self.text = sign.to_owned();
        }
        let start = self.pos;
        let index = self.expect_arith("[", open)?;
        if !self.at_op("]") {
            return self.arith_unmatched("]", "[", open);
        }
        self.mode = outer;
        Ok((index, start))
    }

    /// The error for an expression that goes on where `close` should stand.
    pub(super) fn arith_unmatched<T>(&self, close: &str, open: &str, open_pos: Pos) -> Result<T> {
        match self.tok {
            Tok::Literal | Tok::Word => {
                self.error(format!("`{}` is not an operator of arithmetic", self.text))
            }
            Tok::Op("[") => self.error("`[` must follow a name"),
            Tok::Op(":") => self.error("`:` has no `?` before it"),
            Tok::Op(".") => self.error("floating point numbers are not known to bash"),
            Tok::Op(")") | Tok::Eof => self.unmatched(close, open, open_pos),
            tok => self.error(format!("{} is not an operator of arithmetic", tok.describe())),
        }
    }
}

fn require(expr: Option<Arith>, left: &str, left_pos: Pos) -> Result<Arith> {
    match expr {
        Some(expr) => Ok(expr),
        None => fail(left_pos, format!("`{left}` must be followed by an expression")),
    }
}

fn chain(first: Option<Arith>, rest: Vec<(&'static str, Arith)>) -> Option<Arith> {
    if rest.is_empty() {
        return first;
    }
    first.map(|first| Arith::Chain {
        first: Box::new(first),
        rest,
    })
}

/// Whether a value can be assigned to.
fn is_variable(expr: &Arith) -> bool {
    let Arith::Word(Word { parts }) = expr else {
        return false;
    };
    match parts.as_slice() {
        [
            Part {
                kind: PartKind::Literal(name),
                ..
            },
        ] => is_name(name),
        [
            Part {
                kind: PartKind::Element { .. },
                ..
            },
        ] => true,
        _ => false,
    }
}
