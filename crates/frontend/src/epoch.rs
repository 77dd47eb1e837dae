//! `SOURCE_DATE_EPOCH`: a number of seconds, or the name of what has a time: the main context, a named
//! one, a stage that is nothing but a download. Refuses to ask anybody when that was made: whoever
//! calls is told what it is.

use std::borrow::Cow;

use kiln_graph::Op;
use kiln_parser::{Diagnostic, Dockerfile, Instruction, Span, Stage};

use crate::{
    Bases, Lowering, NamedContext, Options, StageBase, contexts, error::error, lower,
    scope::Globals,
};

const NAME: &str = "SOURCE_DATE_EPOCH";

/// What `SOURCE_DATE_EPOCH` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// Nothing, or the time of what has none: a folder, an image.
    None,
    /// Seconds since 1970.
    At(i64),
    /// The time of a commit or of a file that is elsewhere: [`Op::Git`] or [`Op::Http`].
    Of {
        /// What is elsewhere.
        op: Box<Op>,
        /// Where the Dockerfile names it.
        span: Span,
    },
}

/// What `SOURCE_DATE_EPOCH` asks for, as a build argument or as an ARG before the first FROM. Where it
/// names something, [`Options::with_epoch`] puts the time in its place.
///
/// # Errors
/// When it is neither a number nor a name, and when a stage that it names is more than one ADD of what is
/// elsewhere.
pub fn epoch(file: &Dockerfile<'_>, options: &Options) -> Result<Epoch, Vec<Diagnostic>> {
    let Some(text) = value(file, options)? else {
        return Ok(Epoch::None);
    };
    let known = |time: Option<&i64>| Ok(time.map_or(Epoch::None, |time| Epoch::At(*time)));
    if text == "context" {
        return known(options.context_time.as_ref());
    }
    if let Ok(time) = text.parse() {
        return Ok(Epoch::At(time));
    }
    let named = contexts::named(&options.contexts, &text, &options.platform);
    let wanted = match named {
        Some((_, NamedContext::Target(stage))) => stage.to_lowercase(),
        Some((name, _)) => return known(options.named_times.get(name)),
        None => text.to_lowercase(),
    };
    let mut stages = file.stages.iter().enumerate();
    match stages.find(|(_, stage)| stage.name() == Some(&wanted)) {
        Some((index, stage)) => of_stage(file, options, index, stage),
        None => {
            let span = declared(file, options);
            let message = format!("`{NAME}` is `{text}`, which is no number and no name");
            let help = "it is in seconds since 1970; or `context`, a named context, or a stage that is \
                        one ADD from elsewhere, for the time of that";
            Err(vec![error("bad-epoch", span, message, help)])
        }
    }
}

/// The time, where it is known, and the options with it in the place of a name.
pub(crate) fn settled<'o>(
    file: &Dockerfile<'_>,
    options: &'o Options,
) -> Result<(Option<i64>, Cow<'o, Options>), Vec<Diagnostic>> {
    let time = match epoch(file, options)? {
        Epoch::At(time) => Some(time),
        Epoch::None | Epoch::Of { .. } => None,
    };
    let is_name = value(file, options)?.is_some_and(|text| text.parse::<i64>().is_err());
    Ok(match is_name {
        true => (time, Cow::Owned(options.clone().with_epoch(time))),
        false => (time, Cow::Borrowed(options)),
    })
}

impl Options {
    /// The same where `SOURCE_DATE_EPOCH` is this time, or nothing.
    #[must_use]
    pub fn with_epoch(mut self, time: Option<i64>) -> Self {
        let text = time.map(|time| time.to_string()).unwrap_or_default();
        self.build_args.insert(NAME.to_owned(), text);
        self
    }
}

fn value(file: &Dockerfile<'_>, options: &Options) -> Result<Option<String>, Vec<Diagnostic>> {
    let given = options.build_args.get(NAME).cloned();
    let text = match given {
        Some(text) => Some(text),
        None => Globals::new(file, options)?.get(NAME).map(str::to_owned),
    };
    Ok(text.filter(|text| !text.is_empty()))
}

/// Where the file says it, if nobody else did.
fn declared(file: &Dockerfile<'_>, options: &Options) -> Span {
    let says = file.args.iter().find(|arg| {
        let pairs = &arg.instruction.pairs;
        pairs.iter().any(|pair| pair.name.raw() == NAME)
    });
    let says = says.filter(|_| !options.build_args.contains_key(NAME));
    says.map_or(Span::default(), |arg| arg.span)
}

/// What the one ADD of a stage fetches.
fn of_stage(
    file: &Dockerfile<'_>,
    options: &Options,
    index: usize,
    stage: &Stage<'_>,
) -> Result<Epoch, Vec<Diagnostic>> {
    let refused = |span: Span, why: &str| {
        let name = stage.name().unwrap_or_default();
        let message = format!("`{NAME}` is the time of the stage `{name}`, {why}");
        let help = "such a stage is `FROM scratch` and one ADD of one URL or repository; or give the \
                    time itself, in seconds since 1970";
        Err(vec![error("bad-epoch", span, message, help)])
    };
    let mut adds = Vec::new();
    for node in &stage.instructions {
        match &node.instruction {
            Instruction::Arg(_) => {}
            Instruction::Add(add) => adds.push((node.span, add)),
            _ => return refused(node.span, "which does more than ADD"),
        }
    }
    let [(at, add)] = adds[..] else {
        let span = adds.get(1).map_or(stage.from.span, |(at, _)| *at);
        return refused(span, "which has no ADD, or more than one");
    };
    // Variables mean what they mean when it is built.
    let alone = Options {
        target: Some(index.to_string()),
        every_stage: false,
        ..options.clone().with_epoch(None)
    };
    let bases = Bases::new();
    let Lowering::Done(lowered) = lower(file, &alone, &bases)? else {
        return refused(stage.from.span, "which is not `FROM scratch`");
    };
    if !matches!(&lowered.stages[..], [only] if only.base == StageBase::Scratch) {
        return refused(stage.from.span, "which is not `FROM scratch`");
    }
    let mut sources = lowered.graph.iter().filter_map(|(_, node)| match &node.op {
        Op::Scratch | Op::Copy(_) | Op::Merge => None,
        op => Some(op),
    });
    match (sources.next(), sources.next()) {
        (Some(op @ (Op::Http(_) | Op::Git(_))), None) if add.sources.len() == 1 => Ok(Epoch::Of {
            op: Box::new(op.clone()),
            span: at,
        }),
        _ => refused(at, "whose ADD takes more than one thing from elsewhere"),
    }
}
