//! Carries a plan out: threads, a queue of what is ready for each class; the first failure stops
//! the rest. Refuses to decide again what the plan has decided, and to change the graph.

mod queue;

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use kiln_cache::Records;

use crate::{
    Answer, By, Cancel, Class, Event, Executor, NodeId, Plan, Settings, SolveError, SolveErrorKind,
    key::{self, Identity, Keyed},
    plan::look_up,
};
use queue::Queue;

/// What a plan is carried out with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Where results are found and recorded.
    pub records: &'a dyn Records,
    /// Those that the plan was made with.
    pub settings: &'a Settings,
    /// Stops everything. Only listened to here, never called.
    pub cancel: &'a Cancel,
    /// Told what happens, on the thread on which it happens.
    pub on: &'a (dyn Fn(Event) + Sync),
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("settings", self.settings)
            .field("cancel", self.cancel)
            .finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Solved<O> {
    outputs: Vec<Option<O>>,
}

impl<O> Solved<O> {
    /// The output of the node `id`, if anybody needed it. Every target of the plan has one.
    pub fn output(&self, id: NodeId) -> Option<&O> {
        self.outputs.get(id.index())?.as_ref()
    }
}

/// Carries `plan` out: each node once its inputs are there, as many at a time as the limits of
/// their classes allow. A node is first asked for by its content key; what was carried out is
/// recorded under both keys, also when another node has failed meanwhile.
///
/// # Errors
/// The first failure. What runs at that moment is told to stop, and waited for.
pub fn solve<X: Executor>(
    context: &Context<'_>,
    mut plan: Plan<X::Output>,
    x: &X,
) -> Result<Solved<X::Output>, SolveError<X::Error>> {
    let (cancel, _linked) = context.cancel.child();
    let queue = Arc::new(Queue::new(&plan));
    let outputs = std::mem::take(&mut plan.outputs);
    let identities = std::mem::take(&mut plan.identities);
    let solver = Solver {
        context,
        x,
        plan: &plan,
        queue: &queue,
        cancel: &cancel,
        outputs: Mutex::new(outputs),
        identities: Mutex::new(identities),
        failure: Mutex::new(None),
    };
    solver.announce_hits()?;
    let waiting = Arc::clone(&queue);
    let _woken = cancel.on_cancel(Box::new(move || waiting.stop()));
    thread::scope(|scope| {
        for class in Class::ALL {
            let limit = context.settings.limits.of(class);
            for _ in 0..limit.min(queue.work_of(class)) {
                let solver = &solver;
                scope.spawn(move || solver.work(class));
            }
        }
    });
    if let Some(failure) = hold(&solver.failure).take() {
        return Err(failure);
    }
    if !queue.is_done() {
        return Err(SolveError::canceled());
    }
    let outputs = std::mem::take(&mut *hold(&solver.outputs));
    Ok(Solved { outputs })
}

struct Solver<'a, X: Executor> {
    context: &'a Context<'a>,
    x: &'a X,
    plan: &'a Plan<X::Output>,
    queue: &'a Queue,
    /// Comes with the caller's, and with the first failure.
    cancel: &'a Cancel,
    outputs: Mutex<Vec<Option<X::Output>>>,
    /// Those of the plan, and those that were found on the way.
    identities: Mutex<Vec<Option<Identity>>>,
    failure: Mutex<Option<SolveError<X::Error>>>,
}

/// What one node came to, if it did not fail.
type Made<X> = Result<<X as Executor>::Output, SolveErrorKind<<X as Executor>::Error>>;

