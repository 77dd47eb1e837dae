//! From what happens to nodes to what happens to steps: a node can be several steps, most steps
//! have no node of their own, and a hit stands for all the steps beneath it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use kiln_graph::{By, NodeId};
use kiln_image::{Descriptor, Digest, Reference};
use kiln_rootfs::Repeated;

use crate::{Error, Event, How, Place, Sent, Stream, executor::output::Slots};

/// What the tracker knows of a step.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    /// The root after this step.
    pub(crate) node: NodeId,
    /// Whether the step itself made that root: FROM, and what may make a layer.
    pub(crate) own: bool,
    /// Of a layer that is put on top of that root: what made the layer.
    pub(crate) upper: Option<NodeId>,
    /// How many slots of that root are of this step and those before it.
    pub(crate) made: usize,
    /// The step before it in its stage, or the last one of the stage it is from.
    pub(crate) before: Option<usize>,
    /// The size of the layer, asked when the step is done.
    pub(crate) id: String,
}

/// Keeps the image after a step: its id, and whether it was there already; none after `FROM scratch`.
pub(crate) type Keep<'a> =
    dyn Fn(usize, &Slots) -> Result<Option<(Digest, bool)>, Error> + Sync + 'a;

/// Tells of steps.
pub(crate) struct Tracker<'a> {
    steps: Vec<Tracked>,
    keep: Option<&'a Keep<'a>>,
    size: &'a (dyn Fn(&Digest) -> u64 + Sync),
    on: &'a (dyn Fn(Event<'_>) + Sync),
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    roots: HashMap<NodeId, std::sync::Arc<Slots>>,
    hits: HashMap<NodeId, How>,
    done: Vec<bool>,
    failed: Option<Error>,
}

impl<'a> Tracker<'a> {
    pub(crate) fn new(
        steps: Vec<Tracked>,
        keep: Option<&'a Keep<'a>>,
        size: &'a (dyn Fn(&Digest) -> u64 + Sync),
        on: &'a (dyn Fn(Event<'_>) + Sync),
    ) -> Self {
        let state = State {
            done: vec![false; steps.len()],
            ..State::default()
        };
        Self {
            steps,
            keep,
            size,
            on,
            state: Mutex::new(state),
        }
    }

    /// Who is told of what is no step.
    pub(crate) fn on(&self) -> &'a (dyn Fn(Event<'_>) + Sync) {
        self.on
    }

    /// The id of the container that a node works in: that of the first step it is.
    pub(crate) fn container(&self, node: NodeId) -> String {
        self.owners(node)
            .next()
            .map_or_else(|| "0".repeat(64), |step| self.steps[step].id.clone())
    }

    /// A node's output is known.
    pub(crate) fn ready(&self, node: NodeId, slots: &std::sync::Arc<Slots>) {
        self.lock().roots.insert(node, std::sync::Arc::clone(slots));
    }

    pub(crate) fn output(&self, node: NodeId, stream: Stream, bytes: &[u8]) {
        // Only once, however many steps the node is.
        if let Some(step) = self.owners(node).next() {
            (self.on)(Event::Output {
                step,
                stream,
                bytes,
            });
        }
    }

    pub(crate) fn pulling(&self, node: NodeId, blob: &Descriptor, bytes: Option<u64>) {
        if let Some(step) = self.owners(node).next() {
            (self.on)(Event::Pulling { step, blob, bytes });
        }
    }

    pub(crate) fn pushing(&self, to: &Reference, blob: &Descriptor, how: Sent) {
        (self.on)(Event::Pushing { to, blob, how });
    }

    /// A node's layer has content once more that lies below.
    pub(crate) fn repeated(&self, node: NodeId, place: Option<Place>, what: &Repeated) {
        if let Some(step) = self.owners(node).next() {
            (self.on)(Event::Repeated { step, place, what });
        }
    }

    /// Something happened to a node.
    pub(crate) fn event(&self, event: kiln_graph::Event) {
        match event {
            kiln_graph::Event::Started(node) => {
                for step in self.owners(node) {
                    let id = &self.steps[step].id;
                    (self.on)(Event::Started { step, id });
                }
            }
            kiln_graph::Event::Hit(node, by) => {
                let how = match by {
                    By::Definition => How::Cached,
                    By::Content => How::Verified,
                };
                self.lock().hits.insert(node, how);
                self.finish(node, how);
            }
            kiln_graph::Event::Finished(node) => self.finish(node, How::Ran),
            kiln_graph::Event::Failed(node) => {
                for step in self.owners(node) {
                    (self.on)(Event::Failed { step });
                }
            }
            kiln_graph::Event::Canceled(node) => {
                for step in self.owners(node) {
                    (self.on)(Event::Canceled { step });
                }
            }
            _ => {}
        }
    }

    /// The first error met while images of steps were kept.
    pub(crate) fn take_error(&self) -> Option<Error> {
        self.lock().failed.take()
    }

    fn owners(&self, node: NodeId) -> impl Iterator<Item = usize> + '_ {
        let own = move |(_, s): &(usize, &Tracked)| s.own && s.node == node;
        self.steps.iter().enumerate().filter(own).map(|(i, _)| i)
    }

    fn finish(&self, node: NodeId, how: How) {
        let Some(slots) = self.lock().roots.get(&node).cloned() else {
            return; // files of a context: no step shows them
        };
        for step in self.owners(node) {
            // A layer that was found and is put on another root is not made.
            let upper = self.steps[step].upper.filter(|_| how == How::Ran);
            let found = upper.and_then(|upper| self.lock().hits.get(&upper).copied());
            self.finish_chain(step, found.unwrap_or(how), &slots);
        }
        // What only changes the config is done as soon as what it stands on is.
        for step in 0..self.steps.len() {
            let s = &self.steps[step];
            if s.node == node && !s.own && s.before.is_none_or(|b| self.lock().done[b]) {
                self.finish_step(step, How::Config, &slots);
            }
        }
    }

    /// A step is done, and so is every step beneath it that was not needed because of it.
    fn finish_chain(&self, step: usize, how: How, slots: &Slots) {
        let mut beneath = Vec::new();
        let mut at = self.steps[step].before;
        while let Some(earlier) = at {
            if self.lock().done[earlier] {
                break;
            }
            beneath.push(earlier);
            at = self.steps[earlier].before;
        }
        for earlier in beneath.into_iter().rev() {
            self.finish_step(earlier, How::Cached, slots);
        }
        self.finish_step(step, how, slots);
    }

    fn finish_step(&self, step: usize, how: How, slots: &Slots) {
        if std::mem::replace(&mut self.lock().done[step], true) {
            return;
        }
        let tracked = &self.steps[step];
        let mut how = how;
        let mut image = None;
        if let Some(keep) = self.keep {
            match keep(step, slots) {
                Ok(None) => {}
                Ok(Some((id, existed))) => {
                    image = Some(id);
                    if how == How::Config && existed {
                        how = How::Cached;
                    }
                }
                Err(e) => {
                    self.lock().failed.get_or_insert(e);
                }
            }
        }
        if how == How::Config {
            let id = &tracked.id;
            (self.on)(Event::Started { step, id });
        }
        let slot = tracked.made.checked_sub(1).and_then(|i| slots.made.get(i));
        let layer = slot
            .filter(|_| tracked.own)
            .and_then(|slot| slot.layer)
            .map(|diff_id| (diff_id, (self.size)(&diff_id)));
        (self.on)(Event::Finished {
            step,
            how,
            image,
            layer,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
