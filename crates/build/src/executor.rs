//! Carries out the operations of a build's graph on this machine's store: one module for each kind.

mod copy;
pub(crate) mod elsewhere;
pub(crate) mod fetched;
mod image;
mod inline;
mod layer;
mod merge;
pub(crate) mod output;
mod push;
mod run;
mod searched;
mod selected;
mod shown;
mod unpack;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use kiln_cache::Record;
use kiln_graph::{Cancel, Executor, Graph, Node, NodeId, Op, Plan, Select};
use kiln_image::Digest;
use kiln_layer::Root;
use kiln_rootfs::Roots;
use kiln_store::Store;

use crate::{
    Context, Error, ErrorKind, Look, Place, Request, StoreIndexes, Worker,
    bases::Bases,
    executor::output::{Output, Slot, Slots},
    export::PushedLayers,
    job::{beside::Beside, progress::Tracker},
    secrets,
};
use copy::Planned;
pub(crate) use selected::{Late, Selected};

/// Carries out nodes for one build.
pub(crate) struct Carrier<'a> {
    pub(crate) request: &'a Request,
    pub(crate) store: &'a Store,
    pub(crate) roots: &'a Roots,
    pub(crate) worker: &'a dyn Worker,
    pub(crate) lease: &'a kiln_store::Build,
    pub(crate) bases: &'a Bases<'a>,
    pub(crate) tracker: &'a Tracker<'a>,
    scans: Scans<'a>,
    /// Seconds since 1970: when the build began, at most its epoch.
    pub(crate) now: i64,
    pub(crate) epoch: Option<i64>,
    known: Known,
    beside: Option<Beside>,
}

/// What a scan of a context is given.
struct Scans<'a> {
    indexes: StoreIndexes<'a>,
    late: Late,
}

/// What was found out before and need not be found out again.
#[derive(Default)]
struct Known {
    /// For each node, whether a RUN will stand on what it gives; nothing before the plan is made.
    mounted: OnceLock<Vec<bool>>,
    contexts: Mutex<HashMap<(String, Select), Arc<Selected>>>,
    copies: Mutex<HashMap<NodeId, Arc<Planned>>>,
    roots: Mutex<HashMap<Vec<Digest>, Arc<Root>>>,
    fetched: fetched::FetchedBefore,
    /// The values of secrets, which no layer may contain.
    secrets: OnceLock<secrets::Known>,
}

