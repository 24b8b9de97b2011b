//! Lists, pipelines and their elements.

use super::{Parser, Result, fail};
use crate::ast::{Chain, Command, Link, Pos, Statement};
use crate::token::{Mode, Tok};

impl Parser<'_> {
    /// Statements up to one of the words `stops`, or whatever closes the construct around them.
    pub(super) fn statements(&mut self, stops: &[&str]) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        let mut separated = true;
        while self.tok != Tok::Eof {
            separated |= self.got_newline()?;
            match self.tok {
                Tok::Word if stops.contains(&self.text.as_str()) => break,
                Tok::Op(")") if self.mode == Mode::Substitution => break,
                Tok::Backquote if self.cursor.closes_backquote() => break,
                Tok::Op(";;" | ";&" | ";;&") if self.mode == Mode::Case => break,
                Tok::Op(op @ (";;" | ";&" | ";;&")) => {
                    return self.error(format!("`{op}` belongs into a `case`"));
                }
                Tok::Eof => break,
                _ => {}
            }
            if !separated && !self.at_word("}") {
                return self.error("statements must be separated by `&`, `;` or a newline");
            }
            let Some(statement) = self.statement()? else {
                return self.no_statement();
            };
            separated = statement.terminator.is_some();
            statements.push(statement);
        }
        Ok(statements)
    }

    /// The statements that must follow `left`.
    pub(super) fn expect_statements(
        &mut self,
        left: &str,
        pos: Pos,
        stops: &[&str],
    ) -> Result<Vec<Statement>> {
        let statements = if self.at_op(";") {
            Vec::new()
        } else {
            self.statements(stops)?
        };
        if statements.is_empty() {
            return fail(pos, format!("`{left}` must be followed by a statement list"));
        }
        Ok(statements)
    }

    fn no_statement<T>(&self) -> Result<T> {
        match self.tok {
            Tok::Op(op @ (";" | "&" | "|" | "&&" | "||")) => {
                self.error(format!("`{op}` must follow a statement"))
            }
            Tok::Op(")") => self.error("`)` closes no subshell"),
            tok => self.error(format!("a statement cannot start with {}", tok.describe())),
        }
    }

    /// A list with its `;` or `&`.
    fn statement(&mut self) -> Result<Option<Statement>> {
        let Some(mut statement) = self.list()? else {
            return Ok(None);
        };
        if let Tok::Op(op @ (";" | "&")) = self.tok {
            statement.terminator = Some(self.pos);
            statement.background = op == "&";
            self.advance()?;
        }
        Ok(Some(statement))
    }

    /// Pipelines joined by `&&` and `||`.
    pub(super) fn list(&mut self) -> Result<Option<Statement>> {
        let Some(first) = self.negatable()? else {
            return Ok(None);
        };
        self.chain(first, &["&&", "||"], |parser| parser.negatable())
    }

    fn negatable(&mut self) -> Result<Option<Statement>> {
        let pos = self.pos;
        let negated = self.got_word("!")?.is_some();
        if negated {
            if self.at_stop() {
                return fail(pos, "`!` must be followed by a command");
            }
            if self.at_word("!") {
                return fail(pos, "a command cannot be negated twice");
            }
        }
        self.pipeline(pos, negated)
    }

    /// Commands joined by `|` and `|&`.
    pub(super) fn pipeline(&mut self, pos: Pos, negated: bool) -> Result<Option<Statement>> {
        let Some(first) = self.element_of_pipeline(pos, negated)? else {
            return Ok(None);
        };
        self.chain(first, &["|", "|&"], |parser| {
            parser.element_of_pipeline(parser.pos, false)
        })
    }

    fn chain(
        &mut self,
        mut first: Statement,
        ops: &[&str],
        next: impl Fn(&mut Self) -> Result<Option<Statement>>,
    ) -> Result<Option<Statement>> {
        let mut rest = Vec::new();
        while let Tok::Op(op) = self.tok
            && ops.contains(&op)
        {
            let op_pos = self.pos;
            self.advance()?;
            self.got_newline()?;
            let Some(statement) = next(self)? else {
                return fail(op_pos, format!("`{op}` must be followed by a statement"));
            };
            rest.push(Link {
                op,
                op_pos,
                statement,
            });
        }
        if rest.is_empty() {
            return Ok(Some(first));
        }
        let mut chain = Statement::new(first.pos);
        if ops.contains(&"|") {
            // In `! a | b`, the whole pipeline is negated.
            chain.negated = std::mem::take(&mut first.negated);
        }
        chain.command = Some(Command::Chain(Box::new(Chain {
            first: Box::new(first),
            rest,
        })));
        Ok(Some(chain))
    }

    fn element_of_pipeline(&mut self, pos: Pos, negated: bool) -> Result<Option<Statement>> {
        self.deeper(|parser| {
            let mut statement = Statement::new(pos);
            statement.negated = negated;
            parser.redirects(&mut statement)?;
            parser.command(&mut statement)?;
            if statement.command.is_none() && statement.redirects.is_empty() {
                return Ok(None);
            }
            parser.redirects(&mut statement)?;
            Ok(Some(statement))
        })
    }

    fn command(&mut self, statement: &mut Statement) -> Result<()> {
        let redirected = !statement.redirects.is_empty();
        let compound = match self.tok {
            Tok::Word => self.reserved()?,
            Tok::Op("(") if self.cursor.is(')') => {
                let pos = self.pos;
                self.cursor.bump();
                self.advance()?;
                if self.at_word("{") {
                    return fail(pos, "functions without a name are not known to bash");
                }
                Some(self.function(pos, false, true, String::new())?)
            }
            Tok::Op("(") => Some(self.subshell()?),
            Tok::Op("((") => Some(self.arithmetic_command()?),
            _ => None,
        };
        if compound.is_some() {
            if redirected {
                return fail(
                    statement.pos,
                    "redirects before compound commands are not known to bash",
                );
            }
            statement.command = compound;
            return Ok(());
        }
        match self.tok {
            Tok::Word | Tok::Literal if self.at_assignment() => self.simple(statement, None),
            Tok::Word => {
                let pos = self.pos;
                let word = self.literal_word()?;
                if !self.at_op("(") {
                    return self.simple(statement, Some(word));
                }
                // The parenthesis has left the text of the word before it.
                let name = self.text.clone();
                self.advance()?;
                if !self.got_op(")")? {
                    return fail(pos, "`foo(` must be followed by `)`");
                }
                if redirected {
                    return fail(
                        statement.pos,
                        "redirects before compound commands are not known to bash",
                    );
                }
                statement.command = Some(self.function(pos, false, true, name)?);
                Ok(())
            }
            Tok::Backquote if self.cursor.closes_backquote() => Ok(()),
            Tok::Literal | Tok::Single | Tok::Double | Tok::Backquote | Tok::Dollar => self.call(statement),
            Tok::Process(_) | Tok::Glob(_) | Tok::Op("=(") => self.call(statement),
            _ => Ok(()),
        }
    }

    /// A simple command whose first word is not a plain literal.
    fn call(&mut self, statement: &mut Statement) -> Result<()> {
        let pos = self.pos;
        let word = self.word()?;
        if self.at_op("(") {
            return fail(pos, "invalid name of a function");
        }
        self.simple(statement, word)
    }
}
