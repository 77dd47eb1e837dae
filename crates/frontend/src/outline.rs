//! What a build can be given: arguments, secrets and agents, as far as the stages that the target needs
//! ask for them. Refuses to tell of the other stages.

use std::collections::BTreeSet;

use kiln_graph::{MountKind, Op};
use kiln_parser::{Dockerfile, Word};
use serde::Serialize;

use crate::{Lines, Lowered, targets::description};

/// What a build can be given. As JSON it has the shape that `docker build --call=outline,format=json`
/// gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outline {
    /// The name of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the comment above it says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Values for ARG, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Argument>,
    /// Secrets, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Given>,
    /// Agents and keys, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<Given>,
    /// The text of the file, in base64: put in by whoever has it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// A value for an ARG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What the comment above it says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it is: given, or by default. Empty where there is neither.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Where it is declared, or gets its default.
    pub location: Lines,
}

/// Something that is never part of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Its id.
    pub name: String,
    /// Whether some RUN fails without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The first RUN that asks for it.
    pub location: Lines,
}

/// An ARG of a stage that is needed, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Where the value was found.
    pub by: Source,
    /// The line of the ARG; of a trigger, that of its FROM.
    pub line: u32,
}

/// Where the value of an ARG was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was given for this build, is its default here, or there is none.
    Own,
    /// In the global scope.
    Global,
}

/// What a build of `file` can be given.
pub fn outline(file: &Dockerfile<'_>, lowered: &Lowered) -> Outline {
    let target = lowered.stages.iter().rfind(|s| s.node == lowered.target);
    let target = target.map(|stage| &file.stages[stage.index]);
    let name = target.and_then(|stage| stage.name());
    let mounts = Mounts::of(file, lowered);
    Outline {
        name: name.map(str::to_owned),
        description: target.and_then(|t| description(&t.from.comments, t.name()?)),
        args: arguments(file, lowered),
        secrets: mounts.secrets,
        ssh: mounts.ssh,
        sources: Vec::new(),
    }
}

/// The last ARG of each name counts; one that got its value from the global scope stands there.
fn arguments(file: &Dockerfile<'_>, lowered: &Lowered) -> Vec<Argument> {
    let mut used = globals_of_from(file, lowered);
    let mut found: Vec<Argument> = Vec::new();
    for declared in &lowered.declared {
        found.retain(|known| known.name != declared.name);
        if declared.by == Source::Global {
            // A platform's name is declared nowhere: nobody needs to be told of it.
            used.insert(declared.name.clone());
            continue;
        }
        used.remove(&declared.name);
        let nodes = file.stages.iter().flat_map(|stage| &stage.instructions);
        let mut nodes = nodes.filter(|node| node.lines.0 == declared.line);
        let node = nodes.next();
        found.push(Argument {
            name: declared.name.clone(),
            description: node.and_then(|n| description(&n.comments, &declared.name)),
            value: declared.value.clone().unwrap_or_default(),
            location: node
                .map_or((declared.line, declared.line), |n| n.lines)
                .into(),
        });
    }
    found.extend(globals(file, lowered, used));
    found.sort_by_key(|argument| argument.location);
    found
}

/// The names that the FROM lines of needed stages use.
fn globals_of_from(file: &Dockerfile<'_>, lowered: &Lowered) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for stage in &lowered.stages {
        let from = &file.stages[stage.index].from.instruction;
        used.extend(names(&from.image));
        used.extend(from.platform.iter().flat_map(|p| names(&p.value)));
    }
    used
}

fn names(word: &Word<'_>) -> Vec<String> {
    word.variables().into_iter().map(|v| v.name).collect()
}

/// The ARGs before the first FROM that are used, and those that these use.
fn globals(file: &Dockerfile<'_>, lowered: &Lowered, mut used: BTreeSet<String>) -> Vec<Argument> {
    let mut found: Vec<Argument> = Vec::new();
    for node in file.args.iter().rev() {
        for pair in node.instruction.pairs.iter().rev() {
            let name = pair.name.raw();
            if !used.contains(name) || found.iter().any(|known| known.name == name) {
                continue;
            }
            used.extend(pair.default.iter().flat_map(names));
            found.push(Argument {
                name: name.to_owned(),
                description: description(&node.comments, name),
                value: lowered.globals.get(name).cloned().unwrap_or_default(),
                location: node.lines.into(),
            });
        }
    }
    found.reverse();
    found
}

/// What RUNs of the needed stages ask for.
#[derive(Default)]
struct Mounts {
    secrets: Vec<Given>,
    ssh: Vec<Given>,
}

impl Mounts {
    fn of(file: &Dockerfile<'_>, lowered: &Lowered) -> Self {
        let mut mounts = Self::default();
        for step in lowered.steps.iter().filter(|step| step.makes_layer) {
            let Op::Run(run) = &lowered.graph.node(step.node).op else {
                continue;
            };
            let nodes = file.stages.iter().flat_map(|stage| &stage.instructions);
            let mut nodes = nodes.filter(|node| node.lines.0 == step.origin.line);
            let line = step.origin.line;
            let lines = nodes.next().map_or((line, line), |node| node.lines);
            for mount in &run.mounts {
                let (list, id, required) = match &mount.kind {
                    MountKind::Secret(secret) => (&mut mounts.secrets, &secret.id, secret.required),
                    MountKind::Ssh(ssh) => (&mut mounts.ssh, &ssh.id, ssh.required),
                    _ => continue,
                };
                match list.iter_mut().find(|known| known.name == *id) {
                    Some(known) => known.required |= required,
                    None => list.push(Given {
                        name: id.clone(),
                        required,
                        location: lines.into(),
                    }),
                }
            }
        }
        for list in [&mut mounts.secrets, &mut mounts.ssh] {
            list.sort_by_key(|given| given.location);
        }
        mounts
    }
}
