//! Words, expansions and arithmetic.

use super::{Printer, Space};
use crate::ast::{Arith, Group, Param, ParamOp, Part, PartKind, SubstitutionStyle, Word};

impl<'a> Printer<'a> {
    pub(super) fn word(&mut self, word: &'a Word) {
        self.parts(&word.parts, false);
        self.space = Space::Required;
    }

    /// Writes the parts of a word. Line breaks between quoted parts are kept, others are not.
    pub(super) fn parts(&mut self, parts: &'a [Part], quoted: bool) {
        if !quoted && parts.first().is_some_and(|part| part.start.line > self.line) {
            self.continue_line();
        }
        for part in parts {
            while quoted && part.start.line > self.line {
                self.push("\\\n");
                self.line += 1;
            }
            self.part(part);
            self.advance_line(part.end.line);
        }
    }

    fn part(&mut self, part: &'a Part) {
        match &part.kind {
            PartKind::Literal(text) => self.push_text(text),
            PartKind::Single { dollar, text } => {
                self.push(if *dollar { "$'" } else { "'" });
                self.push_text(text);
                self.push("'");
            }
            PartKind::Double { dollar, parts, close } => {
                self.push(if *dollar { "$\"" } else { "\"" });
                self.parts(parts, true);
                while self.line < close.line {
                    self.push("\\\n");
                    self.line += 1;
                }
                self.push("\"");
            }
            PartKind::Param(param) => self.param(param),
            PartKind::Command { style, group } => {
                self.advance_line(part.start.line);
                self.substitution(*style, group);
                // An `&` inside ends no statement outside.
                self.wrote_end = false;
            }
            PartKind::Arithmetic(expr) => {
                self.push("$((");
                self.arith(expr, false, false);
                self.push("))");
            }
            PartKind::Process { op, group } => {
                self.space_if_required();
                self.push(op);
                self.nested(&group.body, Some(group.close.line));
                self.closing_paren(group.close.line);
                self.wrote_end = false;
            }
            PartKind::Glob { op, pattern } => {
                self.push(op);
                self.push_text(pattern);
                self.push(")");
            }
            PartKind::Element { name, index } => {
                self.push_text(name);
                self.index(index);
            }
        }
    }

    fn substitution(&mut self, style: SubstitutionStyle, group: &'a Group) {
        let close = group.close.line;
        if style == SubstitutionStyle::Normal {
            self.push("$(");
            let open_paren = group.body.first().is_some_and(super::command::starts_with_paren);
            self.space = if open_paren { Space::Required } else { Space::None };
            self.nested(&group.body, Some(close));
            self.closing_paren(close);
            return;
        }
        if style == SubstitutionStyle::InPlace {
            self.push("${");
            self.space = Space::Required;
        } else {
            self.push("${|");
        }
        self.nested(&group.body, Some(close));
        self.space = Space::None;
        self.closing_word("}", close);
    }

    fn param(&mut self, param: &'a Param) {
        self.push(if param.short { "$" } else { "${" });
        if let Some(prefix) = param.prefix {
            self.push(prefix.encode_utf8(&mut [0; 4]));
        }
        self.push_text(&param.name);
        if let Some(index) = &param.index {
            self.index(index);
        }
        match &param.op {
            None => {}
            Some(ParamOp::Slice { offset, length }) => {
                self.push(":");
                if let Some(offset) = offset {
                    self.arith(offset, true, true);
                }
                if let Some(length) = length {
                    self.push(":");
                    self.arith(length, true, false);
                }
            }
            Some(ParamOp::Replace { all, pattern, with }) => {
                self.push(if *all { "//" } else { "/" });
                self.optional_word(pattern.as_ref());
                self.push("/");
                self.optional_word(with.as_ref());
            }
            Some(ParamOp::Names(op)) => self.push(op),
            Some(ParamOp::Other { op, word }) => {
                self.push(op);
                self.optional_word(word.as_ref());
            }
        }
        if !param.short {
            self.push("}");
        }
    }

    fn optional_word(&mut self, word: Option<&'a Word>) {
        if let Some(word) = word {
            self.word(word);
        }
    }

    pub(super) fn index(&mut self, index: &'a Arith) {
        self.push("[");
        let compact = matches!(index, Arith::Chain { rest, .. } if rest.iter().any(|(op, _)| *op == ","));
        self.arith(index, compact, false);
        self.push("]");
    }

    /// Writes an expression, with no blanks when `compact`. With `sign_apart`, a sign at its start is set
    /// apart, because `:-` is an operator.
    pub(super) fn arith(&mut self, expr: &'a Arith, compact: bool, sign_apart: bool) {
        match expr {
            Arith::Word(word) => self.word(word),
            Arith::Chain { first, rest } => {
                self.arith(first, compact, sign_apart);
                for (op, operand) in rest {
                    self.arith_op(op, compact);
                    self.arith(operand, compact, false);
                }
            }
            Arith::Binary { op, left, right } => {
                self.arith(left, compact, sign_apart);
                self.arith_op(op, compact);
                self.arith(right, compact, false);
            }
            Arith::Ternary(operands) => {
                let [condition, yes, no] = operands.as_ref();
                self.arith(condition, compact, sign_apart);
                self.arith_op("?", compact);
                self.arith(yes, compact, false);
                self.arith_op(":", compact);
                self.arith(no, compact, false);
            }
            Arith::Unary {
                op,
                postfix: true,
                operand,
            } => {
                self.arith(operand, compact, sign_apart);
                self.push(op);
            }
            Arith::Unary {
                op,
                postfix: false,
                operand,
            } => {
                if sign_apart && matches!(*op, "+" | "-") {
                    self.space();
                }
                self.push(op);
                self.arith(operand, compact, false);
            }
            Arith::Paren(expr) => {
                self.push("(");
                self.arith(expr, false, false);
                self.push(")");
            }
        }
    }

    fn arith_op(&mut self, op: &str, compact: bool) {
        if compact {
            self.push(op);
            return;
        }
        if op != "," {
            self.space();
        }
        self.push(op);
        self.space();
    }
}
