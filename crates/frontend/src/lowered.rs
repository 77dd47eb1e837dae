//! What a Dockerfile came to: a graph, the image's config, and the instructions in the order in which
//! people read them. Refuses to know layers and times: whoever carries the graph out has these.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use kiln_graph::{Graph, NodeId, Origin};
use kiln_image::{Config, Digest, History, Reference, Runtime};
use kiln_parser::Diagnostic;

use crate::Declared;

/// What a Dockerfile came to.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The operations.
    pub graph: Graph,
    /// The root of the image.
    pub target: NodeId,
    /// The image's config: its history is the base's and then one entry for each instruction,
    /// without times. The list of layers is empty.
    pub config: Config,
    /// The ARGs before the first FROM, as text: the first steps of a transcript, without an image.
    pub preamble: Vec<String>,
    /// How many steps there are, the preamble included and triggers not.
    pub total: u32,
    /// The stages that the target needs, in the order of the file.
    pub stages: Vec<Stage>,
    /// Their instructions, FROM included, in the order of the file.
    pub steps: Vec<Step>,
    /// `SOURCE_DATE_EPOCH`, as a build argument or a global ARG: seconds since 1970.
    pub epoch: Option<i64>,
    /// The ARGs of those stages, in the order in which they came.
    pub declared: Vec<Declared>,
    /// The values of the global scope.
    pub globals: BTreeMap<String, String>,
    /// What should be told. An empty span at the start of the file stands for no place.
    pub warnings: Vec<Diagnostic>,
}

/// A stage that the target needs.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Its number in the file, from 0.
    pub index: usize,
    /// Its name, in lower case.
    pub name: Option<String>,
    /// What it stands on.
    pub base: StageBase,
    /// The config that FROM gave it, the base's history included, without layers.
    pub config: Config,
    /// Its steps in [`Lowered::steps`], FROM first.
    pub steps: Range<usize>,
    /// The root at its end.
    pub node: NodeId,
}

/// What a stage stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageBase {
    /// Nothing.
    Scratch,
    /// An image.
    Image {
        /// Its name.
        reference: Reference,
        /// What the name stands for.
        manifest: Digest,
    },
    /// The files of a named context.
    Context(String),
    /// An earlier stage, by its place in [`Lowered::stages`].
    Stage(usize),
}

/// An instruction that is carried out.
#[derive(Clone, Debug)]
pub struct Step {
    /// From 1, the preamble counted. A trigger has the number of its FROM.
    pub number: u32,
    /// As people are shown it: `RUN apt-get update`.
    pub text: String,
    /// Its stage, by its place in [`Lowered::stages`].
    pub stage: usize,
    /// The root after it. Where it makes no layer, that of the step before.
    pub node: NodeId,
    /// Whether it makes a layer.
    pub makes_layer: bool,
    /// Whether it is an ONBUILD trigger of the base.
    pub trigger: bool,
    /// What an image of this step would run, and how.
    pub runtime: Arc<Runtime>,
    /// Who made it.
    pub author: Option<String>,
    /// Its line in the history, without a time. None for FROM.
    pub history: Option<History>,
    /// Where it stands; a trigger stands where its FROM does.
    pub origin: Origin,
}

impl Lowered {
    /// The config of the image as the step at this place of [`Lowered::steps`] leaves it, without
    /// layers and times.
    ///
    /// # Panics
    /// If there is no such step.
    pub fn config_at(&self, step: usize) -> Config {
        let last = &self.steps[step];
        let stage = &self.stages[last.stage];
        let mut config = stage.config.clone();
        config.config = (*last.runtime).clone();
        config.author.clone_from(&last.author);
        let steps = &self.steps[stage.steps.start..=step];
        config
            .history
            .extend(steps.iter().filter_map(|s| s.history.clone()));
        config
    }
}
