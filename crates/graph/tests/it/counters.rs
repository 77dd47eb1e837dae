//! A second implementation of the executor: it carries nothing out, counts what it was asked, and
//! misbehaves on request.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use kiln_cache::{Memory, Record};
use kiln_graph::{
    Cancel, Class, Context, Copy, Event, Executor, Graph, GraphBuilder, Node, NodeId, Op, Plan,
    Run, Select, Settings, SolveError, Solved, Taken, plan, solve,
};
use kiln_image::Digest;

/// What a node does instead of succeeding at once.
pub(crate) enum Trick {
    Fail,
    Panic,
    /// Waits until it is told to stop, and fails then.
    Wait,
    /// Waits until the named node is waiting as well, and fails then.
    FailBeside(&'static str),
    /// Gives this, whatever it is applied to.
    Give(&'static str),
}

#[derive(Default)]
pub(crate) struct Counters {
    /// The content of the context's files, by pattern.
    pub(crate) files: BTreeMap<String, String>,
    /// Those that are not known before somebody has read them.
    pub(crate) unread: Mutex<BTreeSet<String>>,
    pub(crate) tricks: BTreeMap<String, Trick>,
    pub(crate) gone: Mutex<BTreeSet<String>>,
    pub(crate) executed: Mutex<Vec<String>>,
    pub(crate) loads: AtomicUsize,
    /// The inputs upon which records found by content were loaded.
    pub(crate) loaded_upon: Mutex<Vec<Vec<String>>>,
    pub(crate) waiting: Mutex<BTreeSet<String>>,
    pub(crate) running: [AtomicUsize; 3],
    pub(crate) most: [AtomicUsize; 3],
    /// How long a node takes, so that others come to run beside it.
    pub(crate) pace: Duration,
}

impl Counters {
    pub(crate) fn file(mut self, pattern: &str, content: &str) -> Self {
        self.files.insert(pattern.to_owned(), content.to_owned());
        self
    }

    pub(crate) fn trick(mut self, name: &str, trick: Trick) -> Self {
        self.tricks.insert(name.to_owned(), trick);
        self
    }

    /// What was carried out but leaves, in the order of names.
    pub(crate) fn steps(&self) -> Vec<String> {
        let mut steps = hold(&self.executed).clone();
        steps.retain(|s| !s.starts_with("leaf "));
        steps.sort();
        steps
    }

    /// Contexts are not known before a COPY has read them.
    pub(crate) fn read_late(self) -> Self {
        let names = self.files.keys().map(|name| format!("context {name}"));
        *hold(&self.unread) = names.collect();
        self
    }

    fn content(&self, node: &Node) -> Result<Digest, String> {
        let Op::Context { select, .. } = &node.op else {
            return Err(format!("`{}` is not a context", node.op));
        };
        let content = self.files.get(&select.patterns[0]);
        let content = content.ok_or_else(|| format!("no `{}`", select.patterns[0]))?;
        Ok(Digest::sha256(content.as_bytes()))
    }

    fn tricked(&self, name: &str, cancel: &Cancel) -> Result<Option<String>, String> {
        let stopped = || Err(format!("{name} was stopped"));
        match self.tricks.get(name) {
            None => Ok(None),
            Some(Trick::Give(what)) => Ok(Some((*what).to_owned())),
            Some(Trick::Fail) => Err(format!("{name} failed")),
            Some(Trick::Panic) => panic!("{name} panicked"),
            Some(Trick::Wait) => {
                let (tell, told) = mpsc::channel();
                let _guard = cancel.on_cancel(Box::new(move || tell.send(()).unwrap()));
                hold(&self.waiting).insert(name.to_owned());
                told.recv().unwrap();
                stopped()
            }
            Some(Trick::FailBeside(other)) => {
                while !hold(&self.waiting).contains(*other) {
                    if cancel.is_canceled() {
                        return stopped();
                    }
                    std::thread::yield_now();
                }
                Err(format!("{name} failed"))
            }
        }
    }
}

impl Executor for Counters {
    type Output = String;
    type Error = String;

    fn leaf(&self, node: &Node) -> Result<Option<Digest>, String> {
        let content = self.content(node)?;
        let unread = hold(&self.unread).contains(&node.op.to_string());
        Ok((!unread).then_some(content))
    }

    fn tree(&self, leaf: &Node) -> Option<Digest> {
        self.content(leaf).ok()
    }

    fn execute(
        &self,
        _: NodeId,
        node: &Node,
        inputs: &[String],
        cancel: &Cancel,
    ) -> Result<String, String> {
        let class = node.op.class() as usize;
        let now = self.running[class].fetch_add(1, Ordering::SeqCst) + 1;
        self.most[class].fetch_max(now, Ordering::SeqCst);
        #[allow(
            clippy::disallowed_methods,
            reason = "stands for work; nothing is measured"
        )]
        std::thread::sleep(self.pace);
        let leaf = if node.op.is_leaf() { "leaf " } else { "" };
        hold(&self.executed).push(format!("{leaf}{}", node.op));
        let tricked = self.tricked(&node.op.to_string(), cancel);
        self.running[class].fetch_sub(1, Ordering::SeqCst);
        Ok(match (tricked?, &node.op) {
            (Some(given), _) => given,
            (None, Op::Context { .. }) => self.content(node)?.hex(),
            (None, Op::Copy(copy)) => {
                hold(&self.unread).remove(&format!("context {}", copy.sources[0]));
                Digest::sha256(format!("{}{inputs:?}", node.op).as_bytes()).hex()
            }
            (None, op) => Digest::sha256(format!("{op}{inputs:?}").as_bytes()).hex(),
        })
    }

