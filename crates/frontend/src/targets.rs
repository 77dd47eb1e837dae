//! The stages of a file, to choose a target from. Refuses to look anything up: what stands behind FROM
//! is shown as it is written.

use kiln_parser::{Dockerfile, ast::Comment};
use serde::Serialize;

use crate::Lines;

/// The stages of a file. As JSON it has the shape that `docker build --call=targets,format=json` gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Targets {
    /// In the order of the file.
    pub targets: Vec<Target>,
    /// The text of the file, in base64: put in by whoever has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// A stage that can be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its name, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is what is built when nobody chooses: the last one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// What the comment above it says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it stands on, as written.
    pub base: String,
    /// `--platform`, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Where its FROM is.
    pub location: Lines,
}

/// The stages of a file.
pub fn targets(file: &Dockerfile<'_>) -> Targets {
    let count = file.stages.len();
    let stages = file.stages.iter().enumerate();
    let targets = stages.map(|(i, stage)| {
        let from = &stage.from.instruction;
        Target {
            name: stage.name().map(str::to_owned),
            default: i + 1 == count,
            description: stage
                .name()
                .and_then(|name| description(&stage.from.comments, name)),
            base: stage.image().raw().to_owned(),
            platform: from.platform.as_ref().map(|p| p.value.raw().to_owned()),
            location: stage.from.lines.into(),
        }
    });
    Targets {
        targets: targets.collect(),
        sources: Vec::new(),
    }
}

/// What the comments above an instruction say of `name`: the rest of the first that begins with it.
pub(crate) fn description(comments: &[Comment<'_>], name: &str) -> Option<String> {
    let of = |comment: &Comment<'_>| {
        let rest = comment.text.strip_prefix(name)?.strip_prefix(' ')?;
        Some(rest.to_owned())
    };
    comments.iter().find_map(of)
}
