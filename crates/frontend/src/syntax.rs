//! `# syntax=`: which program reads the file. Every version of docker's own is read here; refuses to
//! run any other.

use kiln_image::Reference;
use kiln_parser::{Diagnostic, Dockerfile, Span, ast::DirectiveKey};

use crate::{Options, error};

/// The build argument that stands before the directive.
pub(crate) const ARGUMENT: &str = "BUILDKIT_SYNTAX";

/// Refuses a file that is written for another program.
pub(crate) fn check(file: &Dockerfile<'_>, options: &Options) -> Result<(), Diagnostic> {
    let directive = file.directive(DirectiveKey::Syntax);
    let given = options.build_args.get(ARGUMENT);
    let (value, span) = match (given, directive) {
        (Some(given), _) if !given.is_empty() => (given.as_str(), Span::default()),
        (_, Some(directive)) => (directive.node, directive.span),
        _ => return Ok(()),
    };
    let name = value.split_whitespace().next().unwrap_or_default();
    if is_docker(name) {
        return Ok(());
    }
    let message = format!("the file is to be read by `{name}`, and other programs are not run");
    let help = format!(
        "if it is a Dockerfile, take the line out, or give `--build-arg {ARGUMENT}=dockerfile.v0`"
    );
    Err(error::error("foreign-syntax", span, message, help))
}

/// Docker's own in any version, also from a mirror of its registry.
fn is_docker(name: &str) -> bool {
    if matches!(name, "dockerfile.v0" | "") {
        return true;
    }
    let parsed = name.parse::<Reference>();
    parsed.is_ok_and(|reference| {
        let repository = reference.repository();
        ["docker/dockerfile", "docker/dockerfile-upstream"]
            .iter()
            .any(|own| {
                let rest = repository.strip_suffix(own);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::is_docker;

    #[test]
    fn whose() {
        for (name, own) in [
            ("docker/dockerfile:1", true),
            ("docker/dockerfile:1.7-labs", true),
            ("docker.io/docker/dockerfile", true),
            ("docker/dockerfile-upstream:master", true),
            ("mirror.example.org/hub/docker/dockerfile:1.4", true),
            ("dockerfile.v0", true),
            ("ghcr.io/earthly/earthly", false),
            ("dockerfile", false),
            ("notdocker/dockerfile", false),
            ("docker/dockerfiles", false),
            ("UPPER", false),
        ] {
            assert_eq!(is_docker(name), own, "{name}");
        }
    }
}
