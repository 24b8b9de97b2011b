//! Where nodes start and end.

use crate::ast::{Command, HereDoc, Pos, Redirect, Script, Simple, Statement, TestExpr, Word};

impl Statement {
    pub(crate) fn new(pos: Pos) -> Self {
        Statement {
            pos,
            negated: false,
            command: None,
            redirects: Vec::new(),
            terminator: None,
            background: false,
        }
    }

    /// Where the statement ends, the bodies of its here-documents included.
    pub(crate) fn end(&self, script: &Script) -> Pos {
        if let Some(terminator) = self.terminator {
            return terminator;
        }
        let end = self
            .command
            .as_ref()
            .map_or(self.pos, |command| command.end(script));
        match self.redirects.last() {
            Some(redirect) => end.max(redirect.end(script)),
            None => end,
        }
    }
}

impl Redirect {
    fn end(&self, script: &Script) -> Pos {
        script
            .heredoc(self)
            .and_then(|heredoc| heredoc.body.as_ref())
            .unwrap_or(&self.word)
            .end()
    }
}

impl Script {
    /// The here-document of a redirect.
    pub(crate) fn heredoc(&self, redirect: &Redirect) -> Option<&HereDoc> {
        self.heredocs.get(redirect.heredoc?)
    }
}

impl Word {
    pub(crate) fn pos(&self) -> Pos {
        self.parts.first().map_or(Pos::default(), |part| part.start)
    }

    pub(crate) fn end(&self) -> Pos {
        self.parts.last().map_or(Pos::default(), |part| part.end)
    }
}

impl Command {
    pub(crate) fn pos(&self) -> Pos {
        match self {
            Command::Simple(simple) => simple.pos(),
            Command::Block(group) | Command::Subshell(group) => group.open,
            Command::If(command) => command.branches.first().map_or(command.fi, |branch| branch.pos),
            Command::While(command) => command.pos,
            Command::For(command) => command.pos,
            Command::Case(command) => command.pos,
            Command::Chain(chain) => chain.first.pos,
            Command::Function(function) => function.pos,
            Command::Arithmetic(command) => command.pos,
            Command::Test(command) => command.pos,
            Command::Declare(command) => command.pos,
            Command::Time(command) => command.pos,
            Command::Coproc(command) => command.pos,
            Command::Let(command) => command.pos,
        }
    }

    fn end(&self, script: &Script) -> Pos {
        match self {
            Command::Simple(simple) => simple.end(),
            Command::Block(group) | Command::Subshell(group) => group.close,
            Command::If(command) => command.fi,
            Command::While(command) => command.body.close,
            Command::For(command) => command.body.close,
            Command::Case(command) => command.esac,
            Command::Chain(chain) => chain
                .rest
                .last()
                .map_or(chain.first.pos, |link| link.statement.end(script)),
            Command::Function(function) => function.body.end(script),
            Command::Arithmetic(command) => command.end,
            Command::Test(command) => command.close,
            Command::Declare(command) => command.args.last().map_or(command.name_end, |arg| arg.end),
            Command::Time(command) => command.statement.as_ref().map_or(command.pos, |s| s.end(script)),
            Command::Coproc(command) => command.statement.end(script),
            Command::Let(command) => command.end,
        }
    }
}

impl Simple {
    fn pos(&self) -> Pos {
        match (self.assigns.first(), self.words.first()) {
            (Some(assign), _) => assign.pos,
            (None, Some(word)) => word.pos(),
            (None, None) => Pos::default(),
        }
    }

    fn end(&self) -> Pos {
        match (self.words.last(), self.assigns.last()) {
            (Some(word), _) => word.end(),
            (None, Some(assign)) => assign.end,
            (None, None) => Pos::default(),
        }
    }
}

impl TestExpr {
    pub(crate) fn pos(&self) -> Pos {
        match self {
            TestExpr::Word(word) | TestExpr::Compare { left: word, .. } => word.pos(),
            TestExpr::Chain { first, .. } => first.pos(),
            TestExpr::Unary { pos, .. } | TestExpr::Paren { pos, .. } => *pos,
        }
    }
}
