//! COPY and ADD: from paths, heredocs, URLs and repositories to one operation. Refuses to look at
//! what is there: whether a path exists, whether a file is an archive.

use kiln_graph::{Copy, Inline, InlineFile, NodeId, Op, Select, Taken};
use kiln_parser::{
    Diagnostic, Span, Word,
    ast::{self, Flag, Source},
    glob,
};

use super::{
    Effect, Lowerer, Place, State, inline,
    remote::{self, Remote, Wrong},
};
use crate::{error, path};

/// What the flags ask for, variables replaced.
#[derive(Default)]
struct Wishes {
    keyword: &'static str,
    owner: Option<String>,
    mode: Option<String>,
    link: bool,
    parents: bool,
    exclude: Vec<String>,
    /// Of COPY.
    from: Option<(String, Span)>,
    /// Of ADD.
    add: Option<Adding>,
}

/// What only ADD knows.
struct Adding {
    unpack: Option<bool>,
    keep_git_dir: bool,
    checksum: Option<(String, Span)>,
}

/// A source, variables replaced.
enum Found {
    Path(String),
    Remote(Remote, String),
}

impl Found {
    fn text(&self) -> &str {
        match self {
            Found::Path(text) | Found::Remote(_, text) => text,
        }
    }
}

/// All that an instruction takes.
struct Sources {
    found: Vec<Found>,
    docs: Vec<InlineFile>,
    destination: String,
}

/// An operation that comes to be: its inputs, and what it takes of each.
struct Taking {
    inputs: Vec<NodeId>,
    taken: Vec<Taken>,
}

impl Taking {
    /// The number of an input, which is new unless it is there already.
    fn input(&mut self, node: NodeId) -> usize {
        let known = self.inputs.iter().skip(1).position(|i| *i == node);
        known.map_or_else(
            || {
                self.inputs.push(node);
                self.inputs.len() - 1
            },
            |at| at + 1,
        )
    }
}

impl Lowerer<'_, '_> {
    pub(super) fn copy(
        &mut self,
        copy: &ast::Copy<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let flags = &copy.flags;
        let from = flags.from.as_ref().map(|flag| &flag.value);
        let from = from.filter(|word| !word.raw().is_empty());
        let wishes = Wishes {
            keyword: "COPY",
            owner: flag_value(state, flags.chown.as_ref())?,
            mode: mode(state, flags.chmod.as_ref())?,
            link: flags.link.as_ref().is_some_and(|flag| flag.node),
            parents: flags.parents.as_ref().is_some_and(|flag| flag.node),
            exclude: exclude(state, &flags.exclude)?,
            from: from.map(|word| (word.raw().to_owned(), word.span())),
            add: None,
        };
        self.files(&wishes, (&copy.sources, &copy.dest), state, place)
    }

    pub(super) fn add(
        &mut self,
        add: &ast::Add<'_>,
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let flags = &add.flags;
        let checksum = flag_value(state, flags.checksum.as_ref())?;
        let at = flags.checksum.as_ref().map(|flag| flag.value.span());
        let wishes = Wishes {
            keyword: "ADD",
            owner: flag_value(state, flags.chown.as_ref())?,
            mode: mode(state, flags.chmod.as_ref())?,
            link: flags.link.as_ref().is_some_and(|flag| flag.node),
            exclude: exclude(state, &flags.exclude)?,
            add: Some(Adding {
                unpack: flags.unpack.as_ref().map(|flag| flag.node),
                keep_git_dir: flags.keep_git_dir.as_ref().is_some_and(|flag| flag.node),
                checksum: checksum.zip(at),
            }),
            ..Wishes::default()
        };
        self.files(&wishes, (&add.sources, &add.dest), state, place)
    }

