//! What is wrong with a Dockerfile, and what its build can be given: without building anything. Refuses
//! to stop at the first thing that is wrong: what was found by then is told all the same.

mod secrets;
pub(crate) mod stages;

use std::collections::HashSet;

use kiln_frontend::{Lines, Lowered, Outline, Targets};
use kiln_graph::Op;
use kiln_parser::{Diagnostic, Dockerfile, Parse, Span, lint};

use crate::{
    Builder, Error, ErrorKind, Event, Report, Request,
    bases::Bases,
    context::selection::is_pattern,
    job::lowering::{finding, lower_all, options},
};

/// What a look at a Dockerfile came to.
#[derive(Debug)]
pub struct Checked {
    /// What should be told, as docker orders it; errors are in `failure`.
    pub findings: Vec<Report>,
    /// Why a build would not come to its end, as far as that is known before it begins. With
    /// `# check=error=true` the findings are a reason.
    pub failure: Option<Error>,
}

/// A Dockerfile that was read, and which findings count.
pub(crate) struct Read<'a> {
    pub(crate) file: Dockerfile<'a>,
    settings: lint::Settings,
    warnings: Vec<Diagnostic>,
}

impl<'a> Read<'a> {
    /// Reads the text of a request. Where it is wrong, all that was found is in the error.
    pub(crate) fn new(request: &'a Request) -> Result<Self, Error> {
        let foreign = kiln_frontend::foreign(&request.text, &options(request));
        if let Some(foreign) = foreign {
            return Err(Error::dockerfile(vec![finding(&foreign)]));
        }
        let Parse { file, diagnostics } = kiln_parser::parse(&request.text);
        let argument = request.build_args.iter().rev();
        let mut argument = argument.filter(|(name, _)| name == "BUILDKIT_DOCKERFILE_CHECK");
        let argument = argument.next().map(|(_, value)| value.as_str());
        let (settings, mut found) = lint::Settings::of(&file, argument);
        found.extend(diagnostics);
        found.extend(secrets::find(
            &request.text,
            &request.build_args,
            &*request.run.secrets,
        ));
        let wrong = found.iter().any(Diagnostic::is_error);
        let read = Self {
            file,
            settings,
            warnings: found,
        };
        if wrong {
            let reports = read.warnings.iter().filter(|d| read.keeps(d));
            return Err(Error::dockerfile(reports.map(|d| read.report(d)).collect()));
        }
        Ok(read)
    }

    fn keeps(&self, finding: &Diagnostic) -> bool {
        self.settings.keeps(&self.file, finding)
    }

    /// A finding, with its lines. One without a place is about a flag or the whole.
    fn report(&self, finding: &Diagnostic) -> Report {
        let mut report = Report::from(finding);
        report.place = report.place.filter(|place| place.end > 0);
        report.lines = lint::lines(&self.file, finding).map(Lines::from);
        report
    }

    /// The findings that count, those of the text included, in docker's order and each once.
    pub(crate) fn findings(&self, more: &[Diagnostic]) -> Vec<Report> {
        let mut seen = HashSet::new();
        let all = self.warnings.iter().chain(more);
        let all = all.filter(|d| self.keeps(d));
        let mut kept: Vec<Diagnostic> = all
            .filter(|d| seen.insert((d.code, d.span, &d.message)))
            .cloned()
            .collect();
        lint::order(&self.file, &mut kept);
        kept.iter().map(|d| self.report(d)).collect()
    }

    /// Why findings stop a build, where they do: the file says so, and a rule of docker's has some.
    pub(crate) fn violation(&self, findings: &[Report]) -> Option<Error> {
        let mut rules: Vec<&str> = Vec::new();
        for finding in findings.iter().filter(|f| !f.is_own()) {
            if !rules.contains(&finding.code) {
                rules.push(finding.code);
            }
        }
        if rules.is_empty() || !self.settings.error() {
            return None;
        }
        let what = format!("lint violation found for rules: {}", rules.join(", "));
        Some(Error::new(ErrorKind::Input, what))
    }
}

