//! The parser: characters to tokens to statements.

mod arith;
mod assign;
mod compound;
mod expansion;
mod heredoc;
mod lexer;
mod names;
mod param;
mod pipeline;
mod simple;
mod test_expr;
mod word;

use crate::ast::{HereDoc, Pos, Script, Word};
use crate::cursor::Cursor;
use crate::error::ShellError;
use crate::token::{Mode, Tok};

pub(crate) type Result<T> = std::result::Result<T, ShellError>;

/// How deep constructs may nest. Those of scripts that people write stay below 20.
const MAX_DEPTH: usize = 100;

/// Parses a script as bash.
///
/// # Errors
///
/// The first fault found: an unclosed quote, a missing keyword, a stray operator, an unclosed
/// here-document, or constructs nested too deep.
pub fn parse(source: &str) -> Result<Script> {
    let mut parser = Parser::new(source);
    parser.advance()?;
    let statements = parser.statements(&[])?;
    // A here-document that the last line begins has no body.
    parser.read_heredocs()?;
    Ok(Script {
        statements,
        heredocs: parser.bodies,
    })
}

/// A here-document whose body has not been reached yet.
#[derive(Debug)]
struct Pending {
    /// Index of the body.
    id: usize,
    /// Position of the redirect.
    pos: Pos,
    tabs: bool,
    delimiter: Word,
}

#[derive(Debug)]
struct Parser<'a> {
    cursor: Cursor<'a>,
    mode: Mode,
    /// Whether a word is being read at the top, where `#` after a part of it begins no comment.
    in_word: bool,

    tok: Tok,
    /// Where `tok` starts; newlines and the end of the script leave it as it was.
    pos: Pos,
    /// Where the token before `tok` ends.
    prev_end: Pos,
    /// Whether a blank or a newline stands before `tok`.
    spaced: bool,
    /// The text of the last literal.
    text: String,
    /// Offset of the first `=` in `text`.
    equals: Option<usize>,

    regex_parens: i32,
    regex_start: bool,
    no_expansions: bool,

    pending: Vec<Pending>,
    /// How many of the pending here-documents belong to the commands around the present ones.
    buried: usize,
    bodies: Vec<HereDoc>,
    depth: usize,
}

/// What [`Parser::enter`] saves.
struct Outer {
    mode: Mode,
    buried: usize,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Self {
        let cursor = Cursor::new(source);
        let pos = cursor.pos();
        Self {
            cursor,
            mode: Mode::Command,
            in_word: false,
            tok: Tok::Eof,
            pos,
            prev_end: pos,
            spaced: false,
            text: String::new(),
            equals: None,
            regex_parens: 0,
            regex_start: false,
            no_expansions: false,
            pending: Vec::new(),
            buried: 0,
            bodies: Vec::new(),
            depth: 0,
        }
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        fail(self.pos, message)
    }

    /// Runs `parse` one level deeper.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return self.error(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn enter(&mut self, mode: Mode) -> Outer {
        let outer = Outer {
            mode: self.mode,
            buried: self.buried,
        };
        self.buried = self.pending.len();
        self.mode = mode;
        outer
    }

    fn leave(&mut self, outer: &Outer) {
        self.mode = outer.mode;
        self.buried = outer.buried;
    }

    fn at_op(&self, op: &str) -> bool {
        matches!(self.tok, Tok::Op(found) if found == op)
    }

    /// Whether the token is the bare word `word`, as reserved words must be.
    fn at_word(&self, word: &str) -> bool {
        self.tok == Tok::Word && self.text == word
    }

    /// Steps over the operator `op` when it is there.
    fn got_op(&mut self, op: &str) -> Result<bool> {
        let found = self.at_op(op);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Steps over newlines when there are any.
    fn got_newline(&mut self) -> Result<bool> {
        let found = self.tok == Tok::Newline;
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Steps over the reserved word `word` when it is there; gives its position.
    fn got_word(&mut self, word: &str) -> Result<Option<Pos>> {
        if !self.at_word(word) {
            return Ok(None);
        }
        let pos = self.pos;
        self.advance()?;
        Ok(Some(pos))
    }

    /// Steps over the reserved word `word`, which must follow `left`.
    fn expect_word(&mut self, word: &str, left: &str, left_pos: Pos) -> Result<Pos> {
        match self.got_word(word)? {
            Some(pos) => Ok(pos),
            None => fail(left_pos, format!("`{left}` must be followed by `{word}`")),
        }
    }

    /// Steps over the operator `close`, which ends what `open` at `open_pos` began; gives its position.
    fn expect_close(&mut self, close: &str, open: &str, open_pos: Pos) -> Result<Pos> {
        let pos = self.pos;
        if self.got_op(close)? {
            Ok(pos)
        } else {
            self.unmatched(close, open, open_pos)
        }
    }

    fn unmatched<T>(&self, close: &str, open: &str, open_pos: Pos) -> Result<T> {
        fail(
            open_pos,
            format!(
                "`{open}` has no matching `{close}`: found {}",
                self.tok.describe()
            ),
        )
    }

    /// Whether the token ends a list of words.
    fn at_stop(&self) -> bool {
        match self.tok {
            Tok::Eof | Tok::Newline => true,
            Tok::Op(op) => matches!(
                op,
                ";" | "&" | "|" | "&&" | "||" | "|&" | ";;" | ";&" | ";;&" | ")"
            ),
            Tok::Backquote => self.cursor.closes_backquote(),
            _ => false,
        }
    }
}

fn fail<T>(pos: Pos, message: impl Into<String>) -> Result<T> {
    Err(ShellError::new(pos, message))
}
