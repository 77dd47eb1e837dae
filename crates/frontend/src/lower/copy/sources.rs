//! What COPY and ADD say, variables replaced: their flags, and where their files come from. Refuses
//! what cannot be meant.

use kiln_graph::{InlineFile, Taken};
use kiln_parser::{
    Diagnostic, Span, Word,
    ast::{Flag, Source},
    glob,
};

use super::super::{
    State, inline,
    remote::{self, Remote, Wrong},
};
use crate::{error, path, without_passwords};

/// What the flags ask for, variables replaced.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) keyword: &'static str,
    pub(super) owner: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) link: bool,
    pub(super) parents: bool,
    pub(super) exclude: Vec<String>,
    /// Of COPY.
    pub(super) from: Option<(String, Span)>,
    /// Of ADD.
    pub(super) add: Option<Adding>,
}

/// What only ADD knows.
pub(super) struct Adding {
    pub(super) unpack: Option<bool>,
    pub(super) keep_git_dir: bool,
    pub(super) checksum: Option<(String, Span)>,
}

/// A source, variables replaced.
pub(super) enum Found {
    Path(String),
    Remote(Remote, String),
}

impl Found {
    pub(super) fn text(&self) -> &str {
        match self {
            Found::Path(text) | Found::Remote(_, text) => text,
        }
    }
}

/// All that an instruction takes.
pub(super) struct Sources {
    pub(super) found: Vec<Found>,
    pub(super) docs: Vec<InlineFile>,
    pub(super) destination: String,
}

impl Adding {
    /// Gives what is fetched the flags that are for it.
    pub(super) fn check(&self, found: &mut [Found]) -> Result<(), Diagnostic> {
        let only = found.len() == 1;
        for found in found.iter_mut() {
            if let Found::Remote(Remote::Git(git), _) = found {
                git.keep_git_dir |= self.keep_git_dir;
            }
        }
        let Some((text, span)) = &self.checksum else {
            return Ok(());
        };
        let wrong =
            |message: &str, help: &str| Err(error::error("bad-checksum", *span, message, help));
        let Some(Found::Remote(remote, _)) = found.first_mut() else {
            let help = "the files of the context are what they are";
            return wrong("`--checksum` is for URLs and git repositories", help);
        };
        if !only {
            let help = "add them one at a time";
            return wrong("`--checksum` cannot be of several sources", help);
        }
        match remote {
            Remote::Http(http) => match text.parse() {
                Ok(digest) => http.checksum = Some(digest),
                Err(_) => {
                    let message = format!("`{text}` is no digest");
                    return wrong(&message, "it is `sha256:` and 64 hexadecimal digits");
                }
            },
            Remote::Git(git) => {
                if let Err(Wrong(message, help)) = remote::commit(text) {
                    return wrong(&message, &help);
                }
                if git.checksum.as_ref().is_some_and(|known| known != text) {
                    let message = "`--checksum` and the URL name different commits";
                    return wrong(message, "give one of them");
                }
                git.checksum = Some(text.clone());
            }
        }
        Ok(())
    }
}

