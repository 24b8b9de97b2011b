//! Compound commands.

use super::command::starts_with_paren;
use super::{Printer, Space};
use crate::ast::{Case, CaseItem, Command, For, ForHeader, Group, If, TestExpr, Word};

impl<'a> Printer<'a> {
    pub(super) fn compound(&mut self, command: &'a Command) {
        match command {
            Command::Simple(_) | Command::Chain(_) => {}
            Command::Block(group) => self.block(group),
            Command::Subshell(group) => self.subshell(group),
            Command::If(command) => self.if_command(command),
            Command::While(command) => {
                self.spaced(if command.until { "until" } else { "while" });
                self.nested(&command.condition, None);
                self.loop_body(&command.body);
            }
            Command::For(command) => self.for_command(command),
            Command::Case(command) => self.case_command(command),
            Command::Function(function) => {
                if function.keyword {
                    self.spaced("function");
                }
                if !function.name.is_empty() {
                    self.spaced(&function.name);
                }
                if function.parens {
                    self.push("()");
                }
                self.space();
                self.advance_line(function.body.pos.line);
                self.statement(&function.body);
            }
            Command::Arithmetic(command) => {
                self.push("((");
                self.arith(&command.expr, false, false);
                self.push("))");
            }
            Command::Test(command) => {
                self.push("[[ ");
                self.raise();
                self.test(&command.expr);
                self.lower();
                self.spaced("]]");
            }
            Command::Declare(command) => {
                self.spaced(&command.name);
                self.assigns(&command.args);
            }
            Command::Time(command) => {
                self.spaced("time");
                if command.posix {
                    self.spaced("-p");
                }
                if let Some(statement) = &command.statement {
                    self.statement(statement);
                }
            }
            Command::Coproc(command) => {
                self.spaced("coproc");
                if let Some(name) = &command.name {
                    self.space();
                    self.word(name);
                }
                self.space();
                self.statement(&command.statement);
            }
            Command::Let(command) => {
                self.spaced("let");
                for expr in &command.exprs {
                    self.space();
                    self.arith(expr, true, false);
                }
            }
        }
    }

    fn block(&mut self, group: &'a Group) {
        self.push("{");
        self.wrote_end = true;
        self.space = Space::Required;
        self.nested(&group.body, Some(group.close.line));
        self.closing_word("}", group.close.line);
    }

    fn subshell(&mut self, group: &'a Group) {
        self.push("(");
        self.space = Space::None;
        if let [first, rest @ ..] = group.body.as_slice()
            && starts_with_paren(first)
            && group.open.line == first.pos.line
            && rest.is_empty()
        {
            // `((` would begin arithmetic.
            self.space = Space::Required;
        }
        self.space_if_required();
        self.nested(&group.body, Some(group.close.line));
        self.space = Space::None;
        self.closing_paren(group.close.line);
    }

    fn if_command(&mut self, command: &'a If) {
        for (index, branch) in command.branches.iter().enumerate() {
            if index == 0 {
                self.spaced("if");
            } else {
                self.closing_word("elif", branch.pos.line);
            }
            self.nested(&branch.condition, None);
            self.separated("then", branch.then.line);
            let next = command.branches.get(index + 1).map(|next| next.pos);
            let end = next
                .or(command.otherwise.as_ref().map(|(pos, _)| *pos))
                .unwrap_or(command.fi);
            self.nested(&branch.body, Some(end.line));
        }
        if let Some((pos, body)) = &command.otherwise {
            self.closing_word("else", pos.line);
            self.nested(body, Some(command.fi.line));
        }
        self.closing_word("fi", command.fi.line);
    }

    fn loop_body(&mut self, body: &'a Group) {
        self.separated("do", body.open.line);
        self.nested(&body.body, Some(body.close.line));
        self.closing_word("done", body.close.line);
    }

    fn for_command(&mut self, command: &'a For) {
        self.push(if command.select { "select " } else { "for " });
        match &command.header {
            ForHeader::Words { name, words } => {
                self.push_text(name);
                if let Some(words) = words {
                    self.spaced(" in");
                    self.words(words);
                }
            }
            ForHeader::Arithmetic([init, condition, post]) => {
                self.push("((");
                if init.is_none() {
                    self.space();
                }
                for (index, expr) in [init, condition, post].into_iter().enumerate() {
                    if index > 0 {
                        self.push("; ");
                    }
                    if let Some(expr) = expr {
                        self.arith(expr, false, false);
                    }
                }
                self.push("))");
            }
        }
        self.loop_body(&command.body);
    }

    fn case_command(&mut self, command: &'a Case) {
        self.push("case ");
        self.word(&command.word);
        self.push(" in");
        self.advance_line(command.in_pos.line);
        self.space = Space::Required;
        if command.items.is_empty() {
            self.must_newline = true;
        }
        for item in &command.items {
            self.case_item(item);
        }
        self.closing_word("esac", command.esac.line);
    }

    fn case_item(&mut self, item: &'a CaseItem) {
        let Some(first) = item.patterns.first() else {
            return;
        };
        self.new_line_for(first.pos().line);
        self.space_if_required();
        self.patterns(&item.patterns);
        self.push(")");
        self.space = Space::Required;
        let op_line = item.op_pos.map(|pos| pos.line);
        self.nested(&item.body, op_line);
        self.level += 1;
        let op_line = op_line.unwrap_or(0);
        if self.wants_newline(op_line) {
            self.new_line_for(op_line);
            self.want_newline = true;
        }
        self.spaced(item.op);
        self.advance_line(op_line);
        self.wrote_end = true;
        self.level -= 1;
    }

    fn patterns(&mut self, patterns: &'a [Word]) {
        let mut broken = false;
        for (index, pattern) in patterns.iter().enumerate() {
            if index > 0 {
                self.spaced("|");
            } else if is_literal(pattern, "esac") {
                self.push("(");
            }
            if self.wants_newline(pattern.pos().line) {
                if !broken {
                    self.raise();
                    broken = true;
                }
                self.continue_line();
            } else {
                self.space_if_required();
            }
            self.word(pattern);
        }
        if broken {
            self.lower();
        }
    }

    fn test(&mut self, expr: &'a TestExpr) {
        if expr.pos().line > self.line {
            self.new_line_for(expr.pos().line);
        }
        self.space_if_required();
        self.test_here(expr);
    }

    fn test_here(&mut self, expr: &'a TestExpr) {
        self.advance_line(expr.pos().line);
        match expr {
            TestExpr::Word(word) => self.word(word),
            TestExpr::Chain { first, rest } => {
                self.test_here(first);
                for (op, operand) in rest {
                    self.space();
                    self.push(op);
                    self.space = Space::Required;
                    self.test(operand);
                }
            }
            TestExpr::Compare { op, left, right } => {
                self.word(left);
                self.space();
                self.push(op);
                self.space();
                self.advance_line(right.pos().line);
                self.word(right);
            }
            TestExpr::Unary { op, operand, .. } => {
                self.push(op);
                self.space();
                self.test_here(operand);
            }
            TestExpr::Paren { expr, .. } => {
                self.push("(");
                self.space = Space::None;
                self.test(expr);
                self.push(")");
            }
        }
    }
}

fn is_literal(word: &Word, text: &str) -> bool {
    let mut literal = String::new();
    for part in &word.parts {
        match &part.kind {
            crate::ast::PartKind::Literal(part) => literal.push_str(part),
            _ => return false,
        }
    }
    literal == text
}
