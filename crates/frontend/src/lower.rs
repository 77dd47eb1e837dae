//! From instructions to operations: stage by stage, instruction by instruction. Refuses to carry
//! anything out, and to look at what it was not given.

mod copy;
mod env;
mod from;
mod inline;
mod meta;
mod mounts;
mod remote;

pub use remote::Remote;
mod run;
mod warn;

use std::{collections::BTreeMap, sync::Arc};

use kiln_graph::{GraphBuilder, NodeId, Origin};
use kiln_image::Config;
use kiln_parser::{Diagnostic, Dockerfile, Instruction, Node, Span, Word};

use crate::{
    Base, Bases, Declared, Lowered, Options, Stage, StageBase, Step, check, epoch, error, history,
    onbuild, scope::Args, stage::Survey, syntax,
};

/// What came of an attempt.
#[derive(Clone, Debug)]
pub enum Lowering {
    /// These images are to be looked up; then once more, with them. It may take several rounds:
    /// what a base image wants carried out may name others.
    Need(Vec<Base>),
    /// Done.
    Done(Box<Lowered>),
}

/// Turns a Dockerfile into a graph.
///
/// # Errors
/// Everything that is wrong, in the order of the file, as far as the target needs it; spans are of the
/// file. What the language has and kiln does not do is among it.
pub fn lower(
    file: &Dockerfile<'_>,
    options: &Options,
    bases: &Bases,
) -> Result<Lowering, Vec<Diagnostic>> {
    syntax::check(file, options).map_err(|e| vec![e])?;
    let (time, options) = epoch::settled(file, options)?;
    lower_at(time, file, &options, bases)
}

fn lower_at<'a>(
    epoch: Option<i64>,
    file: &'a Dockerfile<'a>,
    options: &'a Options,
    bases: &'a Bases,
) -> Result<Lowering, Vec<Diagnostic>> {
    let survey = Survey::new(file, options, bases)?;
    if !survey.errors.is_empty() {
        return Err(sorted(survey.errors));
    }
    if !survey.needs.is_empty() {
        return Ok(Lowering::Need(survey.needs));
    }
    let mut lowerer = Lowerer::new(file, options, &survey);
    for index in survey.grounds.keys() {
        lowerer.stage(*index);
    }
    if !lowerer.errors.is_empty() {
        return Err(sorted(lowerer.errors));
    }
    lowerer.unused_arguments();
    lowerer
        .warnings
        .extend(check::findings(file, options, &survey));
    Ok(Lowering::Done(Box::new(lowerer.finish(epoch))))
}

fn sorted(mut errors: Vec<Diagnostic>) -> Vec<Diagnostic> {
    errors.sort_by_key(|e| e.span);
    errors
}

/// A whole file on its way.
struct Lowerer<'a, 's> {
    file: &'a Dockerfile<'a>,
    options: &'a Options,
    survey: &'s Survey<'a>,
    graph: GraphBuilder,
    /// The finished stages, by their number in the file: where they are in `stages`, and how they
    /// ended.
    ends: BTreeMap<usize, (usize, State)>,
    stages: Vec<Stage>,
    steps: Vec<Step>,
    /// The ARGs of stages.
    declared: Vec<Declared>,
    number: u32,
    warnings: Vec<Diagnostic>,
    errors: Vec<Diagnostic>,
}

/// A stage on its way: what the next instruction finds.
#[derive(Clone)]
struct State {
    /// The root.
    node: NodeId,
    /// The image so far, its history included, without layers.
    image: Config,
    args: Args,
    /// Whether this stage has had a CMD.
    has_cmd: bool,
}

impl State {
    /// The value of a word of this stage.
    fn expand(&self, word: &Word<'_>) -> Result<String, Diagnostic> {
        word.expand(&|name| Some(self.args.look_up(&self.image.config, name)?.into()))
            .map_err(|e| error::expand(&e))
    }

    fn cwd(&self) -> String {
        crate::path::join("/", &self.image.config.working_dir)
    }
}

/// What an instruction came to, beside what it did to the state.
struct Effect {
    /// Its line in the history.
    created_by: Option<String>,
    makes_layer: bool,
}

