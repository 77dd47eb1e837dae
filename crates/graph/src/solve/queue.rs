//! What is ready to be carried out, a list for each class. Refuses to know what a node is: it
//! counts inputs.

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{Class, NodeId, Plan};

/// The nodes that are to be carried out; the smallest ready id comes first.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    classes: Vec<Class>,
    /// For each node, those that are to be carried out and stand on it (twice if they do twice).
    users: Vec<Vec<NodeId>>,
    work: [usize; 3],
}

#[derive(Debug)]
struct State {
    ready: [BTreeSet<NodeId>; 3],
    /// For each node, how many of its inputs are to come.
    missing: Vec<usize>,
    left: usize,
    stopped: bool,
}

impl Queue {
    pub(super) fn new<O>(plan: &Plan<O>) -> Self {
        let graph = plan.graph();
        let size = graph.len();
        let mut users = vec![Vec::new(); size];
        let mut work = [0; 3];
        let mut state = State {
            ready: Default::default(),
            missing: vec![0; size],
            left: 0,
            stopped: false,
        };
        for (id, node) in graph.iter().filter(|(id, _)| plan.answer(*id).is_work()) {
            for input in node.inputs.iter().filter(|i| plan.answer(**i).is_work()) {
                users[input.index()].push(id);
                state.missing[id.index()] += 1;
            }
            let class = node.op.class().index();
            if state.missing[id.index()] == 0 {
                state.ready[class].insert(id);
            }
            work[class] += 1;
            state.left += 1;
        }
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            classes: graph.iter().map(|(_, node)| node.op.class()).collect(),
            users,
            work,
        }
    }

    /// How many nodes of `class` there are to carry out.
    pub(super) fn work_of(&self, class: Class) -> usize {
        self.work[class.index()]
    }

    /// Waits for a node of `class` to be ready. None: there will be no more.
    pub(super) fn next(&self, class: Class) -> Option<NodeId> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.left == 0 {
                return None;
            }
            if let Some(id) = state.ready[class.index()].pop_first() {
                return Some(id);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The node `id` is done: those that stand on it may be ready.
    pub(super) fn done(&self, id: NodeId) {
        let mut state = self.lock();
        state.left -= 1;
        for user in &self.users[id.index()] {
            state.missing[user.index()] -= 1;
            if state.missing[user.index()] == 0 {
                state.ready[self.classes[user.index()].index()].insert(*user);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing more is handed out.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Whether all nodes are done.
    pub(super) fn is_done(&self) -> bool {
        self.lock().left == 0
    }

    /// No code of others runs under this lock: what it guards is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
