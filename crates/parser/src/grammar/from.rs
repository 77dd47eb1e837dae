//! `FROM`: the base of a stage and its name.

use std::collections::HashSet;

use super::{Cx, Statement};
use crate::ast::{Dockerfile, From};
use crate::diagnostic::Diagnostic;
use crate::span::{Span, Spanned};
use crate::text::Text;

pub(super) fn read<'a>(cx: &mut Cx<'a>, st: &Statement<'a>) -> Option<From<'a>> {
    let platform = st.flags.text("platform");
    if let Some(flag) = &platform {
        cx.check(&flag.value);
    }
    st.requires_args(cx, "an image", "debian:stable")?;
    let words = st.plain_words(cx);
    let (image, name, as_keyword) = match words.as_slice() {
        [image] => (image, None, None),
        [image, keyword, name] if keyword.as_str().eq_ignore_ascii_case("as") => {
            let keyword = Spanned::new(keyword.as_str().to_owned(), keyword.span());
            (image, stage_name(cx, name), Some(keyword))
        }
        _ => {
            cx.diagnostics.push(wrong_arguments(&words, st.args.span()));
            return None;
        }
    };
    Some(From {
        platform,
        image: cx.word(image.clone()),
        name,
        as_keyword,
    })
}

fn wrong_arguments(words: &[Text<'_>], all: Span) -> Diagnostic {
    let texts: Vec<&str> = words.iter().map(Text::as_str).collect();
    let (span, message, help) = match texts.as_slice() {
        [image, keyword] if keyword.eq_ignore_ascii_case("as") => (
            words[1].span(),
            "FROM … AS without a name".to_owned(),
            Some(format!("for example `FROM {image} AS build`")),
        ),
        [image, tag]
            if !image.contains([':', '@']) && tag.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            (
                words[1].span(),
                format!("FROM takes an image and, behind AS, a name, not `{tag}`"),
                Some(format!("did you mean `FROM {image}:{tag}`?")),
            )
        }
        [image, keyword, name] => (
            words[1].span(),
            format!("FROM takes an image and, behind AS, a name, not `{keyword}`"),
            Some(format!("did you mean `FROM {image} AS {name}`?")),
        ),
        [image, keyword, name, rest @ ..] if keyword.eq_ignore_ascii_case("as") => (
            Span::new(words[3].span().start, all.end),
            format!("more than one word behind AS: `{}`", rest.join(" ")),
            Some(format!(
                "did you mean `FROM {image} AS {name}-{}`?",
                rest.join("-")
            )),
        ),
        [image, name] => (
            words[1].span(),
            format!("FROM takes an image and, behind AS, a name, not `{name}`"),
            Some(format!("did you mean `FROM {image} AS {name}`?")),
        ),
        [_, other, ..] => (
            Span::new(words[1].span().start, all.end),
            format!("FROM takes an image and, behind AS, a name, not `{other}`"),
            Some("write it as `FROM image AS name`".to_owned()),
        ),
        _ => (all, "FROM needs an image".to_owned(), None),
    };
    Diagnostic::error("bad-from", span, message).with_help_if(help)
}

/// Letters, digits, `-`, `_` and `.`, beginning with a letter.
fn stage_name(cx: &mut Cx<'_>, name: &Text<'_>) -> Option<Spanned<String>> {
    let lower = name.as_str().to_ascii_lowercase();
    let good =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if !lower.starts_with(|c: char| c.is_ascii_lowercase()) || !lower.chars().all(good) {
        let message = format!("invalid name for a stage: `{}`", name.as_str());
        cx.error(
            "bad-stage-name",
            name.span(),
            message,
            "it begins with a letter; letters, digits, `-`, `_` and `.` may follow",
        );
        return None;
    }
    Some(Spanned::new(lower, name.span()))
}

/// Images whose names are not in lower case. What an earlier stage is called may be written
/// in any case.
pub(super) fn check_names<'a>(cx: &mut Cx<'a>, file: &Dockerfile<'a>) {
    let mut stages: HashSet<&str> = HashSet::new();
    let mut found = Vec::new();
    for stage in &file.stages {
        let image = stage.image();
        let raw = image.raw();
        let is_stage = || stages.contains(raw.to_ascii_lowercase().as_str());
        if let Some(lower) = lower_case(raw).filter(|_| !image.has_variables() && !is_stage()) {
            let message = format!("image names are lower case: `{raw}`");
            let diagnostic = Diagnostic::error("image-name-case", image.span(), message);
            found.push(diagnostic.with_help(format!("did you mean `{lower}`?")));
        }
        stages.extend(stage.name());
    }
    cx.diagnostics.extend(found);
}

/// The same reference with its repository in lower case, if that is another one. Registry,
/// tag and digest may have capitals.
fn lower_case(reference: &str) -> Option<String> {
    let end = reference.find('@').unwrap_or(reference.len());
    let slash = reference[..end].rfind('/').map_or(0, |i| i + 1);
    let end = reference[slash..end].find(':').map_or(end, |i| slash + i);
    let first = reference[..end].split('/').next().unwrap_or_default();
    let has_registry = first.len() < end && (first.contains(['.', ':']) || first == "localhost");
    let start = if has_registry { first.len() } else { 0 };
    let name = &reference[start..end];
    let lower = name.to_lowercase();
    (lower != name).then(|| format!("{}{lower}{}", &reference[..start], &reference[end..]))
}

#[cfg(test)]
mod tests {
    use super::lower_case;

    #[test]
    fn only_the_repository_is_lower_case() {
        let rows = [
            ("Ubuntu", Some("ubuntu")),
            ("Ubuntu:Focal", Some("ubuntu:Focal")),
            ("ubuntu:Focal", None),
            ("Library/Ubuntu@sha256:AB", Some("library/ubuntu@sha256:AB")),
            ("Registry.Example.com/app", None),
            (
                "Registry.Example.com:5000/App:V1",
                Some("Registry.Example.com:5000/app:V1"),
            ),
            ("localhost/App", Some("localhost/app")),
            ("scratch", None),
        ];
        for (name, want) in rows {
            assert_eq!(lower_case(name).as_deref(), want, "{name}");
        }
    }
}
