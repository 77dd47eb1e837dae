//! Why a graph was not planned or solved: which node, where it was written, and the cause.

use std::{error, fmt};

use crate::{Graph, NodeId, Origin};

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum SolveErrorKind<E> {
    /// The executor said so.
    Failed(E),
    /// The executor panicked, with this message.
    Panicked(String),
    /// The cache's records could not be read or written.
    Records(kiln_cache::Error),
    /// Somebody asked to stop.
    Canceled,
}

/// Why a graph was not planned or solved.
#[derive(Debug)]
pub struct SolveError<E> {
    kind: SolveErrorKind<E>,
    node: Option<NodeId>,
    name: String,
    origin: Option<Origin>,
}

impl<E> SolveError<E> {
    pub(crate) fn at(graph: &Graph, id: NodeId, kind: SolveErrorKind<E>) -> Self {
        let node = graph.node(id);
        Self {
            kind,
            node: Some(id),
            name: node.name.clone(),
            origin: node.origin.clone(),
        }
    }

    pub(crate) fn canceled() -> Self {
        Self {
            kind: SolveErrorKind::Canceled,
            node: None,
            name: String::new(),
            origin: None,
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> &SolveErrorKind<E> {
        &self.kind
    }

    /// What went wrong, to keep.
    pub fn into_kind(self) -> SolveErrorKind<E> {
        self.kind
    }

    /// At which node; none when the whole was cancelled.
    pub fn node(&self) -> Option<NodeId> {
        self.node
    }

    /// Where that node was written.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }
}

impl<E> fmt::Display for SolveError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        match &self.kind {
            SolveErrorKind::Failed(_) => write!(f, "`{}` failed", self.name),
            SolveErrorKind::Panicked(why) => write!(f, "`{}` panicked: {why}", self.name),
            SolveErrorKind::Records(_) => write!(f, "`{}`: records of the cache", self.name),
            SolveErrorKind::Canceled => f.write_str("canceled"),
        }
    }
}

impl<E: error::Error + 'static> error::Error for SolveError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            SolveErrorKind::Failed(e) => Some(e),
            SolveErrorKind::Records(e) => Some(e),
            SolveErrorKind::Panicked(_) | SolveErrorKind::Canceled => None,
        }
    }
}
