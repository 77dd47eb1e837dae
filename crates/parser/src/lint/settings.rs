//! Which rules count: `# check=` at the top of the file, the build argument that replaces it, and
//! comments right above an instruction.

use super::rules::{rule, rules};
use super::{covers, seats};
use crate::ast::{DirectiveKey, Dockerfile};
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::suggest::nearest;

/// Which rules count, and whether their findings stop a build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    skip: List,
    experimental: List,
    error: bool,
}

/// Names of rules, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum List {
    #[default]
    None,
    All,
    Named(Vec<String>),
}

impl List {
    /// `all` is a name like others where it is one of several.
    fn read(text: &str) -> Self {
        if text == "all" {
            return Self::All;
        }
        let names = text.split(',').map(str::trim);
        Self::Named(names.map(str::to_owned).collect())
    }

    fn names(&self) -> &[String] {
        match self {
            Self::Named(names) => names,
            Self::None | Self::All => &[],
        }
    }

    fn has(&self, name: &str) -> bool {
        *self == Self::All || self.names().iter().any(|known| known == name)
    }
}

impl Settings {
    /// What the file says in `# check=skip=A,B;error=true`, or what `argument` says, which is the
    /// value of the build argument `BUILDKIT_DOCKERFILE_CHECK` and stands in for the directive.
    /// With it come an error for an option that cannot be read and warnings about names of rules
    /// that there are not; about an argument they have no place.
    pub fn of(file: &Dockerfile<'_>, argument: Option<&str>) -> (Self, Vec<Diagnostic>) {
        let directive = file.directive(DirectiveKey::Check);
        let (text, span) = match (argument, directive) {
            (Some(argument), _) => (argument, Span::default()),
            // The directive ends at the first blank.
            (None, Some(value)) => {
                let text = value.node.split_whitespace().next().unwrap_or_default();
                (text, value.span)
            }
            (None, None) => ("", Span::default()),
        };
        if text.is_empty() {
            return (Self::default(), Vec::new());
        }
        match Self::read(text) {
            Ok(settings) => {
                let warnings = settings.unknown(span);
                (settings, warnings)
            }
            Err(problem) => {
                let (message, help) = problem;
                let message = match argument {
                    Some(_) => format!("build argument `BUILDKIT_DOCKERFILE_CHECK`: {message}"),
                    None => message,
                };
                let error = Diagnostic::error("bad-check-option", span, message).with_help(help);
                (Self::default(), vec![error])
            }
        }
    }

    /// Options between `;`; the last of a kind counts.
    fn read(text: &str) -> Result<Self, (String, String)> {
        let mut settings = Self::default();
        for option in text.split(';') {
            let (key, value) = match option.split_once('=') {
                Some((key, value)) => (key.trim(), value.trim()),
                None => ("", option),
            };
            match key {
                "skip" => settings.skip = List::read(value),
                "experimental" => settings.experimental = List::read(value),
                "error" => {
                    settings.error = boolean(value).ok_or_else(|| {
                        let message = format!("`error` cannot be `{value}`");
                        (message, "it can be `true` or `false`".to_owned())
                    })?;
                }
                _ => {
                    let known = ["skip", "error", "experimental"];
                    let name = option.split('=').next().unwrap_or_default();
                    let help = match nearest(name, known) {
                        Some(meant) => format!("did you mean `{meant}=…`?"),
                        None => {
                            "for example `# check=skip=JSONArgsRecommended;error=true`".to_owned()
                        }
                    };
                    return Err((format!("invalid check option `{name}`"), help));
                }
            }
        }
        Ok(settings)
    }

    /// Warnings about names that no rule has.
    fn unknown(&self, span: Span) -> Vec<Diagnostic> {
        let lists = [&self.skip, &self.experimental];
        let names = lists.into_iter().flat_map(List::names);
        let unknown = names.filter(|name| !name.is_empty() && rule(name).is_none());
        unknown
            .map(|name| {
                let message = format!("no check is called `{name}`");
                let meant = nearest(name, rules().map(|rule| rule.name));
                let help = meant.map(|meant| format!("did you mean `{meant}`?"));
                Diagnostic::warning("unknown-check", span, message).with_help_if(help)
            })
            .collect()
    }

    /// `error=true`: a build with findings that are kept stops.
    pub fn error(&self) -> bool {
        self.error
    }

