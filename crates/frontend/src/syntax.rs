//! `# syntax=`: which program reads the file. Every version of docker's own is read here; refuses to
//! run any other.

use kiln_image::Reference;
use kiln_parser::{Diagnostic, Dockerfile, Span, ast::DirectiveKey};

use crate::{NamedContext, Options, contexts, error};

/// The build argument that stands before the directive.
pub(crate) const ARGUMENT: &str = "BUILDKIT_SYNTAX";

/// What is wrong with a text that is written for another program than docker's: the one that it names
/// (`kiln_parser::syntax`), or the build argument `BUILDKIT_SYNTAX`. Such a text need not be a
/// Dockerfile: this is worth asking before anything is said of what it looks like as one.
pub fn foreign(text: &str, options: &Options) -> Option<Diagnostic> {
    let said = kiln_parser::syntax(text);
    let said = said.as_ref().map(|name| (&*name.node, name.span));
    judge(said, options).err()
}

/// Refuses a file that is written for another program.
pub(crate) fn check(file: &Dockerfile<'_>, options: &Options) -> Result<(), Diagnostic> {
    let directive = file.directive(DirectiveKey::Syntax);
    judge(directive.map(|said| (said.node, said.span)), options)
}

fn judge(said: Option<(&str, Span)>, options: &Options) -> Result<(), Diagnostic> {
    let given = options.build_args.get(ARGUMENT);
    let (value, span) = match (given, said) {
        (Some(given), _) if !given.is_empty() => (given.as_str(), Span::default()),
        (_, Some(said)) => said,
        _ => return Ok(()),
    };
    let name = value.split_whitespace().next().unwrap_or_default();
    // A context of that name stands for the program.
    let named = contexts::named(&options.contexts, name, &options.build_platform);
    let stands_for = match named {
        Some((_, NamedContext::Image(image))) => image,
        _ => name,
    };
    if is_docker(stands_for) {
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
    use super::{foreign, is_docker};
    use crate::Options;

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

    #[test]
    fn texts_of_others_need_not_be_dockerfiles() {
        let mut options = Options::default();
        let says = |text: &str, options: &Options| foreign(text, options).map(|e| e.message);
        let other = "// syntax=example.org/other\nimage: x\n";
        let message =
            "the file is to be read by `example.org/other`, and other programs are not run";
        assert_eq!(says(other, &options).as_deref(), Some(message));
        assert_eq!(says("# syntax=docker/dockerfile:1\nFORM x", &options), None);
        assert_eq!(says("FROM x", &options), None);
        options.build_args.insert(super::ARGUMENT.into(), "".into());
        assert_eq!(says(other, &options).as_deref(), Some(message));
        // A context stands for the program; an argument for what the text says.
        let docker = "docker-image://docker/dockerfile:1".parse().unwrap();
        let given = options.contexts.insert("example.org/other".into(), docker);
        assert_eq!((given, says(other, &options)), (None, None));
        options
            .build_args
            .insert(super::ARGUMENT.into(), "x".into());
        let message = "the file is to be read by `x`, and other programs are not run";
        assert_eq!(says("FROM x", &options).as_deref(), Some(message));
    }
}
