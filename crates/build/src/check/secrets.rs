//! Values of secrets that stand where everybody can read them: in build arguments and in the Dockerfile
//! itself. Refuses to show one: what is found is told without its place, which would be drawn.

use kiln_parser::{Diagnostic, Span};

use crate::Secrets;

/// Shorter values are in a text by chance.
const LEAST: usize = 8;

/// Looks for the values of secrets in the text and the arguments of a build.
pub(super) fn find(
    text: &str,
    arguments: &[(String, String)],
    secrets: &dyn Secrets,
) -> Vec<Diagnostic> {
    let mut ids = secrets.ids();
    ids.sort();
    let mut found = Vec::new();
    for id in ids {
        // One that cannot be read is an error where it is used.
        let Ok(Some(secret)) = secrets.get(&id) else {
            continue;
        };
        let Ok(value) = std::str::from_utf8(secret.bytes()) else {
            continue;
        };
        let value = value.trim();
        if value.len() < LEAST {
            continue;
        }
        for (name, argument) in arguments {
            if argument.contains(value) {
                let message =
                    format!("the build argument `{name}` has the value of the secret `{id}`");
                let help = format!(
                    "leave `--build-arg {name}` out, and use `RUN --mount=type=secret,id={id}`"
                );
                found.push(told("secret-in-build-arg", message, help));
            }
        }
        if let Some((before, _)) = text.split_once(value) {
            let line = before.matches('\n').count() + 1;
            let message = format!("line {line} has the value of the secret `{id}`");
            let help = format!("take it out, and use `RUN --mount=type=secret,id={id}`");
            found.push(told("secret-in-dockerfile", message, help));
        }
    }
    found
}

fn told(code: &'static str, message: String, help: String) -> Diagnostic {
    Diagnostic::warning(code, Span::default(), message).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Secret};

    struct Known;

    impl Secrets for Known {
        fn get(&self, id: &str) -> Result<Option<Secret>, Error> {
            Ok(match id {
                "long" => Some(Secret::new(*b"hunter2hunter2\n")),
                "short" => Some(Secret::new(*b"hunter2")),
                _ => None,
            })
        }

        fn ids(&self) -> Vec<String> {
            ["short", "long", "none"].map(str::to_owned).to_vec()
        }
    }

    #[test]
    fn values_of_secrets_are_found_and_not_shown() {
        let arguments = [("A", "hunter2"), ("B", "x hunter2hunter2 y"), ("C", "")];
        let arguments = arguments.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let text = "FROM a\nRUN x\nENV b=hunter2hunter2\n";
        let found = find(text, &arguments, &Known);
        let said: Vec<(&str, &str)> = found.iter().map(|d| (d.code, &*d.message)).collect();
        let wanted = [
            (
                "secret-in-build-arg",
                "the build argument `B` has the value of the secret `long`",
            ),
            (
                "secret-in-dockerfile",
                "line 3 has the value of the secret `long`",
            ),
        ];
        assert_eq!(said, wanted);
        for finding in found {
            assert!(!format!("{finding:?}").contains("hunter2"));
            assert_eq!(finding.span, Span::default());
        }
    }
}
