//! Completion of command lines in shells.

use std::io;

use clap::{Args, Command};
use clap_complete::Shell;

/// The arguments of `completion`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Completion {
    /// The shell
    shell: Shell,
}

/// Prints the script that makes a shell complete a command.
pub fn print_completion(arguments: Completion, mut command: Command) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    crate::print(&String::from_utf8_lossy(&script))
}

/// How the scripts are used, for the help of `completion`.
pub fn completion_examples(name: &str) -> String {
    format!(
        "Examples:\n  \
         source <({name} completion bash)                                      # this session\n  \
         {name} completion bash > /etc/bash_completion.d/{name}\n  \
         {name} completion zsh > \"${{fpath[1]}}/_{name}\"\n  \
         {name} completion fish > ~/.config/fish/completions/{name}.fish\n  \
         {name} completion powershell | Out-String | Invoke-Expression"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_with_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let mut command = Command::new("tool").subcommand(Command::new("build").about("builds it"));
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "tool", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(
                script.contains("tool") && script.contains("build"),
                "{shell}: {script}"
            );
        }
    }
}
