//! RUN: a step for the worker.

use kiln_graph::{self as graph, Cancel, NodeId};

use crate::{Bounds, Error, Network, Place, Step, StepIo, executor::Carrier, output::Output};

impl Carrier<'_> {
    pub(super) fn run(
        &self,
        (id, place): (NodeId, Option<Place>),
        op: &graph::Run,
        beneath: &Output,
        cancel: &Cancel,
    ) -> Result<Output, Error> {
        let slots = beneath.slots();
        let step = Step {
            id: self.tracker.container(id),
            layers: slots.layers(),
            argv: op.argv.clone(),
            env: op.env.iter().chain(&op.hidden_env).cloned().collect(),
            cwd: op.cwd.clone(),
            user: op.user.clone(),
            network: match op.network {
                graph::Network::None => Network::None,
                graph::Network::Host => Network::Host,
                _ => Network::Default,
            },
            hostname: op.hostname.clone(),
            bounds: Bounds {
                hosts: self.request.run.hosts.clone(),
                limits: self.request.run.limits.clone(),
                insecure: op.security == graph::Security::Insecure,
                devices: op.devices.clone(),
            },
            platform: op.platform.clone().unwrap_or(self.request.platform.clone()),
            epoch: self.epoch,
        };
        let output = |stream, bytes: &[u8]| self.tracker.output(id, stream, bytes);
        let io = StepIo {
            output: &output,
            cancel,
        };
        let layer = self.worker.run(&step, &io)?;
        if let Some(repeated) = &layer.repeated {
            self.tracker.repeated(id, place, repeated);
        }
        self.keep(layer.diff_id.as_slice())?;
        Ok(self.on_top(&slots, layer.diff_id))
    }
}
