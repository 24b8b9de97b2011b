//! Compound commands.

use super::{Parser, Result, fail};
use crate::ast::{
    Arithmetic, Branch, Case, CaseItem, Command, Coproc, For, ForHeader, Function, Group, If, Pos, Simple,
    Statement, Time, While, Word,
};
use crate::token::{Mode, Tok};

impl Parser<'_> {
    /// The command that the reserved word at the token begins; nothing when it is not reserved.
    pub(super) fn reserved(&mut self) -> Result<Option<Command>> {
        let parse: fn(&mut Self) -> Result<Command> = match self.text.as_str() {
            "{" => Self::block,
            "if" => Self::if_command,
            "while" => |parser| parser.while_command(false),
            "until" => |parser| parser.while_command(true),
            "for" => |parser| parser.for_command(false),
            "select" => |parser| parser.for_command(true),
            "case" => Self::case_command,
            "[[" => Self::test_command,
            "let" => Self::let_command,
            "function" => Self::keyword_function,
            "declare" | "local" | "export" | "readonly" | "typeset" | "nameref" => Self::declare,
            "time" => Self::time,
            "coproc" => Self::coproc,
            "}" => return self.stray("closes no block"),
            "then" | "elif" | "fi" => return self.stray("belongs to an `if`"),
            "do" | "done" => return self.stray("belongs to a loop"),
            "esac" => return self.stray("belongs to a `case`"),
            "!" => return self.stray("stands before a pipeline alone"),
            "]]" => return self.stray("closes no `[[`"),
            _ => return Ok(None),
        };
        parse(self).map(Some)
    }

    /// The error for a reserved word at the wrong place.
    fn stray<T>(&self, place: &str) -> Result<T> {
        self.error(format!("`{}` {place}", self.text))
    }

    pub(super) fn subshell(&mut self) -> Result<Command> {
        let open = self.pos;
        let outer = self.enter(Mode::Substitution);
        self.advance()?;
        let body = self.expect_statements("(", open, &[])?;
        self.leave(&outer);
        let close = self.expect_close(")", "(", open)?;
        Ok(Command::Subshell(Box::new(Group { open, close, body })))
    }

    pub(super) fn arithmetic_command(&mut self) -> Result<Command> {
        let pos = self.pos;
        let outer = self.enter(Mode::Arith);
        self.advance()?;
        if self.at_op("#") {
            return self.error("unsigned arithmetic is not known to bash");
        }
        let expr = self.expect_arith("((", pos)?;
        self.arith_close("((", pos)?;
        self.leave(&outer);
        let end = self.cursor.pos();
        self.advance()?;
        Ok(Command::Arithmetic(Box::new(Arithmetic { pos, end, expr })))
    }

    fn block(&mut self) -> Result<Command> {
        let open = self.pos;
        self.advance()?;
        let body = self.expect_statements("{", open, &["}"])?;
        match self.got_word("}")? {
            Some(close) => Ok(Command::Block(Box::new(Group { open, close, body }))),
            None => self.unmatched("}", "{", open),
        }
    }

    fn if_command(&mut self) -> Result<Command> {
        let start = self.pos;
        let mut branches = vec![self.branch("if")?];
        while self.at_word("elif") {
            branches.push(self.branch("elif")?);
        }
        let mut otherwise = None;
        if let Some(pos) = self.got_word("else")? {
            otherwise = Some((pos, self.expect_statements("else", pos, &["fi"])?));
        }
        let fi = self.end_of("if", start, "fi")?;
        Ok(Command::If(Box::new(If {
            branches,
            otherwise,
            fi,
        })))
    }

    fn branch(&mut self, keyword: &str) -> Result<Branch> {
        let pos = self.pos;
        self.advance()?;
        let condition = self.expect_statements(keyword, pos, &["then"])?;
        let then = self.expect_word("then", &format!("{keyword} <cond>"), pos)?;
        let body = self.expect_statements("then", then, &["fi", "elif", "else"])?;
        Ok(Branch {
            pos,
            condition,
            then,
            body,
        })
    }

    /// The keyword `end`, which must close the command that `keyword` has begun.
    fn end_of(&mut self, keyword: &str, start: Pos, end: &str) -> Result<Pos> {
        match self.got_word(end)? {
            Some(pos) => Ok(pos),
            None => fail(start, format!("`{keyword}` must end with `{end}`")),
        }
    }

    fn while_command(&mut self, until: bool) -> Result<Command> {
        let keyword = if until { "until" } else { "while" };
        let pos = self.pos;
        self.advance()?;
        let condition = self.expect_statements(keyword, pos, &["do"])?;
        let open = self.expect_word("do", &format!("{keyword} <cond>"), pos)?;
        let body = self.expect_statements("do", open, &["done"])?;
        let close = self.end_of(keyword, pos, "done")?;
        Ok(Command::While(Box::new(While {
            pos,
            until,
            condition,
            body: Group { open, close, body },
        })))
    }

    fn for_command(&mut self, select: bool) -> Result<Command> {
        let keyword = if select { "select" } else { "for" };
        let pos = self.pos;
        self.advance()?;
        let header = if !select && self.at_op("((") {
            self.arithmetic_header()?
        } else {
            self.words_header(keyword, pos)?
        };
        let (mut start, mut end) = ("do", "done");
        let open = if !select && self.at_word("{") {
            (start, end) = ("{", "}");
            let open = self.pos;
            self.advance()?;
            open
        } else {
            self.expect_word("do", &format!("{keyword} <header>"), pos)?
        };
        let body = self.expect_statements(start, open, &[end])?;
        let close = self.end_of(keyword, pos, end)?;
        Ok(Command::For(Box::new(For {
            pos,
            select,
            header,
            body: Group { open, close, body },
        })))
    }

    fn arithmetic_header(&mut self) -> Result<ForHeader> {
        let pos = self.pos;
        let outer = self.enter(Mode::Arith);
        self.advance()?;
        let init = self.arith(false)?;
        let mut condition = None;
        if !self.got_op(";;")? {
            self.expect_semicolon()?;
            condition = self.arith(false)?;
            self.expect_semicolon()?;
        }
        let post = self.arith(false)?;
        self.arith_close("((", pos)?;
        self.leave(&outer);
        self.advance()?;
        self.got_op(";")?;
        self.got_newline()?;
        Ok(ForHeader::Arithmetic([init, condition, post]))
    }

    fn expect_semicolon(&mut self) -> Result<()> {
        if self.got_op(";")? {
            Ok(())
        } else {
            self.error("the expressions of a `for` are separated by `;`")
        }
    }

    fn words_header(&mut self, keyword: &str, pos: Pos) -> Result<ForHeader> {
        if !self.tok.is_literal() {
            return fail(pos, format!("`{keyword}` must be followed by a name"));
        }
        let name = self.text.clone();
        self.advance()?;
        if self.got_op(";")? {
            self.got_newline()?;
            return Ok(ForHeader::Words { name, words: None });
        }
        self.got_newline()?;
        if self.got_word("in")?.is_none() {
            if self.at_word("do") {
                return Ok(ForHeader::Words { name, words: None });
            }
            return fail(
                pos,
                format!("`{keyword} {name}` must be followed by `in`, `do`, `;` or a newline"),
            );
        }
        let mut words = Vec::new();
        while !self.at_stop() {
            match self.word()? {
                Some(word) => words.push(word),
                None => return self.error("the list of a loop is made of words alone"),
            }
        }
        self.got_op(";")?;
        self.got_newline()?;
        Ok(ForHeader::Words {
            name,
            words: Some(words),
        })
    }

    fn case_command(&mut self) -> Result<Command> {
        let pos = self.pos;
        self.advance()?;
        let word = self.expect_any_word("case", pos)?;
        self.got_newline()?;
        let in_pos = self.expect_word("in", "case x", pos)?;
        self.got_newline()?;
        let mut items = Vec::new();
        while self.tok != Tok::Eof && !self.at_word("esac") {
            let item = self.case_item()?;
            let last = item.op_pos.is_none();
            items.push(item);
            if last {
                break;
            }
        }
        let esac = self.end_of("case", pos, "esac")?;
        Ok(Command::Case(Box::new(Case {
            pos,
            word,
            in_pos,
            items,
            esac,
        })))
    }

    fn case_item(&mut self) -> Result<CaseItem> {
        let patterns = self.patterns()?;
        let outer = self.enter(Mode::Case);
        self.advance()?;
        let body = self.statements(&["esac"])?;
        self.leave(&outer);
        let Tok::Op(op @ (";;" | ";&" | ";;&")) = self.tok else {
            return Ok(CaseItem {
                patterns,
                body,
                op: ";;",
                op_pos: None,
            });
        };
        let op_pos = Some(self.pos);
        self.advance()?;
        self.got_newline()?;
        Ok(CaseItem {
            patterns,
            body,
            op,
            op_pos,
        })
    }

    /// The patterns of an item up to its parenthesis.
    fn patterns(&mut self) -> Result<Vec<Word>> {
        self.got_op("(")?;
        let mut patterns = Vec::new();
        loop {
            match self.word()? {
                Some(word) => patterns.push(word),
                None => return self.error("the patterns of a `case` are words"),
            }
            if self.at_op(")") {
                return Ok(patterns);
            }
            if !self.got_op("|")? {
                return self.error("the patterns of a `case` are separated by `|`");
            }
        }
    }

    fn keyword_function(&mut self) -> Result<Command> {
        let pos = self.pos;
        self.advance()?;
        if self.tok != Tok::Word || self.text == "{" {
            return fail(pos, "`function` must be followed by a name");
        }
        let name = self.text.clone();
        self.advance()?;
        if self.tok == Tok::Word && self.text != "{" {
            return fail(pos, "functions with many names are not known to bash");
        }
        let parens = self.got_op("(")?;
        if parens && !self.got_op(")")? {
            return fail(pos, "`function foo(` must be followed by `)`");
        }
        self.function(pos, true, parens, name)
    }

    /// The body of a function.
    pub(super) fn function(
        &mut self,
        pos: Pos,
        keyword: bool,
        parens: bool,
        name: String,
    ) -> Result<Command> {
        self.got_newline()?;
        match self.list()? {
            Some(body) => Ok(Command::Function(Box::new(Function {
                pos,
                keyword,
                parens,
                name,
                body: Box::new(body),
            }))),
            None => fail(pos, "`foo()` must be followed by a statement"),
        }
    }

    fn time(&mut self) -> Result<Command> {
        let pos = self.pos;
        self.advance()?;
        let posix = self.got_word("-p")?.is_some();
        let statement = self.pipeline(self.pos, false)?.map(Box::new);
        Ok(Command::Time(Box::new(Time {
            pos,
            posix,
            statement,
        })))
    }

    fn coproc(&mut self) -> Result<Command> {
        let pos = self.pos;
        self.advance()?;
        let mut name = if self.at_compound() { None } else { self.word()? };
        let statement = match self.pipeline(self.pos, false)? {
            Some(statement) => statement,
            None => match name.take() {
                Some(word) => {
                    let mut call = Statement::new(word.pos());
                    let simple = Simple {
                        assigns: Vec::new(),
                        words: vec![word],
                    };
                    call.command = Some(Command::Simple(simple));
                    call
                }
                None => return fail(pos, "`coproc` must be followed by a command"),
            },
        };
        let mut coproc = Coproc {
            pos,
            name,
            statement: Box::new(statement),
        };
        if let Some(Command::Simple(simple)) = &mut coproc.statement.command
            && let Some(word) = coproc.name.take()
        {
            simple.words.insert(0, word);
        }
        Ok(Command::Coproc(Box::new(coproc)))
    }

    /// Whether the token begins a command that `coproc` can run without a name.
    fn at_compound(&self) -> bool {
        match self.tok {
            Tok::Op("(" | "((") => true,
            Tok::Word => matches!(
                self.text.as_str(),
                "{" | "if"
                    | "while"
                    | "until"
                    | "for"
                    | "case"
                    | "[["
                    | "coproc"
                    | "let"
                    | "function"
                    | "declare"
                    | "local"
                    | "export"
                    | "readonly"
                    | "typeset"
                    | "nameref"
            ),
            _ => false,
        }
    }
}