    fn files(
        &mut self,
        wishes: &Wishes,
        (sources, dest): (&[Source<'_>], &Word<'_>),
        state: &mut State,
        place: &Place,
    ) -> Result<Effect, Diagnostic> {
        let mut sources = Sources::read(wishes, state, sources, dest)?;
        if let Some(adding) = &wishes.add {
            adding.check(&mut sources.found)?;
        }
        let created_by = sources.created_by(wishes);
        let destination = path::destination(&state.cwd(), &sources.destination);
        let is_remote = |found: &Found| matches!(found, Found::Remote(..));
        let exact_times = wishes.from.is_none() && !sources.found.iter().any(is_remote);
        // A mode goes for the folders that lead there too, which a link would make anew.
        let linked = wishes.link && wishes.mode.is_none();
        let beneath = match linked {
            true => self.graph.add(Op::Scratch, &[], Some(place.origin.clone())),
            false => state.node,
        };
        let mut taking = self.take(wishes, sources, beneath, place)?;
        let named = wishes.owner.as_deref().is_some_and(|owner| {
            let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
            !owner.split(':').all(digits)
        });
        let names = (linked && named).then(|| taking.input(state.node));
        let op = Op::Copy(Copy {
            sources: taking.taken,
            destination,
            owner: wishes.owner.clone(),
            names,
            mode: wishes.mode.clone(),
            exact_times,
            parents: wishes.parents,
            exclude: wishes.exclude.clone(),
        });
        let copied = self.node(op, &taking.inputs, place);
        state.node = match linked {
            true => self.node(Op::Merge, &[state.node, copied], place),
            false => copied,
        };
        Effect::layer(created_by)
    }

    /// The nodes that the files come from, and what is taken of each.
    fn take(
        &mut self,
        wishes: &Wishes,
        sources: Sources,
        beneath: NodeId,
        place: &Place,
    ) -> Result<Taking, Diagnostic> {
        let mut taking = Taking {
            inputs: vec![beneath],
            taken: Vec::new(),
        };
        let kept = |found: &Found| match found {
            Found::Path(text) => Some(cleaned(text, wishes.parents)),
            Found::Remote(..) => None,
        };
        let paths: Vec<Taken> = sources.found.iter().filter_map(kept).collect();
        let select = Select {
            patterns: paths.iter().map(Taken::whole).collect(),
            exclude: wishes.exclude.clone(),
            deep: wishes.parents,
        };
        let local = match &wishes.from {
            _ if paths.is_empty() => None,
            Some((name, span)) => Some(self.source(name, *span, select, place)?),
            None => Some(self.context(select, place)),
        };
        let mut paths = paths.into_iter();
        let unpack = wishes.add.as_ref().map(|adding| adding.unpack);
        for found in sources.found {
            let (node, taken, by_itself) = match found {
                Found::Path(_) => match (local, paths.next()) {
                    (Some(node), Some(taken)) => (node, taken, true),
                    _ => continue,
                },
                Found::Remote(Remote::Http(http), _) => {
                    let taken = Taken::first(http.file_name.as_str());
                    (self.leaf(Op::Http(http), place), taken, false)
                }
                Found::Remote(Remote::Git(git), _) => {
                    let taken = Taken::first(".");
                    taking.push(self.leaf(Op::Git(git), place), taken, false);
                    continue;
                }
            };
            let unpack = unpack.is_some_and(|wish| wish.unwrap_or(by_itself));
            taking.push(node, taken, unpack);
        }
        if !sources.docs.is_empty() {
            let names: Vec<String> = sources.docs.iter().map(|doc| doc.name.clone()).collect();
            let files = sources.docs;
            let node = self.leaf(Op::Inline(Inline { files }), place);
            for name in names {
                taking.push(node, Taken::first(literal(&name)), false);
            }
        }
        Ok(taking)
    }

    fn leaf(&mut self, op: Op, place: &Place) -> NodeId {
        self.graph.add(op, &[], Some(place.origin.clone()))
    }

    /// Files of the main context.
    pub(super) fn context(&mut self, select: Select, place: &Place) -> NodeId {
        let name = String::new();
        self.leaf(Op::Context { name, select }, place)
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

impl Taking {
    fn push(&mut self, node: NodeId, taken: Taken, unpack: bool) {
        let input = self.input(node);
        self.taken.push(Taken {
            input,
            unpack,
            ..taken
        });
    }
}

impl Adding {
    /// Gives what is fetched the flags that are for it.
    fn check(&self, found: &mut [Found]) -> Result<(), Diagnostic> {
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
    fn read(
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
        let many = found.len() + docs.len() > 1;
        if many && !path::destination("/w", &destination).ends_with('/') {
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
    fn created_by(&self, wishes: &Wishes) -> String {
        let mut text = wishes.keyword.to_owned();
        for (flag, value) in [("chown", &wishes.owner), ("chmod", &wishes.mode)] {
            if let Some(value) = value {
                text += &format!(" --{flag}={value}");
            }
        }
        for found in &self.found {
            text += &format!(" {}", found.text());
        }
        for doc in &self.docs {
            text += &format!(" <<{}", doc.name);
        }
        format!("{text} {} # buildkit", self.destination)
    }
}

fn source_path(wishes: &Wishes, state: &State, word: &Word<'_>) -> Result<Found, Diagnostic> {
    let keyword = wishes.keyword;
    let text = state.expand(word)?;
    let wrong = |message: String| Diagnostic::error("bad-source", word.span(), message);
    if text.is_empty() {
        return Err(wrong(format!(
            "{keyword}: the source `{}` is empty",
            word.raw()
        )));
    }
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
fn cleaned(text: &str, parents: bool) -> Taken {
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
pub(super) fn literal(path: &str) -> String {
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
fn flag_value(state: &State, flag: Option<&Flag<'_>>) -> Result<Option<String>, Diagnostic> {
    let value = flag.map(|flag| state.expand(&flag.value)).transpose()?;
    Ok(value.filter(|value| !value.is_empty()))
}

fn exclude(state: &State, flags: &[Flag<'_>]) -> Result<Vec<String>, Diagnostic> {
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

fn mode(state: &State, flag: Option<&Flag<'_>>) -> Result<Option<String>, Diagnostic> {
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
