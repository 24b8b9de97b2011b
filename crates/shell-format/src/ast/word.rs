//! Words and expressions.

use super::{Group, Pos};

/// A word: one or more parts without a blank between them.
#[derive(Debug, Clone)]
pub struct Word {
    /// The parts; never empty.
    pub parts: Vec<Part>,
}

/// A part of a word.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where it starts.
    pub start: Pos,
    /// Where it ends.
    pub end: Pos,
    /// What it is.
    pub kind: PartKind,
}

/// What a [`Part`] is.
#[derive(Debug, Clone)]
pub enum PartKind {
    /// Plain text, with its backslashes.
    Literal(String),
    /// `'text'`, or `$'text'` when `dollar`.
    Single {
        /// Whether `$` stands before it.
        dollar: bool,
        /// The text.
        text: String,
    },
    /// `"parts"`, or `$"parts"` when `dollar`.
    Double {
        /// Whether `$` stands before it.
        dollar: bool,
        /// The parts.
        parts: Vec<Part>,
        /// Position of the closing quote.
        close: Pos,
    },
    /// `$name` and `${...}`
    Param(Box<Param>),
    /// `$(list)`, a list in backquotes, `${ list;}` or `${|list;}`
    Command {
        /// How it was written.
        style: SubstitutionStyle,
        /// The list.
        group: Group,
    },
    /// `$((expr))` or `$[expr]`
    Arithmetic(Box<Arith>),
    /// `<(list)` or `>(list)`
    Process {
        /// `<(` or `>(`.
        op: &'static str,
        /// The list.
        group: Group,
    },
    /// `@(pattern)` and the like
    Glob {
        /// `?(`, `*(`, `+(`, `@(` or `!(`.
        op: &'static str,
        /// The text up to the closing parenthesis.
        pattern: String,
    },
    /// `name[index]` in arithmetic
    Element {
        /// The array.
        name: String,
        /// The subscript.
        index: Box<Arith>,
    },
}

/// How a command substitution was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubstitutionStyle {
    /// `$(list)` or backquotes
    Normal,
    /// `${ list;}`
    InPlace,
    /// `${|list;}`
    Reply,
}

/// A parameter expansion.
#[derive(Debug, Clone)]
pub struct Param {
    /// Whether it is `$name`.
    pub short: bool,
    /// `#` or `!` before the name.
    pub prefix: Option<char>,
    /// The name.
    pub name: String,
    /// The subscript.
    pub index: Option<Arith>,
    /// What is done with the value.
    pub op: Option<ParamOp>,
}

/// What a [`Param`] does with the value.
#[derive(Debug, Clone)]
pub enum ParamOp {
    /// `:offset:length`
    Slice {
        /// The offset.
        offset: Option<Arith>,
        /// The length.
        length: Option<Arith>,
    },
    /// `/pattern/text`, `//pattern/text`
    Replace {
        /// Whether all matches are replaced.
        all: bool,
        /// The pattern.
        pattern: Option<Word>,
        /// The replacement.
        with: Option<Word>,
    },
    /// `${!prefix*}`, `${!prefix@}`
    Names(&'static str),
    /// `:-word`, `#pattern`, `@Q` and all others
    Other {
        /// The operator.
        op: &'static str,
        /// What follows it.
        word: Option<Word>,
    },
}

/// An arithmetic expression.
#[derive(Debug, Clone)]
pub enum Arith {
    /// A name, number or expansion.
    Word(Word),
    /// Operands joined by left-associative operators of one precedence.
    Chain {
        /// The first operand.
        first: Box<Arith>,
        /// The others, each with the operator before it.
        rest: Vec<(&'static str, Arith)>,
    },
    /// An assignment or a power.
    Binary {
        /// The operator.
        op: &'static str,
        /// The left side.
        left: Box<Arith>,
        /// The right side.
        right: Box<Arith>,
    },
    /// `a ? b : c`
    Ternary(Box<[Arith; 3]>),
    /// `-a`, `!a`, `++a`, `a++`
    Unary {
        /// The operator.
        op: &'static str,
        /// Whether it stands after the operand.
        postfix: bool,
        /// The operand.
        operand: Box<Arith>,
    },
    /// `(a)`
    Paren(Box<Arith>),
}

/// An expression in `[[ ]]`.
#[derive(Debug, Clone)]
pub enum TestExpr {
    /// A word.
    Word(Word),
    /// Operands joined by `&&` and `||`, as written.
    Chain {
        /// The first operand.
        first: Box<TestExpr>,
        /// The others, each with the operator before it.
        rest: Vec<(&'static str, TestExpr)>,
    },
    /// `a == b`
    Compare {
        /// The operator.
        op: &'static str,
        /// The left side.
        left: Word,
        /// The right side.
        right: Word,
    },
    /// `-f a`, `! a`
    Unary {
        /// Where it starts.
        pos: Pos,
        /// The operator.
        op: &'static str,
        /// The operand.
        operand: Box<TestExpr>,
    },
    /// `( a )`
    Paren {
        /// Where it starts.
        pos: Pos,
        /// What stands inside.
        expr: Box<TestExpr>,
    },
}