impl<'a> Carrier<'a> {
    pub(crate) fn new(
        request: &'a Request,
        (store, roots, worker): (&'a Store, &'a Roots, &'a dyn Worker),
        lease: &'a kiln_store::Build,
        bases: &'a Bases<'a>,
        tracker: &'a Tracker<'a>,
        late: Late,
        (now, epoch): (i64, Option<i64>),
    ) -> Self {
        Self {
            request,
            store,
            roots,
            worker,
            lease,
            bases,
            tracker,
            scans: Scans {
                indexes: StoreIndexes(store),
                late,
            },
            now,
            epoch,
            known: Known::default(),
            beside: None,
        }
    }

    /// The same, which brings layers to registries while others are made.
    #[must_use]
    pub(crate) fn pushing(mut self, beside: Option<Beside>) -> Self {
        self.beside = beside;
        self
    }

    /// The graph of a plan with what brings the layers of `steps` to registries, if any is to be.
    pub(crate) fn uploads(
        &self,
        plan: &Plan<Output>,
        steps: &[NodeId],
    ) -> Option<(Graph, Vec<NodeId>)> {
        self.beside.as_ref()?.extended(plan, steps)
    }

    /// What it brought to registries.
    pub(crate) fn pushed(&self) -> PushedLayers {
        self.beside.as_ref().map(Beside::pushed).unwrap_or_default()
    }

    /// Tells what is going to be carried out.
    pub(crate) fn planned(&self, plan: &Plan<Output>) {
        let mounted = match self.worker.stands_on_unpacked() {
            true => plan.is_root_of(|op| matches!(op, Op::Run(_))),
            false => Vec::new(),
        };
        // One plan for each carrier: a second one would be the same.
        let _ = self.known.mounted.set(mounted);
    }

    /// Whether the layer that the node makes is to be mounted.
    fn is_mounted(&self, id: NodeId) -> bool {
        let mounted = self.known.mounted.get();
        mounted.is_some_and(|all| all.get(id.index()).copied().unwrap_or_default())
    }

    /// The context of that name; the main one has none.
    fn context(&self, name: &str) -> Result<&dyn Context, Error> {
        self.request.files(name).ok_or_else(|| {
            let what = format!("there are no files that the context `{name}` names");
            Error::new(ErrorKind::NotFound, what)
        })
    }

    /// The files of a context that a leaf selects, scanned once.
    fn selected(&self, name: &str, select: &Select) -> Result<Arc<Selected>, Error> {
        let key = (name.to_owned(), select.clone());
        if let Some(found) = lock(&self.known.contexts).get(&key) {
            return Ok(Arc::clone(found));
        }
        let context = self.context(name)?;
        let look = self.look(&key);
        let files = context.files(select, &look)?;
        let selected = Arc::new(Selected::new(key.clone(), files, context.has_owners()));
        lock(&self.known.contexts).insert(key, Arc::clone(&selected));
        Ok(selected)
    }

    fn look(&self, selection: &(String, Select)) -> Look<'_> {
        Look {
            indexes: Some(&self.scans.indexes),
            read_up_to: self.scans.late.read_up_to(selection),
        }
    }

    /// The values of secrets, asked for once.
    fn secrets(&self) -> Result<&secrets::Known, Error> {
        if let Some(known) = self.known.secrets.get() {
            return Ok(known);
        }
        let known = secrets::Known::of(&self.request.run)?;
        Ok(self.known.secrets.get_or_init(|| known))
    }

    /// The root that these layers make, with their Trees read once.
    fn root(&self, layers: &[Digest]) -> Result<Arc<Root>, Error> {
        if let Some(found) = lock(&self.known.roots).get(layers) {
            return Ok(Arc::clone(found));
        }
        let root = Arc::new(self.roots.root(layers)?);
        lock(&self.known.roots).insert(layers.to_vec(), Arc::clone(&root));
        Ok(root)
    }

    /// The root beneath with what this node gave.
    fn on_top(&self, beneath: &Slots, layer: Option<Digest>) -> Output {
        let slot = Slot {
            layer,
            created: self.now,
        };
        Output::Root(Arc::new(beneath.with(slot)))
    }

    /// Says that digests are relied on, so that no garbage collection takes them, and tells which
    /// are not here.
    fn keep(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        Ok(self.lease.keep(digests)?)
    }
}

