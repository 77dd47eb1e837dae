//! COPY and local ADD.

use kiln_graph::{Copy, NodeId, Op, Select, Taken};
use kiln_parser::{
    Diagnostic, Span, Spanned, Word,
    ast::{self, Flag, Source},
    glob,
};

use super::{Effect, Lowerer, Place, State};
use crate::{error, path};

/// What COPY and ADD have in common, variables replaced.
struct Files {
    keyword: &'static str,
    sources: Vec<String>,
    destination: String,
    owner: Option<String>,
    mode: Option<String>,
}

impl Lowerer<'_, '_> {
    pub(super) fn copy(
        &mut self,
        copy: &ast::Copy<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let flags = &copy.flags;
        refuse_switch(
            "COPY --link",
            flags.link.as_ref(),
            "leave it out: the files are the same",
        )?;
        refuse_switch(
            "COPY --parents",
            flags.parents.as_ref(),
            "name the folders one by one",
        )?;
        refuse_flag("COPY --exclude", flags.exclude.first(), EXCLUDE)?;
        let files = Files::read(
            "COPY",
            state,
            (&copy.sources, &copy.dest),
            owner_mode(flags),
        )?;
        let from = match &flags.from {
            Some(flag) if flag.value.raw().is_empty() => None,
            Some(flag) => {
                let patterns = files.sources.iter().map(|s| path::within(s)).collect();
                let select = Select {
                    patterns,
                    ..Select::default()
                };
                let (name, span) = (flag.value.raw(), flag.value.span());
                Some(self.source(name, span, select, place)?)
            }
            None => None,
        };
        self.files(files, from, false, state, place)
    }

    pub(super) fn add(
        &mut self,
        add: &ast::Add<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let flags = &add.flags;
        refuse_switch(
            "ADD --link",
            flags.link.as_ref(),
            "leave it out: the files are the same",
        )?;
        refuse_switch("ADD --keep-git-dir", flags.keep_git_dir.as_ref(), "")?;
        refuse_switch(
            "ADD --unpack",
            flags.unpack.as_ref(),
            "unpack the archive with RUN tar",
        )?;
        refuse_flag("ADD --checksum", flags.checksum.as_ref(), "")?;
        refuse_flag("ADD --exclude", flags.exclude.first(), EXCLUDE)?;
        let owner_mode = (flags.chown.as_ref(), flags.chmod.as_ref());
        let files = Files::read("ADD", state, (&add.sources, &add.dest), owner_mode)?;
        for (source, text) in add.sources.iter().zip(&files.sources) {
            if let (Source::Path(word), Some(kind)) = (source, remote(text)) {
                let what = format!("ADD of {kind}");
                let help = "fetch it with RUN, or before the build";
                return Err(error::not_yet(word.span(), &what, help));
            }
        }
        // `--unpack=false`: an archive is a file as any other.
        let unpacks = flags.unpack.is_none();
        self.files(files, None, unpacks, state, place)
    }

    fn files(
        &mut self,
        files: Files,
        from: Option<NodeId>,
        add: bool,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let created_by = files.created_by();
        let sources: Vec<String> = files.sources.iter().map(|s| path::within(s)).collect();
        let source = from.unwrap_or_else(|| {
            let patterns = sources.clone();
            let context = Op::Context {
                name: String::new(),
                select: Select {
                    patterns,
                    ..Select::default()
                },
            };
            self.graph.add(context, &[], Some(place.origin.clone()))
        });
        let taken = |path| Taken {
            unpack: add,
            ..Taken::first(path)
        };
        let op = Copy {
            sources: sources.into_iter().map(taken).collect(),
            destination: path::destination(&state.cwd(), &files.destination),
            owner: files.owner,
            mode: files.mode,
            exact_times: from.is_none(),
            ..Copy::default()
        };
        state.node = self.node(Op::Copy(op), &[state.node, source], place);
        Effect::layer(created_by)
    }

    /// A node, which people are shown as this instruction unless an equal one was there first.
    pub(super) fn node(&mut self, op: Op, inputs: &[NodeId], place: &Place) -> NodeId {
        let before = self.graph.len();
        let node = self.graph.add(op, inputs, Some(place.origin.clone()));
        if self.graph.len() > before {
            self.graph.name(node, place.name.clone());
        }
        node
    }
}

const EXCLUDE: &str = "name what is to be left out in .dockerignore";

type OwnerMode<'f> = (Option<&'f Flag<'f>>, Option<&'f Flag<'f>>);

