//! COPY, local ADD and WORKDIR: files to layer, against a root, without mounting anything.

use std::sync::Arc;

use kiln_graph::{self as graph, NodeId};
use kiln_image::Digest;
use kiln_layer::{Archive, Files, LayerPath, Root, Time, Times, copy, copy::Change};
use kiln_rootfs::owner;

use crate::{
    Error, ErrorKind,
    context::selection::{self, Exclude, is_pattern},
    executor::{Carrier, layer::id_of, lock, output::Output},
};

/// A COPY, planned: what it takes, and from where.
pub(super) struct Planned {
    /// What is copied onto: the last of the inputs.
    onto: Arc<Root>,
    /// The inputs after the first.
    from: Vec<Arc<Root>>,
    /// What was unpacked: the inputs behind them.
    archives: Vec<Archive>,
    owner: Option<(u32, u32)>,
    copied: copy::Copied,
}

impl Planned {
    fn files(&self) -> Vec<&dyn Files> {
        let mut files = inputs(&self.from, &self.archives);
        files.push(&*self.onto);
        files
    }
}

/// All that there is to copy from.
fn inputs<'a>(from: &'a [Arc<Root>], archives: &'a [Archive]) -> Vec<&'a dyn Files> {
    let roots = from.iter().map(|from| &**from as &dyn Files);
    let archives = archives.iter().map(|archive| archive as &dyn Files);
    roots.chain(archives).collect()
}

