// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab completions`.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use identity_ui::output::print;
use identity_ui::{Exit, Result};

use crate::args::{Cli, ExportFormat};

/// For bash, which gets no values of what stands alone from clap.
const BASH_VALUES: &str = r#"
_identity_lab_values() {
    _identity-lab "$@"
    local current=${COMP_WORDS[COMP_CWORD]} values=
    case $COMP_CWORD:${COMP_WORDS[1]-} in
        2:export) values="@exports@" ;;
        2:completions) values="@shells@" ;;
        2:root) values="build" ;;
        *) return ;;
    esac
    if [[ $current != -* ]]; then mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current"); fi
}
complete -F _identity_lab_values -o nosort -o bashdefault -o default identity-lab
"#;

fn names<T: ValueEnum>() -> String {
    let names =
        T::value_variants().iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()));
    names.collect::<Vec<_>>().join(" ")
}

/// Prints the script.
///
/// # Errors
/// Exit 7 if it cannot be printed.
pub fn run(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "identity-lab", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash {
        script += &BASH_VALUES
            .replace("@exports@", &names::<ExportFormat>())
            .replace("@shells@", &names::<Shell>());
    }
    print(&script).map(|()| Exit::Done)
}
