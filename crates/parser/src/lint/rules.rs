//! The table of rules: docker's, and those that only kiln has.

/// What is told of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, the `code` of its findings: docker's rules in their own case (`StageNameCasing`),
    /// kiln's own in kebab case (`not-json`).
    pub name: &'static str,
    /// One line that says what it is about.
    pub description: &'static str,
    /// Whether it counts only where `experimental=` names it.
    pub experimental: bool,
    /// When docker's builder finds it.
    pub(super) when: When,
}

/// The passes of docker's builder, in their order: its findings are listed in the order in which
/// these find them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum When {
    Lines,
    Instructions,
    StageNames,
    Casing,
    DefaultArgs,
    From,
    Bases,
    /// While the instructions are carried out; the number says which comes first of several of one
    /// instruction.
    Dispatch(u8),
    /// kiln's own.
    Own,
}

impl Rule {
    /// Whether docker finds it only in stages that are built.
    pub fn by_stage(&self) -> bool {
        matches!(self.when, When::Dispatch(_))
    }

    /// The page that explains it: docker's rules have one.
    pub fn url(&self) -> Option<String> {
        if self.when == When::Own {
            return None;
        }
        Some(format!(
            "https://docs.docker.com/go/dockerfile/rule/{}/",
            kebab(self.name)
        ))
    }
}

/// `FromAsCasing` → `from-as-casing`, `JSONArgsRecommended` → `json-args-recommended`.
fn kebab(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let starts = before.is_some_and(char::is_lowercase)
            || chars.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && i > 0 && starts {
            out.push('-');
        }
        out.extend(c.to_lowercase());
    }
    out
}

const fn of(name: &'static str, when: When, description: &'static str) -> Rule {
    Rule {
        name,
        description,
        experimental: false,
        when,
    }
}

const fn experimental(rule: Rule) -> Rule {
    Rule {
        experimental: true,
        ..rule
    }
}

/// All rules.
pub const RULES: &[Rule] = &[
    of(
        "StageNameCasing",
        When::Instructions,
        "Stage names should be lowercase",
    ),
    of(
        "FromAsCasing",
        When::Instructions,
        "The 'as' keyword should match the case of the 'from' keyword",
    ),
    of(
        "NoEmptyContinuation",
        When::Lines,
        "Empty continuation lines will become errors in a future release",
    ),
    of(
        "ConsistentInstructionCasing",
        When::Casing,
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
    ),
    of(
        "DuplicateStageName",
        When::StageNames,
        "Stage names should be unique",
    ),
    of(
        "ReservedStageName",
        When::StageNames,
        "Reserved words should not be used as stage names",
    ),
    of(
        "JSONArgsRecommended",
        When::Dispatch(4),
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    ),
    of(
        "MaintainerDeprecated",
        When::Instructions,
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    ),
    of(
        "UndefinedArgInFrom",
        When::From,
        "FROM command must use declared ARGs",
    ),
    of(
        "WorkdirRelativePath",
        When::Dispatch(5),
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    ),
    of(
        "UndefinedVar",
        When::Dispatch(1),
        "Variables should be defined before their use",
    ),
    of(
        "MultipleInstructionsDisallowed",
        When::Dispatch(3),
        "Multiple instructions of the same type should not be used in the same stage",
    ),
    of(
        "LegacyKeyValueFormat",
        When::Dispatch(2),
        "Legacy key/value format with whitespace separator should not be used",
    ),
    of(
        "InvalidBaseImagePlatform",
        When::Bases,
        "Base image platform does not match expected target platform",
    ),
    of(
        "RedundantTargetPlatform",
        When::From,
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    ),
    of(
        "SecretsUsedInArgOrEnv",
        When::Dispatch(2),
        "Sensitive data should not be used in the ARG or ENV commands",
    ),
    of(
        "InvalidDefaultArgInFrom",
        When::DefaultArgs,
        "Default value for global ARG results in an empty or invalid base image name",
    ),
    of(
        "FromPlatformFlagConstDisallowed",
        When::From,
        "FROM --platform flag should not use a constant value",
    ),
    of(
        "CopyIgnoredFile",
        When::Dispatch(7),
        "Attempting to Copy file that is excluded by .dockerignore",
    ),
    experimental(of(
        "InvalidDefinitionDescription",
        When::Instructions,
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    )),
    of(
        "ExposeProtoCasing",
        When::Dispatch(6),
        "Protocol in EXPOSE instruction should be lowercase",
    ),
    of(
        "ExposeInvalidFormat",
        When::Dispatch(6),
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
    ),
    of(
        "typographic-character",
        When::Own,
        "Dashes, quotes and blanks that are not ASCII mean nothing to a shell",
    ),
    of(
        "not-json",
        When::Own,
        "Arguments that look like a JSON array and are none are taken for words or for a command of the shell",
    ),
    of(
        "looks-like-assignment",
        When::Own,
        "A command should not begin with a word that was to be an assignment",
    ),
    of(
        "blank-before-equals",
        When::Own,
        "Blanks before `=` make it a part of the value",
    ),
    of(
        "empty-user",
        When::Own,
        "A USER that comes out empty is root",
    ),
    of(
        "build-arg-not-consumed",
        When::Own,
        "Build arguments should be declared by some ARG",
    ),
    of(
        "build-arg-without-effect",
        When::Own,
        "Some build arguments mean nothing to kiln",
    ),
    experimental(of(
        "arg-reruns",
        When::Own,
        "A change of an argument runs every later RUN again, also those that do not use it",
    )),
    of(
        "secret-in-build-arg",
        When::Own,
        "Secrets should not be given as build arguments: the image's history shows them",
    ),
    of(
        "unknown-check",
        When::Own,
        "Options of checks should name rules that there are",
    ),
];

/// The rule with this name.
pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == code)
}
