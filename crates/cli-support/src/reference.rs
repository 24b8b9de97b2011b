//! A page about all commands of a program, made of what `--help` says.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// The page, in Markdown: each command with its arguments, then its examples.
pub fn reference_page(mut program: Command) -> String {
    // Arguments may be deferred until then.
    program.build();
    let program = &program;
    let name = program.get_name();
    let mut page = format!(
        "# The commands of {name}\n\nWhat `{name} COMMAND --help` says, on one page (`cargo xtask reference`).\n\n\
         These go with every command:\n\n"
    );
    arguments(program, |_| true, &mut page);
    commands(program, name, &mut page);
    page
}

fn commands(parent: &Command, path: &str, page: &mut String) {
    let visible = parent.get_subcommands().filter(|command| !command.is_hide_set());
    for command in visible.filter(|command| command.get_name() != "help") {
        let path = format!("{path} {}", command.get_name());
        let about = command.get_long_about().or(command.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        let _ = write!(page, "\n## {path}\n\n{}.\n", about.trim_end_matches('.'));
        let positional: String = command.get_positionals().map(place).collect();
        let _ = writeln!(page, "\n```text\n{path}{positional}\n```\n");
        arguments(command, |argument| !argument.is_global_set(), page);
        if let Some(more) = command.get_after_help() {
            let _ = writeln!(page, "\n```text\n{}\n```", more.to_string().trim_end());
        }
        commands(command, &path, page);
    }
}

/// A positional argument as the line of usage has it.
fn place(argument: &Arg) -> String {
    let dots = if argument
        .get_num_args()
        .is_some_and(|range| range.max_values() > 1)
    {
        "..."
    } else {
        ""
    };
    match argument.is_required_set() {
        true => format!(" {}{dots}", value(argument)),
        false => format!(" [{}{dots}]", value(argument)),
    }
}

fn value(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    match names {
        [] => argument.get_id().as_str().to_ascii_uppercase(),
        names => names
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    }
}

fn arguments(command: &Command, is_told: impl Fn(&Arg) -> bool, page: &mut String) {
    let visible = command.get_arguments().filter(|argument| {
        is_told(argument)
            && !argument.is_hide_set()
            && !matches!(argument.get_id().as_str(), "help" | "version")
    });
    let mut rows = String::new();
    for argument in visible {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            rows,
            "| {} | {} | {} |",
            flag(argument),
            default(argument),
            cell(&help)
        );
    }
    if !rows.is_empty() {
        let _ = write!(page, "| | default | |\n| --- | --- | --- |\n{rows}");
    }
}

fn flag(argument: &Arg) -> String {
    let Some(long) = argument.get_long() else {
        return format!("`{}`", value(argument));
    };
    let short = argument
        .get_short()
        .map(|short| format!("`-{short}`, "))
        .unwrap_or_default();
    let takes = match argument.get_action().takes_values() {
        true if argument.is_require_equals_set() => format!("[={}]", value(argument)),
        true => format!(" {}", value(argument)),
        false => String::new(),
    };
    format!("{short}`--{long}{takes}`")
}

fn default(argument: &Arg) -> String {
    let defaults = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy());
    let defaults = defaults.collect::<Vec<_>>().join(",");
    match defaults.is_empty() || !argument.get_action().takes_values() {
        true => String::new(),
        false => format!("`{defaults}`"),
    }
}

/// A text in one cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    #[test]
    fn each_visible_command_has_its_arguments_and_examples() {
        let build = Command::new("build")
            .about("Builds it")
            .after_help("Examples:\n  tool build x")
            .arg(Arg::new("file").required(true).help("What to build"))
            .arg(
                Arg::new("level")
                    .long("level")
                    .short('l')
                    .default_value("2")
                    .help("a|b"),
            )
            .arg(Arg::new("secret").long("secret").hide(true))
            .arg(
                Arg::new("dry")
                    .long("dry")
                    .action(ArgAction::SetTrue)
                    .help("Nothing"),
            );
        let tool = Command::new("tool")
            .subcommand(build)
            .subcommand(Command::new("hidden").hide(true));
        let page = reference_page(tool);
        let behind = page.split_once("## tool build").unwrap().1;
        assert_eq!(
            behind,
            "\n\nBuilds it.\n\n```text\ntool build FILE\n```\n\n| | default | |\n| --- | --- | --- |\n\
             | `FILE` |  | What to build |\n| `-l`, `--level LEVEL` | `2` | a\\|b |\n| `--dry` |  | Nothing |\n\n\
             ```text\nExamples:\n  tool build x\n```\n"
        );
    }
}
