//! `[[ ]]`

use super::{Parser, Result, fail};
use crate::ast::{Command, Pos, Test, TestExpr};
use crate::token::{Mode, Tok};

/// The operators before a word, with the spelling they are printed in.
const UNARY: &[(&str, &str)] = &[
    ("-a", "-e"),
    ("-e", "-e"),
    ("-f", "-f"),
    ("-d", "-d"),
    ("-c", "-c"),
    ("-b", "-b"),
    ("-p", "-p"),
    ("-S", "-S"),
    ("-L", "-L"),
    ("-h", "-L"),
    ("-k", "-k"),
    ("-g", "-g"),
    ("-u", "-u"),
    ("-G", "-G"),
    ("-O", "-O"),
    ("-N", "-N"),
    ("-r", "-r"),
    ("-w", "-w"),
    ("-x", "-x"),
    ("-s", "-s"),
    ("-t", "-t"),
    ("-z", "-z"),
    ("-n", "-n"),
    ("-o", "-o"),
    ("-v", "-v"),
    ("-R", "-R"),
];

/// The operators between words.
const BINARY: &[&str] = &[
    "=", "==", "!=", "=~", "-nt", "-ot", "-ef", "-eq", "-ne", "-le", "-ge", "-lt", "-gt",
];

impl Parser<'_> {
    pub(super) fn test_command(&mut self) -> Result<Command> {
        let pos = self.pos;
        let outer = self.enter(Mode::Test);
        self.advance()?;
        let expr = self.expect_test("[[", pos)?;
        let close = self.pos;
        if self.got_word("]]")?.is_none() {
            return self.unmatched("]]", "[[", pos);
        }
        self.leave(&outer);
        Ok(Command::Test(Box::new(Test { pos, close, expr })))
    }

    fn expect_test(&mut self, left: &str, left_pos: Pos) -> Result<TestExpr> {
        match self.deeper(Self::test_expr)? {
            Some(expr) => Ok(expr),
            None => fail(left_pos, format!("`{left}` must be followed by an expression")),
        }
    }

    /// Operands joined by `&&` and `||`.
    fn test_expr(&mut self) -> Result<Option<TestExpr>> {
        let Some(first) = self.test_operand()? else {
            return Ok(None);
        };
        let mut rest = Vec::new();
        while let Tok::Op(op @ ("&&" | "||")) = self.tok {
            let pos = self.pos;
            self.advance()?;
            match self.test_operand()? {
                Some(operand) => rest.push((op, operand)),
                None => return fail(pos, format!("`{op}` must be followed by an expression")),
            }
        }
        Ok(Some(if rest.is_empty() {
            first
        } else {
            TestExpr::Chain {
                first: Box::new(first),
                rest,
            }
        }))
    }

    /// An operand of `&&`, and what compares it.
    fn test_operand(&mut self) -> Result<Option<TestExpr>> {
        self.got_newline()?;
        let Some(mut expr) = self.test_unary()? else {
            return Ok(None);
        };
        loop {
            self.got_newline()?;
            let op = match self.tok {
                Tok::Eof | Tok::Op(")" | "&&" | "||") => return Ok(Some(expr)),
                Tok::Word if self.text == "]]" => return Ok(Some(expr)),
                Tok::Word => match BINARY.iter().find(|op| **op == self.text) {
                    Some(op) => *op,
                    None => return self.error(format!("`{}` is not an operator of tests", self.text)),
                },
                Tok::Redirect(op @ ("<" | ">")) => op,
                Tok::Literal => return self.error("an operator of tests is a plain word"),
                tok => return self.error(format!("{} is not an operator of tests", tok.describe())),
            };
            let TestExpr::Word(left) = expr else {
                return self.error("expected `&&`, `||` or `]]` after a comparison");
            };
            let pos = self.pos;
            if op == "=~" {
                self.regex_parens = 0;
                self.regex_start = true;
                self.mode = Mode::Regex;
            }
            self.advance()?;
            let right = self.expect_any_word(op, pos)?;
            expr = TestExpr::Compare { op, left, right };
        }
    }

    fn test_unary(&mut self) -> Result<Option<TestExpr>> {
        let pos = self.pos;
        match self.tok {
            Tok::Eof | Tok::Op(")") => return Ok(None),
            Tok::Word if self.text == "]]" => return Ok(None),
            Tok::Word if self.text == "!" => {
                self.advance()?;
                let operand = Box::new(self.expect_test("!", pos)?);
                return Ok(Some(TestExpr::Unary {
                    pos,
                    op: "!",
                    operand,
                }));
            }
            Tok::Word => {
                if let Some((_, op)) = UNARY.iter().find(|(op, _)| *op == self.text) {
                    self.advance()?;
                    let operand = Box::new(TestExpr::Word(self.expect_any_word(op, pos)?));
                    return Ok(Some(TestExpr::Unary { pos, op, operand }));
                }
            }
            Tok::Op("(") => {
                self.advance()?;
                let expr = Box::new(self.expect_test("(", pos)?);
                self.expect_close(")", "(", pos)?;
                return Ok(Some(TestExpr::Paren { pos, expr }));
            }
            _ => {}
        }
        Ok(self.word()?.map(TestExpr::Word))
    }
}
