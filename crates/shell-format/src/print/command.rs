//! Statements, lists and simple commands.

use super::{Printer, Space};
use crate::ast::{Assign, Chain, Command, Element, Link, Redirect, Simple, Statement, Word};

impl<'a> Printer<'a> {
    /// Writes statements, each on its own line unless there is one alone that needs none.
    pub(super) fn statements(&mut self, statements: &'a [Statement]) {
        let separate = self.want_newline || statements.first().is_some_and(|s| s.pos.line > self.line);
        for statement in statements {
            self.new_line_for(statement.pos.line);
            self.advance_line(statement.pos.line);
            self.statement(statement);
            self.want_newline = true;
        }
        if statements.len() == 1 && !separate {
            self.want_newline = false;
        }
    }

    /// Writes statements one level deeper; `closing` is the line of what closes them.
    pub(super) fn nested(&mut self, statements: &'a [Statement], closing: Option<u32>) {
        self.raise();
        let broken = match (closing, statements.last()) {
            (Some(closing), Some(last)) => closing > self.line && last.end(self.script).line < closing,
            _ => false,
        };
        if statements.len() > 1 || broken {
            self.want_newline = true;
        }
        self.statements(statements);
        self.lower();
    }

    pub(super) fn statement(&mut self, statement: &'a Statement) {
        self.wrote_end = false;
        if statement.negated {
            self.spaced("!");
        }
        let written = statement
            .command
            .as_ref()
            .map_or(0, |command| self.command(command, &statement.redirects));
        self.raise();
        for redirect in statement.redirects.iter().skip(written) {
            if self.wants_newline(redirect.op_pos.line) {
                self.continue_line();
            }
            self.redirect(redirect);
            if redirect.heredoc.is_some() {
                self.pending.push(redirect);
            }
        }
        let apart = statement.terminator.is_some_and(|pos| pos.line > self.line);
        if apart || statement.background {
            if apart {
                self.continue_line();
            } else {
                self.space();
            }
            self.push(if statement.background { "&" } else { ";" });
            self.wrote_end = true;
            self.space = Space::Required;
        }
        self.lower();
    }

    fn redirect(&mut self, redirect: &'a Redirect) {
        self.space_if_required();
        if let Some(fd) = &redirect.fd {
            self.push_text(fd);
        }
        self.push(redirect.op);
        self.space = Space::Required;
        self.word(&redirect.word);
    }

    /// Writes the redirects that stand before `word`; gives how many of `redirects` are written.
    fn redirects_before(&mut self, word: &Word, redirects: &'a [Redirect], written: usize) -> usize {
        let before = |redirect: &&Redirect| redirect.pos <= word.pos() && redirect.heredoc.is_none();
        let count = redirects.iter().skip(written).take_while(before).count();
        for redirect in redirects.iter().skip(written).take(count) {
            self.redirect(redirect);
        }
        written + count
    }

    /// Writes a command; gives how many of its redirects are written.
    fn command(&mut self, command: &'a Command, redirects: &'a [Redirect]) -> usize {
        self.advance_line(command.pos().line);
        self.space_if_required();
        match command {
            Command::Simple(simple) => return self.simple(simple, redirects),
            Command::Chain(chain) => self.chain(chain),
            _ => self.compound(command),
        }
        0
    }

    fn simple(&mut self, simple: &'a Simple, redirects: &'a [Redirect]) -> usize {
        self.assigns(&simple.assigns);
        let Some(first) = simple.words.first() else {
            return 0;
        };
        let mut written = self.redirects_before(first, redirects, 0);
        let (head, tail) = simple.words.split_at(1);
        self.words(head);
        if let Some(second) = tail.first() {
            written = self.redirects_before(second, redirects, written);
            self.words(tail);
        }
        written
    }

    pub(super) fn words(&mut self, words: &'a [Word]) {
        let mut broken = false;
        for word in words {
            if word.pos().line > self.line {
                if !broken {
                    self.raise();
                    broken = true;
                }
                self.continue_line();
            }
            self.space_if_required();
            self.word(word);
        }
        if broken {
            self.lower();
        }
    }

    pub(super) fn assigns(&mut self, assigns: &'a [Assign]) {
        self.raise();
        for assign in assigns {
            if self.wants_newline(assign.pos.line) {
                self.continue_line();
            } else {
                self.space_if_required();
            }
            self.assign(assign);
            self.space = Space::Required;
        }
        self.lower();
    }

    fn assign(&mut self, assign: &'a Assign) {
        if let Some(name) = &assign.name {
            self.push_text(name);
            if let Some(index) = &assign.index {
                self.index(index);
            }
            if assign.append {
                self.push("+");
            }
            if !assign.naked {
                self.push("=");
            }
        }
        if let Some(value) = &assign.value {
            // A line break after `=` would split the assignment.
            self.advance_line(value.pos().line);
            self.word(value);
        } else if let Some(array) = &assign.array {
            self.space = Space::None;
            self.push("(");
            self.raise();
            for element in &array.elements {
                self.element(element);
            }
            self.lower();
            self.closing_paren(array.close.line);
        }
    }

    fn element(&mut self, element: &'a Element) {
        if element.pos.line > self.line {
            self.new_line_for(element.pos.line);
        }
        self.space_if_required();
        if let Some(index) = &element.index {
            self.index(index);
            self.push("=");
        }
        if let Some(value) = &element.value {
            self.word(value);
        }
    }

    fn chain(&mut self, chain: &'a Chain) {
        self.statement(&chain.first);
        for (index, link) in chain.rest.iter().enumerate() {
            if index > 0 {
                // What has been written is the left side of this operator: a statement of its own.
                self.raise();
                self.lower();
            }
            self.link(link);
        }
    }

    fn link(&mut self, link: &'a Link) {
        let line = link.statement.pos.line;
        if line <= self.line {
            self.spaced(link.op);
            self.advance_line(line);
            self.statement(&link.statement);
            return;
        }
        let indent = !self.nested_chain;
        if indent {
            self.raise();
        }
        self.spaced(link.op);
        self.advance_line(link.op_pos.line);
        self.break_line();
        self.indent();
        self.advance_line(line);
        self.nested_chain = matches!(link.statement.command, Some(Command::Chain(_)));
        self.statement(&link.statement);
        if indent {
            self.lower();
        }
        self.nested_chain = false;
    }
}

/// Whether a statement starts with `(`, which must not touch a `(` before it.
pub(super) fn starts_with_paren(statement: &Statement) -> bool {
    match &statement.command {
        Some(Command::Chain(chain)) => starts_with_paren(&chain.first),
        Some(Command::Subshell(_) | Command::Arithmetic(_)) => true,
        _ => false,
    }
}
