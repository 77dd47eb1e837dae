//! `RUN`.

use super::{Cx, Statement, command, mount};
use crate::ast::{Command, Flag, Heredoc, Run};
use crate::suggest::nearest;

pub(super) fn read<'a>(
    cx: &mut Cx<'a>,
    st: &Statement<'a>,
    heredocs: Vec<Heredoc<'a>>,
) -> Option<Run<'a>> {
    let mounts = st
        .flags
        .texts("mount")
        .filter_map(|flag| mount::read(cx, &flag))
        .collect();
    let network = one_of(cx, st, "network", &["default", "none", "host"]);
    let security = one_of(cx, st, "security", &["sandbox", "insecure"]);
    let devices = st.flags.texts("device").collect();
    let command = command::given(
        cx,
        st,
        "name a command, for example `RUN apt-get update`, or remove the line",
    )?;
    if matches!(&command, Command::Exec(args) if args.is_empty()) {
        cx.error(
            "missing-argument",
            st.args.span(),
            "RUN needs a command",
            "the array is empty",
        );
        return None;
    }
    Some(Run {
        mounts,
        network,
        security,
        devices,
        command,
        heredocs,
    })
}

/// A flag with a fixed set of values.
fn one_of<'a>(
    cx: &mut Cx<'a>,
    st: &Statement<'a>,
    name: &str,
    values: &[&str],
) -> Option<Flag<'a>> {
    let flag = st.flags.text(name)?;
    let value = flag.value.raw();
    if !values.contains(&value) {
        let known: Vec<_> = values.iter().map(|v| format!("`{v}`")).collect();
        let help = match nearest(value, values.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it can be {}", known.join(", ")),
        };
        cx.error(
            "bad-flag-value",
            flag.value.span(),
            format!("unknown value `{value}` of `--{name}`"),
            help,
        );
    }
    Some(flag)
}