impl<X: Executor> Solver<'_, X> {
    /// Tells of what the plan found, and records what it found by content under the definition,
    /// where the next build finds it at once.
    fn announce_hits(&self) -> Result<(), SolveError<X::Error>> {
        for (id, _) in self.plan.graph().iter() {
            let Answer::Hit(by) = self.plan.answer(id) else {
                continue;
            };
            let output = hold(&self.outputs)[id.index()].clone();
            let Some(output) = output else { continue };
            if by == By::Content {
                self.record(id, &output, None)
                    .map_err(|kind| SolveError::at(self.plan.graph(), id, kind))?;
            }
            self.x.ready(id, &output);
            (self.context.on)(Event::Hit(id, by));
        }
        Ok(())
    }

    fn work(&self, class: Class) {
        while let Some(id) = self.queue.next(class) {
            match self.guarded(id) {
                Ok(output) => {
                    hold(&self.outputs)[id.index()] = Some(output);
                    self.queue.done(id);
                }
                Err(kind) => self.fail(id, kind),
            }
        }
    }

    /// One node; a panic of the executor is a failure as any other.
    fn guarded(&self, id: NodeId) -> Made<X> {
        catch_unwind(AssertUnwindSafe(|| self.one(id)))
            .unwrap_or_else(|panic| Err(SolveErrorKind::Panicked(message(panic.as_ref()))))
    }

    fn one(&self, id: NodeId) -> Made<X> {
        let node = self.plan.graph().node(id);
        let inputs = self.inputs(id);
        let recorded = node.op.is_recorded();
        let late = recorded && self.stands_on_unread(id);
        let mut content = None;
        if recorded && !late {
            self.identify(id)?;
            content = self.content(id, &inputs)?;
            if let Some(output) = self.found(id, content.as_ref(), &inputs)? {
                return self.saved(id, output);
            }
        }
        (self.context.on)(Event::Started(id));
        let output = self
            .x
            .execute(id, node, &inputs, self.cancel)
            .map_err(SolveErrorKind::Failed)?;
        if late {
            // It was read on the way: now it is known what was applied to what.
            self.identify_leaves(id)?;
            self.identify(id)?;
            content = self.content(id, &inputs)?;
            if let Some(output) = self.found(id, content.as_ref(), &inputs)? {
                return self.saved(id, output);
            }
        }
        if recorded {
            self.record(id, &output, content.as_ref())?;
        }
        self.x.ready(id, &output);
        (self.context.on)(Event::Finished(id));
        Ok(output)
    }

    /// What was recorded for the same content, perhaps upon other inputs, counts.
    fn saved(&self, id: NodeId, output: X::Output) -> Made<X> {
        self.record(id, &output, None)?;
        self.x.ready(id, &output);
        (self.context.on)(Event::Hit(id, By::Content));
        Ok(output)
    }

    fn content(
        &self,
        id: NodeId,
        inputs: &[X::Output],
    ) -> Result<Option<Keyed>, SolveErrorKind<X::Error>> {
        key::content(self.plan.graph(), id, inputs, self.x, self.context.settings)
            .map_err(SolveErrorKind::Failed)
    }

    /// Whether an input of the node is a leaf whose content nobody has read yet.
    fn stands_on_unread(&self, id: NodeId) -> bool {
        let identities = hold(&self.identities);
        self.unread_leaves(id, &identities).next().is_some()
    }

    fn unread_leaves<'b>(
        &'b self,
        id: NodeId,
        identities: &'b [Option<Identity>],
    ) -> impl Iterator<Item = NodeId> + 'b {
        let graph = self.plan.graph();
        let inputs = graph.node(id).inputs.iter().copied();
        inputs.filter(move |i| {
            graph.node(*i).op.is_leaf() && matches!(identities[i.index()], Some(Identity::Later))
        })
    }

    /// Asks for the leaves beneath the node again, which has read them.
    fn identify_leaves(&self, id: NodeId) -> Result<(), SolveErrorKind<X::Error>> {
        let unread: Vec<_> = self.unread_leaves(id, &hold(&self.identities)).collect();
        unread.into_iter().try_for_each(|leaf| self.settle(leaf))
    }

    /// Finds the definition key of a node where the plan could not: its inputs are known by now.
    fn identify(&self, id: NodeId) -> Result<(), SolveErrorKind<X::Error>> {
        match hold(&self.identities)[id.index()] {
            Some(Identity::Later) => {}
            _ => return Ok(()),
        }
        self.settle(id)
    }

    fn settle(&self, id: NodeId) -> Result<(), SolveErrorKind<X::Error>> {
        let (graph, settings) = (self.plan.graph(), self.context.settings);
        let before = hold(&self.identities).clone();
        let identity =
            key::identity(graph, id, &before, self.x, settings).map_err(SolveErrorKind::Failed)?;
        hold(&self.identities)[id.index()] = Some(identity);
        Ok(())
    }

    fn inputs(&self, id: NodeId) -> Vec<X::Output> {
        let outputs = hold(&self.outputs);
        let inputs = &self.plan.graph().node(id).inputs;
        inputs
            .iter()
            .map(|i| outputs[i.index()].clone())
            .map(|o| o.expect("a node is ready once each of its inputs has an output"))
            .collect()
    }

    fn found(
        &self,
        id: NodeId,
        content: Option<&Keyed>,
        inputs: &[X::Output],
    ) -> Result<Option<X::Output>, SolveErrorKind<X::Error>> {
        match content {
            Some(keyed) if !self.context.settings.fresh.has(id) => {
                look_up(self.x, self.context.records, &keyed.key, Some(inputs))
            }
            _ => Ok(None),
        }
    }

    /// Records `output` under the node's definition, and under its content where that is given.
    fn record(
        &self,
        id: NodeId,
        output: &X::Output,
        content: Option<&Keyed>,
    ) -> Result<(), SolveErrorKind<X::Error>> {
        let record = self.x.save(output).map_err(SolveErrorKind::Failed)?;
        let definition = match &hold(&self.identities)[id.index()] {
            Some(Identity::Step(keyed)) => Some(keyed.clone()),
            _ => None,
        };
        for keyed in definition.iter().chain(content) {
            self.context
                .records
                .put(&keyed.key, &keyed.record(record.clone()))
                .map_err(SolveErrorKind::Records)?;
        }
        Ok(())
    }

    /// The first failure is kept, and stops the rest; what fails after that, or after the caller's
    /// request to stop, was stopped.
    fn fail(&self, id: NodeId, kind: SolveErrorKind<X::Error>) {
        let mut failure = hold(&self.failure);
        let first = failure.is_none() && !self.cancel.is_canceled();
        if first {
            *failure = Some(SolveError::at(self.plan.graph(), id, kind));
        }
        drop(failure);
        self.queue.stop();
        self.cancel.cancel();
        (self.context.on)(match first {
            true => Event::Failed(id),
            false => Event::Canceled(id),
        });
    }
}

/// No code of others runs under these locks: what they guard is whole.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