impl Sources {
    pub(super) fn read(
        wishes: &Wishes,
        state: &State,
        sources: &[Source<'_>],
        dest: &Word<'_>,
    ) -> Result<Self, Diagnostic> {
        let (mut found, mut docs) = (Vec::new(), Vec::new());
        for source in sources {
            match source {
                Source::Path(word) => found.push(source_path(wishes, state, word)?),
                Source::Heredoc(doc) if wishes.parents => {
                    let message = "`--parents` has no meaning for a heredoc";
                    let help = "give its folder as the destination, in a COPY of its own";
                    return Err(error::error("bad-parents", doc.span, message, help));
                }
                Source::Heredoc(doc) => docs.push(inline::file(doc, state)?),
            }
        }
        let destination = state.expand(dest)?;
        // With a heredoc each takes the place of the one before, as docker has it.
        if docs.is_empty()
            && found.len() > 1
            && !path::destination("/w", &destination).ends_with('/')
        {
            let message = format!(
                "{} of several sources needs a folder to copy to",
                wishes.keyword
            );
            let help = format!("end it with a slash: `{destination}/`");
            return Err(error::error("not-a-folder", dest.span(), message, help));
        }
        Ok(Self {
            found,
            docs,
            destination,
        })
    }

    /// As docker's builder writes it; the order of the flags is its, and only these are told.
    pub(super) fn created_by(&self, wishes: &Wishes) -> String {
        let mut text = wishes.keyword.to_owned();
        for (flag, value) in [("chown", &wishes.owner), ("chmod", &wishes.mode)] {
            if let Some(value) = value {
                text += &format!(" --{flag}={value}");
            }
        }
        for found in &self.found {
            text += &format!(" {}", without_passwords(found.text()));
        }
        for doc in &self.docs {
            text += &format!(" <<{}", doc.name);
        }
        format!("{text} {} # buildkit", self.destination)
    }
}

fn source_path(wishes: &Wishes, state: &State, word: &Word<'_>) -> Result<Found, Diagnostic> {
    let text = state.expand(word)?;
    let wrong = |message: String| Diagnostic::error("bad-source", word.span(), message);
    match remote::read(&text) {
        Ok(Some(remote)) if wishes.add.is_some() => return Ok(Found::Remote(remote, text)),
        Ok(Some(remote)) => {
            let kind = match remote {
                Remote::Http(_) => "a URL",
                Remote::Git(_) => "a git repository",
            };
            return Err(
                wrong(format!("the source of a COPY cannot be {kind}")).with_help("ADD takes it")
            );
        }
        Err(Wrong(message, help)) if wishes.add.is_some() => {
            return Err(wrong(message).with_help(help));
        }
        Ok(None) | Err(_) => {}
    }
    if glob::has_magic(&text) {
        glob::Pattern::new(&text).map_err(|e| wrong(format!("pattern `{text}`: {e}")))?;
    }
    Ok(Found::Path(text))
}

/// A path within a source. With `--parents`, what is before the first `/./` is where it starts.
pub(super) fn cleaned(text: &str, parents: bool) -> Taken {
    match text.split_once("/./").filter(|_| parents) {
        None => Taken::first(path::within(text)),
        Some((base, rest)) => {
            let base = path::within(base);
            Taken {
                base: if base == "." { String::new() } else { base },
                ..Taken::first(path::within(rest))
            }
        }
    }
}

/// A pattern that means just this path.
pub(in crate::lower) fn literal(path: &str) -> String {
    let mut pattern = String::new();
    for c in path.chars() {
        if "*?[\\".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// The value of a flag; an empty one is as none.
pub(super) fn flag_value(
    state: &State,
    flag: Option<&Flag<'_>>,
) -> Result<Option<String>, Diagnostic> {
    let value = flag.map(|flag| state.expand(&flag.value)).transpose()?;
    Ok(value.filter(|value| !value.is_empty()))
}

pub(super) fn exclude(state: &State, flags: &[Flag<'_>]) -> Result<Vec<String>, Diagnostic> {
    let mut patterns = Vec::new();
    for flag in flags {
        let Some(text) = flag_value(state, Some(flag))? else {
            continue;
        };
        glob::Pattern::new(&text).map_err(|e| {
            let message = format!("pattern `{text}`: {e}");
            Diagnostic::error("bad-exclude", flag.value.span(), message)
        })?;
        patterns.push(text);
    }
    Ok(patterns)
}

pub(super) fn mode(state: &State, flag: Option<&Flag<'_>>) -> Result<Option<String>, Diagnostic> {
    let mode = flag_value(state, flag)?;
    match (&mode, flag) {
        (Some(text), Some(flag)) if !is_mode(text) => {
            let message = format!("`{text}` is not a mode");
            let help = "for example `755`, `0644` or `u=rwX,go=rX`";
            Err(error::error("bad-mode", flag.value.span(), message, help))
        }
        _ => Ok(mode),
    }
}

/// Octal up to 7777, or symbolic as chmod reads it.
fn is_mode(text: &str) -> bool {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o7777);
    }
    text.split(',').all(|clause| {
        let actions = clause.trim_start_matches(['u', 'g', 'o', 'a']);
        let mut operators = 0;
        let known = actions.chars().all(|c| {
            operators += usize::from("+-=".contains(c));
            "+-=rwxXstugo".contains(c)
        });
        known && operators > 0 && actions.starts_with(['+', '-', '='])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for text in ["755", "0644", "7777", "u=rwX,go=rX", "+x", "a-w", "g=u"] {
            assert!(is_mode(text), "{text}");
        }
        for text in ["", "8", "77777", "rwx", "u", "u=q", "755,+x", "x+"] {
            assert!(!is_mode(text), "{text}");
        }
    }
}
