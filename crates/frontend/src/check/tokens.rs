//! Build arguments whose values look like secrets: they stand in the image's history for everybody to
//! read.

use kiln_parser::{Diagnostic, Dockerfile, Instruction, Span, ast::Arg};

use crate::Options;

/// How well-known tokens begin, how many characters follow at least, and whose they are.
const TOKENS: [(&str, usize, &str); 14] = [
    ("AKIA", 16, "an access key of AWS"),
    ("ASIA", 16, "an access key of AWS"),
    ("ghp_", 36, "a token of GitHub"),
    ("gho_", 36, "a token of GitHub"),
    ("ghu_", 36, "a token of GitHub"),
    ("ghs_", 36, "a token of GitHub"),
    ("github_pat_", 22, "a token of GitHub"),
    ("glpat-", 20, "a token of GitLab"),
    ("xoxb-", 20, "a token of Slack"),
    ("xoxp-", 20, "a token of Slack"),
    ("npm_", 36, "a token of npm"),
    ("sk_live_", 20, "a key of Stripe"),
    ("AIza", 35, "a key of Google"),
    ("dckr_pat_", 20, "a token of Docker Hub"),
];

pub(super) fn check(file: &Dockerfile<'_>, options: &Options) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (name, value) in &options.build_args {
        let Some(kind) = kind(value) else { continue };
        let message = format!("the build argument `{name}` looks like {kind}");
        let span = declared(file, name).unwrap_or_default();
        let help = format!(
            "give it as a secret, which leaves no trace: `--secret id={name}` and \
             `RUN --mount=type=secret,id={name}`"
        );
        let finding = Diagnostic::warning("secret-in-build-arg", span, message);
        found.push(finding.with_help(help));
    }
    found
}

fn kind(value: &str) -> Option<&'static str> {
    if value.contains("-----BEGIN") && value.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let token = |(start, least, kind): (&str, usize, &'static str)| {
        let rest = value.strip_prefix(start)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (rest.len() >= least && rest.chars().all(plain)).then_some(kind)
    };
    TOKENS.into_iter().find_map(token)
}

/// Where an ARG names it.
fn declared(file: &Dockerfile<'_>, name: &str) -> Option<Span> {
    let named = |arg: &Arg<'_>| {
        let pair = arg.pairs.iter().find(|pair| pair.name.raw() == name)?;
        Some(pair.name.span())
    };
    let global = file.args.iter().find_map(|node| named(&node.instruction));
    let mut nodes = file.stages.iter().flat_map(|stage| &stage.instructions);
    global.or_else(|| {
        nodes.find_map(|node| match &node.instruction {
            Instruction::Arg(arg) => named(arg),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn tokens() {
        let github = format!("ghp_{}", "a".repeat(36));
        let rows = [
            (github.as_str(), true),
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nx", true),
            ("AKIA", false),
            ("ghp_short", false),
            ("1.2.3", false),
            ("-----BEGIN CERTIFICATE-----", false),
        ];
        for (value, want) in rows {
            assert_eq!(kind(value).is_some(), want, "{value}");
        }
    }
}
