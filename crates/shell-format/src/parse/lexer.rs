//! Tokens out of characters.

use super::{Parser, Result, names};
use crate::cursor::Ch::{self, C, Continuation, End};
use crate::token::{Mode, Tok};

const SEPARATORS: &[&str] = &[";", ";;", ";;&", ";&", "|", "||", "|&", "(", "((", ")"];

const AMPERSANDS: &[&str] = &["&", "&&", "&>", "&>|", "&>>", "&>>|"];

const REDIRECTS: &[&str] = &[
    "<", "<<", "<<-", "<<<", "<>", "<&", "<(", ">", ">>", ">>|", ">&", ">|", ">(",
];

const ARITHMETIC: &[&str] = &[
    "!", "!=", "=", "==", "~", "(", ")", "&", "&&", "&=", "|", "||", "|=", "<", "<<", "<<=", "<=", ">", ">>",
    ">>=", ">=", "+", "++", "+=", "-", "--", "-=", "%", "%=", "*", "**", "*=", "/", "/=", "^", "^^", "^=",
    "[", "]", ",", "?", ":", "#", ".",
];

impl Parser<'_> {
    /// Reads the next token.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.prev_end = self.cursor.pos();
        loop {
            self.spaced = false;
            if !self.skip_blanks()? {
                return Ok(());
            }
            self.pos = self.cursor.pos();
            let C(c) = self.cursor.current() else { continue };
            if self.mode.is_arithmetic() {
                self.arithmetic_token(c);
                return Ok(());
            }
            if self.mode == Mode::Regex {
                if self.regex_token(c) {
                    return Ok(());
                }
                self.mode = Mode::Test;
            }
            if c == '#' && !(self.mode == Mode::Command && self.in_word && !self.spaced) {
                self.skip_comment();
                continue;
            }
            self.command_token(c);
            return Ok(());
        }
    }

    /// Skips blanks. Returns false when that already led to a token: a newline or the end.
    fn skip_blanks(&mut self) -> Result<bool> {
        loop {
            match self.cursor.current() {
                End => {
                    self.tok = Tok::Eof;
                    return Ok(false);
                }
                Continuation => {}
                C(' ' | '\t' | '\r') => self.spaced = true,
                C('\n') if self.tok == Tok::Newline => {}
                C('\n') => {
                    self.spaced = true;
                    self.tok = Tok::Newline;
                    if self.mode != Mode::Delimiter {
                        self.read_heredocs()?;
                    }
                    return Ok(false);
                }
                C(_) => return Ok(true),
            }
            self.cursor.bump();
        }
    }

    /// Skips a comment. A backslash before its newline hides the newline, as in the reference.
    fn skip_comment(&mut self) {
        loop {
            match self.cursor.bump() {
                C('\n') | End | Continuation => return,
                C('`') if self.cursor.closes_backquote() => return,
                C(_) => {}
            }
        }
    }

    fn command_token(&mut self, c: char) {
        self.tok = match c {
            '\'' | '"' | '`' | '$' => announce(c),
            ';' | '(' | ')' | '|' | '&' | '>' | '<' => self.command_operator(c),
            '[' if self.mode == Mode::Array => self.take("["),
            '=' if self.cursor.peek() == Some(b'(') => {
                self.cursor.bump();
                self.take("=(")
            }
            '=' if self.mode == Mode::Array => self.take("="),
            '?' | '*' | '+' | '@' | '!' if self.text != "function" && self.starts_glob() => {
                self.cursor.bump();
                self.cursor.bump();
                Tok::Glob(match c {
                    '?' => "?(",
                    '*' => "*(",
                    '+' => "+(",
                    '@' => "@(",
                    _ => "!(",
                })
            }
            _ => self.command_literal(),
        };
    }

    /// Steps over the current character and makes an operator.
    fn take(&mut self, op: &'static str) -> Tok {
        self.cursor.bump();
        Tok::Op(op)
    }

    /// Steps over the longest of `ops` at the cursor; empty when none is there. With an operator, all
    /// its prefixes must be among them.
    pub(super) fn longest(&mut self, ops: &[&'static str]) -> &'static str {
        let mut found = "";
        while let C(c) = self.cursor.current() {
            // Operators are ASCII; most differ in their length or their last character.
            let longer = |op: &&&str| op.len() == found.len() + 1 && op.ends_with(c) && op.starts_with(found);
            let Some(op) = ops.iter().find(longer) else { break };
            found = op;
            self.cursor.bump();
        }
        found
    }

    fn command_operator(&mut self, c: char) -> Tok {
        match c {
            '(' if self.mode == Mode::Test => self.take("("),
            '<' | '>' => match self.longest(REDIRECTS) {
                op @ ("<(" | ">(") => Tok::Process(op),
                op => Tok::Redirect(op),
            },
            '&' => match self.longest(AMPERSANDS) {
                op @ ("&" | "&&") => Tok::Op(op),
                op => Tok::Redirect(op),
            },
            _ => Tok::Op(self.longest(SEPARATORS)),
        }
    }

    /// Whether the current character and the parenthesis after it open an extended glob, where no name of a
    /// function is expected. `name@()` is taken for a function.
    fn starts_glob(&self) -> bool {
        self.cursor.peek() == Some(b'(') && self.cursor.peek_second().is_some_and(|b| b != b')')
    }

    /// The text of the last literal without its content, for the next one.
    fn emptied_text(&mut self) -> String {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text
    }

    /// Appends the current character to `text` and steps over it.
    pub(super) fn push_char(&mut self, text: &mut String) {
        if let C(c) = self.cursor.current() {
            text.push(c);
        }
        self.cursor.bump();
    }

    /// Appends the current character and those of the `plain` bytes after it to `text`, and steps over them.
    ///
    /// It does what [`Self::push_char`] does for each of them, where the current character is plain, too.
    pub(super) fn push_run(&mut self, text: &mut String, plain: impl Fn(u8) -> bool) {
        text.push_str(self.cursor.take_run(plain));
    }

    /// The literal text at the cursor, as far as it goes among commands.
    fn command_literal(&mut self) -> Tok {
        let names_function = self.text == "function";
        let mut text = self.emptied_text();
        let mut equals = None;
        let tok = loop {
            match self.cursor.current() {
                End | C(' ' | '\t' | '\n' | '\r' | '&' | '|' | ';' | '(' | ')') => break Tok::Word,
                C('\\') => self.push_char(&mut text),
                C('<' | '>') if self.cursor.peek() == Some(b'(') => break Tok::Literal,
                C('<' | '>') if names::is_descriptor(&text) => break Tok::Descriptor,
                C('<' | '>') => break Tok::Word,
                C('`') if self.mode == Mode::Backquote => break Tok::Word,
                C('`' | '"' | '\'' | '$') => break Tok::Literal,
                C('?' | '*' | '+' | '@' | '!') if !names_function && self.starts_glob() => {
                    break Tok::Literal;
                }
                C('[') if !text.is_empty() && !text.starts_with('[') => break Tok::Literal,
                C('=') if equals.is_none() => equals = Some(text.len()),
                C(c) if is_plain(c) => {
                    self.push_run(&mut text, |byte| is_plain(char::from(byte)));
                    continue;
                }
                C(_) | Continuation => {}
            }
            self.push_char(&mut text);
        };
        self.text = text;
        self.equals = equals;
        tok
    }

    fn arithmetic_token(&mut self, c: char) {
        self.tok = match c {
            '\'' | '"' | '`' | '$' => announce(c),
            ';' => self.command_operator(c),
            '}' if self.mode == Mode::Subscript => self.take("}"),
            '@' if self.mode == Mode::Subscript => self.take("@"),
            _ => match self.longest(ARITHMETIC) {
                "" => self.arithmetic_literal(),
                op => Tok::Op(op),
            },
        };
    }

    fn arithmetic_literal(&mut self) -> Tok {
        let mut text = self.emptied_text();
        let tok = loop {
            match self.cursor.current() {
                C('\\') => self.push_char(&mut text),
                C('\'' | '"' | '`' | '$') => break Tok::Literal,
                C('}') if self.mode == Mode::Subscript => break Tok::Word,
                End
                | C(
                    '/' | ':' | '=' | '%' | '^' | ',' | '?' | '!' | '~' | '*' | '.' | '[' | ']' | '+' | '-',
                )
                | C(' ' | '\t' | ';' | '&' | '>' | '<' | '|' | '(' | ')' | '\n' | '\r') => break Tok::Word,
                C(_) | Continuation => {}
            }
            self.push_char(&mut text);
        };
        self.text = text;
        self.equals = None;
        tok
    }

    /// A token of a regular expression. Returns false when a blank before it has ended the expression.
    fn regex_token(&mut self, c: char) -> bool {
        if !self.regex_start && self.spaced {
            return false;
        }
        self.regex_start = false;
        self.tok = match c {
            '"' | '\'' | '$' | '`' => announce(c),
            ';' | '&' | '>' | '<' => self.command_operator(c),
            ')' if self.regex_parens <= 0 => {
                self.mode = Mode::Test;
                self.take(")")
            }
            _ => self.regex_literal(),
        };
        true
    }

    fn regex_literal(&mut self) -> Tok {
        let mut text = self.emptied_text();
        let tok = loop {
            match self.cursor.current() {
                C('\\') => self.push_char(&mut text),
                C('(') => self.regex_parens += 1,
                C(')') => {
                    self.regex_parens -= 1;
                    if self.regex_parens < 0 {
                        self.mode = Mode::Test;
                        break Tok::Word;
                    }
                }
                C(' ' | '\t' | '\r' | '\n' | ';' | '&' | '>' | '<') if self.regex_parens <= 0 => {
                    self.mode = Mode::Test;
                    break Tok::Word;
                }
                C('"' | '\'' | '$' | '`') => break Tok::Literal,
                End => {
                    self.mode = Mode::Command;
                    break Tok::Word;
                }
                C(_) | Continuation => {}
            }
            self.push_char(&mut text);
        };
        self.text = text;
        self.equals = None;
        tok
    }
}

fn announce(c: char) -> Tok {
    match c {
        '\'' => Tok::Single,
        '"' => Tok::Double,
        '`' => Tok::Backquote,
        _ => Tok::Dollar,
    }
}

/// Whether `c` stands for nothing but itself wherever it stands in a word.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ',' | ':' | '%' | '{' | '}' | '~' | '^')
}

/// Whether `c` may stand in a variable's name.
pub(super) fn is_name_char(c: Ch) -> bool {
    matches!(c, C(c) if c.is_ascii_alphanumeric() || c == '_')
}
