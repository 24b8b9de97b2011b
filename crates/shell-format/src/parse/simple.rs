//! Simple commands, declarations and redirects.

use super::names::is_name;
use super::{Parser, Pending, Result, fail};
use crate::ast::{Assign, Command, Declare, HereDoc, Let, Pos, Redirect, Simple, Statement, Word};
use crate::token::{Mode, Tok};

impl Parser<'_> {
    pub(super) fn at_redirect(&self) -> bool {
        matches!(self.tok, Tok::Descriptor | Tok::Redirect(_))
    }

    /// Reads all redirects at the token into `statement`.
    pub(super) fn redirects(&mut self, statement: &mut Statement) -> Result<()> {
        while self.at_redirect() {
            let redirect = self.redirect()?;
            statement.redirects.push(redirect);
        }
        Ok(())
    }

    fn redirect(&mut self) -> Result<Redirect> {
        let pos = self.pos;
        let mut fd = None;
        if self.tok == Tok::Descriptor {
            fd = Some(self.text.clone());
            self.advance()?;
        }
        let op_pos = self.pos;
        let Tok::Redirect(op) = self.tok else {
            return self.error("a file descriptor must be followed by a redirect");
        };
        if matches!(op, ">>|" | "&>|" | "&>>|") {
            return self.error(format!("`{op}` is not known to bash"));
        }
        if !matches!(op, "<<" | "<<-") {
            self.advance()?;
            let word = self.expect_any_word(op, op_pos)?;
            return Ok(Redirect {
                pos,
                op_pos,
                fd,
                op,
                word,
                heredoc: None,
            });
        }
        let outer = self.mode;
        self.mode = Mode::Delimiter;
        self.no_expansions = true;
        self.advance()?;
        let id = self.bodies.len();
        self.bodies.push(HereDoc::default());
        let word = self.expect_any_word(op, op_pos)?;
        self.pending.push(Pending::new(id, pos, op == "<<-", &word));
        self.mode = outer;
        self.no_expansions = false;
        if self.tok == Tok::Newline {
            self.read_heredocs()?;
        }
        Ok(Redirect {
            pos,
            op_pos,
            fd,
            op,
            word,
            heredoc: Some(id),
        })
    }

    /// Reads the assignments, words and redirects of a simple command that has begun with `first`.
    pub(super) fn simple(&mut self, statement: &mut Statement, first: Option<Word>) -> Result<()> {
        let mut words = Vec::with_capacity(4);
        words.extend(first);
        let mut simple = Simple {
            assigns: Vec::new(),
            words,
        };
        loop {
            match self.tok {
                Tok::Op(")") if self.mode == Mode::Substitution => break,
                Tok::Op(")") => return self.stray_in_command(),
                _ if self.at_stop() => break,
                Tok::Literal | Tok::Word if simple.words.is_empty() && self.at_assignment() => {
                    simple.assigns.push(self.assignment(true)?);
                }
                Tok::Word => simple.words.push(self.literal_word()?),
                Tok::Descriptor | Tok::Redirect(_) => self.redirects(statement)?,
                _ => match self.word()? {
                    Some(word) => simple.words.push(word),
                    None => return self.stray_in_command(),
                },
            }
        }
        let array = simple
            .assigns
            .iter()
            .find(|assign| assign.index.is_some() || assign.array.is_some());
        if let (false, Some(assign)) = (simple.words.is_empty(), array) {
            return fail(assign.pos, "an array cannot be assigned for one command alone");
        }
        statement.command = Some(Command::Simple(simple));
        Ok(())
    }

    fn stray_in_command<T>(&self) -> Result<T> {
        let found = self.tok.describe();
        self.error(format!(
            "a command is made of words and redirects alone: found {found}"
        ))
    }

    pub(super) fn declare(&mut self) -> Result<Command> {
        let (pos, name) = (self.pos, self.text.clone());
        let name_end = self.cursor.pos();
        self.advance()?;
        let mut args = Vec::new();
        while !self.at_stop() && !self.at_redirect() {
            args.push(self.declared(&name)?);
        }
        Ok(Command::Declare(Box::new(Declare {
            pos,
            name_end,
            name,
            args,
        })))
    }

    fn declared(&mut self, declaration: &str) -> Result<Assign> {
        if self.at_assignment() {
            return self.assignment(false);
        }
        if self.tok.is_literal()
            && let Some(equals) = self.equals
            && equals > 0
            && !self.text[..equals].contains('{')
        {
            return self.error("invalid name of a variable");
        }
        let pos = self.pos;
        let (mut name, mut value) = (None, None);
        if self.tok == Tok::Word && is_name(&self.text) {
            name = Some(self.text.clone());
            self.advance()?;
        } else {
            value = self.word()?;
            if value.is_none() {
                return fail(
                    pos,
                    format!("`{declaration}` must be followed by names or assignments"),
                );
            }
        }
        let end = self.prev_end;
        Ok(Assign {
            pos,
            end,
            name,
            index: None,
            append: false,
            naked: true,
            value,
            array: None,
        })
    }

    pub(super) fn let_command(&mut self) -> Result<Command> {
        let pos = self.pos;
        let outer = self.enter(Mode::Let);
        self.advance()?;
        let mut exprs = Vec::new();
        let mut end = self.prev_end;
        while !self.at_stop() && !self.redirect_in_let() {
            let Some(expr) = self.arith(true)? else { break };
            exprs.push(expr);
            end = self.prev_end;
        }
        if exprs.is_empty() {
            return fail(pos, "`let` must be followed by an expression");
        }
        self.leave(&outer);
        Ok(Command::Let(Box::new(Let { pos, end, exprs })))
    }

    /// Turns an operator of arithmetic that redirects when it stands between expressions into a redirect.
    fn redirect_in_let(&mut self) -> bool {
        if let Tok::Op(op @ ("<" | ">" | "<<" | ">>")) = self.tok {
            self.tok = Tok::Redirect(op);
        }
        self.at_redirect()
    }
}

impl Pending {
    fn new(id: usize, pos: Pos, tabs: bool, delimiter: &Word) -> Self {
        Self {
            id,
            pos,
            tabs,
            delimiter: delimiter.clone(),
        }
    }
}
