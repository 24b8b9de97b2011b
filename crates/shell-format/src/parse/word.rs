//! Words and their parts.

use super::{Parser, Result, fail};
use crate::ast::{Part, PartKind, Pos, Word};
use crate::cursor::Ch::{C, Continuation, End};
use crate::token::{Mode, Tok};

impl Parser<'_> {
    /// The word at the token; nothing when none starts there.
    pub(super) fn word(&mut self) -> Result<Option<Word>> {
        let parts = self.word_parts()?;
        Ok(if parts.is_empty() {
            None
        } else {
            Some(Word { parts })
        })
    }

    /// The word that must follow `left`.
    pub(super) fn expect_any_word(&mut self, left: &str, left_pos: Pos) -> Result<Word> {
        match self.word()? {
            Some(word) => Ok(word),
            None => fail(left_pos, format!("`{left}` must be followed by a word")),
        }
    }

    pub(super) fn word_parts(&mut self) -> Result<Vec<Part>> {
        let outside = !self.in_word;
        self.in_word |= self.mode == Mode::Command;
        let mut parts = Vec::new();
        while let Some(part) = self.part()? {
            if parts.is_empty() {
                // Most words have one part.
                parts.reserve_exact(1);
            }
            parts.push(part);
            if self.spaced {
                break;
            }
        }
        if outside {
            self.in_word = false;
        }
        Ok(parts)
    }

    fn part(&mut self) -> Result<Option<Part>> {
        let start = self.pos;
        let kind = match self.tok {
            Tok::Literal | Tok::Word | Tok::Descriptor => PartKind::Literal(self.text.clone()),
            Tok::Dollar => self.dollar(false)?,
            Tok::Single => self.single_quoted(start, false)?,
            Tok::Double => self.double_quoted(start, false)?,
            Tok::Backquote if self.cursor.closes_backquote() => return Ok(None),
            Tok::Backquote => self.backquoted()?,
            Tok::Process(op) => {
                self.check_expansion(start)?;
                PartKind::Process {
                    op,
                    group: self.substituted(start, op)?,
                }
            }
            Tok::Glob(op) => self.glob(start, op)?,
            Tok::Op("=(") => return self.error("`=(` is not known to bash"),
            _ => return Ok(None),
        };
        let end = self.cursor.pos();
        self.advance()?;
        Ok(Some(Part { start, end, kind }))
    }

    /// A literal word at the token as a word of its own.
    pub(super) fn literal_word(&mut self) -> Result<Word> {
        let part = Part {
            start: self.pos,
            end: self.cursor.pos(),
            kind: PartKind::Literal(self.text.clone()),
        };
        self.advance()?;
        Ok(Word { parts: vec![part] })
    }

    /// Reads from the quote at the cursor to after the one that closes it.
    pub(super) fn single_quoted(&mut self, start: Pos, dollar: bool) -> Result<PartKind> {
        self.cursor.bump();
        let mut text = String::new();
        loop {
            match self.cursor.current() {
                C('\'') => break,
                C('\\') if dollar => self.push_char(&mut text),
                Continuation => text.push_str("\\\n"),
                End => return fail(start, "`'` has no closing quote"),
                C('\\' | '\n' | '`') => {}
                C(_) => {
                    self.push_run(&mut text, |byte| {
                        !matches!(byte, b'\'' | b'\\' | b'`' | b'\n' | b'\r' | 0)
                    });
                    continue;
                }
            }
            self.push_char(&mut text);
        }
        self.cursor.bump();
        Ok(PartKind::Single { dollar, text })
    }

    /// Reads from the quote at the cursor to after the one that closes it.
    pub(super) fn double_quoted(&mut self, start: Pos, dollar: bool) -> Result<PartKind> {
        self.cursor.bump();
        let mut parts = Vec::with_capacity(1);
        loop {
            self.skip_continuations();
            let start_of_part = self.cursor.pos();
            let kind = match self.cursor.current() {
                C('"') => break,
                C('$') => self.dollar(true)?,
                C('`') if !self.cursor.closes_backquote() => self.backquoted()?,
                C('`') | End => return fail(start, "`\"` has no closing quote"),
                C(_) | Continuation => PartKind::Literal(self.quoted_literal()),
            };
            parts.push(Part {
                start: start_of_part,
                end: self.cursor.pos(),
                kind,
            });
        }
        let close = self.cursor.pos();
        self.cursor.bump();
        Ok(PartKind::Double { dollar, parts, close })
    }

    pub(super) fn skip_continuations(&mut self) {
        while self.cursor.current() == Continuation {
            self.cursor.bump();
        }
    }

    fn quoted_literal(&mut self) -> String {
        let mut text = String::new();
        loop {
            match self.cursor.current() {
                C('"' | '`' | '$') | Continuation | End => return text,
                C('\\') => self.push_char(&mut text),
                C('\n') => {}
                C(_) => {
                    self.push_run(&mut text, |byte| {
                        !matches!(byte, b'"' | b'`' | b'$' | b'\\' | b'\n' | b'\r' | 0)
                    });
                    continue;
                }
            }
            self.push_char(&mut text);
        }
    }

    /// The pattern after `@(` or the like, up to the parenthesis that closes it.
    fn glob(&mut self, start: Pos, op: &'static str) -> Result<PartKind> {
        let mut pattern = String::new();
        let mut open = 1;
        loop {
            match self.cursor.current() {
                End => return fail(start, format!("`{op}` has no matching `)`")),
                C('(') => open += 1,
                C(')') => open -= 1,
                C(_) | Continuation => {}
            }
            if open == 0 {
                self.cursor.bump();
                return Ok(PartKind::Glob { op, pattern });
            }
            self.push_char(&mut pattern);
        }
    }
}
