//! Nodes and how they stand upon each other. No cycle can be written down: an input has a smaller
//! id than whoever uses it. Refuses to change once built, and to merge anything while it runs.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::Op;

/// A node of one graph, by its place in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(u32);

impl NodeId {
    /// Its place in the graph, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("a graph has fewer than 2^32 nodes"))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Where in the user's text a node comes from: for messages, never in a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file, as the user named it.
    pub file: String,
    /// From which byte to which (exclusive).
    pub span: (u32, u32),
    /// The line of the first byte, from 1.
    pub line: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An operation and what it is applied to.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// To what: see [`Op`] for their order.
    pub inputs: Vec<NodeId>,
    /// Where it was written, if it was.
    pub origin: Option<Origin>,
    /// What people are shown.
    pub name: String,
}

impl Node {
    /// The root that it is applied to, where its operation has one: what it gives is that root and
    /// what it adds.
    pub fn root(&self) -> Option<NodeId> {
        match self.op {
            Op::Copy(_) | Op::Merge | Op::Folder(_) | Op::Run(_) => self.inputs.first().copied(),
            _ => None,
        }
    }

    /// Of a merge, the root whose last layer is put on top.
    pub fn upper(&self) -> Option<NodeId> {
        match self.op {
            Op::Merge => self.inputs.get(1).copied(),
            _ => None,
        }
    }
}

/// A finished graph. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Arc<[Node]>,
}

impl Graph {
    /// The node with the id `id`.
    ///
    /// # Panics
    /// If `id` is of a larger graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// All nodes; inputs come before those that use them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(i, n)| (NodeId::at(i), n))
    }

    /// A builder that has these nodes, under the ids that they have here, to add more.
    pub fn extended(&self) -> GraphBuilder {
        let known = self.iter().map(|(id, node)| {
            let text = serde_json::to_string(&node.op).expect("an operation is plain data");
            ((text, node.inputs.clone()), id)
        });
        GraphBuilder {
            known: known.collect(),
            nodes: self.nodes.to_vec(),
        }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// Makes a [`Graph`]. Equal nodes (operation and inputs) are one node.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    known: HashMap<(String, Vec<NodeId>), NodeId>,
}

impl GraphBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node that applies `op` to `inputs`: a new one, or the one that is there already, which
    /// then keeps its origin and name.
    ///
    /// # Panics
    /// If an input is not of this builder.
    pub fn add(&mut self, op: Op, inputs: &[NodeId], origin: Option<Origin>) -> NodeId {
        let next = NodeId::at(self.nodes.len());
        assert!(
            inputs.iter().all(|i| *i < next),
            "an input of a node is a node of the same graph"
        );
        let text = serde_json::to_string(&op).expect("an operation is plain data");
        *self
            .known
            .entry((text, inputs.to_vec()))
            .or_insert_with(|| {
                self.nodes.push(Node {
                    name: op.to_string(),
                    op,
                    inputs: inputs.to_vec(),
                    origin,
                });
                next
            })
    }

    /// Sets what people are shown for the node `id`.
    ///
    /// # Panics
    /// If `id` is not of this builder.
    pub fn name(&mut self, id: NodeId, name: impl Into<String>) {
        self.nodes[id.index()].name = name.into();
    }

    /// How many nodes there are so far.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The graph.
    pub fn finish(self) -> Graph {
        Graph {
            nodes: self.nodes.into(),
        }
    }
}
