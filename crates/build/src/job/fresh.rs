//! Which nodes are carried out whatever earlier builds have recorded: all of a build, or all that the
//! instructions of certain stages came to. Refuses to look at base images: these are asked for by name.

use std::collections::BTreeSet;

use kiln_frontend::{Lowered, Stage, is_called};
use kiln_graph::{Fresh, NodeId, Origin};

use crate::Settings;

/// What `settings` want carried out of a build; `lowered` is the same file for each of its platforms.
pub(super) fn fresh<'a>(settings: &Settings, lowered: impl Iterator<Item = &'a Lowered>) -> Fresh {
    if settings.no_cache {
        return Fresh::Everything;
    }
    let wanted = |stage: &&Stage| {
        let own = stage.name.as_deref();
        let mut named = settings.no_cache_stages.iter();
        named.any(|name| is_called(name, own, stage.index))
    };
    let of_one = |lowered: &'a Lowered| {
        let stages = lowered.stages.iter().filter(wanted);
        stages.flat_map(|stage| nodes_of(stage, lowered))
    };
    let nodes: BTreeSet<NodeId> = lowered.flat_map(of_one).collect();
    match nodes.is_empty() {
        true => Fresh::Nothing,
        false => Fresh::Nodes(nodes),
    }
}

/// What the instructions of a stage came to: a node that two stages have in common keeps the place of
/// the first, an instruction can be several nodes, and some change nothing.
fn nodes_of<'a>(stage: &'a Stage, lowered: &'a Lowered) -> impl Iterator<Item = NodeId> + 'a {
    let steps = &lowered.steps[stage.steps.clone()];
    let places: BTreeSet<(u32, u32)> = steps.iter().map(|step| step.origin.span).collect();
    let below = steps.first().map(|from| from.node);
    let ends = steps.iter().map(|step| step.node);
    let is_here = move |origin: &Option<Origin>| {
        let span = origin.as_ref().map(|origin| origin.span);
        span.is_some_and(|span| places.contains(&span))
    };
    let written = lowered.graph.iter();
    let written = written.filter(move |(_, node)| !node.op.is_leaf() && is_here(&node.origin));
    ends.chain(written.map(|(id, _)| id))
        .filter(move |id| Some(*id) != below)
}
