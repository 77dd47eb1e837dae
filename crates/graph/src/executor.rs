//! The seam between a graph and those who carry it out, and the settings of both.

use std::{collections::BTreeSet, num::NonZeroUsize};

use kiln_cache::Record;
use kiln_image::Digest;

use crate::{Cancel, Class, Node, NodeId};

/// Carries out nodes, and knows what their results contain.
pub trait Executor: Sync {
    /// What a node gives; cheap to clone.
    type Output: Clone + Send + Sync;
    /// Why a node failed.
    type Error: Send;

    /// The digest of the content of a leaf whose operation does not say it, without times: a
    /// [`Context`](crate::Op::Context), what is fetched. Asked
    /// for each such node before anything else.
    ///
    /// `None`: it is not known before the content is read. Whoever stands on the leaf is then
    /// carried out first, and this is asked again: reading once then gives both the result and the
    /// keys. What is recorded for that content wins over what was made.
    ///
    /// # Errors
    /// When the context cannot be read.
    fn leaf(&self, node: &Node) -> Result<Option<Digest>, Self::Error>;

    /// The tree that a leaf's digest was made of, where it is kept: two records can then be
    /// compared down to the file.
    fn tree(&self, leaf: &Node) -> Option<Digest> {
        let _ = leaf;
        None
    }

    /// Carries `node` out; of leaves too, when somebody needs their output. `inputs` are the
    /// outputs of the node's inputs, in order. Should return soon after `cancel`; what it then
    /// returns as an error is not shown.
    ///
    /// # Errors
    /// When it did not succeed: the rest of the graph is cancelled.
    fn execute(
        &self,
        id: NodeId,
        node: &Node,
        inputs: &[Self::Output],
        cancel: &Cancel,
    ) -> Result<Self::Output, Self::Error>;

    /// What `node` sees of its input number `index`: the second half of the content key. All inputs
    /// are given, for what is seen of one may depend on another. `None`: this node has no content
    /// key.
    ///
    /// # Errors
    /// When the inputs cannot be read.
    fn digest(
        &self,
        id: NodeId,
        node: &Node,
        index: usize,
        inputs: &[Self::Output],
    ) -> Result<Option<Digest>, Self::Error>;

    /// How to find `output` again: `value` and `refs`; the parts are those of the key under which
    /// it is put.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn save(&self, output: &Self::Output) -> Result<Record, Self::Error>;

    /// The output that a record stands for. `None`: its content is gone, which is a miss.
    /// `inputs` are given where the record was found by content: it then says what this operation
    /// adds, and perhaps to other inputs than those that it was first made with.
    ///
    /// # Errors
    /// When it cannot be told.
    fn load(
        &self,
        record: &Record,
        inputs: Option<&[Self::Output]>,
    ) -> Result<Option<Self::Output>, Self::Error>;

    /// Told of each output as soon as it is known, whether found or made, before the event that
    /// says so, on the thread that has it.
    fn ready(&self, id: NodeId, output: &Self::Output) {
        let _ = (id, output);
    }
}

/// How keys are made, whether they are asked for, and how much runs at a time.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Named parts of every key: the tar dialect's version, the epoch.
    pub salt: Vec<(&'static str, String)>,
    /// What is carried out whatever is recorded.
    pub fresh: Fresh,
    /// How much runs at a time.
    pub limits: Limits,
}

/// Nodes that are carried out whatever is recorded for them; what they give is recorded all the same.
/// What stands on one is saved by its content only, once that one was carried out.
#[derive(Clone, Debug, Default)]
pub enum Fresh {
    /// None.
    #[default]
    Nothing,
    /// These.
    Nodes(BTreeSet<NodeId>),
    /// All.
    Everything,
}

impl Fresh {
    /// Whether the node is one of them.
    pub fn has(&self, id: NodeId) -> bool {
        match self {
            Self::Nothing => false,
            Self::Nodes(nodes) => nodes.contains(&id),
            Self::Everything => true,
        }
    }
}

/// How many nodes of a [`Class`] run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of [`Class::Cpu`].
    pub cpu: NonZeroUsize,
    /// Of [`Class::Process`].
    pub process: NonZeroUsize,
    /// Of [`Class::Network`].
    pub network: NonZeroUsize,
}

impl Limits {
    /// The same limit for every class.
    pub fn all(limit: NonZeroUsize) -> Self {
        Self {
            cpu: limit,
            process: limit,
            network: limit,
        }
    }

    /// The limit of `class`.
    pub fn of(&self, class: Class) -> usize {
        match class {
            Class::Cpu => self.cpu,
            Class::Process => self.process,
            Class::Network => self.network,
        }
        .get()
    }
}

impl Default for Limits {
    /// As many of the first two as there are cores, and six connections.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            cpu: cores,
            process: cores,
            network: NonZeroUsize::new(6).expect("six is not zero"),
        }
    }
}
