//! Command lines that the Go tools take and clap does not.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

/// Writes a command line as clap takes it, where the Go tools take more: any switch with `=true` or `=false`, the other words for these (`1`, `t`, `F`
/// ...), and an empty value, which stands for a flag that is not given. `program` describes the command line; it is not
/// asked where there is nothing of that kind.
pub fn go_arguments(arguments: Vec<OsString>, program: impl FnOnce() -> Command) -> Vec<OsString> {
    if !arguments.iter().any(is_unusual) {
        return arguments;
    }
    let mut commands = vec![program()];
    let mut written = Vec::new();
    let mut rest = arguments.into_iter();
    written.extend(rest.next());
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        if text == "--" {
            written.push(argument);
            break;
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let Some(flag) = find(&commands, name) else {
            let last = commands.last();
            if let Some(mut command) = last.and_then(|command| command.find_subcommand(text)).cloned() {
                command.build();
                commands.push(command);
            }
            written.push(argument);
            continue;
        };
        match (kind(flag), value) {
            (Kind::Switch, Some(value)) => match truth(value) {
                Some(true) => written.push(name.into()),
                Some(false) => written.retain(|earlier| earlier != name),
                None => written.push(argument),
            },
            (Kind::Truth, Some(value)) => match truth(value) {
                Some(truth) => written.push(format!("{name}={truth}").into()),
                None => written.push(argument),
            },
            (Kind::Value, Some("")) if may_be_left_out(flag) => {}
            (Kind::Value, None) => {
                let value = rest.next();
                if !(value.as_ref().is_some_and(|value| value.is_empty()) && may_be_left_out(flag)) {
                    written.push(argument);
                    written.extend(value);
                }
            }
            _ => written.push(argument),
        }
    }
    written.extend(rest);
    written
}

/// Whether an argument may be one that is not clap's.
fn is_unusual(argument: &OsString) -> bool {
    let value = argument
        .to_str()
        .filter(|text| text.starts_with('-'))
        .and_then(|text| text.split_once('='));
    argument.is_empty() || value.is_some_and(|(_, value)| value.is_empty() || truth(value).is_some())
}

/// What Go's `strconv.ParseBool` makes of a word.
fn truth(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The flag of a name as it is written, `--name` or `-n`; those of the innermost command come first.
fn find<'a>(commands: &'a [Command], name: &str) -> Option<&'a Arg> {
    let is_meant = |argument: &&Arg| match (name.strip_prefix("--"), name.strip_prefix('-')) {
        (Some(long), _) => argument.get_long() == Some(long),
        (None, Some(short)) => argument
            .get_short()
            .is_some_and(|letter| short.chars().eq([letter])),
        (None, None) => false,
    };
    let mut all = commands.iter().rev().flat_map(Command::get_arguments);
    all.find(is_meant)
}

enum Kind {
    /// It is there or not.
    Switch,
    /// It takes true or false, behind `=`.
    Truth,
    Value,
    Other,
}

fn kind(flag: &Arg) -> Kind {
    match flag.get_action() {
        ArgAction::SetTrue => Kind::Switch,
        ArgAction::Set if flag.is_require_equals_set() => Kind::Truth,
        ArgAction::Set | ArgAction::Append => Kind::Value,
        _ => Kind::Other,
    }
}

fn may_be_left_out(flag: &Arg) -> bool {
    flag.get_default_values().is_empty() && !flag.is_required_set()
}

#[cfg(test)]
mod tests {
    use clap::{Args, CommandFactory as _, Parser, Subcommand};

    use super::*;
    use crate::Deferred;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Commands,
        #[arg(long, global = true, default_value = "INFO")]
        level: String,
    }

    #[derive(Debug, Subcommand)]
    enum Commands {
        Build(Deferred<Build>),
    }

    #[derive(Debug, Args)]
    struct Build {
        config: String,
        #[arg(long, short)]
        dry: bool,
        #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
        index: bool,
        #[arg(long, short)]
        key: Option<String>,
        #[arg(long, value_delimiter = ',')]
        arch: Vec<String>,
        #[arg(long, default_value = "here")]
        out: String,
        #[arg(long, value_delimiter = ',', default_values_t = ["dev".to_owned()])]
        lint: Vec<String>,
    }

    fn written(line: &str) -> String {
        let words = line.split(' ').map(|word| word.trim_matches('\''));
        let words = words.map(OsString::from).collect();
        let words = go_arguments(words, Cli::command);
        assert!(Cli::try_parse_from(&words).is_ok(), "{words:?}");
        let words = words.iter().map(|word| word.to_str().unwrap());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn switches_take_the_words_that_go_takes() {
        for (line, wanted) in [
            ("tool build x --dry=true", "tool build x --dry"),
            ("tool build x -d=T", "tool build x -d"),
            ("tool build --dry x --dry=false", "tool build x"),
            ("tool build x --index=0", "tool build x --index=false"),
            (
                "tool --level debug build x --index=True",
                "tool --level debug build x --index=true",
            ),
        ] {
            assert_eq!(written(line), wanted);
        }
    }

    #[test]
    fn an_empty_value_is_none_unless_there_is_a_default() {
        for (line, wanted) in [
            ("tool build --key '' x --arch=", "tool build x"),
            ("tool build -k '' x", "tool build x"),
            ("tool build x --out=", "tool build x --out="),
            // None of them, not those by default.
            ("tool build x --lint ''", "tool build x --lint "),
        ] {
            assert_eq!(written(line), wanted);
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for line in [
            "tool build x --key a=true",
            "tool build x --key 1",
            "tool build -- --dry=true",
            "tool build x --key=a --key=true",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(go_arguments(words.clone(), Cli::command), words);
        }
    }
}