    fn digest(
        &self,
        _: NodeId,
        _: &Node,
        index: usize,
        inputs: &[String],
    ) -> Result<Option<Digest>, String> {
        let output = &inputs[index];
        Ok(Some(Digest::sha256(output.as_bytes())))
    }

    fn save(&self, output: &String) -> Result<Record, String> {
        Ok(Record {
            value: output.clone().into_bytes(),
            ..Record::default()
        })
    }

    fn load(&self, record: &Record, inputs: Option<&[String]>) -> Result<Option<String>, String> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        hold(&self.loaded_upon).extend(inputs.map(<[String]>::to_vec));
        let output = String::from_utf8(record.value.clone()).map_err(|e| e.to_string())?;
        Ok(Some(output).filter(|o| !hold(&self.gone).contains(o)))
    }
}

pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn most(x: &Counters, class: Class) -> usize {
    x.most[class as usize].load(Ordering::SeqCst)
}

pub(crate) fn context(g: &mut GraphBuilder, pattern: &str) -> NodeId {
    let patterns = vec![pattern.to_owned()];
    let name = String::new();
    let select = Select {
        patterns,
        ..Select::default()
    };
    g.add(Op::Context { name, select }, &[], None)
}

pub(crate) fn copy(g: &mut GraphBuilder, root: NodeId, file: &str) -> NodeId {
    let source = context(g, file);
    let op = Copy {
        sources: vec![Taken::first(file)],
        destination: "/".to_owned(),
        ..Copy::default()
    };
    g.add(Op::Copy(op), &[root, source], None)
}

pub(crate) fn run(g: &mut GraphBuilder, inputs: &[NodeId], command: &str) -> NodeId {
    let op = Run {
        argv: vec![command.to_owned()],
        ..Run::default()
    };
    g.add(Op::Run(op), inputs, None)
}

/// Records that last, and a cache that may be turned off.
#[derive(Default)]
pub(crate) struct Bench {
    pub(crate) records: Memory,
    pub(crate) settings: Settings,
    pub(crate) cancel: Cancel,
    pub(crate) events: Mutex<Vec<Event>>,
}

impl Bench {
    pub(crate) fn plan(&self, graph: &Graph, target: NodeId, x: &Counters) -> Plan<String> {
        plan(graph, &[target], x, &self.records, &self.settings).unwrap()
    }

    pub(crate) fn build(
        &self,
        graph: &Graph,
        target: NodeId,
        x: &Counters,
    ) -> Result<Solved<String>, SolveError<String>> {
        let context = Context {
            records: &self.records,
            settings: &self.settings,
            cancel: &self.cancel,
            on: &|event| hold(&self.events).push(event),
        };
        solve(&context, self.plan(graph, target, x), x)
    }
}
