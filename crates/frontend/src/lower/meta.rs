//! The instructions that say how a container of the image is run.

use std::time::Duration;

use kiln_image::{Empty, Healthcheck};
use kiln_parser::{
    Command, Diagnostic,
    ast::{self, Port},
};

use super::{Effect, State};
use crate::{
    error,
    history::{self, quoted_list},
};

/// The shell of the shell forms.
pub(super) fn shell_of(state: &State) -> Vec<String> {
    let shell = state.image.config.shell.clone();
    shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()])
}

pub(super) fn cmd(command: &Command<'_>, state: &mut State) -> Result<Effect, Diagnostic> {
    let argv = command.argv(&shell_of(state));
    let created_by = format!("CMD {}", quoted_list(&argv));
    state.image.config.cmd = Some(argv).filter(|argv| !argv.is_empty());
    state.image.config.args_escaped = true;
    state.has_cmd = true;
    Effect::config(created_by)
}

/// What the base wanted to run is not for this program.
pub(super) fn entrypoint(command: &Command<'_>, state: &mut State) -> Result<Effect, Diagnostic> {
    let argv = command.argv(&shell_of(state));
    let created_by = format!("ENTRYPOINT {}", quoted_list(&argv));
    state.image.config.entrypoint = Some(argv).filter(|argv| !argv.is_empty());
    if !state.has_cmd {
        state.image.config.cmd = None;
    }
    Effect::config(created_by)
}

pub(super) fn shell(shell: &ast::Shell, state: &mut State) -> Result<Effect, Diagnostic> {
    let argv: Vec<String> = shell.args.iter().map(|arg| arg.node.clone()).collect();
    let created_by = format!("SHELL [{}]", argv.join(" "));
    state.image.config.shell = Some(argv);
    Effect::config(created_by)
}

pub(super) fn expose(expose: &ast::Expose<'_>, state: &mut State) -> Result<Effect, Diagnostic> {
    let mut ports = Vec::new();
    // In the order of the words as written, which is that of the history.
    let mut words: Vec<_> = expose.ports.iter().collect();
    words.sort_by_key(|word| word.raw());
    for word in words {
        let words = word
            .expand_words(&|name| Some(state.args.look_up(&state.image.config, name)?.into()))
            .map_err(|e| error::expand(&e))?;
        for text in words {
            let found = Port::parse(&text).map_err(|e| {
                let text = e.to_string();
                let (message, help) = text.split_once('\n').unwrap_or((&text, ""));
                let help = Some(help.to_owned()).filter(|h| !h.is_empty());
                Diagnostic::error("bad-port", word.span(), message).with_help_if(help)
            })?;
            ports.extend(found);
        }
    }
    let listed: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let created_by = format!("EXPOSE [{}]", listed.join(" "));
    let exposed = listed.into_iter().map(|port| (port, Empty {}));
    state.image.config.exposed_ports.extend(exposed);
    Effect::config(created_by)
}

pub(super) fn volume(volume: &ast::Volume<'_>, state: &mut State) -> Result<Effect, Diagnostic> {
    let mut paths = Vec::new();
    for word in &volume.paths {
        let path = state.expand(word)?;
        if path.trim().is_empty() {
            let message = format!("volume `{}` is blank", word.raw());
            return Err(Diagnostic::error("blank-volume", word.span(), message));
        }
        paths.push(path);
    }
    let created_by = format!("VOLUME [{}]", paths.join(" "));
    let volumes = paths.into_iter().map(|path| (path, Empty {}));
    state.image.config.volumes.extend(volumes);
    Effect::config(created_by)
}

pub(super) fn stop_signal(
    signal: &ast::StopSignal<'_>,
    state: &mut State,
) -> Result<Effect, Diagnostic> {
    let name = state.expand(&signal.signal)?;
    if !is_signal(&name) {
        let message = format!("`{name}` is not a signal");
        let help = "for example `SIGTERM`, `TERM` or `15`";
        return Err(error::error(
            "bad-signal",
            signal.signal.span(),
            message,
            help,
        ));
    }
    let created_by = format!("STOPSIGNAL {name}");
    state.image.config.stop_signal = Some(name);
    Effect::config(created_by)
}

/// A signal of Linux, by number or name, with or without `SIG`.
fn is_signal(text: &str) -> bool {
    const NAMES: &str = "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR \
        QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ \
        RTMIN RTMAX";
    // Builders take any number but zero: what it means is for those who run the image.
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |prefix: &str, sign: char, most: u8| {
        let rest = name.strip_prefix(prefix)?.strip_prefix(sign)?;
        (1..=most).find(|n| n.to_string() == rest)
    };
    NAMES.split_whitespace().any(|n| n == name)
        || offset("RTMIN", '+', 15).is_some()
        || offset("RTMAX", '-', 14).is_some()
}

pub(super) fn healthcheck(
    check: &ast::Healthcheck<'_>,
    state: &mut State,
) -> Result<Effect, Diagnostic> {
    let check = match check {
        ast::Healthcheck::None => Healthcheck {
            test: vec!["NONE".to_owned()],
            ..Healthcheck::default()
        },
        ast::Healthcheck::Cmd { options, command } => {
            let nanos = |time: &Option<kiln_parser::Spanned<Duration>>| {
                let nanos = time.as_ref().map_or(0, |time| time.node.as_nanos());
                i64::try_from(nanos).unwrap_or(i64::MAX)
            };
            let test = match command {
                Command::Exec(_) => [vec!["CMD".to_owned()], command.argv(&[])].concat(),
                Command::Shell(text) => vec!["CMD-SHELL".to_owned(), text.raw().to_owned()],
            };
            Healthcheck {
                test,
                interval: nanos(&options.interval),
                timeout: nanos(&options.timeout),
                start_period: nanos(&options.start_period),
                start_interval: nanos(&options.start_interval),
                retries: options.retries.as_ref().map_or(0, |n| i64::from(n.node)),
            }
        }
    };
    let created_by = history::healthcheck(&check);
    state.image.config.healthcheck = Some(check);
    Effect::config(created_by)
}

pub(super) fn on_build(on: &ast::OnBuild<'_>, state: &mut State) -> Result<Effect, Diagnostic> {
    state.image.config.on_build.push(on.trigger.clone());
    Effect::unlisted()
}

pub(super) fn maintainer(
    maintainer: &ast::Maintainer<'_>,
    state: &mut State,
) -> Result<Effect, Diagnostic> {
    let name = maintainer.name.raw().to_owned();
    let created_by = format!("MAINTAINER {name}");
    state.image.author = Some(name);
    Effect::config(created_by)
}

#[cfg(test)]
mod tests {
    use super::is_signal;

    #[test]
    fn signals() {
        for text in [
            "9",
            "64",
            "65",
            "-1",
            "+9",
            "99999999999",
            "SIGTERM",
            "term",
            "SIGRTMIN+3",
            "RTMAX-1",
            "RTMAX-14",
            "RTMIN+15",
            "RTMIN",
            "CLD",
        ] {
            assert!(is_signal(text), "{text}");
        }
        for text in [
            "0",
            "",
            "SIG",
            "SIGTREM",
            "SIGSIGTERM",
            "RTMIN+16",
            "RTMAX-15",
            "RTMAX-0",
            "RTMIN+03",
        ] {
            assert!(!is_signal(text), "{text}");
        }
    }
}
