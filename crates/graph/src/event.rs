//! What happens while a graph is solved, as it happens. Refuses to format: that is for whoever
//! shows progress.

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// By which key a result was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// By operation and inputs' keys, before anything ran.
    Definition,
    /// By operation and what the inputs really contain.
    Content,
}

/// Something that happened to a node. Each node that is needed gets either `Hit`, or `Started` and
/// then one of the last three; one that was not reached before a failure gets nothing. Where the
/// content was not known before it was read, `Hit` can come after `Started`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Its result was found.
    Hit(NodeId, By),
    /// It is being carried out.
    Started(NodeId),
    /// It was carried out and recorded.
    Finished(NodeId),
    /// It failed: the rest is being cancelled.
    Failed(NodeId),
    /// It was running when it was asked to stop.
    Canceled(NodeId),
}
