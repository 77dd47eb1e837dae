//! Rules about FROM: its arguments, its platform, and what the images are for that a stage takes files
//! from.

use kiln_image::{Platform, Reference};
use kiln_parser::{Diagnostic, Dockerfile, Instruction, Span, Stage, Word, ast::Mount};

use super::meant;
use crate::{
    Options, Resolved,
    origin::Origin,
    scope::Globals,
    stage::{Ground, Survey},
};

/// Arguments that are always there in FROM.
const BUILTIN: [&str; 11] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDOSVERSION",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETOSVERSION",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

pub(super) fn check(
    file: &Dockerfile<'_>,
    options: &Options,
    survey: &Survey<'_>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    defaults(file, options, &mut found);
    for (index, stage) in file.stages.iter().enumerate() {
        undefined(stage.image(), survey, &mut found);
        platform(stage, survey, &mut found);
        base(survey, index, stage, &mut found);
    }
    found
}

fn tell(found: &mut Vec<Diagnostic>, rule: &'static str, span: Span, message: String) {
    found.push(Diagnostic::warning(rule, span, message));
}

/// Names of images as they would be if no argument were given.
fn defaults(file: &Dockerfile<'_>, options: &Options, found: &mut Vec<Diagnostic>) {
    let without = Options {
        build_args: Default::default(),
        ..options.clone()
    };
    let Ok(globals) = Globals::new(file, &without) else {
        return;
    };
    for stage in &file.stages {
        let word = stage.image();
        let Ok(name) = globals.expand(word) else {
            return;
        };
        if name.parse::<Reference>().is_err() {
            let raw = word.raw();
            let message =
                format!("Default value for ARG {raw} results in empty or invalid base image name");
            tell(found, "InvalidDefaultArgInFrom", word.span(), message);
        }
    }
}

/// Variables that no global ARG declares, each once.
fn undefined(word: &Word<'_>, survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let declared = survey.globals.declared();
    let mut seen: Vec<String> = Vec::new();
    for variable in word.variables() {
        let name = variable.name;
        let known = Globals::is_builtin(&name) || declared.contains(&name);
        if known || seen.contains(&name) {
            continue;
        }
        let mut message = format!("FROM argument '{name}' is not declared");
        let names = BUILTIN
            .into_iter()
            .chain(declared.iter().map(String::as_str));
        if let Some(meant) = meant(&name, names) {
            message += &format!(" (did you mean {meant}?)");
        }
        tell(found, "UndefinedArgInFrom", variable.span, message);
        seen.push(name);
    }
}

fn platform(stage: &Stage<'_>, survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let Some(flag) = &stage.from.instruction.platform else {
        return;
    };
    let word = &flag.value;
    undefined(word, survey, found);
    let Ok(value) = survey.globals.expand(word) else {
        return;
    };
    let mut used: Vec<String> = word.variables().into_iter().map(|v| v.name).collect();
    used.dedup();
    if used.is_empty() {
        constant(stage, word, &value, found);
        return;
    }
    used.retain(|name| survey.globals.get(name).is_some());
    let target = survey.globals.get("TARGETPLATFORM");
    if used == ["TARGETPLATFORM"] && target == Some(value.as_str()) {
        let raw = word.raw();
        let message = format!(
            "Setting platform to predefined {raw} in FROM is redundant as this is the default behavior"
        );
        tell(found, "RedundantTargetPlatform", flag.span, message);
    }
}

/// A stage that has the platform in its name is meant for it.
fn constant(stage: &Stage<'_>, word: &Word<'_>, value: &str, found: &mut Vec<Diagnostic>) {
    let Ok(platform) = value.parse::<Platform>() else {
        return;
    };
    let name = stage.name().unwrap_or_default();
    if name.contains(&platform.os) || name.contains(&platform.architecture) {
        return;
    }
    let message = format!("FROM --platform flag should not use constant value {value:?}");
    tell(
        found,
        "FromPlatformFlagConstDisallowed",
        word.span(),
        message,
    );
}

/// Images that are for another platform than was asked for: that of FROM, and those that files are
/// taken from.
fn base(survey: &Survey<'_>, index: usize, stage: &Stage<'_>, found: &mut Vec<Diagnostic>) {
    if let Some(Ground::Image(_, resolved)) = survey.grounds.get(&index) {
        let word = stage.image();
        let name = survey.globals.expand(word).unwrap_or_default();
        fits(survey, index, (&name, word.span()), resolved, found);
    }
    if !survey.grounds.contains_key(&index) {
        return;
    }
    for node in survey.body(index) {
        let words: Vec<&Word<'_>> = match &node.instruction {
            Instruction::Copy(copy) => copy.flags.from.iter().map(|flag| &flag.value).collect(),
            Instruction::Run(run) => run.mounts.iter().filter_map(Mount::from).collect(),
            _ => continue,
        };
        for word in words {
            let (name, span) = (word.raw(), word.span());
            if let Ok(Origin::Image(reference)) = survey.copied_from(index, name, span)
                && let Some(resolved) = survey.resolved(index, &reference)
            {
                fits(survey, index, (name, span), resolved, found);
            }
        }
    }
}

/// Variants do not count: an image for an older one runs as well.
fn fits(
    survey: &Survey<'_>,
    index: usize,
    (name, span): (&str, Span),
    resolved: &Resolved,
    found: &mut Vec<Diagnostic>,
) {
    let wanted = survey.platform_of(index);
    let pulled = resolved.config.platform();
    let plain = |of: &Platform| Platform::new(&of.os, &of.architecture, None);
    if resolved.config.architecture.is_empty() || plain(&pulled) == plain(wanted) {
        return;
    }
    let message = format!(
        "Base image {name} was pulled with platform \"{pulled}\", expected \"{wanted}\" for current build"
    );
    tell(found, "InvalidBaseImagePlatform", span, message);
}