impl Effect {
    fn unlisted() -> Result<Self, Diagnostic> {
        Ok(Self {
            created_by: None,
            makes_layer: false,
        })
    }

    fn config(created_by: String) -> Result<Self, Diagnostic> {
        Ok(Self {
            created_by: Some(created_by),
            makes_layer: false,
        })
    }

    fn layer(created_by: String) -> Result<Self, Diagnostic> {
        Ok(Self {
            created_by: Some(created_by),
            makes_layer: true,
        })
    }
}

/// Where the instruction at hand stands.
struct Place {
    stage: usize,
    origin: Origin,
    /// `[build 2/5] RUN make`
    name: String,
}

impl<'a, 's> Lowerer<'a, 's> {
    fn new(file: &'a Dockerfile<'a>, options: &'a Options, survey: &'s Survey<'a>) -> Self {
        Self {
            file,
            options,
            survey,
            graph: GraphBuilder::new(),
            ends: BTreeMap::new(),
            stages: Vec::new(),
            steps: Vec::new(),
            declared: Vec::new(),
            number: u32::try_from(file.args.len()).unwrap_or(u32::MAX),
            warnings: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn stage(&mut self, index: usize) {
        let stage = &self.file.stages[index];
        let triggers = self.triggers(index);
        let layers = triggers.iter().map(|(_, node)| &node.instruction);
        let body = self.survey.body(index);
        let layers = layers.chain(body.iter().map(|n| &n.instruction));
        let total = 1 + layers.filter(|i| may_make_layer(i)).count();
        let mut at = 1;
        let mut place = Place {
            stage: index,
            origin: self.origin(stage.from.span, stage.from.lines.0),
            name: self.name(index, at, total, &stage.from.text),
        };
        let first = self.steps.len();
        let Some((base, mut state)) = self.from(&place) else {
            return;
        };
        let config = state.image.clone();
        self.number += 1;
        let effect = laid_down(&base, &mut state);
        self.step(&place.origin, &stage.from.text, &state, effect, false);
        for (trigger, node) in triggers {
            at += usize::from(may_make_layer(&node.instruction));
            place.name = self.name(index, at, total, &node.text);
            match self.instruction(&node.instruction, &mut state, &place) {
                Ok(effect) => self.step(&place.origin, &node.text, &state, Some(effect), true),
                Err(e) => self
                    .errors
                    .push(onbuild::at_from(e, trigger, stage.from.span)),
            }
        }
        for node in body {
            at += usize::from(may_make_layer(&node.instruction));
            place.origin = self.origin(node.span, node.lines.0);
            place.name = self.name(index, at, total, &node.text);
            self.number += 1;
            match self.instruction(&node.instruction, &mut state, &place) {
                Ok(effect) => self.step(&place.origin, &node.text, &state, Some(effect), false),
                Err(e) => self.errors.push(e),
            }
        }
        self.stages.push(Stage {
            index,
            name: stage.name().map(str::to_owned),
            base,
            config,
            steps: first..self.steps.len(),
            node: state.node,
        });
        self.ends.insert(index, (self.stages.len() - 1, state));
    }

    /// What the base of a stage wants carried out first. What cannot be read is an error.
    fn triggers(&mut self, index: usize) -> Vec<(&'a str, Node<'a>)> {
        let from = self.file.stages[index].from.span;
        let mut read = Vec::new();
        for trigger in self.survey.triggers(index) {
            match onbuild::read(trigger) {
                Ok(node) => read.push((trigger, node)),
                Err(e) => self.errors.push(onbuild::at_from(e, trigger, from)),
            }
        }
        read
    }

    fn instruction(
        &mut self,
        instruction: &Instruction<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let effect = match instruction {
            Instruction::Run(run) => self.run(run, state, place),
            Instruction::Copy(copy) => self.copy(copy, state, place),
            Instruction::Add(add) => self.add(add, state, place),
            Instruction::Workdir(workdir) => self.workdir(workdir, state, place),
            Instruction::Arg(arg) => self.arg(arg, state, place),
            Instruction::Env(env) => self.env(env, state),
            Instruction::Label(label) => self.label(label, state),
            Instruction::User(user) => self.user(user, state),
            Instruction::Cmd(command) => meta::cmd(command, state),
            Instruction::Entrypoint(command) => meta::entrypoint(command, state),
            Instruction::Expose(expose) => meta::expose(expose, state),
            Instruction::Volume(volume) => meta::volume(volume, state),
            Instruction::StopSignal(signal) => meta::stop_signal(signal, state),
            Instruction::Shell(shell) => meta::shell(shell, state),
            Instruction::Healthcheck(check) => meta::healthcheck(check, state),
            Instruction::OnBuild(on) => meta::on_build(on, state),
            Instruction::Maintainer(maintainer) => meta::maintainer(maintainer, state),
            other => {
                let (start, end) = place.origin.span;
                Err(error::not_yet(Span::new(start, end), other.keyword(), ""))
            }
        }?;
        if let Some(created_by) = &effect.created_by {
            let entry = history::entry(created_by.clone(), effect.makes_layer);
            state.image.history.push(entry);
        }
        Ok(effect)
    }

    fn step(
        &mut self,
        origin: &Origin,
        text: &str,
        state: &State,
        effect: Option<Effect>,
        trigger: bool,
    ) {
        let runtime = &state.image.config;
        let before = self.steps.last().map(|s| &s.runtime);
        let runtime = match before.filter(|before| ***before == *runtime) {
            Some(same) => Arc::clone(same),
            None => Arc::new(runtime.clone()),
        };
        let history = |effect: Effect| {
            effect.created_by?;
            state.image.history.last().cloned()
        };
        self.steps.push(Step {
            number: self.number,
            text: text.to_owned(),
            stage: self.stages.len(),
            node: state.node,
            makes_layer: effect.as_ref().is_some_and(|e| e.makes_layer),
            trigger,
            runtime,
            author: state.image.author.clone(),
            history: effect.and_then(history),
            origin: origin.clone(),
        });
    }

    fn origin(&self, span: Span, line: u32) -> Origin {
        Origin {
            file: self.options.file.clone(),
            span: (span.start, span.end),
            line,
        }
    }

    /// What people are shown for a node: `[build 2/5] RUN make`.
    fn name(&self, index: usize, at: usize, total: usize, text: &str) -> String {
        let stage = match self.file.stages[index].name() {
            Some(name) => format!("{name} "),
            None if self.file.stages.len() == 1 => String::new(),
            None => format!("stage-{index} "),
        };
        format!("[{stage}{at}/{total}] {}", crate::without_passwords(text))
    }

    fn finish(mut self, epoch: Option<i64>) -> Lowered {
        let (at, end) = &self.ends[&self.survey.target];
        let mut config = end.image.clone();
        // Built for another platform than this one: that is what the image says, whatever its
        // last stage stands on.
        let wanted = &self.options.platform;
        if wanted != &self.options.build_platform {
            for image in [&mut config, &mut self.stages[*at].config] {
                image.os.clone_from(&wanted.os);
                image.architecture.clone_from(&wanted.architecture);
                image.variant.clone_from(&wanted.variant);
            }
        }
        Lowered {
            target: end.node,
            config,
            graph: self.graph.finish(),
            preamble: self.file.args.iter().map(|a| a.text.to_string()).collect(),
            total: self.number,
            stages: self.stages,
            steps: self.steps,
            epoch,
            declared: self.declared,
            globals: self.survey.globals.values().collect(),
            warnings: self.warnings,
        }
    }
}

/// What FROM itself does: all files of a context are a layer, and each layer has a line in the history.
fn laid_down(base: &StageBase, state: &mut State) -> Option<Effect> {
    let StageBase::Context(name) = base else {
        return None;
    };
    let created_by = format!("FROM {name} # buildkit");
    let entry = history::entry(created_by.clone(), true);
    state.image.history.push(entry);
    Some(Effect {
        created_by: Some(created_by),
        makes_layer: true,
    })
}

/// Whether builders count it among those that make layers.
fn may_make_layer(instruction: &Instruction<'_>) -> bool {
    use Instruction::{Add, Copy, Run, Workdir};
    matches!(instruction, Run(_) | Copy(_) | Add(_) | Workdir(_))
}
