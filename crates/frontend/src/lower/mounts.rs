//! The mounts of a RUN: defaults filled in, places made absolute. Refuses to know whether there is a
//! secret or an agent: that is found out when the process starts.

use kiln_graph::{
    CacheMount, Mount, MountKind, NodeId, SecretFile, SecretMount, Select, Sharing, SshMount,
};
use kiln_parser::{
    Diagnostic,
    ast::{self, MountSpec},
};

use super::{Lowerer, Place, State, copy::literal};
use crate::{error, path};

/// Where secrets are put that do not say.
const SECRETS: &str = "/run/secrets";

/// The build argument that stands before the ids of cache mounts.
pub(super) const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// The mounts of a RUN.
pub(super) struct Mounts {
    pub(super) all: Vec<Mount>,
    /// The root, then what the mounts show.
    pub(super) inputs: Vec<NodeId>,
}

impl Mounts {
    pub(super) fn onto(root: NodeId) -> Self {
        Self {
            all: Vec::new(),
            inputs: vec![root],
        }
    }

    /// The number of an input.
    pub(super) fn input(&mut self, node: NodeId) -> usize {
        let known = self.inputs.iter().skip(1).position(|i| *i == node);
        known.map_or_else(
            || {
                self.inputs.push(node);
                self.inputs.len() - 1
            },
            |at| at + 1,
        )
    }

    /// Where the process finds its agent.
    pub(super) fn agent(&self) -> Option<&str> {
        let ssh = |mount: &&Mount| matches!(mount.kind, MountKind::Ssh(_));
        self.all.iter().find(ssh).map(|mount| mount.target.as_str())
    }
}

impl Lowerer<'_, '_> {
    pub(super) fn mounts(
        &mut self,
        run: &ast::Run<'_>,
        state: &State,
        place: &Place,
    ) -> Result<Mounts, Diagnostic> {
        let mut mounts = Mounts::onto(state.node);
        for mount in &run.mounts {
            let look_up = |name: &str| Some(state.args.look_up(&state.image.config, name)?.into());
            let spec = mount.resolve(&look_up)?;
            let one = match spec.kind {
                ast::MountKind::Secret => secret(&spec, state),
                ast::MountKind::Ssh => ssh(&spec, state, &mounts),
                _ => self.shows(mount, spec, state, place, &mut mounts)?,
            };
            if one.target == "/" {
                return Err(whole_root(mount, false));
            }
            mounts.all.push(one);
        }
        Ok(mounts)
    }

    /// A mount that shows files, or room for them.
    fn shows(
        &mut self,
        mount: &ast::Mount<'_>,
        spec: MountSpec,
        state: &State,
        place: &Place,
        mounts: &mut Mounts,
    ) -> Result<Mount, Diagnostic> {
        let written = spec.target.clone().unwrap_or_default();
        let target = path::join(&state.cwd(), &written);
        if target == "/" {
            return Err(whole_root(mount, written.is_empty()));
        }
        let source = path::within(spec.source.as_deref().unwrap_or_default());
        let kind = match spec.kind {
            ast::MountKind::Tmpfs => MountKind::Tmpfs { size: spec.size },
            ast::MountKind::Cache => {
                let input = match mount.from() {
                    None => None,
                    Some(_) => Some(mounts.input(self.shown(mount, &source, place)?)),
                };
                MountKind::Cache(self.cache(spec, &written, input, source))
            }
            _ => MountKind::Bind {
                input: mounts.input(self.shown(mount, &source, place)?),
                source,
                writable: !spec.read_only,
            },
        };
        Ok(Mount { target, kind })
    }

    /// The node whose files a mount shows.
    fn shown(
        &mut self,
        mount: &ast::Mount<'_>,
        source: &str,
        place: &Place,
    ) -> Result<NodeId, Diagnostic> {
        let select = Select {
            patterns: vec![literal(source)],
            ..Select::default()
        };
        match mount.from() {
            None => Ok(self.context(select, place)),
            Some(word) => self.source(word.raw(), word.span(), select, place),
        }
    }

    fn cache(
        &self,
        spec: MountSpec,
        written: &str,
        input: Option<usize>,
        source: String,
    ) -> CacheMount {
        let id = spec.id.unwrap_or_else(|| path::clean_as_is(written));
        CacheMount {
            id: match self.argument(CACHE_NAMESPACE) {
                Some(namespace) => format!("{namespace}/{id}"),
                None => id,
            },
            sharing: match spec.sharing.unwrap_or_default() {
                ast::Sharing::Shared => Sharing::Shared,
                ast::Sharing::Private => Sharing::Private,
                ast::Sharing::Locked => Sharing::Locked,
            },
            input,
            source,
            mode: spec.access.mode.unwrap_or(0o755),
            uid: spec.access.uid.unwrap_or_default(),
            gid: spec.access.gid.unwrap_or_default(),
            read_only: spec.read_only,
        }
    }
}

fn whole_root(mount: &ast::Mount<'_>, unsaid: bool) -> Diagnostic {
    let help = match unsaid {
        true => "say where: `target=/folder`",
        false => "mount it in a folder: `target=/folder`",
    };
    let message = "a mount cannot stand in for the whole root";
    error::error("bad-mount", mount.span, message, help)
}

fn secret(spec: &MountSpec, state: &State) -> Mount {
    let base = |path: &str| {
        path.trim_end_matches('/')
            .rsplit('/')
            .next()
            .map(str::to_owned)
    };
    let named = spec.source.clone().or_else(|| spec.id.clone());
    let id = named.or_else(|| base(spec.target.as_deref()?));
    let id = id.unwrap_or_default();
    let target = match (&spec.target, &spec.env) {
        (Some(target), _) => path::join(&state.cwd(), target),
        (None, Some(_)) => String::new(),
        (None, None) => path::join(SECRETS, &base(&id).unwrap_or_default()),
    };
    let file = SecretFile {
        mode: spec.access.mode.unwrap_or(0o400),
        uid: spec.access.uid.unwrap_or_default(),
        gid: spec.access.gid.unwrap_or_default(),
    };
    let kind = MountKind::Secret(SecretMount {
        id,
        file: (!target.is_empty()).then_some(file),
        env: spec.env.clone(),
        required: spec.required,
    });
    Mount { target, kind }
}

fn ssh(spec: &MountSpec, state: &State, before: &Mounts) -> Mount {
    let ssh = |mount: &&Mount| matches!(mount.kind, MountKind::Ssh(_));
    let target = match &spec.target {
        Some(target) => path::join(&state.cwd(), target),
        None => {
            let number = before.all.iter().filter(ssh).count();
            format!("/run/buildkit/ssh_agent.{number}")
        }
    };
    let kind = MountKind::Ssh(SshMount {
        id: spec.id.clone().unwrap_or_else(|| "default".to_owned()),
        mode: spec.access.mode.unwrap_or(0o600),
        uid: spec.access.uid.unwrap_or_default(),
        gid: spec.access.gid.unwrap_or_default(),
        required: spec.required,
    });
    Mount { target, kind }
}
