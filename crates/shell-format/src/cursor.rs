//! Reads a script character by character.

use crate::ast::Pos;

/// What stands at the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ch {
    /// A character.
    C(char),
    /// A backslash with the newline after it.
    Continuation,
    /// The end of the script.
    End,
}

/// The reading position.
///
/// Drops NUL bytes, reads CR LF as LF, joins a backslash and its newline, and takes away the
/// backslashes that only protect `$`, `` ` `` and `\` inside of backquotes.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    source: &'a str,
    current: Ch,
    start: usize,
    next: usize,
    line: u32,
    line_start: usize,
    /// How many backquotes are open.
    pub(crate) open_backquotes: usize,
    /// How many backslashes stood before the last backquote that was read.
    pub(crate) backquote_escapes: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        let mut cursor = Cursor {
            source,
            current: Ch::End,
            start: 0,
            next: 0,
            line: 1,
            line_start: 0,
            open_backquotes: 0,
            backquote_escapes: 0,
        };
        cursor.bump();
        cursor
    }

    pub(crate) fn current(&self) -> Ch {
        self.current
    }

    pub(crate) fn is(&self, c: char) -> bool {
        self.current == Ch::C(c)
    }

    pub(crate) fn at_end(&self) -> bool {
        self.current == Ch::End
    }

    /// Position of the current character.
    pub(crate) fn pos(&self) -> Pos {
        Pos {
            offset: clamp(self.start),
            line: self.line,
            column: clamp(self.start.saturating_sub(self.line_start)).saturating_add(1),
        }
    }

    /// The byte after the current character, as it stands in the script.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.byte(0)
    }

    /// The byte after that.
    pub(crate) fn peek_second(&self) -> Option<u8> {
        self.byte(1)
    }

    /// Whether a backquote at the cursor closes an open one.
    pub(crate) fn closes_backquote(&self) -> bool {
        self.backquote_escapes < self.open_backquotes
    }

    /// Moves on and returns the new current character.
    pub(crate) fn bump(&mut self) -> Ch {
        if matches!(self.current, Ch::C('\n') | Ch::Continuation) {
            self.line += 1;
            self.line_start = self.next;
        }
        let escaped = self.is('\\');
        let mut unescaped = 0;
        self.current = loop {
            let Some(byte) = self.byte(0) else {
                self.start = self.source.len();
                break Ch::End;
            };
            match byte {
                0 => self.next += 1,
                b'\r' if self.byte(1) == Some(b'\n') => self.next += 1,
                b'\\' if !escaped && self.byte(1) == Some(b'\n') => break self.take_continuation(2),
                b'\\' if !escaped && self.byte(1) == Some(b'\r') && self.byte(2) == Some(b'\n') => {
                    break self.take_continuation(3);
                }
                b'\\'
                    if unescaped < self.open_backquotes
                        && matches!(self.byte(1), Some(b'$' | b'`' | b'\\')) =>
                {
                    unescaped += 1;
                    self.next += 1;
                }
                _ => break self.take_char(byte, unescaped),
            }
        };
        self.current
    }

    /// Moves past the current character and all `plain` bytes after it, and returns the text of them.
    ///
    /// The current character must be neither newline nor backslash, and NUL, CR, newline, backslash and backquote, which
    /// [`Cursor::bump`] treats in a way of their own, must not be plain. Of the bytes of characters beyond ASCII, all
    /// are plain or none.
    pub(crate) fn take_run(&mut self, plain: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.source.as_bytes().get(self.next..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| plain(**byte)).count();
        let start = self.start;
        self.next += length;
        let run = self.source.get(start..self.next).unwrap_or_default();
        self.bump();
        run
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.next + ahead).copied()
    }

    fn take_continuation(&mut self, length: usize) -> Ch {
        self.start = self.next;
        self.next += length;
        Ch::Continuation
    }

    fn take_char(&mut self, byte: u8, unescaped: usize) -> Ch {
        if byte == b'`' {
            self.backquote_escapes = unescaped;
        }
        self.start = self.next;
        if byte.is_ascii() {
            self.next += 1;
            return Ch::C(char::from(byte));
        }
        match self.source.get(self.next..).and_then(|rest| rest.chars().next()) {
            Some(c) => {
                self.next += c.len_utf8();
                Ch::C(c)
            }
            None => Ch::End,
        }
    }
}

fn clamp(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