fn owner_mode<'f>(flags: &'f ast::CopyFlags<'f>) -> OwnerMode<'f> {
    (flags.chown.as_ref(), flags.chmod.as_ref())
}

impl Files {
    fn read(
        keyword: &'static str,
        state: &State,
        (sources, dest): (&[Source<'_>], &Word<'_>),
        (owner, mode): OwnerMode<'_>,
    ) -> Result<Self, Diagnostic> {
        let mut texts = Vec::new();
        for source in sources {
            match source {
                Source::Path(word) => texts.push(source_path(keyword, state, word)?),
                Source::Heredoc(doc) => {
                    let what = format!("{keyword} with a heredoc");
                    return Err(error::not_yet(doc.span, &what, "put the text into a file"));
                }
            }
        }
        let files = Self {
            keyword,
            sources: texts,
            destination: state.expand(dest)?,
            owner: flag_value(state, owner)?,
            mode: flag_value(state, mode)?,
        };
        if files.sources.len() > 1 && !path::destination("/w", &files.destination).ends_with('/') {
            let message = format!("{keyword} of several sources needs a folder to copy to");
            let help = format!("end it with a slash: `{}/`", files.destination);
            return Err(error::error("not-a-folder", dest.span(), message, help));
        }
        if let (Some(mode), Some(flag)) = (&files.mode, mode)
            && !is_mode(mode)
        {
            let message = format!("`{mode}` is not a mode");
            let help = "for example `755`, `0644` or `u=rwX,go=rX`";
            return Err(error::error("bad-mode", flag.value.span(), message, help));
        }
        Ok(files)
    }

    /// As docker's builder writes it; the order of the flags is its.
    fn created_by(&self) -> String {
        let mut text = self.keyword.to_owned();
        for (flag, value) in [("chown", &self.owner), ("chmod", &self.mode)] {
            if let Some(value) = value {
                text += &format!(" --{flag}={value}");
            }
        }
        for path in self.sources.iter().chain([&self.destination]) {
            text += &format!(" {path}");
        }
        text + " # buildkit"
    }
}

fn source_path(keyword: &str, state: &State, word: &Word<'_>) -> Result<String, Diagnostic> {
    let text = state.expand(word)?;
    let wrong = |message: String| Diagnostic::error("bad-source", word.span(), message);
    if text.is_empty() {
        return Err(wrong(format!(
            "{keyword}: the source `{}` is empty",
            word.raw()
        )));
    }
    if remote(&text).is_none() && glob::has_magic(&text) {
        glob::Pattern::new(&text).map_err(|e| wrong(format!("pattern `{text}`: {e}")))?;
    }
    Ok(text)
}

/// The value of a flag; an empty one is as none.
fn flag_value(state: &State, flag: Option<&Flag<'_>>) -> Result<Option<String>, Diagnostic> {
    let value = flag.map(|flag| state.expand(&flag.value)).transpose()?;
    Ok(value.filter(|value| !value.is_empty()))
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

/// What of the network a source of ADD names, in words.
fn remote(source: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|p| source.starts_with(p));
    let path = source.split(['#', '?']).next().unwrap_or(source);
    if starts(&["git@", "git://", "ssh://"]) {
        return Some("a git repository");
    }
    match starts(&["http://", "https://"]) {
        true if path.ends_with(".git") => Some("a git repository"),
        true => Some("a URL"),
        false => None,
    }
}

fn refuse_switch(
    what: &str,
    flag: Option<&Spanned<bool>>,
    instead: &str,
) -> Result<(), Diagnostic> {
    match flag {
        Some(flag) if flag.node => Err(refused(what, flag.span, instead)),
        _ => Ok(()),
    }
}

fn refuse_flag(what: &str, flag: Option<&Flag<'_>>, instead: &str) -> Result<(), Diagnostic> {
    match flag {
        Some(flag) => Err(refused(what, flag.span, instead)),
        None => Ok(()),
    }
}

fn refused(what: &str, span: Span, instead: &str) -> Diagnostic {
    error::not_yet(span, what, instead)
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

    #[test]
    fn what_is_elsewhere() {
        for (text, want) in [
            ("https://example.org/a.tar", Some("a URL")),
            ("https://example.org/a.git#main", Some("a git repository")),
            ("git@example.org:a/b", Some("a git repository")),
            ("http", None),
            ("a.git", None),
        ] {
            assert_eq!(remote(text), want, "{text}");
        }
    }
}
