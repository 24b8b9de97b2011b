//! A command line against a table of the Go tools' flags.

use std::fmt;

use clap::{Arg, ArgAction, Command};

/// The type of a flag, as the Go tools' `--help` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Switch,
    /// One value; the last one counts.
    One,
    /// Several values, with commas or by giving the flag again.
    List,
}

/// A line of the table: `--name -s type = default`.
struct Flag<'a> {
    name: &'a str,
    short: Option<char>,
    kind: Kind,
    default: Option<&'a str>,
}

impl<'a> Flag<'a> {
    fn read(line: &'a str) -> Self {
        let (names, default) = match line.split_once(" = ") {
            Some((names, default)) => (names, Some(default)),
            None => (line, None),
        };
        let words: Vec<&str> = names.split(' ').collect();
        let (name, short, kind) = match words[..] {
            [name, kind] => (name, None, kind),
            [name, short, kind] => (name, short.chars().nth(1), kind),
            _ => panic!("`{line}` is not `--name -s type = default`"),
        };
        Self {
            name: name.strip_prefix("--").unwrap(),
            short,
            kind: match kind {
                "bool" => Kind::Switch,
                "string" | "int" | "duration" => Kind::One,
                "strings" => Kind::List,
                _ => panic!("`{line}`: the type {kind} is unknown"),
            },
            default,
        }
    }
}

/// What is not as the table says: a line each, empty where all is. `[command]` begins the flags of a command, `[]` those that all
/// have; `absent` behind it, that the command is not there. Defaults are compared where the command line itself states them: an option that
/// stays open is decided elsewhere.
///
/// # Panics
/// When the table cannot be read.
pub fn differences(mut program: Command, table: &str) -> Vec<String> {
    program.build();
    let mut found = Vec::new();
    let mut command = None;
    for line in table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let Some(heading) = line.strip_prefix('[') else {
            if let Some((path, command)) = command {
                let said = difference(command, &Flag::read(line));
                found.extend(said.map(|said| format!("{path} {line}: {said}")));
            }
            continue;
        };
        let (path, absent) = heading.split_once(']').unwrap();
        let there = path
            .split_whitespace()
            .try_fold(&program, |command, name| command.find_subcommand(name));
        match (there, absent.trim()) {
            (Some(_), "absent") => found.push(format!("{path} is there, though it is listed as absent")),
            (None, "") => found.push(format!("there is no command `{path}`")),
            _ => {}
        }
        command = there.map(|command| (path, command));
    }
    found
}

fn difference(command: &Command, flag: &Flag<'_>) -> Option<String> {
    let mut arguments = command.get_arguments();
    let Some(argument) = arguments.find(|argument| argument.get_long() == Some(flag.name)) else {
        return Some("there is no such flag".to_owned());
    };
    let unlike = |what: &str, ours: &dyn fmt::Debug| Some(format!("{what} is {ours:?}"));
    if argument.get_short() != flag.short {
        return unlike("its short form", &argument.get_short());
    }
    let kind = kind(argument);
    if kind != flag.kind {
        return unlike("its type", &kind);
    }
    let defaults = argument.get_default_values().iter();
    let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
    let default = match (&defaults.join(",")[..], kind) {
        ("", _) => return None,
        ("false", Kind::Switch) => None,
        (default, _) => Some(default.to_owned()),
    };
    match default.as_deref() == flag.default {
        true => None,
        false => unlike("its default", &default),
    }
}

fn kind(argument: &Arg) -> Kind {
    let splits = argument.get_value_delimiter() == Some(',');
    match argument.get_action() {
        ArgAction::SetTrue => Kind::Switch,
        ArgAction::Set if argument.is_require_equals_set() => Kind::Switch,
        ArgAction::Append if splits => Kind::List,
        _ => Kind::One,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
# A comment.
[]
--level string = INFO

[build]
--arch -a strings
--out string = here
--dry bool

[build all]

[publish] absent
--to string
";

    fn program(out: &'static str, short: char) -> Command {
        let arch = Arg::new("arch").long("arch").short(short);
        let build = Command::new("build")
            .arg(arch.action(ArgAction::Append).value_delimiter(','))
            .arg(Arg::new("out").long("out").default_value(out))
            .arg(Arg::new("dry").long("dry").action(ArgAction::SetTrue))
            .subcommand(Command::new("all"));
        let level = Arg::new("level").long("level").default_value("INFO");
        Command::new("tool").arg(level).subcommand(build)
    }

    #[test]
    fn a_command_line_like_the_table_has_no_differences() {
        assert_eq!(differences(program("here", 'a'), TABLE), [""; 0]);
    }

    #[test]
    fn each_difference_names_its_command_and_flag() {
        let publish = Command::new("publish");
        let other = program("there", 'x').subcommand(publish);
        assert_eq!(
            differences(other, TABLE),
            [
                "build --arch -a strings: its short form is Some('x')",
                "build --out string = here: its default is Some(\"there\")",
                "publish is there, though it is listed as absent",
                "publish --to string: there is no such flag",
            ]
        );
        let bare = Command::new("tool").subcommand(Command::new("build"));
        let said = differences(bare, TABLE);
        assert!(
            said.contains(&"there is no command `build all`".to_owned()),
            "{said:?}"
        );
    }
}
