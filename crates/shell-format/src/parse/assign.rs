//! Assignments and arrays.

use super::names::is_name;
use super::{Parser, Result, fail};
use crate::ast::{Array, Assign, Element, Part, PartKind, Word};
use crate::token::{Mode, Tok};

impl Parser<'_> {
    /// Whether the token begins an assignment.
    pub(super) fn at_assignment(&self) -> bool {
        if !self.tok.is_literal() {
            return false;
        }
        match self.equals {
            Some(equals) if equals > 0 => {
                let name = &self.text[..equals];
                is_name(name.strip_suffix('+').unwrap_or(name)) || self.cursor.is('[')
            }
            _ => is_name(&self.text) && self.cursor.is('['),
        }
    }

    /// The assignment at the token. Without `needs_equal`, as in `declare`, a name may stand alone.
    pub(super) fn assignment(&mut self, needs_equal: bool) -> Result<Assign> {
        let mut assign = Assign {
            pos: self.pos,
            end: self.pos,
            name: None,
            index: None,
            append: false,
            naked: false,
            value: None,
            array: None,
        };
        match self.equals {
            Some(equals) if equals > 0 => self.plain_assignment(&mut assign, equals)?,
            _ => self.element_assignment(&mut assign, needs_equal)?,
        }
        if !assign.naked && !self.spaced && !self.at_stop() {
            if assign.value.is_none() && self.at_op("(") {
                assign.array = Some(self.array()?);
            } else {
                let parts = self.word_parts()?;
                match &mut assign.value {
                    Some(word) => word.parts.extend(parts),
                    None if parts.is_empty() => {}
                    None => assign.value = Some(Word { parts }),
                }
            }
        }
        assign.end = self.prev_end;
        Ok(assign)
    }

    /// `name=` or `name+=` and the text after it.
    fn plain_assignment(&mut self, assign: &mut Assign, equals: usize) -> Result<()> {
        let (name, rest) = self.text.split_at(equals);
        let value = rest[1..].to_owned();
        assign.append = name.ends_with('+');
        assign.name = Some(name.strip_suffix('+').unwrap_or(name).to_owned());
        if !value.is_empty() {
            let kind = PartKind::Literal(value);
            let part = Part {
                start: self.pos,
                end: self.cursor.pos(),
                kind,
            };
            assign.value = Some(Word { parts: vec![part] });
        }
        self.advance()
    }

    /// `name[index]=` or `name[index]+=`; what follows becomes the token.
    fn element_assignment(&mut self, assign: &mut Assign, needs_equal: bool) -> Result<()> {
        assign.name = Some(self.text.clone());
        self.pos = self.cursor.pos();
        self.cursor.bump();
        let (index, _) = self.subscript()?;
        self.advance()?;
        assign.index = Some(index);
        if self.spaced || self.at_stop() {
            assign.naked = !needs_equal;
            return if needs_equal {
                fail(assign.pos, "`a[b]` must be followed by `=`")
            } else {
                Ok(())
            };
        }
        if self.at_op("=(") {
            return self.error("arrays cannot be nested");
        }
        let mut rest = if self.tok.is_literal() {
            self.text.as_str()
        } else {
            ""
        };
        if let Some(stripped) = rest.strip_prefix('+') {
            assign.append = true;
            rest = stripped;
        }
        let Some(value) = rest.strip_prefix('=') else {
            return fail(assign.pos, "`a[b]` must be followed by `=`");
        };
        if value.is_empty() {
            return self.advance();
        }
        self.text = value.to_owned();
        self.equals = None;
        Ok(())
    }

    fn array(&mut self) -> Result<Array> {
        let open = self.pos;
        let outer = self.enter(Mode::Array);
        self.advance()?;
        self.got_newline()?;
        let mut elements = Vec::new();
        while self.tok != Tok::Eof && !self.at_op(")") {
            elements.push(self.element()?);
            self.got_newline()?;
        }
        self.leave(&outer);
        let close = self.expect_close(")", "(", open)?;
        Ok(Array { elements, close })
    }

    fn element(&mut self) -> Result<Element> {
        let mut pos = self.pos;
        let mut index = None;
        if self.at_op("[") {
            let open = self.pos;
            let (expr, start) = self.subscript()?;
            self.advance()?;
            pos = start;
            index = Some(expr);
            if self.at_op("=(") {
                return self.error("arrays cannot be nested");
            }
            if !self.got_op("=")? {
                return fail(open, "`[x]` must be followed by `=`");
            }
        }
        let value = self.word()?;
        if value.is_none() && (index.is_none() || !matches!(self.tok, Tok::Newline | Tok::Op(")" | "["))) {
            return self.error("the elements of an array must be words");
        }
        Ok(Element { pos, index, value })
    }
}
