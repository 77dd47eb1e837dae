//! Switches as docker's users write them: `--pull=true`, `--rm=false`, one that is said twice. Refuses
//! values that are neither; leaves commands alone whose words are partly those of another program.

use std::ffi::OsString;

use clap::{ArgAction, Command};

/// The words of the command line with `--switch=true` as `--switch`, and without the switches that the
/// last word on them takes back.
pub(super) fn plain(root: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let mut command = root;
    let mut kept: Vec<OsString> = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    kept.extend(words.next());
    for word in words.by_ref() {
        let inner = word.to_str().and_then(|name| command.find_subcommand(name));
        match inner {
            Some(inner) => {
                command = inner;
                kept.push(word);
            }
            None => {
                kept.push(word);
                break;
            }
        }
        if command.get_name() == "build" {
            break;
        }
    }
    if command.get_name() != "build" {
        kept.extend(words);
        return kept;
    }
    let begin = kept.len();
    for word in words.by_ref() {
        if word == "--" {
            kept.push(word);
            break;
        }
        let Some((switch, on)) = word.to_str().and_then(|text| switch(command, text)) else {
            kept.push(word);
            continue;
        };
        // The last one counts.
        let before = kept.split_off(begin);
        let others = before.into_iter().filter(|word| *word != *switch);
        kept.extend(others);
        if on {
            kept.push(switch.into());
        }
    }
    kept.extend(words);
    kept
}

/// The name of the switch in `--switch`, `--switch=BOOL` or `-s=BOOL`, and what it says.
fn switch(command: &Command, text: &str) -> Option<(String, bool)> {
    let (name, on) = match text.split_once('=') {
        Some((name, value)) => (name, boolean(value)?),
        None => (text, true),
    };
    let is = |arg: &&clap::Arg| {
        let long = arg.get_long().zip(name.strip_prefix("--"));
        let short = name.strip_prefix('-').filter(|_| text != name);
        long.is_some_and(|(one, other)| one == other)
            || short.is_some_and(|short| arg.get_short().is_some_and(|s| short == s.to_string()))
    };
    let arg = command.get_arguments().find(is)?;
    // One whose value may be left out is a switch that can say more.
    let switches = matches!(arg.get_action(), ArgAction::SetTrue) || optional(arg);
    let long = arg.get_long().filter(|_| switches)?;
    Some((format!("--{long}"), on))
}

/// Whether the flag may stand without its value.
fn optional(arg: &clap::Arg) -> bool {
    arg.get_num_args().is_some_and(|n| n.min_values() == 0)
}

/// Whether `text` says yes or no, as docker's programs, which are written in Go, read it.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn switches_with_values() {
        let root = crate::args::Args::command();
        #[rustfmt::skip]
        let rows = [
            ("kiln build --pull=true .", "kiln build --pull ."),
            ("kiln build --pull --pull .", "kiln build --pull ."),
            ("kiln build --pull --no-cache --pull=false .", "kiln build --no-cache ."),
            ("kiln build --pull=no .", "kiln build --pull=no ."),
            ("kiln image build --push=1 .", "kiln image build --push ."),
            ("kiln buildx build --push=t .", "kiln buildx build --push ."),
            // A value stays one, and so does what stands behind `--`.
            ("kiln build -t a -t a .", "kiln build -t a -t a ."),
            ("kiln build --load=docker .", "kiln build --load=docker ."),
            ("kiln build --load=true .", "kiln build --load ."),
            ("kiln build --load=false .", "kiln build ."),
            ("kiln build -q=false -D=true .", "kiln build --debug ."),
            ("kiln build -qt a .", "kiln build -qt a ."),
            ("kiln build --provenance=false .", "kiln build --provenance=false ."),
            ("kiln build -- --pull=true", "kiln build -- --pull=true"),
            ("kiln run --rm a build --pull=true", "kiln run --rm a build --pull=true"),
            ("kiln run build --pull=true", "kiln run build --pull=true"),
            ("kiln", "kiln"),
        ];
        for (given, expected) in rows {
            let words = given.split(' ').map(OsString::from).collect();
            let plain: Vec<_> = plain(&root, words)
                .into_iter()
                .map(|w| w.into_string().unwrap())
                .collect();
            assert_eq!(plain.join(" "), expected, "{given}");
        }
    }
}