impl Executor for Carrier<'_> {
    type Output = Output;
    type Error = Error;

    fn leaf(&self, node: &Node) -> Result<Option<Digest>, Error> {
        if matches!(node.op, Op::Http(_) | Op::Git(_)) {
            let found = self.fetched_digest(&node.op);
            return found.map(Some).map_err(|e| e.at(place(node)));
        }
        let Op::Context { name, select } = &node.op else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a leaf that is not a context",
            ));
        };
        let selected = self.selected(name, select).map_err(|e| e.at(place(node)))?;
        selected.digest().map_err(|e| {
            self.explain_missing(e, name, &select.patterns)
                .at(place(node))
        })
    }

    fn execute(
        &self,
        id: NodeId,
        node: &Node,
        inputs: &[Output],
        cancel: &Cancel,
    ) -> Result<Output, Error> {
        let done = match (&node.op, inputs) {
            (Op::Scratch, _) => Ok(Output::Root(Arc::default())),
            (Op::Image { manifest, .. }, _) => self.image(id, manifest),
            (Op::Context { name, select }, _) => self.selected(name, select).map(Output::Files),
            (op @ (Op::Http(_) | Op::Git(_)), _) => {
                self.fetched_files(op, cancel).map(Output::Files)
            }
            (Op::Inline(inline), _) => self.inline(inline).map(Output::Files),
            (Op::Copy(op), [_, _, ..]) => self.copy(id, op, inputs),
            (Op::Merge, [beneath, upper]) => Ok(merge::merged(&beneath.slots(), &upper.slots())),
            (Op::Folder(op), [beneath]) => self.folder(id, op, beneath),
            (Op::Run(op), [beneath, shown @ ..]) => {
                self.run((id, place(node)), op, (beneath, shown), cancel)
            }
            (Op::Pack(op), [layer]) => self.pack(op, layer),
            (Op::Upload(op), [layer]) => self.upload(op, layer),
            (op, _) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("`{op}` in a build"),
            )),
        };
        done.map_err(|e| e.at(place(node)))
    }

    fn digest(
        &self,
        id: NodeId,
        node: &Node,
        index: usize,
        inputs: &[Output],
    ) -> Result<Option<Digest>, Error> {
        let seen = match (&node.op, index, inputs) {
            (Op::Run(_), 0, [beneath, ..]) => Ok(list_digest(&beneath.slots().layers())),
            (Op::Run(op), n, _) => {
                let seen = self.seen_by_run(op, n, &inputs[n]);
                return seen.map_err(|e| e.at(place(node)));
            }
            (Op::Folder(op), 0, [beneath]) => self.met_by_folder(op, beneath),
            (Op::Copy(op), 0, [_, _, ..]) => self.met_by_copy(id, op, inputs),
            (Op::Copy(op), n, _) if op.sources.iter().any(|taken| taken.input == n) => {
                let seen = self.copied(op, n, inputs);
                return seen.map_err(|e| e.at(place(node)));
            }
            // The ids that the names stand for are a part of what was met.
            (Op::Copy(op), n, _) if op.names == Some(n) => Ok(list_digest(&[])),
            (Op::Merge, 0 | 1, _) => Ok(list_digest(&inputs[index].slots().layers())),
            _ => return Ok(None),
        };
        seen.map(Some).map_err(|e| e.at(place(node)))
    }

    fn save(&self, output: &Output) -> Result<Record, Error> {
        let slots = output.slots();
        let value = serde_json::to_vec(&*slots).expect("slots are plain data");
        Ok(Record {
            parts: Vec::new(),
            value,
            refs: slots.layers(),
        })
    }

    fn load(&self, record: &Record, inputs: Option<&[Output]>) -> Result<Option<Output>, Error> {
        let Ok(mut slots) = serde_json::from_slice::<Slots>(&record.value) else {
            return Ok(None);
        };
        // Found by content: only the last layer is meant, upon whatever root it now stands on.
        if let (Some([beneath, ..]), Some(last)) = (inputs, slots.made.last().copied()) {
            slots = beneath.slots().with(last);
        }
        let gone = self.keep(&slots.layers())?;
        let made: Vec<Digest> = slots.made.iter().filter_map(|slot| slot.layer).collect();
        let serves = gone.is_empty() && self.are_clean(&made)?;
        Ok(serves.then(|| Output::Root(Arc::new(slots))))
    }

    fn ready(&self, id: NodeId, output: &Output) {
        lock(&self.known.copies).remove(&id);
        self.tracker.ready(id, &output.slots());
    }
}

/// One digest for an ordered list of them.
fn list_digest(digests: &[Digest]) -> Digest {
    let text: String = digests.iter().map(|d| format!("{d}\n")).collect();
    Digest::sha256(text.as_bytes())
}

/// Where in the Dockerfile a node comes from.
pub(crate) fn place(node: &Node) -> Option<Place> {
    node.origin.as_ref().map(|origin| Place {
        start: origin.span.0,
        end: origin.span.1,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
