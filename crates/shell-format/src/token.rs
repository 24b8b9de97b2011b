//! The tokens of the lexer.

/// A token.
///
/// The quotes, `$` and the backquote only announce a part of a word: the cursor still stands before
/// them. All other tokens have been read. The text of literals lies in the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tok {
    /// The end of the script.
    Eof,
    /// One or more newlines.
    Newline,
    /// A literal that may be followed by other parts of its word.
    Literal,
    /// A literal that is a whole word.
    Word,
    /// A literal that belongs to the redirect after it.
    Descriptor,
    /// `'`
    Single,
    /// `"`
    Double,
    /// `` ` ``
    Backquote,
    /// `$`
    Dollar,
    /// `<(` or `>(`
    Process(&'static str),
    /// `@(` and the like
    Glob(&'static str),
    /// An operator that redirects.
    Redirect(&'static str),
    /// Any other operator.
    Op(&'static str),
}

impl Tok {
    pub(crate) fn is_literal(self) -> bool {
        matches!(self, Tok::Literal | Tok::Word | Tok::Descriptor)
    }

    /// The token as messages name it.
    pub(crate) fn describe(self) -> String {
        match self {
            Tok::Eof => "the end of the script".to_owned(),
            Tok::Newline => "a newline".to_owned(),
            Tok::Literal | Tok::Word | Tok::Descriptor => "a word".to_owned(),
            Tok::Single => "`'`".to_owned(),
            Tok::Double => "`\"`".to_owned(),
            Tok::Backquote => "a backquote".to_owned(),
            Tok::Dollar => "`$`".to_owned(),
            Tok::Process(op) | Tok::Glob(op) | Tok::Redirect(op) | Tok::Op(op) => format!("`{op}`"),
        }
    }
}

/// What the lexer is in the middle of; decides which characters are operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Commands at the top.
    Command,
    /// Commands inside of `(`, `$(`, `<(` or `${ `.
    Substitution,
    /// Commands inside of backquotes.
    Backquote,
    /// The delimiter of a here-document.
    Delimiter,
    /// The commands of a case item.
    Case,
    /// The elements of an array.
    Array,
    /// `[[ ]]`
    Test,
    /// The regular expression after `=~`.
    Regex,
    /// `(( ))`
    Arith,
    /// The arguments of `let`.
    Let,
    /// A subscript or the slice of a parameter expansion.
    Subscript,
}

impl Mode {
    pub(crate) fn is_arithmetic(self) -> bool {
        matches!(self, Mode::Arith | Mode::Let | Mode::Subscript)
    }
}
