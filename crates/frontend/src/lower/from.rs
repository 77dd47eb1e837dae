//! FROM: the state that a stage begins with.

use kiln_graph::{Copy, NodeId, Op, Select, Taken};
use kiln_image::{Config, Platform};
use kiln_parser::{Diagnostic, Span};

use super::{Lowerer, Place, State};
use crate::{StageBase, origin::Origin, scope::Args, stage::Ground};

/// Where programs are looked for when the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What of a base's config is not about how it was made.
const KEPT: [&str; 2] = ["os.version", "os.features"];

impl Lowerer<'_, '_> {
    /// The state behind FROM. None where the stage it stands on has errors of its own.
    pub(super) fn from(&mut self, place: &Place) -> Option<(StageBase, State)> {
        let (base, mut state) = match self.survey.grounds.get(&place.stage)? {
            Ground::Stage(earlier) => {
                let (at, end) = self.ends.get(earlier)?;
                (StageBase::Stage(*at), end.clone())
            }
            Ground::Scratch => {
                let image = empty(&self.options.platform);
                (StageBase::Scratch, self.begin(Op::Scratch, image, place))
            }
            Ground::Context(name) => {
                let base = StageBase::Context((*name).to_owned());
                (base, self.files_of(name, place))
            }
            Ground::Image(reference, resolved) => {
                let base = StageBase::Image {
                    reference: reference.clone(),
                    manifest: resolved.manifest,
                };
                let op = Op::Image {
                    reference: reference.clone(),
                    manifest: resolved.manifest,
                    platform: self.survey.platform_of(place.stage).clone(),
                };
                (base, self.begin(op, inherited(&resolved.config), place))
            }
        };
        state.has_cmd = false;
        state.image.config.on_build.clear();
        state.args.hide_all(&state.image.config);
        if state.image.os != "windows" && state.image.config.env("PATH").is_none() {
            state.image.config.set_env("PATH", PATH);
        }
        Some((base, state))
    }

    /// A root that is all the files of a named context.
    fn files_of(&mut self, name: &str, place: &Place) -> State {
        let context = Op::Context {
            name: name.to_owned(),
            select: Select::default(),
        };
        let source = self.graph.add(context, &[], Some(place.origin.clone()));
        let mut state = self.begin(Op::Scratch, empty(&self.options.platform), place);
        let op = Copy {
            sources: vec![Taken::first(".")],
            destination: "/".to_owned(),
            ..Copy::default()
        };
        state.node = self.node(Op::Copy(op), &[state.node, source], place);
        state
    }

    fn begin(&mut self, op: Op, image: Config, place: &Place) -> State {
        State {
            node: self.node(op, &[], place),
            image,
            args: Args::default(),
            has_cmd: false,
        }
    }

    /// The files that the `from` of a COPY or of a mount means; of a context only what is selected.
    pub(super) fn source(
        &mut self,
        name: &str,
        span: Span,
        select: Select,
        place: &Place,
    ) -> Result<NodeId, Diagnostic> {
        let gone = |what: &str| {
            let message = format!("{what} `{name}` has errors of its own");
            Diagnostic::error("bad-from-flag", span, message)
        };
        let op = match self.survey.copied_from(place.stage, name, span)? {
            Origin::Stage(index) => match self.ends.get(&index) {
                Some((_, end)) => return Ok(end.node),
                None => return Err(gone("stage")),
            },
            Origin::Scratch => Op::Scratch,
            Origin::Context(name) => Op::Context { name, select },
            Origin::Image(reference) => {
                let manifest = self.survey.manifest(place.stage, &reference);
                Op::Image {
                    manifest: manifest.ok_or_else(|| gone("image"))?,
                    reference,
                    platform: self.survey.platform_of(place.stage).clone(),
                }
            }
        };
        Ok(self.graph.add(op, &[], Some(place.origin.clone())))
    }
}

/// The config of nothing.
fn empty(platform: &Platform) -> Config {
    let mut image = Config::scratch(platform);
    image.config.working_dir = "/".to_owned();
    image
}

/// What an image takes over from its base: all but the layers, the time, and how the base was made.
fn inherited(base: &Config) -> Config {
    let mut image = base.clone();
    image.created = None;
    image.rootfs = Default::default();
    image.other.retain(|name, _| KEPT.contains(&name.as_str()));
    // What old builders kept of the container that they worked in: its host name, its streams.
    image.config.other.clear();
    image
}
