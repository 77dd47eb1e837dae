//! RUN, and WORKDIR and USER, which say where and as whom.

use kiln_graph::{Device, Folder, Mount, MountKind, Network, Op, Run, Security};
use kiln_parser::{
    Diagnostic,
    ast::{self, Flag, Script},
};

use super::{Effect, Lowerer, Place, State, inline, meta::shell_of, mounts::Mounts};
use crate::{error, path, suggest::nearest};

/// Arguments that every process is given and no key knows.
pub(super) const PROXIES: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// The build argument that names the machine which a RUN sees.
pub(super) const HOST_NAME: &str = "BUILDKIT_SANDBOX_HOSTNAME";

/// Where programs in heredocs are put.
const PROGRAMS: &str = "/dev/pipes";

/// The variable that says where an agent's socket is.
const AGENT: &str = "SSH_AUTH_SOCK";

impl Lowerer<'_, '_> {
    pub(super) fn run(
        &mut self,
        run: &ast::Run<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let mut mounts = self.mounts(run, state, place)?;
        let argv = self.argv(run, state, place, &mut mounts)?;
        let runtime = &state.image.config;
        let arguments = state.args.in_history(runtime);
        let created_by = format!("RUN {arguments}{} # buildkit", argv.join(" "));
        let mut env = state.args.environment(runtime);
        if let Some(agent) = mounts.agent()
            && !env.iter().any(|(name, _)| name == AGENT)
        {
            env.push((AGENT.to_owned(), agent.to_owned()));
        }
        let op = Run {
            argv,
            env,
            cwd: state.cwd(),
            user: runtime.user.clone(),
            network: self.network(run.network.as_ref())?,
            hostname: self.argument(HOST_NAME),
            hidden_env: self.proxies(state),
            mounts: mounts.all,
            security: security(run.security.as_ref())?,
            devices: devices(state, &run.devices)?,
            platform: Some(self.survey.platform_of(place.stage))
                .filter(|platform| **platform != self.options.build_platform)
                .cloned(),
        };
        state.node = self.node(Op::Run(op), &mounts.inputs, place);
        Effect::layer(created_by)
    }

    /// What is executed. A program in a heredoc is mounted.
    fn argv(
        &mut self,
        run: &ast::Run<'_>,
        state: &State,
        place: &Place,
        mounts: &mut Mounts,
    ) -> Result<Vec<String>, Diagnostic> {
        let shell = |text: String| [shell_of(state), vec![text]].concat();
        let argv = match run.script() {
            Script::Exec(argv) => argv,
            Script::Shell(text) => shell(text.into_owned()),
            Script::File { content, .. } => {
                let doc = &run.heredocs[0];
                let inline = Op::Inline(inline::program(doc, &content)?);
                let node = self.graph.add(inline, &[], Some(place.origin.clone()));
                let kind = MountKind::Bind {
                    input: mounts.input(node),
                    source: ".".to_owned(),
                    writable: false,
                };
                let target = PROGRAMS.to_owned();
                mounts.all.push(Mount { target, kind });
                shell(format!("{PROGRAMS}/{}", doc.name))
            }
        };
        if argv.first().is_none_or(String::is_empty) {
            let (start, end) = place.origin.span;
            let span = kiln_parser::Span::new(start, end);
            let message = "RUN has no command";
            let help = "for example `RUN make`";
            return Err(error::error("no-command", span, message, help));
        }
        Ok(argv)
    }

    /// What the builder itself is told by a build argument: nothing where it is empty.
    pub(super) fn argument(&self, name: &str) -> Option<String> {
        let given = self.options.build_args.get(name);
        given.filter(|value| !value.is_empty()).cloned()
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

fn security(flag: Option<&Flag<'_>>) -> Result<Security, Diagnostic> {
    let Some(flag) = flag else {
        return Ok(Security::Sandbox);
    };
    match flag.value.raw() {
        "sandbox" => Ok(Security::Sandbox),
        "insecure" => Ok(Security::Insecure),
        other => {
            let message = format!("unknown security mode `{other}`");
            let help = "it can be `sandbox` or `insecure`";
            Err(error::error("bad-security", flag.span, message, help))
        }
    }
}

/// `vendor.com/class=name,required`, or the same with `name=` before it.
fn devices(state: &State, flags: &[Flag<'_>]) -> Result<Vec<Device>, Diagnostic> {
    let mut devices = Vec::new();
    for flag in flags {
        let mut device = Device::default();
        let text = state.expand(&flag.value)?;
        for field in text.split(',') {
            match field.split_once('=') {
                Some(("name", name)) => device.name = name.to_owned(),
                Some(("required", value)) => device.required = value != "false",
                None if field == "required" => device.required = true,
                _ if device.name.is_empty() => device.name = field.to_owned(),
                _ => {
                    let message = format!("unknown option `{field}` of `--device`");
                    let help = "it takes a name, and `required`";
                    return Err(error::error("bad-device", flag.span, message, help));
                }
            }
        }
        if device.name.is_empty() {
            let help = "for example `--device=vendor.com/class=name`";
            return Err(error::error(
                "bad-device",
                flag.span,
                "a device needs a name",
                help,
            ));
        }
        devices.push(device);
    }
    Ok(devices)
}
