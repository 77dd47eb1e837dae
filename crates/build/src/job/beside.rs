//! A push beside the build: each layer that is going to be made gets a node that compresses it and, for
//! each repository, one that brings it there, so that both overlap the next steps. Refuses to touch
//! what the plan found: that is brought there in the end, if it is not there. Gives nothing a name.

use std::sync::{Mutex, PoisonError};

use kiln_graph::{Answer, Graph, NodeId, Op, Pack, Plan, Upload};
use kiln_image::{Descriptor, Digest, Reference};
use kiln_registry::Client;
use kiln_rootfs::Roots;

use crate::{
    Builder, Compression, Error, Export, Push, Request, Sent,
    executor::output::Output,
    export::PushedLayers,
    transfer::{form, upload},
};

/// The repositories that layers are brought to, and how they are compressed for each.
pub(crate) struct Beside {
    to: Vec<To>,
    pushed: Mutex<PushedLayers>,
}

struct To {
    repository: Reference,
    how: Push,
    client: Client,
}

impl Beside {
    /// What a request asks for; `None` where nothing is pushed, or not these layers.
    pub(crate) fn of(request: &Request, builder: &Builder) -> Option<Self> {
        let mut to: Vec<To> = Vec::new();
        for export in &request.outputs.exports {
            let Export::Image(image) = export else {
                continue;
            };
            let Some(push) = &image.push else { continue };
            // What goes out as it is in the store is streamed, and kept in no second form for it.
            let plain = image.form.packed.compression == Some(Compression::None);
            if plain && !image.form.packed.force {
                continue;
            }
            let client = builder.client_for(push.insecure);
            for name in request.tags.iter().chain(&image.names) {
                let same = |to: &To| {
                    to.repository.familiar_repository() == name.familiar_repository()
                        && to.how == image.form.packed
                };
                if !to.iter().any(same) {
                    to.push(To {
                        repository: name.clone(),
                        how: image.form.packed,
                        client: client.clone(),
                    });
                }
            }
        }
        (!to.is_empty() && !request.outputs.squash).then(|| Self {
            to,
            pushed: Mutex::default(),
        })
    }

    /// The graph of a plan with what brings the layers of `steps` to their repositories, of those that
    /// are not known before they are carried out; `None` where all are.
    pub(crate) fn extended(
        &self,
        plan: &Plan<Output>,
        steps: &[NodeId],
    ) -> Option<(Graph, Vec<NodeId>)> {
        if plan.is_full_hit() {
            return None;
        }
        let mut graph = plan.graph().extended();
        let mut uploads = Vec::new();
        for step in steps {
            if !matches!(plan.answer(*step), Answer::Runs | Answer::Depends) {
                continue;
            }
            for to in &self.to {
                let pack = Op::Pack(Pack {
                    layer: None,
                    compression: to.how.compression.unwrap_or_default(),
                    level: to.how.level,
                    exact: to.how.force,
                });
                let packed = graph.add(pack, &[*step], None);
                let to = to.repository.clone();
                uploads.push(graph.add(Op::Upload(Upload { to }), &[packed], None));
            }
        }
        (!uploads.is_empty()).then(|| (graph.finish(), uploads))
    }

    /// Brings a layer, which was compressed, to the repository of `to`.
    pub(crate) fn upload(
        &self,
        roots: &Roots,
        to: &Reference,
        layer: &Digest,
        on: &dyn Fn(&Descriptor, Sent),
    ) -> Result<(), Error> {
        for to in self.to.iter().filter(|one| one.repository == *to) {
            let blob = roots.compressed(layer, form(&to.how)?)?.descriptor;
            let remote = to.client.repository(&to.repository);
            let mut bytes = |bytes| on(&blob, Sent::Bytes(bytes));
            let how = upload(roots.store(), &remote, &blob, &mut bytes)?;
            on(&blob, Sent::Done(how));
            self.learn(to, &blob);
        }
        Ok(())
    }

    fn learn(&self, to: &To, blob: &Descriptor) {
        let to = to.repository.familiar_repository();
        let mut pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        pushed.insert((to, blob.digest));
    }

    /// What was brought where.
    pub(crate) fn pushed(&self) -> PushedLayers {
        let pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        pushed.clone()
    }
}