impl Builder {
    /// Looks at a whole Dockerfile as a build would, and at the names of the files in its context, and
    /// builds nothing. Base images are looked up as for a build: here, else in their registry.
    ///
    /// # Errors
    /// When the store cannot be used. What is wrong with the Dockerfile is in the result.
    pub fn check(
        &self,
        request: &Request,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Checked, Error> {
        let read = match Read::new(request) {
            Ok(read) => read,
            Err(e) => {
                return Ok(Checked {
                    findings: Vec::new(),
                    failure: Some(e),
                });
            }
        };
        // Also of stages that the target does not need.
        let mut options = options(request);
        options.every_stage = true;
        let mut known = kiln_frontend::Bases::new();
        let (more, failure) = match self.lowered(&read, request, &options, &mut known, on) {
            Ok(lowered) => {
                let mut more = absent(&lowered, &read.file, request);
                more.extend(lowered.warnings);
                (more, None)
            }
            Err(e) => {
                let checked = kiln_frontend::check(&read.file, &options, &known);
                (checked.findings, Some(e))
            }
        };
        let findings = read.findings(&more);
        Ok(Checked {
            failure: read.violation(&findings).or(failure),
            findings,
        })
    }

    /// What a build can be given. What should be told is told as for a build.
    ///
    /// # Errors
    /// As [`build`](Self::build), but that nothing is carried out.
    pub fn outline(
        &self,
        request: &Request,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Outline, Error> {
        let read = Read::new(request)?;
        let mut known = kiln_frontend::Bases::new();
        let lowered = self.lowered(&read, request, &options(request), &mut known, on)?;
        tell(&read, std::slice::from_ref(&lowered), on)?;
        Ok(kiln_frontend::outline(&read.file, &lowered))
    }

    fn lowered(
        &self,
        read: &Read<'_>,
        request: &Request,
        options: &kiln_frontend::Options,
        known: &mut kiln_frontend::Bases,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<Lowered, Error> {
        let client = || self.client().clone();
        let bases = Bases::new(self.store(), &client, request)?;
        lower_all(&read.file, options, known, &bases, on)
    }
}

/// Tells what was found in a Dockerfile that is built.
///
/// # Errors
/// When the file wants to be stopped by it.
pub(crate) fn tell(
    read: &Read<'_>,
    lowered: &[Lowered],
    on: &(dyn Fn(Event<'_>) + Sync),
) -> Result<(), Error> {
    let warnings = lowered.iter().flat_map(|one| one.warnings.clone());
    let findings = read.findings(&warnings.collect::<Vec<_>>());
    for finding in &findings {
        on(Event::Warning(finding));
    }
    read.violation(&findings).map_or(Ok(()), Err)
}

/// The stages of a Dockerfile. Nothing is looked up.
///
/// # Errors
/// [`Input`](ErrorKind::Input) with reports when the text is at fault.
pub fn targets(request: &Request) -> Result<Targets, Error> {
    let read = Read::new(request)?;
    Ok(kiln_frontend::targets(&read.file))
}

/// The sources of COPY and ADD that are known not to be in the context.
fn absent(lowered: &Lowered, file: &Dockerfile<'_>, request: &Request) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for step in lowered.steps.iter().filter(|step| step.makes_layer) {
        let node = lowered.graph.node(step.node);
        let Op::Copy(copy) = &node.op else { continue };
        for (number, input) in node.inputs.iter().enumerate() {
            let Op::Context { name, .. } = &lowered.graph.node(*input).op else {
                continue;
            };
            let Some(context) = request.files(name) else {
                continue;
            };
            for source in copy.taken_from(number).filter(|s| !is_pattern(s)) {
                let Some(absent) = context.absent(&source) else {
                    continue;
                };
                // The rule `CopyIgnoredFile` tells what an ignore file hides.
                if lint::rule(absent.code).is_none() {
                    continue;
                }
                let (start, end) = step.origin.span;
                let message = match name.as_str() {
                    "" => format!("`{source}` is not in the build context"),
                    name => format!("`{source}` is not in the context `{name}`"),
                };
                let span = Span::new(start, end);
                let finding = Diagnostic::warning(absent.code, span, message);
                let why = absent.why.or_else(|| stages::hint(file, &source));
                found.push(finding.with_help_if(why));
            }
        }
    }
    found
}
