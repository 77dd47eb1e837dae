//! The two keys of a node. Refuses to hash anything that has no name: each part of a key is kept in
//! the record, so that two records can be compared and the first difference named.

use kiln_cache::{Key, KeyBuilder, Part, Record};
use kiln_image::Digest;

use crate::{Executor, Graph, NodeId, Op, Settings};

/// A key and what it was made of.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    pub(crate) key: Key,
    pub(crate) parts: Vec<Part>,
}

impl Keyed {
    /// The trees of parts are not hashed: they know times, which the value leaves out on purpose.
    fn of(domain: &str, parts: Vec<Part>) -> Self {
        let builder = parts.iter().fold(KeyBuilder::new(domain), |builder, part| {
            builder.part(&part.name, part.value.as_bytes())
        });
        Self {
            key: builder.finish(),
            parts,
        }
    }

    /// `record`, told by which parts it is found.
    pub(crate) fn record(&self, record: Record) -> Record {
        Record {
            parts: self.parts.clone(),
            ..record
        }
    }
}

/// By what a node is known to those that use it, before anything ran.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// A leaf: by its content.
    Leaf { value: String, tree: Option<Digest> },
    /// By its definition key.
    Step(Keyed),
    /// Not yet: it is a leaf that has to be read first, or stands on one.
    Later,
    /// Not at all: it is always carried out.
    None,
}

impl Identity {
    fn part(&self) -> (String, Option<Digest>) {
        match self {
            Identity::Leaf { value, tree } => (value.clone(), *tree),
            Identity::Step(keyed) => (format!("step {}", keyed.key), None),
            Identity::Later | Identity::None => ("unknown".to_owned(), None),
        }
    }
}

/// By what the node `id` is known, given the same of all nodes before it.
pub(crate) fn identity<X: Executor>(
    graph: &Graph,
    id: NodeId,
    before: &[Option<Identity>],
    x: &X,
    settings: &Settings,
) -> Result<Identity, X::Error> {
    let node = graph.node(id);
    let leaf = |value: String, tree| Ok(Identity::Leaf { value, tree });
    match &node.op {
        Op::Scratch => leaf("scratch".to_owned(), None),
        Op::Image { manifest, .. } => leaf(format!("image {manifest}"), x.tree(node)),
        Op::Inline(inline) => leaf(format!("inline {}", inline.digest()), None),
        Op::Context { .. } | Op::Http(_) | Op::Git(_) => match x.leaf(node)? {
            Some(digest) => leaf(format!("context {digest}"), x.tree(node)),
            None => Ok(Identity::Later),
        },
        op if op.is_recorded() => {
            let known = |i: &NodeId| before[i.index()].as_ref();
            let mut inputs = node.inputs.iter();
            if inputs.any(|i| matches!(known(i), Some(Identity::Later))) {
                return Ok(Identity::Later);
            }
            let mut parts = common(op, settings);
            for (index, input) in node.inputs.iter().enumerate() {
                let (value, tree) = before[input.index()]
                    .as_ref()
                    .unwrap_or(&Identity::None)
                    .part();
                parts.push(part(&op.role(index), value, tree));
            }
            Ok(Identity::Step(Keyed::of("kiln.graph.definition/1", parts)))
        }
        _ => Ok(Identity::None),
    }
}

/// The content key of the node `id`, which is applied to `inputs`. None where one of these has no
/// digest that the node's result depends on alone.
pub(crate) fn content<X: Executor>(
    graph: &Graph,
    id: NodeId,
    inputs: &[X::Output],
    x: &X,
    settings: &Settings,
) -> Result<Option<Keyed>, X::Error> {
    let node = graph.node(id);
    let mut parts = common(&node.op, settings);
    for index in 0..inputs.len() {
        let Some(digest) = x.digest(id, node, index, inputs)? else {
            return Ok(None);
        };
        let input = graph.node(node.inputs[index]);
        let tree = if input.op.is_leaf() {
            x.tree(input)
        } else {
            None
        };
        parts.push(part(&node.op.role(index), digest.to_string(), tree));
    }
    Ok(Some(Keyed::of("kiln.graph.content/1", parts)))
}

fn common(op: &Op, settings: &Settings) -> Vec<Part> {
    let salt = settings.salt.iter();
    let salt = salt.map(|(name, value)| part(&format!("build {name}"), value.clone(), None));
    let fields = op.parts().into_iter();
    salt.chain(fields.map(|(name, value)| part(&name, value, None)))
        .collect()
}

fn part(name: &str, value: String, tree: Option<Digest>) -> Part {
    Part {
        name: name.to_owned(),
        value,
        tree,
    }
}