impl Carrier<'_> {
    /// Carries a COPY out. Inputs: the root beneath, the sources, and perhaps the root that knows the
    /// names of users.
    pub(super) fn copy(
        &self,
        id: NodeId,
        op: &graph::Copy,
        inputs: &[Output],
    ) -> Result<Output, Error> {
        let planned = self.plan_copy(id, op, inputs)?;
        let copied = &planned.copied;
        let times = self.epoch.map_or(Times::Keep, Times::Clamp);
        let line = self.line(op);
        let files = planned.files();
        let packed = self.layer(id, &copied.changes, &files, times, line.as_ref())?;
        for (input, source) in inputs.iter().skip(1).enumerate() {
            if let Output::Files(selected) = source
                && let Some(read) = selected.learn(input, &copied.changes, packed.as_ref())?
            {
                let (name, select) = &selected.of;
                let digest = |path: &LayerPath| read.get(path).copied();
                let context = self.context(name)?;
                context.learn(select, &self.look(&selected.of), &digest);
            }
        }
        Ok(self.on_top(&inputs[0].slots(), id_of(&packed)))
    }

    /// Plans a COPY once, for its key and for its layer.
    fn plan_copy(
        &self,
        id: NodeId,
        op: &graph::Copy,
        inputs: &[Output],
    ) -> Result<Arc<Planned>, Error> {
        if let Some(found) = lock(&self.known.copies).get(&id) {
            return Ok(Arc::clone(found));
        }
        let onto = self.root(&inputs[0].slots().layers())?;
        let from = inputs.iter().skip(1).map(|source| self.source(source));
        let from: Vec<Arc<Root>> = from.collect::<Result<_, _>>()?;
        let names = match (&op.owner, op.names) {
            (Some(_), Some(names)) => from.get(names - 1).unwrap_or(&onto),
            _ => &onto,
        };
        let names = Arc::clone(names);
        let mut request = copy_request(op, &from, &names, self.now)?;
        for source in &mut request.sources {
            let of = &inputs[source.input + 1];
            source.keep_owner = !matches!(of, Output::Files(files) if !files.owners);
            let exact = self.epoch.filter(|_| has_exact_times(of));
            source.time = exact.map(Time::at);
        }
        let archives = self.unpack(&mut request.sources, &from)?;
        let exclude = Exclude::new(&op.exclude)?;
        let keep = |path: &LayerPath, is_folder| exclude.keep(path, is_folder);
        let files = self::inputs(&from, &archives);
        let given = copy::Inputs {
            files: &files,
            keep: (!exclude.is_empty()).then_some(&keep),
        };
        let copied = copy::plan(given, &request, &onto)
            .map_err(|e| self.explain_copy(e.into(), op, inputs))?;
        let planned = Arc::new(Planned {
            owner: request.owner,
            onto,
            from,
            archives,
            copied,
        });
        lock(&self.known.copies).insert(id, Arc::clone(&planned));
        Ok(planned)
    }

    pub(super) fn folder(
        &self,
        id: NodeId,
        op: &graph::Folder,
        beneath: &Output,
    ) -> Result<Output, Error> {
        let slots = beneath.slots();
        let onto = self.root(&slots.layers())?;
        let changes = folder_changes(op, &onto, self.now)?;
        let times = self.epoch.map_or(Times::Keep, Times::Clamp);
        let packed = self.layer(id, &changes, &[], times, None)?;
        Ok(self.on_top(&slots, id_of(&packed)))
    }

    /// What a COPY meets at its destination, as far as its layer depends on it.
    pub(super) fn met_by_copy(
        &self,
        id: NodeId,
        op: &graph::Copy,
        inputs: &[Output],
    ) -> Result<Digest, Error> {
        let planned = self.plan_copy(id, op, inputs)?;
        let (met, owner) = (&planned.copied.met, planned.owner);
        // The same content has other times when it comes from elsewhere.
        let exact: Vec<bool> = match self.epoch {
            Some(_) => inputs.iter().skip(1).map(has_exact_times).collect(),
            None => Vec::new(),
        };
        let said = format!("{met:?} {owner:?} {exact:?}");
        Ok(Digest::sha256(said.as_bytes()))
    }

    /// What a COPY takes of the input number `input`, without times; owners only where they are kept.
    /// `None` while some of it is unread.
    pub(super) fn copied(
        &self,
        op: &graph::Copy,
        input: usize,
        inputs: &[Output],
    ) -> Result<Option<Digest>, Error> {
        let source = &inputs[input];
        let select = op.select(input);
        let from = self.source(source)?;
        let found = match source {
            Output::Files(selected) if selected.of.1 == select => selected.digest(),
            Output::Files(selected) => selection::digest(&from, &select, selected.owners),
            Output::Root(_) => selection::digest(&from, &select, op.owner.is_none()),
        };
        found.map_err(|e| self.explain_copy(e, op, inputs))
    }

    /// What a WORKDIR meets: the changes that it would make are all there is to it.
    pub(super) fn met_by_folder(
        &self,
        op: &graph::Folder,
        beneath: &Output,
    ) -> Result<Digest, Error> {
        let onto = self.root(&beneath.slots().layers())?;
        let changes = folder_changes(op, &onto, 0)?;
        Ok(Digest::sha256(format!("{changes:?}").as_bytes()))
    }

    /// The source of a COPY as a root, so that links in it are followed inside it.
    fn source(&self, source: &Output) -> Result<Arc<Root>, Error> {
        match source {
            Output::Root(slots) => self.root(&slots.layers()),
            Output::Files(selected) => Ok(selected.root()),
        }
    }

    /// Says of a source of a COPY that is not there why that may be.
    fn explain_copy(&self, e: Error, op: &graph::Copy, inputs: &[Output]) -> Error {
        let sources: Vec<String> = op.sources.iter().map(graph::Taken::whole).collect();
        let missed = missing(&e, &sources);
        let of = missed.and_then(|m| op.sources.iter().find(|taken| taken.whole() == *m));
        let root = match of.and_then(|taken| inputs.get(taken.input)) {
            Some(Output::Files(selected)) => {
                return self.explain_missing(e, &selected.of.0, &sources);
            }
            Some(Output::Root(slots)) => self.root(&slots.layers()).ok(),
            None => None,
        };
        let Some(source) = missing(&e, &sources) else {
            return e;
        };
        let what = format!("`/{source}` is not in the image or stage that `--from` names");
        let error = Error::new(ErrorKind::NotFound, what);
        match root.and_then(|root| nearly(&root, source)) {
            Some(path) => error.hint(format!("there is `/{path}`: letters have a case here")),
            None => error,
        }
    }

    /// Says of a file of the context that is not there why that may be.
    pub(super) fn explain_missing(&self, e: Error, context: &str, sources: &[String]) -> Error {
        let Some(source) = missing(&e, sources) else {
            return e;
        };
        let what = match context {
            "" => format!("`{source}` is not in the build context"),
            name => format!("`{source}` is not in the context `{name}`"),
        };
        let why = self.request.files(context).and_then(|c| c.missing(source));
        let in_stage = || {
            let file = kiln_parser::parse(&self.request.text).file;
            crate::check::stages::hint(&file, source).filter(|_| context.is_empty())
        };
        let error = Error::new(ErrorKind::NotFound, what);
        match why.or_else(in_stage) {
            Some(why) => error.hint(why),
            None => error.hint("paths are relative to the folder that `kiln build` was given"),
        }
    }
}

