//! `$...` and backquotes.
//!
//! These functions read from the cursor to right after the construct; the caller decides how to go on.

use super::{Parser, Result, fail};
use crate::ast::{Group, PartKind, Pos, SubstitutionStyle};
use crate::cursor::Ch::C;
use crate::token::{Mode, Tok};

impl Parser<'_> {
    /// Refuses expansions in the delimiter of a here-document.
    pub(super) fn check_expansion(&self, pos: Pos) -> Result<()> {
        if self.no_expansions {
            return fail(
                pos,
                "expansions are not allowed in the delimiter of a here-document",
            );
        }
        Ok(())
    }

    /// What starts with the `$` at the cursor; a literal `$` when nothing does. In double quotes and
    /// here-documents (`quoted`), a quote after `$` is text.
    pub(super) fn dollar(&mut self, quoted: bool) -> Result<PartKind> {
        self.deeper(|parser| parser.dollar_here(quoted))
    }

    fn dollar_here(&mut self, quoted: bool) -> Result<PartKind> {
        let start = self.cursor.pos();
        match self.cursor.bump() {
            C('\'') if !quoted => return self.single_quoted(start, true),
            C('"') if !quoted => return self.double_quoted(start, true),
            C('{') => {
                self.check_expansion(start)?;
                return match self.cursor.bump() {
                    C('|') => self.in_place(start, SubstitutionStyle::Reply),
                    C(' ' | '\t' | '\n') => self.in_place(start, SubstitutionStyle::InPlace),
                    _ => self.braced_param(start),
                };
            }
            C('[') => {
                self.check_expansion(start)?;
                self.cursor.bump();
                return self.arithmetic_expansion(start, "$[");
            }
            C('(') => {
                self.check_expansion(start)?;
                if self.cursor.bump() == C('(') {
                    self.cursor.bump();
                    return self.arithmetic_expansion(start, "$((");
                }
                let group = self.substituted(start, "$(")?;
                return Ok(PartKind::Command {
                    style: SubstitutionStyle::Normal,
                    group,
                });
            }
            _ => {}
        }
        let Some(param) = self.short_param() else {
            return Ok(PartKind::Literal("$".to_owned()));
        };
        self.check_expansion(start)?;
        Ok(PartKind::Param(Box::new(param)))
    }

    /// The list after `$(`, `<(` or `>(` with its closing parenthesis.
    pub(super) fn substituted(&mut self, open: Pos, op: &str) -> Result<Group> {
        let outer = self.enter(Mode::Substitution);
        self.advance()?;
        let body = self.statements(&[])?;
        if !self.at_op(")") {
            return self.unmatched(")", op, open);
        }
        self.leave(&outer);
        Ok(Group {
            open,
            close: self.pos,
            body,
        })
    }

    /// `${ list;}`, from the blank or `|` on.
    fn in_place(&mut self, open: Pos, style: SubstitutionStyle) -> Result<PartKind> {
        let outer = self.enter(Mode::Substitution);
        self.cursor.bump();
        self.advance()?;
        let body = self.statements(&["}"])?;
        if !self.at_word("}") {
            return self.unmatched("}", "${", open);
        }
        self.leave(&outer);
        Ok(PartKind::Command {
            style,
            group: Group {
                open,
                close: self.pos,
                body,
            },
        })
    }

    fn arithmetic_expansion(&mut self, start: Pos, op: &str) -> Result<PartKind> {
        let outer = self.enter(Mode::Arith);
        self.advance()?;
        if self.at_op("#") {
            return self.error("unsigned arithmetic is not known to bash");
        }
        let expr = self.expect_arith(op, start)?;
        if op == "$[" {
            if !self.at_op("]") {
                return self.arith_unmatched("]", op, start);
            }
        } else {
            self.arith_close(op, start)?;
        }
        self.leave(&outer);
        Ok(PartKind::Arithmetic(Box::new(expr)))
    }

    /// Checks for `))` and steps over it.
    pub(super) fn arith_close(&mut self, op: &str, start: Pos) -> Result<()> {
        if !(self.at_op(")") && self.cursor.is(')')) {
            return self.arith_unmatched("))", op, start);
        }
        self.cursor.bump();
        Ok(())
    }

    /// The list in the backquotes of which the first is at the cursor.
    pub(super) fn backquoted(&mut self) -> Result<PartKind> {
        let open = self.cursor.pos();
        self.check_expansion(open)?;
        self.deeper(|parser| parser.backquoted_list(open))
    }

    fn backquoted_list(&mut self, open: Pos) -> Result<PartKind> {
        let outer = self.enter(Mode::Backquote);
        self.cursor.open_backquotes += 1;
        self.cursor.bump();
        self.advance()?;
        let body = self.statements(&[])?;
        if self.tok != Tok::Backquote || self.cursor.backquote_escapes + 1 < self.cursor.open_backquotes {
            return fail(open, "backquote has no closing backquote");
        }
        let close = self.pos;
        self.leave(&outer);
        self.cursor.open_backquotes -= 1;
        self.cursor.bump();
        Ok(PartKind::Command {
            style: SubstitutionStyle::Normal,
            group: Group { open, close, body },
        })
    }
}
