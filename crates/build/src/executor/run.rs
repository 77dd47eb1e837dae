//! RUN: a step for the worker.

use kiln_graph::{self as graph, Cancel, MountKind, NodeId, Select};
use kiln_image::{Digest, Platform};

use crate::{
    Bounds, Error, Network, Place, Step, StepIo,
    context::selection,
    executor::{Carrier, output::Output},
};

impl Carrier<'_> {
    pub(super) fn run(
        &self,
        (id, place): (NodeId, Option<Place>),
        op: &graph::Run,
        (beneath, shown): (&Output, &[Output]),
        cancel: &Cancel,
    ) -> Result<Output, Error> {
        let slots = beneath.slots();
        let inputs = shown.iter().map(|input| self.mountable(input));
        let step = Step {
            id: self.tracker.container(id),
            layers: slots.layers(),
            mounts: op.mounts.clone(),
            inputs: inputs.collect::<Result<_, Error>>()?,
            argv: op.argv.clone(),
            env: op.env.iter().chain(&op.hidden_env).cloned().collect(),
            cwd: op.cwd.clone(),
            user: op.user.clone(),
            network: match op.network {
                graph::Network::None => Network::None,
                graph::Network::Host => Network::Host,
                _ => Network::Default,
            },
            bounds: Bounds {
                hosts: self.request.run.hosts.clone(),
                hostname: op.hostname.clone(),
                limits: self.request.run.limits.clone(),
                insecure: op.security == graph::Security::Insecure,
                devices: op.devices.clone(),
            },
            platform: op.platform.clone().unwrap_or_else(Platform::host),
            epoch: self.epoch,
        };
        let output = |stream, bytes: &[u8]| self.tracker.output(id, stream, bytes);
        let io = StepIo {
            output: &output,
            cancel,
            run: &self.request.run,
        };
        let layer = self.worker.run(&step, &io)?;
        if let Some(repeated) = &layer.repeated {
            self.tracker.repeated(id, place, repeated);
        }
        self.keep(layer.diff_id.as_slice())?;
        Ok(self.on_top(&slots, layer.diff_id))
    }

    /// What the mounts of a RUN see of its input number `index`: of what is mounted the content, and
    /// of what a cache mount begins with.
    pub(super) fn seen_by_run(
        &self,
        op: &graph::Run,
        index: usize,
        shown: &Output,
    ) -> Result<Option<Digest>, Error> {
        let source = |mount: &graph::Mount| match &mount.kind {
            MountKind::Bind { input, source, .. } if *input == index => Some(source.clone()),
            MountKind::Cache(cache) if cache.input == Some(index) => Some(cache.source.clone()),
            _ => None,
        };
        let select = Select {
            patterns: op.mounts.iter().filter_map(source).collect(),
            ..Select::default()
        };
        let (root, owners) = match shown {
            Output::Root(slots) => (self.root(&slots.layers())?, true),
            Output::Files(files) => (files.root(), files.owners),
        };
        selection::digest(&root, &select, owners)
    }
}
