//! `kiln build --check` and `--call`: what is told of a Dockerfile instead of building it, in the words
//! and shapes of docker. Refuses methods and formats that there are not.

mod shapes;
mod text;

use std::process::ExitCode;

use kiln_build::{Builder, Event, Lines, Request, targets};

use super::{Dockerfile, Instead};
use crate::{failure::Failure, host};

/// What is asked for.
pub(super) struct Call {
    method: Method,
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Build,
    Check,
    Outline,
    Targets,
    Describe,
}

/// The methods by name.
const METHODS: [(&str, Method); 7] = [
    ("", Method::Build),
    ("build", Method::Build),
    ("check", Method::Check),
    ("lint", Method::Check),
    ("outline", Method::Outline),
    ("targets", Method::Targets),
    ("subrequests.describe", Method::Describe),
];

impl Call {
    /// Reads `--check` and `--call`; the latter is the stronger one.
    pub(super) fn read(flags: &Instead) -> Result<Self, Failure> {
        let default = if flags.check { "check" } else { "build" };
        let text = flags.call.as_deref().unwrap_or(default);
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        let known = METHODS.iter().find(|(known, _)| *known == name);
        let Some((_, method)) = known else {
            return Err(
                Failure::new(format!("--call: unsupported request `{name}`")).hint(
                    "there are `build`, `check`, `outline`, `targets` and `subrequests.describe`",
                ),
            );
        };
        let mut json = false;
        for option in parts {
            json = match option.split_once('=') {
                Some(("format", "json")) => true,
                Some(("format", "text")) => false,
                _ => {
                    let what = format!("--call: invalid option `{option}`");
                    return Err(Failure::new(what).hint("it can be `format=json` or `format=text`"));
                }
            };
        }
        if json && *method == Method::Build {
            let what = "--call: a build gives no JSON";
            return Err(Failure::new(what).hint("leave `format=json` out"));
        }
        Ok(Self {
            method: *method,
            json,
        })
    }

    /// Whether something is built.
    pub(super) fn builds(&self) -> bool {
        self.method == Method::Build
    }

    /// What the text alone gives, without a store.
    pub(super) fn without_store(
        &self,
        request: &Request,
        dockerfile: &Dockerfile,
    ) -> Result<Option<String>, Failure> {
        match self.method {
            Method::Describe if self.json => Ok(Some(shapes::DESCRIBE.to_owned())),
            Method::Describe => Ok(Some(text::describe()?)),
            Method::Targets => {
                let failed = |e| Failure::build(&e, &dockerfile.name, &dockerfile.text);
                let mut targets = targets(request).map_err(failed)?;
                if self.json {
                    targets.sources = vec![shapes::base64(dockerfile.text.as_bytes())];
                    return shapes::json(&targets).map(Some);
                }
                Ok(Some(text::targets(&targets)))
            }
            _ => Ok(None),
        }
    }

    /// What takes base images.
    pub(super) fn answer(
        &self,
        builder: &Builder,
        request: &Request,
        dockerfile: &Dockerfile,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<ExitCode, Failure> {
        if self.method == Method::Check {
            return self.check(builder, request, dockerfile, on);
        }
        let failed = |e| Failure::build(&e, &dockerfile.name, &dockerfile.text);
        let mut outline = builder.outline(request, on).map_err(failed)?;
        let answer = if self.json {
            outline.sources = vec![shapes::base64(dockerfile.text.as_bytes())];
            shapes::json(&outline)?
        } else {
            text::outline(&outline)
        };
        host::print(&answer)?;
        Ok(ExitCode::SUCCESS)
    }

    fn check(
        &self,
        builder: &Builder,
        request: &Request,
        dockerfile: &Dockerfile,
        on: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<ExitCode, Failure> {
        let checked = builder.check(request, on)?;
        let answer = match self.json {
            true => shapes::checked(&checked, dockerfile)?,
            false => text::checked(&checked, dockerfile),
        };
        host::print(&answer)?;
        match checked.failure {
            Some(e) => Err(Failure::build(&e, &dockerfile.name, &dockerfile.text)),
            None if checked.findings.is_empty() => Ok(ExitCode::SUCCESS),
            None => Ok(ExitCode::from(1)),
        }
    }
}

/// The line that a place begins on.
fn line_of(text: &str, offset: u32) -> Lines {
    let end = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(text.len());
    let before = text.as_bytes()[..end].iter().filter(|c| **c == b'\n');
    let line = u32::try_from(before.count() + 1).unwrap_or(u32::MAX);
    Lines::from((line, line))
}
