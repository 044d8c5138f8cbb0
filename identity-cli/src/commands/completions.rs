// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use identity_ui::output::print;
use identity_ui::{Exit, Result};

/// For bash: where a TARGET or IMAGE can stand, whole block devices and files rather than the options, which appear behind
/// a hyphen. Other shells offer files there, those of /dev too.
const BASH_TARGETS: &str = r#"
_identity_targets() {
    _identity "$@"
    local current=${COMP_WORDS[COMP_CWORD]}
    case $COMP_CWORD:${COMP_WORDS[1]-} in
        2:completions) mapfile -t COMPREPLY < <(compgen -W "bash elvish fish powershell zsh" -- "$current") && return ;;
        2:man) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
        *:lab) mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    esac
    if [[ $current != -* && ${COMPREPLY[0]-} == -* || ${#COMPREPLY[@]} -eq 0 ]]; then
        mapfile -t COMPREPLY < <(
            compgen -W "$(lsblk --nodeps --noheadings --paths --output NAME 2>/dev/null)" -- "$current"
            compgen -f -- "$current"
        )
        compopt -o filenames 2>/dev/null
    fi
}
complete -F _identity_targets -o nosort -o bashdefault -o default identity
"#;

pub fn run(shell: Shell) -> Result<Exit> {
    print(&script(shell))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "identity", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash {
        script.push_str(BASH_TARGETS);
    }
    script
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use clap::ValueEnum;

    use super::*;

    /// What bash offers behind these words, in a directory with one image, on a machine with two disks.
    fn offered(words: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("debian image.img"), "").unwrap();
        let lsblk = dir.path().join("bin/lsblk");
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(&lsblk, "#!/bin/sh\necho /dev/sdx\necho /dev/mmcblk9\n").unwrap();
        fs::set_permissions(&lsblk, fs::Permissions::from_mode(0o755)).unwrap();
        let (current, previous) = (words.last().unwrap(), words[words.len() - 2]);
        let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let program = format!(
            "PATH=$PWD/bin:$PATH\n{}\nCOMP_WORDS=({}) COMP_CWORD={}\n_identity_targets identity '{current}' '{previous}'\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script(Shell::Bash),
            quoted.join(" "),
            words.len() - 1
        );
        let output = Command::new("bash").args(["-c", &program]).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_offers_verbs_devices_images_and_fields() {
        assert_eq!(offered(&["identity", "st"]), ["stamp"]);
        for words in [&["identity", "flash", ""], &["identity", "stamp", ""], &["identity", "read", ""]] {
            let offered = offered(words);
            for wanted in ["/dev/sdx", "/dev/mmcblk9", "debian image.img"] {
                assert!(offered.iter().any(|one| one == wanted), "{words:?}: {offered:?}");
            }
        }
        assert_eq!(offered(&["identity", "verify", "/dev/s"])[0], "/dev/sdx");
        let shells: Vec<_> = Shell::value_variants().iter().map(ToString::to_string).collect();
        assert_eq!(offered(&["identity", "completions", ""]), shells);
        assert_eq!(offered(&["identity", "read", "--field", "prof"]), ["profile"]);
        assert!(offered(&["identity", "stamp", "--pro"]).contains(&"--profile".to_owned()));
    }
}
