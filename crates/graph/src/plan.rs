//! What a build would do, found out without doing it: a walk from the targets that stops at what is
//! recorded. Refuses to write anything and to carry anything out.

use std::fmt;

use kiln_cache::Records;

use crate::{
    By, Executor, Graph, NodeId, Op, Settings, SolveError, SolveErrorKind,
    key::{self, Identity},
};

/// What the plan says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Its result is there.
    Hit(By),
    /// It runs: all that it stands on is known, and nothing is recorded for that. (Where it stands
    /// on a leaf, its content key is asked once the leaf was carried out, and may still save it.)
    Runs,
    /// It stands on something that runs, and is saved if that gives what it gave before.
    Depends,
    /// A leaf that somebody who runs stands on: nothing to find out, but to be brought.
    Leaf,
    /// Nobody needs it.
    Skipped,
}

impl Answer {
    /// Whether the node is to be carried out, unless its content key saves it.
    pub(crate) fn is_work(self) -> bool {
        matches!(self, Answer::Runs | Answer::Depends | Answer::Leaf)
    }
}

/// What a build would do. Shown, it is a line for each node that a target stands on.
#[derive(Clone, Debug)]
pub struct Plan<O> {
    pub(crate) graph: Graph,
    pub(crate) answers: Vec<Answer>,
    pub(crate) identities: Vec<Option<Identity>>,
    pub(crate) outputs: Vec<Option<O>>,
}

impl<O> Plan<O> {
    /// What it says of the node `id`.
    ///
    /// # Panics
    /// If `id` is of a larger graph.
    pub fn answer(&self, id: NodeId) -> Answer {
        self.answers[id.index()]
    }

    /// The result of the node `id`, where it was found.
    pub fn output(&self, id: NodeId) -> Option<&O> {
        self.outputs.get(id.index())?.as_ref()
    }

    /// For each node, whether somebody whom `wanted` names, and who is to be carried out, stands on
    /// it as on a root: directly, or through others that are to be carried out. What such a node
    /// gives is needed in the form in which `wanted` uses roots.
    pub fn is_root_of(&self, wanted: impl Fn(&Op) -> bool) -> Vec<bool> {
        let mut beneath = vec![false; self.graph.len()];
        for (id, node) in self.graph.iter().rev() {
            let stands = wanted(&node.op) || beneath[id.index()];
            if let (true, true, Some(root)) = (self.answer(id).is_work(), stands, node.root()) {
                beneath[root.index()] = true;
            }
        }
        beneath
    }

    /// The graph that was planned.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Whether nothing is to be carried out.
    pub fn is_full_hit(&self) -> bool {
        !self.answers.iter().any(|a| a.is_work())
    }
}

impl<O> fmt::Display for Plan<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, node) in self.graph.iter() {
            if self.identities[id.index()].is_none() {
                continue;
            }
            let word = match self.answer(id) {
                Answer::Hit(By::Definition) => "hit",
                Answer::Hit(By::Content) => "hit by content",
                Answer::Runs => "runs",
                Answer::Depends => "depends on what runs",
                Answer::Leaf => "is brought",
                Answer::Skipped => "not needed",
            };
            write!(f, "{id:>4}  {word:<21} {}", node.name)?;
            match &node.origin {
                Some(origin) => writeln!(f, "  ({origin})")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// Finds out what it takes to have the outputs of `targets`.
///
/// # Errors
/// When a context cannot be read, or the records cannot.
///
/// # Panics
/// If a target is of a larger graph.
pub fn plan<X: Executor>(
    graph: &Graph,
    targets: &[NodeId],
    x: &X,
    records: &dyn Records,
    settings: &Settings,
) -> Result<Plan<X::Output>, SolveError<X::Error>> {
    let size = graph.len();
    let mut planner = Planner {
        plan: Plan {
            graph: graph.clone(),
            answers: vec![Answer::Skipped; size],
            identities: vec![None; size],
            outputs: (0..size).map(|_| None).collect(),
        },
        x,
        records,
        settings,
    };
    planner.identify(targets)?;
    planner.ask_definitions(targets)?;
    planner.ask_contents()?;
    Ok(planner.plan)
}

struct Planner<'a, X: Executor> {
    plan: Plan<X::Output>,
    x: &'a X,
    records: &'a dyn Records,
    settings: &'a Settings,
}

type Outcome<X> = Result<(), SolveError<<X as Executor>::Error>>;

impl<X: Executor> Planner<'_, X> {
    /// Gives an identity to everything that a target stands on.
    fn identify(&mut self, targets: &[NodeId]) -> Outcome<X> {
        let graph = self.plan.graph.clone();
        let mut reached = vec![false; graph.len()];
        for target in targets {
            reached[target.index()] = true;
        }
        for (id, node) in graph.iter().rev() {
            if reached[id.index()] {
                node.inputs.iter().for_each(|i| reached[i.index()] = true);
            }
        }
        for (id, _) in graph.iter().filter(|(id, _)| reached[id.index()]) {
            let identity = key::identity(&graph, id, &self.plan.identities, self.x, self.settings)
                .map_err(|e| SolveError::at(&graph, id, SolveErrorKind::Failed(e)))?;
            self.plan.identities[id.index()] = Some(identity);
        }
        Ok(())
    }