    /// Whether a finding counts. Errors always do; an experimental rule does where it is asked for;
    /// every other unless it is skipped in the file or by a comment above the instruction.
    pub fn keeps(&self, file: &Dockerfile<'_>, finding: &Diagnostic) -> bool {
        if finding.is_error() {
            return true;
        }
        let code = finding.code;
        let kept = match rule(code).is_some_and(|rule| rule.experimental) {
            true => self.experimental.has(code),
            false => !self.skip.has(code),
        };
        kept && !silenced(file, finding)
    }
}

/// Whether a comment above the instruction says so: `# check=skip=Rule`.
fn silenced(file: &Dockerfile<'_>, finding: &Diagnostic) -> bool {
    if finding.span == Span::default() {
        return false;
    }
    let Some(seat) = seats(file).find(|seat| covers(seat.span, finding.span)) else {
        return false;
    };
    let options = seat.comments.iter().filter_map(|comment| {
        let (key, value) = comment.text.split_once('=')?;
        key.trim().eq_ignore_ascii_case("check").then_some(value)
    });
    options
        .filter_map(|text| Settings::read(text.trim()).ok())
        .any(|own| own.skip.has(finding.code))
}

/// As programs written in Go read it.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use crate::{Diagnostic, lint, parse};

    /// The rules that are kept of a file, and what is said about the options.
    fn kept(src: &str, argument: Option<&str>) -> String {
        let file = parse(src).file;
        let (settings, problems) = Settings::of(&file, argument);
        let found = lint::check(&file);
        let kept = found.iter().filter(|f| settings.keeps(&file, f));
        let mut out: Vec<&str> = kept.map(|f| f.code).collect();
        out.extend(settings.error().then_some("error"));
        let said = problems.iter().map(|p: &Diagnostic| p.message.as_str());
        [out, said.collect()].concat().join(" ")
    }

    #[test]
    fn options() {
        let rows = [
            ("", "FromAsCasing JSONArgsRecommended"),
            ("skip=FromAsCasing", "JSONArgsRecommended"),
            ("skip=all", ""),
            ("skip=", "FromAsCasing JSONArgsRecommended"),
            ("skip=FromAsCasing,JSONArgsRecommended;error=true", "error"),
            (
                "skip=JSONArgsRecommended;skip=FromAsCasing",
                "JSONArgsRecommended",
            ),
            (
                "skip=FromAsCasing, JSONArgsRecommended",
                "JSONArgsRecommended",
            ),
            ("error=T;skip=all", "error"),
            ("error=true;error=0;skip=all", ""),
            ("skip=all;experimental=all", "InvalidDefinitionDescription"),
            (
                "skip=all;experimental=InvalidDefinitionDescription",
                "InvalidDefinitionDescription",
            ),
            (
                "skip=all,fromascasing",
                "FromAsCasing JSONArgsRecommended no check is called `all` no check is called `fromascasing`",
            ),
            ("skip=", "FromAsCasing JSONArgsRecommended"),
            (
                "error=maybe",
                "FromAsCasing JSONArgsRecommended `error` cannot be `maybe`",
            ),
            (
                "skip",
                "FromAsCasing JSONArgsRecommended invalid check option `skip`",
            ),
            (
                "skip = all",
                "FromAsCasing JSONArgsRecommended invalid check option `skip`",
            ),
            (
                "Skip=all",
                "FromAsCasing JSONArgsRecommended invalid check option `Skip`",
            ),
            (
                "skip=all;",
                "FromAsCasing JSONArgsRecommended invalid check option ``",
            ),
        ];
        for (options, want) in rows {
            let text = "# about\nFROM a as b\nCMD c\n";
            let src = format!("# check={options}\n{text}");
            assert_eq!(kept(&src, None), want, "{options}");
            assert_eq!(
                kept("# check=skip=all\nFROM a as b\n", Some("")),
                "FromAsCasing"
            );
        }
    }

    #[test]
    fn a_comment_silences_the_instruction_below_it() {
        let rows = [
            ("# check=skip=JSONArgsRecommended", "FromAsCasing"),
            ("# check = skip=all", "FromAsCasing"),
            ("# a reason\n# check=skip=all\n# another", "FromAsCasing"),
            (
                "# check=skip=all\nUSER a",
                "FromAsCasing JSONArgsRecommended",
            ),
            ("# check=skip=all\n#", "FromAsCasing JSONArgsRecommended"),
            (
                "# check=skip=FromAsCasing",
                "FromAsCasing JSONArgsRecommended",
            ),
        ];
        for (comment, want) in rows {
            let src = format!("FROM a as b\n{comment}\nCMD c\n");
            assert_eq!(kept(&src, None), want, "{comment}");
        }
    }
}
