//! The syntax tree of a script.
//!
//! Sequences of one kind (pipelines, `&&` lists, sums, `elif` chains) are flat, so the height of a tree
//! is bounded by the nesting the script spells out. Positions are kept because the printer
//! decides by them where lines are broken.

mod word;

pub use word::*;

/// A place in the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pos {
    /// Bytes before it.
    pub offset: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

/// A parsed script.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The statements in order.
    pub statements: Vec<Statement>,
    /// The bodies of all here-documents; [`Redirect::heredoc`] is an index into it.
    pub heredocs: Vec<HereDoc>,
}

/// The body of a here-document.
#[derive(Debug, Clone, Default)]
pub struct HereDoc {
    /// Whether its delimiter is quoted, so that nothing in the text is expanded.
    pub verbatim: bool,
    /// The text; nothing when it is empty.
    pub body: Option<Word>,
}

/// A command with its redirects, possibly negated, up to its `;` or `&`.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Where it starts, `!` included.
    pub pos: Pos,
    /// Whether `!` stands before it.
    pub negated: bool,
    /// The command; nothing when there are redirects alone.
    pub command: Option<Command>,
    /// The redirects, in order.
    pub redirects: Vec<Redirect>,
    /// Position of the `;` or `&` that ends it.
    pub terminator: Option<Pos>,
    /// Whether `&` ends it.
    pub background: bool,
}

/// Any command.
#[derive(Debug, Clone)]
pub enum Command {
    /// `a=b name args`
    Simple(Simple),
    /// `{ list; }`
    Block(Box<Group>),
    /// `( list )`
    Subshell(Box<Group>),
    /// `if`
    If(Box<If>),
    /// `while` and `until`
    While(Box<While>),
    /// `for` and `select`
    For(Box<For>),
    /// `case`
    Case(Box<Case>),
    /// `a && b || c`, or `a | b |& c`
    Chain(Box<Chain>),
    /// A function definition.
    Function(Box<Function>),
    /// `(( expr ))`
    Arithmetic(Box<Arithmetic>),
    /// `[[ expr ]]`
    Test(Box<Test>),
    /// `declare`, `local`, `export` and their like
    Declare(Box<Declare>),
    /// `time`
    Time(Box<Time>),
    /// `coproc`
    Coproc(Box<Coproc>),
    /// `let`
    Let(Box<Let>),
}

/// A simple command.
#[derive(Debug, Clone, Default)]
pub struct Simple {
    /// The assignments before the name.
    pub assigns: Vec<Assign>,
    /// The name and the arguments.
    pub words: Vec<Word>,
}

/// A list of statements between two delimiters.
#[derive(Debug, Clone)]
pub struct Group {
    /// The opening delimiter.
    pub open: Pos,
    /// The closing delimiter.
    pub close: Pos,
    /// What stands between them.
    pub body: Vec<Statement>,
}

/// An `if` command.
#[derive(Debug, Clone)]
pub struct If {
    /// `if` and each `elif`, in order.
    pub branches: Vec<Branch>,
    /// `else`: its position and its list.
    pub otherwise: Option<(Pos, Vec<Statement>)>,
    /// Position of `fi`.
    pub fi: Pos,
}

/// One `if` or `elif` of an [`If`].
#[derive(Debug, Clone)]
pub struct Branch {
    /// Position of `if` or `elif`.
    pub pos: Pos,
    /// The condition.
    pub condition: Vec<Statement>,
    /// Position of `then`.
    pub then: Pos,
    /// What is run.
    pub body: Vec<Statement>,
}

/// A `while` or `until` loop.
#[derive(Debug, Clone)]
pub struct While {
    /// Position of the keyword.
    pub pos: Pos,
    /// Whether the keyword is `until`.
    pub until: bool,
    /// The condition.
    pub condition: Vec<Statement>,
    /// `do`, the list, `done`.
    pub body: Group,
}

/// A `for` or `select` loop.
#[derive(Debug, Clone)]
pub struct For {
    /// Position of the keyword.
    pub pos: Pos,
    /// Whether the keyword is `select`.
    pub select: bool,
    /// What is iterated over.
    pub header: ForHeader,
    /// `do`, the list, `done`.
    pub body: Group,
}

/// What a [`For`] iterates over.
#[derive(Debug, Clone)]
pub enum ForHeader {
    /// `name in words`; without `in`, no words are given.
    Words {
        /// The variable.
        name: String,
        /// The words after `in`.
        words: Option<Vec<Word>>,
    },
    /// `((init; cond; post))`
    Arithmetic([Option<Arith>; 3]),
}

/// A `case` command.
#[derive(Debug, Clone)]
pub struct Case {
    /// Position of `case`.
    pub pos: Pos,
    /// What is matched.
    pub word: Word,
    /// Position of `in`.
    pub in_pos: Pos,
    /// The items.
    pub items: Vec<CaseItem>,
    /// Position of `esac`.
    pub esac: Pos,
}

