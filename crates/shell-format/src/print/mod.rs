//! The printer: statements to text in canonical form.
//!
//! Line breaks follow the script: a node that stands on a later line than what has been written goes
//! to a new line. `line` counts the lines of the *script*, not of the output.

mod columns;
mod command;
mod compound;
mod heredoc;
mod word;

use crate::ast::{Redirect, Script, Statement};

/// Marks text that the column layout must leave alone; never a byte of UTF-8.
const ESCAPE: u8 = 0xff;

/// Prints a statement of a script, without a newline at the end.
#[must_use]
pub fn print_statement(script: &Script, statement: &Statement) -> String {
    let mut printer = Printer::new(script);
    printer.statements(std::slice::from_ref(statement));
    printer.flush_heredocs();
    columns::lay_out(&printer.out)
}

/// What may stand between what has been written and what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    None,
    Required,
    Written,
}

struct Printer<'a> {
    script: &'a Script,
    out: Vec<u8>,
    space: Space,
    /// A newline is wanted next.
    want_newline: bool,
    /// Without a newline next, the text would not be valid.
    must_newline: bool,
    /// `;` or `&` has been written for the statement.
    wrote_end: bool,
    first_line: bool,
    line: u32,
    level: usize,
    last_level: usize,
    /// For each open `indented` section, whether it has raised the level.
    raised: Vec<bool>,
    nested_chain: bool,
    pending: Vec<&'a Redirect>,
    /// Whether tabs are protected from the column layout.
    escape_tabs: bool,
}

impl<'a> Printer<'a> {
    fn new(script: &'a Script) -> Self {
        Self {
            script,
            // Few statements are longer.
            out: Vec::with_capacity(128),
            space: Space::Written,
            want_newline: false,
            must_newline: false,
            wrote_end: false,
            first_line: true,
            line: 0,
            level: 0,
            last_level: 0,
            raised: Vec::new(),
            nested_chain: false,
            pending: Vec::new(),
            escape_tabs: true,
        }
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes text of the script.
    fn push_text(&mut self, text: &str) {
        let escape = self.escape_tabs && text.contains('\t');
        if escape {
            self.out.push(ESCAPE);
        }
        self.push(text);
        if escape {
            self.out.push(ESCAPE);
        }
    }

    fn space(&mut self) {
        self.push(" ");
        self.space = Space::Written;
    }

    fn space_if_required(&mut self) {
        if self.space == Space::Required {
            self.space();
        }
    }

    /// Writes a token with a blank around it.
    fn spaced(&mut self, token: &str) {
        self.space_if_required();
        self.push(token);
        self.space = Space::Required;
    }

    fn advance_line(&mut self, line: u32) {
        self.line = self.line.max(line);
    }

    fn wants_newline(&self, line: u32) -> bool {
        self.must_newline || self.want_newline || line > self.line
    }

    /// Raises the level, unless the level has been raised since the last line was begun; then this
    /// section takes the raise over.
    fn raise(&mut self) {
        let mut raised = false;
        if self.level <= self.last_level || self.raised.is_empty() {
            self.level += 1;
            raised = true;
        } else if let Some(outer @ true) = self.raised.last_mut() {
            *outer = false;
            raised = true;
        }
        self.raised.push(raised);
    }

    fn lower(&mut self) {
        if self.raised.pop() == Some(true) {
            self.level -= 1;
        }
    }

    fn indent(&mut self) {
        self.last_level = self.level;
        if self.level > 0 {
            self.out.push(ESCAPE);
            self.out.resize(self.out.len() + self.level, b'\t');
            self.out.push(ESCAPE);
        }
    }

    /// Breaks the line with a backslash.
    fn continue_line(&mut self) {
        self.space_if_required();
        self.push("\\\n");
        self.line += 1;
        self.indent();
    }

    fn break_line(&mut self) {
        self.flush_heredocs();
        self.push("\n");
        self.space = Space::Written;
        self.want_newline = false;
        self.must_newline = false;
    }

    /// Begins a new line for what stands at `line` of the script, when it wants one; keeps one empty
    /// line before it.
    fn new_line_for(&mut self, line: u32) {
        if self.first_line {
            self.first_line = false;
            return;
        }
        if !self.wants_newline(line) {
            return;
        }
        self.break_line();
        if line > self.line + 1 {
            self.push("\n");
        }
        self.advance_line(line);
        self.indent();
    }

    /// `then` and `do`: on a line of their own, or after `;`.
    fn separated(&mut self, word: &str, line: u32) {
        if self.wants_newline(0) {
            self.break_line();
            self.advance_line(line);
            self.indent();
        } else {
            if !self.wrote_end {
                self.push(";");
            }
            self.space();
            self.advance_line(line);
        }
        self.push(word);
        self.space = Space::Required;
    }

    /// `fi`, `done` and their like.
    fn closing_word(&mut self, word: &str, line: u32) {
        if self.wants_newline(line) {
            self.new_line_for(line);
        } else {
            if !self.wrote_end {
                self.push(";");
            }
            self.space_if_required();
        }
        self.push(word);
        self.space = Space::Required;
    }

    fn closing_paren(&mut self, line: u32) {
        self.new_line_for(line);
        self.push(")");
        self.space = Space::Required;
    }
}
