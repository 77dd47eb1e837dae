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
    if let Some(text) = one_too_many(&e) {
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
