//! Which stages a target needs, what each stands on, and which images that takes. Refuses to look at
//! what the others stand on: they may name images that nobody has.

use std::collections::BTreeMap;

use kiln_image::{Digest, Platform, Reference};
use kiln_parser::{Diagnostic, Dockerfile, Instruction, Span, Stage, Word};

use crate::{
    Base, Bases, NamedContext, Options, Resolved,
    contexts::{self, Meant},
    onbuild,
    origin::{self, Origin, taken_from},
    scope::Globals,
    suggest::nearest,
    target,
};

/// What a stage stands on.
#[derive(Clone, Debug)]
pub(crate) enum Ground<'a> {
    Scratch,
    Image(Reference, &'a Resolved),
    /// The files of a named context.
    Context(&'a str),
    Stage(usize),
}

/// What is still to be done for a stage: to find out what it stands on; then what it takes files from.
enum Visit<'a> {
    Base(usize),
    Rest(usize, Option<Ground<'a>>),
}

/// What was found out about the stages of a file.
pub(crate) struct Survey<'a> {
    pub(crate) file: &'a Dockerfile<'a>,
    options: &'a Options,
    bases: &'a Bases,
    pub(crate) globals: Globals,
    pub(crate) target: usize,
    /// What the needed stages stand on. A stage whose image is not known yet is missing.
    pub(crate) grounds: BTreeMap<usize, Ground<'a>>,
    pub(crate) needs: Vec<Base>,
    pub(crate) errors: Vec<Diagnostic>,
    /// For which platform each of the needed stages is.
    platforms: BTreeMap<usize, Platform>,
    pub(crate) seen: Vec<bool>,
    /// The stages of each name, in order.
    pub(crate) names: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Survey<'a> {
    /// Looks at the target and everything that it needs.
    pub(crate) fn new(
        file: &'a Dockerfile<'a>,
        options: &'a Options,
        bases: &'a Bases,
    ) -> Result<Self, Vec<Diagnostic>> {
        let globals = Globals::new(file, options)?;
        let target = target::find(file, options).map_err(|e| vec![e])?;
        let mut survey = Self {
            file,
            options,
            bases,
            globals,
            target,
            grounds: BTreeMap::new(),
            needs: Vec::new(),
            errors: Vec::new(),
            platforms: BTreeMap::new(),
            seen: vec![false; file.stages.len()],
            names: origin::names(file),
        };
        survey.visit(target);
        if options.every_stage {
            (0..file.stages.len()).for_each(|index| survey.visit(index));
        }
        let wrong = survey.wrong_in_unneeded();
        survey.errors.extend(wrong);
        Ok(survey)
    }

    /// Looks at a stage and everything that it needs. The stages that wait are in a list: a file may have
    /// more of them than there is room for calls.
    fn visit(&mut self, index: usize) {
        let mut open = vec![Visit::Base(index)];
        while let Some(next) = open.pop() {
            match next {
                Visit::Base(index) if std::mem::replace(&mut self.seen[index], true) => {}
                Visit::Base(index) => match self.ground(index) {
                    Ok(Some(Ground::Stage(earlier))) => {
                        open.push(Visit::Rest(index, Some(Ground::Stage(earlier))));
                        open.push(Visit::Base(earlier));
                    }
                    Ok(ground) => open.push(Visit::Rest(index, ground)),
                    Err(e) => {
                        self.errors.push(e);
                        open.push(Visit::Rest(index, None));
                    }
                },
                Visit::Rest(index, ground) => {
                    if let Some(Ground::Stage(earlier)) = ground {
                        let platform = self.platform_of(earlier).clone();
                        self.platforms.insert(index, platform);
                    }
                    self.grounds.extend(ground.map(|ground| (index, ground)));
                    let stages = self.sources(index).into_iter().rev();
                    open.extend(stages.map(Visit::Base));
                }
            }
        }
    }

    /// The stages that a stage takes files from, in their order. Images are asked for.
    fn sources(&mut self, index: usize) -> Vec<usize> {
        let mut stages = Vec::new();
        let from = self.file.stages[index].from.span;
        for node in self.body(index) {
            self.sources_of(index, &node.instruction, None, &mut stages);
        }
        for trigger in self.triggers(index) {
            // What is wrong with it is said where it is carried out.
            if let Ok(node) = onbuild::read(trigger) {
                self.sources_of(index, &node.instruction, Some(from), &mut stages);
            }
        }
        stages
    }

    fn sources_of(
        &mut self,
        index: usize,
        instruction: &Instruction<'_>,
        within: Option<Span>,
        stages: &mut Vec<usize>,
    ) {
        for word in taken_from(instruction) {
            let (name, span) = (word.raw(), word.span());
            match self.copied_from(index, name, span) {
                Ok(Origin::Stage(earlier)) => stages.push(earlier),
                Ok(Origin::Image(reference)) => {
                    self.image(index, reference, name, within.unwrap_or(span));
                }
                Ok(Origin::Scratch | Origin::Context(_)) => {}
                // Said where it is carried out.
                Err(_) => {}
            }
        }
    }

    /// The instructions that the base of a stage wants carried out first. What stands for a stage is
    /// taken as it is, also by those who stand on it.
    pub(crate) fn triggers(&self, index: usize) -> Vec<&'a str> {
        if self.replaced(index) {
            return Vec::new();
        }
        let own = |node: &'a kiln_parser::Node<'a>| match &node.instruction {
            Instruction::OnBuild(on) => Some(on.trigger.as_str()),
            _ => None,
        };
        match self.grounds.get(&index) {
            Some(Ground::Image(_, resolved)) => {
                let triggers = &resolved.config.config.on_build;
                triggers.iter().map(String::as_str).collect()
            }
            Some(Ground::Stage(earlier)) => self.body(*earlier).iter().filter_map(own).collect(),
            Some(Ground::Scratch | Ground::Context(_)) | None => Vec::new(),
        }
    }

    /// What a stage stands on; none where that is to be looked up first.
    fn ground(&mut self, index: usize) -> Result<Option<Ground<'a>>, Diagnostic> {
        let stage = &self.file.stages[index];
        let word = stage.image();
        let platform = self.platform(stage)?;
        self.platforms.insert(index, platform);
        if let Some(name) = stage.name()
            && let Some(found) = self.context(index, name)
        {
            return self.on_context(index, found, stage.from.span);
        }
        let name = self.base_name(word)?;
        // A stage may even be called `scratch`.
        if let Some(earlier) = self.named_before(&name, index) {
            return Ok(Some(Ground::Stage(earlier)));
        }
        if name == "scratch" {
            return Ok(Some(Ground::Scratch));
        }
        if let Some(found) = self.context(index, &name) {
            return self.on_context(index, found, word.span());
        }
        let reference = self.reference(&name, word)?;
        let found = self.image(index, reference.clone(), &name, word.span());
        Ok(found.map(|resolved| Ground::Image(reference, resolved)))
    }

    /// What a FROM names, which must be something.
    pub(crate) fn base_name(&self, word: &Word<'_>) -> Result<String, Diagnostic> {
        let name = self.globals.expand(word)?;
        if name.trim().is_empty() {
            let message = format!("base name (`{}`) should not be blank", word.raw());
            let blank = Diagnostic::error("blank-base", word.span(), message);
            return Err(blank.with_help_if(self.unset(word)));
        }
        Ok(name)
    }

    /// The image that `reference` stands for; asked for where it is not known.
    fn image(
        &mut self,
        index: usize,
        reference: Reference,
        name: &str,
        span: Span,
    ) -> Option<&'a Resolved> {
        let platform = self.platform_of(index);
        let found = self.bases.get(&reference, platform);
        let asked = |need: &Base| (&need.reference, &need.platform) == (&reference, platform);
        if found.is_none() && !self.needs.iter().any(asked) {
            self.needs.push(Base {
                hint: self.stage_meant(name, index),
                platform: platform.clone(),
                reference,
                span,
            });
        }
        found
    }

    /// A hint for a name that is no image's: perhaps it was to be a stage's.
    fn stage_meant(&self, name: &str, index: usize) -> Option<String> {
        let is = |stage: &Stage<'_>| stage.name() == Some(&name.to_lowercase());
        if self.file.stages[index..].iter().skip(1).any(is) {
            return Some(format!("the stage `{name}` comes later: move it up"));
        }
        if name.contains(['/', ':', '@']) {
            return None;
        }
        let meant = nearest(
            name,
            self.file.stages[..index].iter().filter_map(Stage::name),
        )?;
        Some(format!(
            "no stage is named `{name}`; did you mean `{meant}`?"
        ))
    }

    /// What an image that the stage `index` asked for is.
    pub(crate) fn manifest(&self, index: usize, reference: &Reference) -> Option<Digest> {
        self.resolved(index, reference).map(|found| found.manifest)
    }

    pub(crate) fn resolved(&self, index: usize, reference: &Reference) -> Option<&'a Resolved> {
        self.bases.get(reference, self.platform_of(index))
    }

    /// For which platform a stage is: what it says, else as the stage that it stands on, else that
    /// of the target.
    pub(crate) fn platform_of(&self, index: usize) -> &Platform {
        let own = self.platforms.get(&index);
        own.unwrap_or(&self.options.platform)
    }

    /// The instructions of a stage; a named context that stands for it has none.
    pub(crate) fn body(&self, index: usize) -> &'a [kiln_parser::Node<'a>] {
        match self.replaced(index) {
            true => &[],
            false => &self.file.stages[index].instructions,
        }
    }

    /// Whether a named context stands for the stage.
    pub(crate) fn replaced(&self, index: usize) -> bool {
        let name = self.file.stages[index].name();
        name.is_some_and(|name| self.context(index, name).is_some())
    }

    pub(crate) fn context(&self, index: usize, name: &str) -> Option<(&'a str, &'a NamedContext)> {
        contexts::named(&self.options.contexts, name, self.platform_of(index))
    }

    /// What a stage stands on that is, or begins with, a named context.
    fn on_context(
        &mut self,
        index: usize,
        (name, context): (&'a str, &'a NamedContext),
        span: Span,
    ) -> Result<Option<Ground<'a>>, Diagnostic> {
        match contexts::meant(name, context, span)? {
            Meant::Scratch => Ok(Some(Ground::Scratch)),
            Meant::Files => Ok(Some(Ground::Context(name))),
            Meant::Image(reference) => {
                let found = self.image(index, reference.clone(), name, span);
                Ok(found.map(|resolved| Ground::Image(reference, resolved)))
            }
            Meant::Stage(stage) => {
                let earlier = self.stage_before(index, (name, stage), span)?;
                Ok(Some(Ground::Stage(earlier)))
            }
        }
    }

    fn reference(&self, name: &str, word: &Word<'_>) -> Result<Reference, Diagnostic> {
        name.parse::<Reference>().map_err(|e| {
            let help = e.hint_text().map(str::to_owned);
            Diagnostic::error("bad-reference", word.span(), e.to_string())
                .with_help_if(self.unset(word).or(help))
        })
    }

    /// What to do about a variable of `word` that has no value.
    fn unset(&self, word: &Word<'_>) -> Option<String> {
        let unset = word
            .variables()
            .into_iter()
            .find(|v| self.globals.get(&v.name).is_none_or(str::is_empty))?;
        let name = unset.name;
        let declared = self.globals.declared();
        if declared.contains(&name) {
            return Some(format!(
                "`{name}` has no value: give it one with `--build-arg {name}=…` or `ARG {name}=…`"
            ));
        }
        let known = declared.iter().map(String::as_str);
        Some(match nearest(&name, known) {
            Some(meant) => format!("`{name}` is not declared; did you mean `{meant}`?"),
            None => format!("declare `{name}` before the first FROM: `ARG {name}=…`"),
        })
    }

    /// The platform that a stage asks for, or that of the target.
    pub(crate) fn platform(&self, stage: &Stage<'_>) -> Result<Platform, Diagnostic> {
        // `--platform=` says as much as nothing; a variable without a value says too little.
        let flag = stage.from.instruction.platform.as_ref();
        let Some(flag) = flag.filter(|flag| !flag.value.raw().is_empty()) else {
            return Ok(self.options.platform.clone());
        };
        let span = flag.value.span();
        let text = self.globals.expand(&flag.value)?;
        text.parse::<Platform>().map_err(|e| {
            let help = self.unset(&flag.value);
            let help = help.or_else(|| e.hint_text().map(str::to_owned));
            let message = format!("invalid platform `{text}`");
            Diagnostic::error("bad-platform", span, message).with_help_if(help)
        })
    }
}
