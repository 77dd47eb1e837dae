//! Mistakes on the command line: what clap says of them, and what it cannot know: which flags people
//! bring along from docker that kiln does not carry out.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

/// Flags of docker's `build`, `run`, `create`, `exec` and of the commands for images that kiln has
/// nothing for yet. A flag that would be taken and forgotten is worse than one that is refused.
const DOCKERS: &[&str] = &[
    "--add-host",
    "--all-platforms",
    "--allow",
    "--annotation",
    "--attest",
    "--blkio-weight",
    "--builder",
    "--cache-from",
    "--cache-to",
    "--cap-add",
    "--cap-drop",
    "--cgroup-parent",
    "--cgroupns",
    "--cpu-shares",
    "--cpus",
    "--cpuset-cpus",
    "--device",
    "--dns",
    "--dns-option",
    "--dns-search",
    "--expose",
    "--force-rm",
    "--gpus",
    "--group-add",
    "--health-cmd",
    "--health-interval",
    "--ipc",
    "--isolation",
    "--link",
    "--log-driver",
    "--log-opt",
    "--memory",
    "--memory-swap",
    "--network-alias",
    "--no-healthcheck",
    "--oom-score-adj",
    "--pid",
    "--pids-limit",
    "--platform",
    "--privileged",
    "--provenance",
    "--runtime",
    "--sbom",
    "--secret",
    "--security-opt",
    "--shm-size",
    "--ssh",
    "--sysctl",
    "--ulimit",
    "--userns",
    "--uts",
    "--volume-driver",
    "--volumes-from",
];

/// Commands of docker that kiln has not, each with what there is instead.
const COMMANDS: &[(&str, &str)] = &[
    (
        "bake",
        "write the builds one after another: `kiln build -t NAME FOLDER`",
    ),
    ("compose", "start containers one by one with `kiln run -d`"),
    (
        "events",
        "`kiln ps -a` and `kiln logs` tell what became of containers",
    ),
    (
        "info",
        "`kiln doctor` tells what this machine offers, `kiln system df` what is kept",
    ),
    (
        "manifest",
        "`kiln build --platform A,B` makes an index of several images, `kiln push` takes it along",
    ),
    (
        "network",
        "a container has this machine's network, with `-p` one of its own, or `--network none`",
    ),
    (
        "pause",
        "`kiln kill --signal STOP` holds a container's own process, `--signal CONT` lets it go on",
    ),
    ("search", "look at the registry's own page"),
    ("stats", "`kiln top` lists what runs in a container"),
    (
        "unpause",
        "`kiln kill --signal CONT` lets a container's own process go on",
    ),
    ("update", "give the limits to `kiln run` anew"),
    ("version", "`kiln --version`"),
];

/// What is said of a command that docker has and kiln has not.
fn docker_command(e: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(word)) = e.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let (name, instead) = COMMANDS.iter().find(|(name, _)| name == word)?;
    Some(format!(
        "error: kiln has no command `{name}`\n  hint: {instead}"
    ))
}

/// What is said where `build` is given a second context.
fn one_too_many(e: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(word)) = e.get(ContextKind::InvalidArg) else {
        return None;
    };
    let usage = e.get(ContextKind::Usage)?.to_string();
    let is_build = usage.contains(" build ") && !word.starts_with('-');
    (is_build && e.kind() == clap::error::ErrorKind::UnknownArgument).then(|| {
        format!(
            "error: \"kiln build\" requires exactly 1 argument, and `{word}` is another one\n  \
             hint: the one argument is the folder that COPY and ADD take files from; a value stands behind \
             its flag, and in quotes where it has blanks: `--build-arg \"KEY=two words\"`"
        )
    })
}

/// Says it, and gives the exit code: help and version are results, the rest is a mistake.
pub(crate) fn report(mut e: clap::Error) -> ExitCode {
    // It would have the flag taken for the image's command, which nobody means.
    e.remove(ContextKind::Suggested);
    if let Some(ContextValue::String(flag)) = e.get(ContextKind::InvalidArg) {
        let name = flag.split('=').next().unwrap_or_default();
        if e.kind() == clap::error::ErrorKind::UnknownArgument && DOCKERS.contains(&name) {
            crate::host::say(&format!("error: kiln does not carry out `{name}` here yet"));
            return ExitCode::from(125);
        }
    }
    if let Some(text) = one_too_many(&e).or_else(|| docker_command(&e)) {
        crate::host::say(&text);
        return ExitCode::from(125);
    }
    // Printing fails only when the reader is gone.
    let _ = e.print();
    match e.use_stderr() {
        true => ExitCode::from(125),
        false => ExitCode::SUCCESS,
    }
}