    /// Whether each node is to be carried out whatever is recorded, or stands on one that is.
    fn upon_fresh(&self) -> Vec<bool> {
        let mut upon: Vec<bool> = Vec::with_capacity(self.plan.graph.len());
        for (id, node) in self.plan.graph.iter() {
            let below = node.inputs.iter().any(|i| upon[i.index()]);
            upon.push(below || self.settings.fresh.has(id));
        }
        upon
    }

    /// From the targets downwards: stops where a definition is recorded.
    fn ask_definitions(&mut self, targets: &[NodeId]) -> Outcome<X> {
        let graph = self.plan.graph.clone();
        let upon_fresh = self.upon_fresh();
        let mut needed = vec![false; graph.len()];
        for target in targets {
            needed[target.index()] = true;
        }
        for (id, node) in graph.iter().rev() {
            let index = id.index();
            if !needed[index] {
                continue;
            }
            if node.op.is_leaf() {
                self.plan.answers[index] = Answer::Leaf;
                continue;
            }
            if !upon_fresh[index]
                && let Some(Identity::Step(keyed)) = &self.plan.identities[index]
                && let Some(output) = self.look_up(&graph, id, &keyed.key, None)?
            {
                self.hit(id, By::Definition, output);
                continue;
            }
            self.plan.answers[index] = Answer::Runs;
            node.inputs.iter().for_each(|i| needed[i.index()] = true);
        }
        Ok(())
    }

    /// Upwards: where all inputs are there, the content is known as well; where one runs, what
    /// stands on it depends.
    fn ask_contents(&mut self) -> Outcome<X> {
        let graph = self.plan.graph.clone();
        for (id, node) in graph.iter() {
            let recorded = node.op.is_recorded() && !self.settings.fresh.has(id);
            if self.plan.answer(id) != Answer::Runs || !recorded {
                continue;
            }
            let below = |a: fn(Answer) -> bool| {
                let answers = node.inputs.iter().map(|i| self.plan.answer(*i));
                answers.into_iter().any(a)
            };
            if below(|a| matches!(a, Answer::Runs | Answer::Depends)) {
                self.plan.answers[id.index()] = Answer::Depends;
                continue;
            }
            let inputs: Option<Vec<_>> = node
                .inputs
                .iter()
                .map(|i| self.plan.outputs[i.index()].clone())
                .collect();
            let Some(inputs) = inputs else { continue };
            let failed = |e| SolveError::at(&graph, id, SolveErrorKind::Failed(e));
            let keyed = key::content(&graph, id, &inputs, self.x, self.settings).map_err(failed)?;
            if let Some(keyed) = keyed
                && let Some(output) = self.look_up(&graph, id, &keyed.key, Some(&inputs))?
            {
                self.hit(id, By::Content, output);
            }
        }
        Ok(())
    }

    fn look_up(
        &self,
        graph: &Graph,
        id: NodeId,
        key: &kiln_cache::Key,
        inputs: Option<&[X::Output]>,
    ) -> Result<Option<X::Output>, SolveError<X::Error>> {
        look_up(self.x, self.records, key, inputs).map_err(|kind| SolveError::at(graph, id, kind))
    }

    fn hit(&mut self, id: NodeId, by: By, output: X::Output) {
        self.plan.answers[id.index()] = Answer::Hit(by);
        self.plan.outputs[id.index()] = Some(output);
    }
}

/// What is recorded under `key`, if it is still there. A damaged record is as good as absent.
pub(crate) fn look_up<X: Executor>(
    x: &X,
    records: &dyn Records,
    key: &kiln_cache::Key,
    inputs: Option<&[X::Output]>,
) -> Result<Option<X::Output>, SolveErrorKind<X::Error>> {
    match records.get(key) {
        Ok(Some(record)) => x.load(&record, inputs).map_err(SolveErrorKind::Failed),
        Ok(None) => Ok(None),
        Err(e) if e.kind() == kiln_cache::ErrorKind::Damaged => Ok(None),
        Err(e) => Err(SolveErrorKind::Records(e)),
    }
}