/// The source that an error says is not there.
fn missing<'a>(e: &Error, sources: &'a [String]) -> Option<&'a String> {
    if e.kind() != ErrorKind::NotFound {
        return None;
    }
    let said = e.to_string();
    let named = |s: &&String| !is_pattern(s) && said.contains(&format!("`{s}`"));
    sources.iter().find(named)
}

/// A path that differs in nothing but the case of its letters.
fn nearly(from: &Root, source: &str) -> Option<String> {
    let wanted = source.to_lowercase();
    let text = |e: &kiln_layer::Entry| String::from_utf8_lossy(e.path.as_bytes()).into_owned();
    from.tree()
        .iter()
        .map(text)
        .find(|path| path != source && path.to_lowercase() == wanted)
}

fn folder_changes(op: &graph::Folder, onto: &Root, now: i64) -> Result<Vec<Change>, Error> {
    let owner = match op.user.is_empty() {
        true => None,
        false => Some(owner::resolve(&op.user, onto)?).map(|ids| (ids.uid, ids.gid)),
    };
    Ok(copy::make_folder(
        op.path.as_bytes(),
        owner,
        0o755,
        Time::at(now),
        onto,
    )?)
}

/// Whether with an epoch what is taken of an input gets exactly that time: what is of a context.
fn has_exact_times(input: &Output) -> bool {
    matches!(input, Output::Files(files) if !files.own_times)
}

/// The plan of a COPY: wildcards expanded, names of users looked up.
fn copy_request(
    op: &graph::Copy,
    from: &[Arc<Root>],
    names: &Root,
    now: i64,
) -> Result<copy::Request, Error> {
    let owner = op.owner.as_deref();
    let owner = owner.map(|text| owner::chown(text, names)).transpose()?;
    let mode = op.mode.as_deref().map(copy::Mode::parse).transpose()?;
    let mut sources = Vec::new();
    for taken in &op.sources {
        for found in expand_taken(op, taken, from)? {
            sources.push(copy::Source {
                input: taken.input - 1,
                path: found.path,
                base: found.base,
                unpack: taken.unpack,
                ..copy::Source::default()
            });
        }
    }
    Ok(copy::Request {
        sources,
        destination: op.destination.clone().into_bytes(),
        // Written ones: a wildcard is to mean one file only.
        last_stays: op.sources.len() > 1,
        owner,
        mode,
        made: Time::at(now),
    })
}

/// What a source of a COPY means in the input that it is of.
fn expand_taken(
    op: &graph::Copy,
    taken: &graph::Taken,
    from: &[Arc<Root>],
) -> Result<Vec<selection::Found>, Error> {
    let root = taken.input.checked_sub(1).and_then(|input| from.get(input));
    let Some(root) = root else {
        let what = format!("a COPY of an input that is not there: `{taken}`");
        return Err(Error::new(ErrorKind::Input, what));
    };
    selection::expand(root, &taken.to_string(), op.parents)
}
