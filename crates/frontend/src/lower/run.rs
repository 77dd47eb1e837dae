//! RUN, and WORKDIR and USER, which say where and as whom.

use kiln_graph::{Folder, Network, Op, Run};
use kiln_parser::{
    Diagnostic,
    ast::{self, Flag, Script},
};

use super::{Effect, Lowerer, Place, State, meta::shell_of};
use crate::{error, path, suggest::nearest};

/// Arguments that every process is given and no key knows.
pub(super) const PROXIES: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

impl Lowerer<'_, '_> {
    pub(super) fn run(
        &mut self,
        run: &ast::Run<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        refuse(run)?;
        let argv = match run.script() {
            Script::Exec(argv) => argv,
            Script::Shell(text) => [shell_of(state), vec![text.into_owned()]].concat(),
            Script::File { .. } => return Err(heredoc(run)),
        };
        if argv.first().is_none_or(String::is_empty) {
            let (start, end) = place.origin.span;
            let span = kiln_parser::Span::new(start, end);
            let message = "RUN has no command";
            return Err(error::error(
                "no-command",
                span,
                message,
                "for example `RUN make`",
            ));
        }
        let runtime = &state.image.config;
        let arguments = state.args.in_history(runtime);
        let created_by = format!("RUN {arguments}{} # buildkit", argv.join(" "));
        let op = Run {
            argv,
            env: state.args.environment(runtime),
            cwd: state.cwd(),
            user: runtime.user.clone(),
            network: self.network(run.network.as_ref())?,
            hidden_env: self.proxies(state),
            ..Run::default()
        };
        state.node = self.node(Op::Run(op), &[state.node], place);
        Effect::layer(created_by)
    }

    fn network(&self, flag: Option<&Flag<'_>>) -> Result<Network, Diagnostic> {
        let Some(flag) = flag else {
            return Ok(self.options.network);
        };
        match flag.value.raw() {
            "default" => Ok(self.options.network),
            "none" => Ok(Network::None),
            "host" => Ok(Network::Host),
            other => {
                let known = ["default", "none", "host"];
                let help = match nearest(other, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "it can be `default`, `none` or `host`".to_owned(),
                };
                let message = format!("unknown network `{other}`");
                Err(error::error("bad-network", flag.span, message, help))
            }
        }
    }

    /// Proxies that were given and that nobody declared, in both spellings.
    fn proxies(&self, state: &State) -> Vec<(String, String)> {
        let given = &self.options.build_args;
        let mut hidden = Vec::new();
        for upper in PROXIES {
            let lower = upper.to_lowercase();
            let (a, b) = (given.get(upper), given.get(&lower));
            for (name, value) in [(upper, a.or(b)), (lower.as_str(), b.or(a))] {
                let known = state.args.look_up(&state.image.config, name).is_some();
                if let (Some(value), false) = (value, known) {
                    hidden.push((name.to_owned(), value.clone()));
                }
            }
        }
        hidden
    }

    pub(super) fn workdir(
        &mut self,
        workdir: &ast::Workdir<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let text = state.expand(&workdir.path)?;
        let path = path::join(&state.cwd(), &text);
        // Told as it was written, where that says it all.
        let shown = if text.starts_with('/') { &text } else { &path };
        state.image.config.working_dir.clone_from(shown);
        let created_by = format!("WORKDIR {shown}");
        if path == "/" {
            return Effect::config(created_by);
        }
        let user = state.image.config.user.clone();
        let op = Op::Folder(Folder { path, user });
        state.node = self.node(op, &[state.node], place);
        Effect::layer(created_by)
    }

    pub(super) fn user(
        &mut self,
        user: &ast::User<'_>,
        state: &mut State,
    ) -> Result<Effect, Diagnostic> {
        let name = state.expand(&user.user)?;
        if name.is_empty() {
            let message = format!("`{}` is empty: the user is root", user.user.raw());
            let warning = Diagnostic::warning("empty-user", user.user.span(), message);
            self.warnings.push(warning);
        }
        state.image.config.user.clone_from(&name);
        Effect::config(format!("USER {name}"))
    }
}

fn refuse(run: &ast::Run<'_>) -> Result<(), Diagnostic> {
    if let Some(mount) = run.mounts.first() {
        let help = "copy what it needs with COPY";
        return Err(error::not_yet(mount.span, "RUN --mount", help));
    }
    if let Some(flag) = &run.security
        && flag.value.raw() != "sandbox"
    {
        let what = format!("RUN --security={}", flag.value.raw());
        return Err(error::not_yet(flag.span, &what, ""));
    }
    if let Some(flag) = run.devices.first() {
        return Err(error::not_yet(flag.span, "RUN --device", ""));
    }
    match run.heredocs.is_empty() {
        true => Ok(()),
        false => Err(heredoc(run)),
    }
}

fn heredoc(run: &ast::Run<'_>) -> Diagnostic {
    let span = run.heredocs.first().map(|doc| doc.span).unwrap_or_default();
    let help = "join the lines with `&& \\`, or COPY a script and run it";
    error::not_yet(span, "RUN with a heredoc", help)
}
