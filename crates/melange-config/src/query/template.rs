//! The syntax of templates.

use super::Problem;
use super::value::Value;

/// How deep blocks and parentheses may nest.
const DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    If(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
    Range(Pipeline, Vec<Node>, Vec<Node>),
    Break,
    Continue,
}

/// `$a, $b := first | second`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    pub(super) at: usize,
    pub(super) variables: Vec<String>,
    /// Whether the variables exist already (`=`).
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// An operand, or a function with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) operands: Vec<Operand>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Literal(Value),
    Function(String),
    Inner(Box<Pipeline>),
}

type Parsed<T> = Result<T, Problem>;

pub(super) fn parse(template: &str) -> Parsed<Vec<Node>> {
    let mut parser = Parser {
        source: template,
        at: 0,
        trim: false,
        depth: 0,
    };
    match parser.block()? {
        (nodes, Stop::Source) => Ok(nodes),
        (_, Stop::Else | Stop::End) => Err(parser.problem("there is no block to end here")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Source,
    Else,
    End,
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    /// Whether the action before ended with `-}}`.
    trim: bool,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn problem(&self, text: impl Into<String>) -> Problem {
        Problem::new(self.at, text)
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        match self.depth > DEPTH {
            true => Err(self.problem(format!("nested more than {DEPTH} levels deep"))),
            false => Ok(()),
        }
    }

    /// Reads up to the end of the block; returns what ended it.
    fn block(&mut self) -> Parsed<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        loop {
            let rest = self.rest();
            let open = rest.find("{{");
            let mut text = &rest[..open.unwrap_or(rest.len())];
            self.at += text.len();
            if std::mem::take(&mut self.trim) {
                text = text.trim_start();
            }
            let trims = self.rest().starts_with("{{-") && self.rest()[3..].starts_with(char::is_whitespace);
            if trims {
                text = text.trim_end();
            }
            if !text.is_empty() {
                nodes.push(Node::Text(text.to_owned()));
            }
            if open.is_none() {
                return Ok((nodes, Stop::Source));
            }
            self.at += if trims { 3 } else { 2 };
            if let Some(end) = self.action(&mut nodes)? {
                return Ok((nodes, end));
            }
        }
    }

    /// Reads what stands between `{{` and `}}`, with the blocks that it begins.
    fn action(&mut self, nodes: &mut Vec<Node>) -> Parsed<Option<Stop>> {
        self.blanks();
        if self.eat("/*") {
            let end = self
                .rest()
                .find("*/")
                .ok_or_else(|| self.problem("the comment does not end"))?;
            self.at += end + 2;
            self.close()?;
            return Ok(None);
        }
        let start = self.at;
        let word = self.word();
        match word {
            "if" | "with" | "range" => nodes.push(self.branch(word)?),
            "end" | "break" | "continue" => {
                self.close()?;
                match word {
                    "end" => return Ok(Some(Stop::End)),
                    "break" => nodes.push(Node::Break),
                    _ => nodes.push(Node::Continue),
                }
            }
            "else" => return Ok(Some(Stop::Else)),
            "define" | "template" | "block" => {
                return Err(Problem::new(start, format!("`{word}` is not known here")));
            }
            _ => {
                self.at = start;
                let pipeline = self.pipeline()?;
                self.close()?;
                nodes.push(Node::Print(pipeline));
            }
        }
        Ok(None)
    }

    fn branch(&mut self, word: &str) -> Parsed<Node> {
        self.deeper()?;
        let pipeline = self.pipeline()?;
        self.close()?;
        let (body, end) = self.block()?;
        let otherwise = match end {
            Stop::End => Vec::new(),
            Stop::Source => return Err(self.problem(format!("`{word}` has no `end`"))),
            Stop::Else => {
                self.blanks();
                let start = self.at;
                match self.word() {
                    // `else if` is an `if` in the `else` that ends with it.
                    inner @ ("if" | "with") => vec![self.branch(inner)?],
                    _ => {
                        self.at = start;
                        self.close()?;
                        let (nodes, end) = self.block()?;
                        if end != Stop::End {
                            return Err(self.problem(format!("`{word}` has no `end`")));
                        }
                        nodes
                    }
                }
            }
        };
        self.depth -= 1;
        Ok(match word {
            "if" => Node::If(pipeline, body, otherwise),
            "with" => Node::With(pipeline, body, otherwise),
            _ => Node::Range(pipeline, body, otherwise),
        })
    }

    fn close(&mut self) -> Parsed<()> {
        let start = self.at;
        self.blanks();
        if self.at > start && self.eat("-}}") {
            self.trim = true;
            return Ok(());
        }
        match self.eat("}}") {
            true => Ok(()),
            false => Err(self.problem("`}}` is missing here")),
        }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        self.blanks();
        let at = self.at;
        let (variables, assigns) = self.declaration()?;
        let mut commands = Vec::new();
        loop {
            self.blanks();
            let at = self.at;
            let mut operands = Vec::new();
            while let Some(operand) = self.operand()? {
                operands.push(operand);
                self.blanks();
            }
            if operands.is_empty() {
                return Err(self.problem("a value is missing here"));
            }
            commands.push(Command { at, operands });
            if !self.eat("|") {
                break;
            }
        }
        Ok(Pipeline {
            at,
            variables,
            assigns,
            commands,
        })
    }

    /// Reads `$a :=`, `$a, $b :=` or `$a =`, if that is what comes.
    fn declaration(&mut self) -> Parsed<(Vec<String>, bool)> {
        let start = self.at;
        let mut variables = Vec::new();
        while self.rest().starts_with('$') && variables.len() < 2 {
            self.at += 1;
            variables.push(self.word().to_owned());
            self.blanks();
            if self.eat(":=") {
                return Ok((variables, false));
            }
            if self.rest().starts_with('=') {
                self.at += 1;
                return Ok((variables, true));
            }
            if !self.eat(",") {
                break;
            }
            self.blanks();
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let at = self.at;
        let base = match self.rest().chars().next() {
            Some('.') => {
                let is_number = self.rest()[1..].starts_with(|c: char| c.is_ascii_digit());
                if is_number {
                    return Err(self.problem("only whole numbers are known here"));
                }
                // The dot belongs to the first field.
                self.at +=
                    usize::from(!self.rest()[1..].starts_with(|c: char| c.is_alphabetic() || c == '_'));
                Base::Dot
            }
            Some('$') => {
                self.at += 1;
                Base::Variable(self.word().to_owned())
            }
            Some('(') => {
                self.at += 1;
                self.deeper()?;
                let inner = self.pipeline()?;
                self.depth -= 1;
                self.blanks();
                if !self.eat(")") {
                    return Err(self.problem("`)` is missing here"));
                }
                Base::Inner(Box::new(inner))
            }
            Some('"' | '`') => Base::Literal(Value::Text(self.quoted()?)),
            Some(c) if c.is_ascii_digit() || "+-".contains(c) && !self.rest().starts_with("-}}") => {
                self.at += 1;
                self.word();
                let text = &self.source[at..self.at];
                let number = text
                    .parse()
                    .map_err(|_| Problem::new(at, format!("`{text}` is no number")))?;
                Base::Literal(Value::Int(number))
            }
            Some(c) if c.is_alphabetic() || c == '_' => match self.word() {
                "true" => Base::Literal(Value::Bool(true)),
                "false" => Base::Literal(Value::Bool(false)),
                "nil" => Base::Literal(Value::Nil),
                name => Base::Function(name.to_owned()),
            },
            _ => return Ok(None),
        };
        let mut fields = Vec::new();
        while self.rest().starts_with('.')
            && self.rest()[1..].starts_with(|c: char| c.is_alphabetic() || c == '_')
        {
            self.at += 1;
            fields.push(self.word().to_owned());
        }
        Ok(Some(Operand { at, base, fields }))
    }

    fn quoted(&mut self) -> Parsed<String> {
        let start = self.at;
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map_or('"', |(_, quote)| quote);
        let mut text = String::new();
        while let Some((offset, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += offset + 1;
                    return Ok(text);
                }
                '\\' if quote == '"' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, c @ ('"' | '\\' | '\''))) => text.push(c),
                    _ => {
                        return Err(Problem::new(
                            start + offset,
                            "only \\n, \\t, \\\" and \\\\ are known here",
                        ));
                    }
                },
                c => text.push(c),
            }
        }
        Err(Problem::new(start, "the quote is not closed"))
    }
}