/// One item of a [`Case`].
#[derive(Debug, Clone)]
pub struct CaseItem {
    /// The patterns; never empty.
    pub patterns: Vec<Word>,
    /// What is run.
    pub body: Vec<Statement>,
    /// `;;`, `;&` or `;;&`.
    pub op: &'static str,
    /// Position of the operator; nothing when `esac` ends the item.
    pub op_pos: Option<Pos>,
}

/// Statements joined by `&&` and `||`, or by `|` and `|&`; left-associative.
#[derive(Debug, Clone)]
pub struct Chain {
    /// The first statement.
    pub first: Box<Statement>,
    /// The others, each with the operator before it.
    pub rest: Vec<Link>,
}

/// An operator of a [`Chain`] and the statement after it.
#[derive(Debug, Clone)]
pub struct Link {
    /// `&&`, `||`, `|` or `|&`.
    pub op: &'static str,
    /// Position of the operator.
    pub op_pos: Pos,
    /// The statement after it.
    pub statement: Statement,
}

/// A function definition.
#[derive(Debug, Clone)]
pub struct Function {
    /// Where it starts.
    pub pos: Pos,
    /// Whether the word `function` is there.
    pub keyword: bool,
    /// Whether `()` is there.
    pub parens: bool,
    /// The name; empty in `() body`.
    pub name: String,
    /// The body.
    pub body: Box<Statement>,
}

/// `(( expr ))`
#[derive(Debug, Clone)]
pub struct Arithmetic {
    /// Where it starts.
    pub pos: Pos,
    /// Where it ends.
    pub end: Pos,
    /// The expression.
    pub expr: Arith,
}

/// `[[ expr ]]`
#[derive(Debug, Clone)]
pub struct Test {
    /// Where it starts.
    pub pos: Pos,
    /// Position of `]]`.
    pub close: Pos,
    /// The expression.
    pub expr: TestExpr,
}

/// `declare`, `local`, `export`, `readonly`, `typeset`, `nameref` with their arguments.
#[derive(Debug, Clone)]
pub struct Declare {
    /// Where it starts.
    pub pos: Pos,
    /// Where the name ends.
    pub name_end: Pos,
    /// Which of them.
    pub name: String,
    /// Options, names and assignments.
    pub args: Vec<Assign>,
}

/// `time [-p] [pipeline]`
#[derive(Debug, Clone)]
pub struct Time {
    /// Where it starts.
    pub pos: Pos,
    /// Whether `-p` is there.
    pub posix: bool,
    /// What is timed.
    pub statement: Option<Box<Statement>>,
}

/// `coproc [name] command`
#[derive(Debug, Clone)]
pub struct Coproc {
    /// Where it starts.
    pub pos: Pos,
    /// Its name.
    pub name: Option<Word>,
    /// The command.
    pub statement: Box<Statement>,
}

/// `let expr...`
#[derive(Debug, Clone)]
pub struct Let {
    /// Where it starts.
    pub pos: Pos,
    /// Where the last expression ends.
    pub end: Pos,
    /// The expressions.
    pub exprs: Vec<Arith>,
}

/// An assignment, or a plain argument of a [`Declare`].
#[derive(Debug, Clone)]
pub struct Assign {
    /// Where it starts.
    pub pos: Pos,
    /// Where it ends.
    pub end: Pos,
    /// The variable; nothing for an argument that is not a name.
    pub name: Option<String>,
    /// The subscript.
    pub index: Option<Arith>,
    /// Whether the operator is `+=`.
    pub append: bool,
    /// Whether there is no operator.
    pub naked: bool,
    /// What is assigned.
    pub value: Option<Word>,
    /// The array that is assigned.
    pub array: Option<Array>,
}

/// `(a [1]=b)`
#[derive(Debug, Clone)]
pub struct Array {
    /// The elements.
    pub elements: Vec<Element>,
    /// Position of the closing parenthesis.
    pub close: Pos,
}

/// An element of an [`Array`].
#[derive(Debug, Clone)]
pub struct Element {
    /// Where it starts.
    pub pos: Pos,
    /// The subscript.
    pub index: Option<Arith>,
    /// The value.
    pub value: Option<Word>,
}

/// A redirect.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// Where it starts.
    pub pos: Pos,
    /// Position of the operator.
    pub op_pos: Pos,
    /// The file descriptor or `{variable}` before the operator.
    pub fd: Option<String>,
    /// The operator.
    pub op: &'static str,
    /// The target, or the delimiter of a here-document.
    pub word: Word,
    /// For a here-document, the index of its body in [`Script::heredocs`].
    pub heredoc: Option<usize>,
}
