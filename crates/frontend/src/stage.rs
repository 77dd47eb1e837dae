//! Which stages a target needs, what each stands on, and which images that takes. Refuses to look at
//! what the others stand on: they may name images that nobody has.

use std::collections::BTreeMap;

use kiln_image::{Digest, Platform, Reference};
use kiln_parser::{Diagnostic, Dockerfile, Instruction, Span, Stage, Word, ast::Mount};

use crate::{
    Base, Bases, NamedContext, Options, Resolved,
    contexts::{self, Meant},
    error, onbuild,
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

/// Where the `from` of a COPY or of a mount takes its files.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Scratch,
    Stage(usize),
    /// A named context of files.
    Context(String),
    Image(Reference),
}

/// What the instruction takes files from, besides the context.
pub(crate) fn taken_from<'w>(instruction: &'w Instruction<'_>) -> Vec<&'w Word<'w>> {
    match instruction {
        Instruction::Copy(copy) => copy.flags.from.iter().map(|flag| &flag.value).collect(),
        Instruction::Run(run) => run.mounts.iter().filter_map(Mount::from).collect(),
        _ => Vec::new(),
    }
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
        };
        survey.visit(target);
        if options.every_stage {
            (0..file.stages.len()).for_each(|index| survey.visit(index));
        }
        let wrong = survey.wrong_in_unneeded();
        survey.errors.extend(wrong);
        Ok(survey)
    }

    fn visit(&mut self, index: usize) {
        if std::mem::replace(&mut self.seen[index], true) {
            return;
        }
        let stage = &self.file.stages[index];
        match self.ground(index) {
            Ok(Some(ground)) => {
                if let Ground::Stage(earlier) = ground {
                    self.visit(earlier);
                    let platform = self.platform_of(earlier).clone();
                    self.platforms.insert(index, platform);
                }
                self.grounds.insert(index, ground);
            }
            Ok(None) => {}
            Err(e) => self.errors.push(e),
        }
        for node in self.body(index) {
            self.sources(index, &node.instruction, None);
        }
        for trigger in self.triggers(index) {
            // What is wrong with it is said where it is carried out.
            if let Ok(node) = onbuild::read(trigger) {
                self.sources(index, &node.instruction, Some(stage.from.span));
            }
        }
    }

    /// Visits or asks for what the instruction takes its files from.
    fn sources(&mut self, index: usize, instruction: &Instruction<'_>, within: Option<Span>) {
        for word in taken_from(instruction) {
            self.source(index, word.raw(), word.span(), within);
        }
    }

    /// Visits or asks for what a `from` means.
    fn source(&mut self, index: usize, name: &str, span: Span, within: Option<Span>) {
        match self.copied_from(index, name, span) {
            Ok(Origin::Stage(earlier)) => self.visit(earlier),
            Ok(Origin::Image(reference)) => {
                self.image(index, reference, name, within.unwrap_or(span));
            }
            Ok(Origin::Scratch | Origin::Context(_)) => {}
            // Said where it is carried out.
            Err(_) => {}
        }
    }

    /// The instructions that the base of a stage wants carried out first.
    pub(crate) fn triggers(&self, index: usize) -> Vec<&'a str> {
        let own = |node: &'a kiln_parser::Node<'a>| match &node.instruction {
            Instruction::OnBuild(on) => Some(on.trigger.as_str()),
            _ => None,
        };
        match self.grounds.get(&index) {
            Some(Ground::Image(_, resolved)) => {
                let triggers = &resolved.config.config.on_build;
                triggers.iter().map(String::as_str).collect()
            }
            Some(Ground::Stage(earlier)) => match self.replaced(*earlier) {
                true => self.triggers(*earlier),
                false => self.body(*earlier).iter().filter_map(own).collect(),
            },
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

    fn context(&self, index: usize, name: &str) -> Option<(&'a str, &'a NamedContext)> {
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
        }
    }

    /// The stage of that name, wherever it is.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        let lower = name.to_lowercase();
        let named = |stage: &Stage<'_>| stage.name() == Some(&lower);
        self.file.stages.iter().rposition(named)
    }

    fn named_before(&self, name: &str, index: usize) -> Option<usize> {
        let lower = name.to_lowercase();
        self.file.stages[..index]
            .iter()
            .rposition(|stage| stage.name() == Some(&lower))
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

    /// What the `from` of a COPY or of a mount in the stage `index` means.
    pub(crate) fn copied_from(
        &self,
        index: usize,
        name: &str,
        span: Span,
    ) -> Result<Origin, Diagnostic> {
        let wrong =
            |message: String, help: &str| Err(error::error("bad-from-flag", span, message, help));
        let numbers = match index {
            0 => "this is the first stage".to_owned(),
            1 => "the stage before has the number `0`".to_owned(),
            n => format!("the stages before have the numbers `0` to `{}`", n - 1),
        };
        if let Ok(number) = name.parse::<usize>() {
            return match number {
                n if n < index => Ok(Origin::Stage(n)),
                n if n == index => wrong(format!("stage `{n}` is this one"), &numbers),
                n => wrong(format!("no earlier stage has the number `{n}`"), &numbers),
            };
        }
        match self.named(name) {
            Some(found) if found < index => return Ok(Origin::Stage(found)),
            Some(found) if found == index => {
                let help = "files of this stage are there already: leave the COPY out";
                return wrong(format!("stage `{name}` is this one"), help);
            }
            Some(_) => {
                let help = "move it up, before this one";
                return wrong(format!("stage `{name}` comes later"), help);
            }
            None => {}
        }
        if name == "scratch" {
            return Ok(Origin::Scratch);
        }
        if let Some((name, context)) = self.context(index, name) {
            return Ok(match contexts::meant(name, context, span)? {
                Meant::Scratch => Origin::Scratch,
                Meant::Files => Origin::Context(name.to_owned()),
                Meant::Image(reference) => Origin::Image(reference),
            });
        }
        let reference = name.parse::<Reference>().map_err(|e| {
            let help = e.hint_text().map(str::to_owned);
            Diagnostic::error("bad-reference", span, e.to_string()).with_help_if(help)
        })?;
        Ok(Origin::Image(reference))
    }
}
