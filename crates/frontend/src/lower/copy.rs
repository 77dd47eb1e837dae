//! COPY and ADD: from paths, heredocs, URLs and repositories to one operation. Refuses to look at
//! what is there: whether a path exists, whether a file is an archive.

mod sources;

use kiln_graph::{Copy, Inline, NodeId, Op, Select, Taken};
use kiln_parser::{
    Diagnostic, Word,
    ast::{self, Source},
};

use super::{Effect, Lowerer, Place, State, remote::Remote};
use crate::path;
pub(super) use sources::literal;
use sources::{Adding, Found, Sources, Wishes, cleaned, exclude, flag_value, mode};

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
        self.empty_sources(wishes, sources, state)?;
        let mut sources = Sources::read(wishes, state, sources, dest)?;
        if let Some(adding) = &wishes.add {
            adding.check(&mut sources.found)?;
        }
        let created_by = sources.created_by(wishes);
        let destination = path::destination(&state.cwd(), &sources.destination);
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

    /// Warns of a source that turned out empty: it is as `.`, which nobody means who writes a
    /// variable.
    fn empty_sources(
        &mut self,
        wishes: &Wishes,
        sources: &[Source<'_>],
        state: &State,
    ) -> Result<(), Diagnostic> {
        for source in sources {
            if let Source::Path(word) = source
                && state.expand(word)?.is_empty()
            {
                let whole = match wishes.from {
                    Some(_) => "all of what `--from` names",
                    None => "the whole build context",
                };
                let message = format!("`{}` is empty: {whole} is copied", word.raw());
                let help = "write `.` where that is meant";
                let warning = Diagnostic::warning("empty-source", word.span(), message);
                self.warnings.push(warning.with_help(help));
            }
        }
        Ok(())
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
            patterns: paths.iter().map(ToString::to_string).collect(),
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
                    let taken = Taken::first(literal(&http.file_name));
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
