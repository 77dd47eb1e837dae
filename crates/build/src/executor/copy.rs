//! COPY, local ADD and WORKDIR: files to layer, against a root, without mounting anything.

use std::{io, sync::Arc};

use kiln_graph::{self as graph, NodeId};
use kiln_image::Digest;
use kiln_layer::{Files, Kind, LayerPath, Root, Time, Times, copy, copy::Change};
use kiln_rootfs::owner;

use crate::{
    Error, ErrorKind,
    executor::{Carrier, layer::id_of, lock},
    output::Output,
    selection::{self, is_pattern},
};

/// A COPY, planned: what it takes, and from where.
pub(super) struct Planned {
    from: Arc<Root>,
    /// Wildcards expanded.
    sources: Vec<LayerPath>,
    owner: Option<(u32, u32)>,
    copied: copy::Copied,
}

impl Carrier<'_> {
    /// Carries a COPY out. Inputs: the root beneath, the source, and the root that knows the names of
    /// users.
    pub(super) fn copy(
        &self,
        id: NodeId,
        op: &graph::Copy,
        inputs: [&Output; 3],
    ) -> Result<Output, Error> {
        let planned = self.plan_copy(id, op, inputs)?;
        let [beneath, source, _] = inputs;
        let Planned { from, copied, .. } = &*planned;
        if op.unpacks() {
            refuse_archives(from, &planned.sources)?;
        }
        let times = match (self.epoch, op.exact_times) {
            (None, _) => Times::Keep,
            (Some(epoch), true) => Times::Exactly(epoch),
            (Some(epoch), false) => Times::Clamp(epoch),
        };
        let line = self.line(op);
        let packed = self.layer(id, &copied.changes, &**from, times, line.as_ref())?;
        if let Output::Files(selected) = source
            && let Some(read) = selected.learn(&copied.changes, packed.as_ref())?
        {
            let (name, select) = &selected.of;
            let digest = |path: &LayerPath| read.get(path).copied();
            let context = self.context(name)?;
            context.learn(select, &self.look(&selected.of), &digest);
        }
        Ok(self.on_top(&beneath.slots(), id_of(&packed)))
    }

    /// Plans a COPY once, for its key and for its layer.
    fn plan_copy(
        &self,
        id: NodeId,
        op: &graph::Copy,
        [beneath, source, names]: [&Output; 3],
    ) -> Result<Arc<Planned>, Error> {
        if let Some(found) = lock(&self.known.copies).get(&id) {
            return Ok(Arc::clone(found));
        }
        let onto = self.root(&beneath.slots().layers())?;
        let from = self.source(source)?;
        let names = match op.owner {
            Some(_) => self.root(&names.slots().layers())?,
            None => Arc::clone(&onto),
        };
        let owners = !matches!(source, Output::Files(selected) if !selected.owners);
        let request = self.copy_request(op, (&from, owners), &names)?;
        let copied = copy::plan(&*from, &request, &onto)
            .map_err(|e| self.explain_copy(e.into(), op, source))?;
        let planned = Arc::new(Planned {
            from,
            sources: request.sources,
            owner: request.owner,
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
        let packed = self.layer(id, &changes, &Root::new(Vec::new()), times, None)?;
        Ok(self.on_top(&slots, id_of(&packed)))
    }

    /// What a COPY meets at its destination, as far as its layer depends on it.
    pub(super) fn met_by_copy(
        &self,
        id: NodeId,
        op: &graph::Copy,
        inputs: [&Output; 3],
    ) -> Result<Digest, Error> {
        let planned = self.plan_copy(id, op, inputs)?;
        let (met, owner) = (&planned.copied.met, planned.owner);
        Ok(Digest::sha256(format!("{met:?} {owner:?}").as_bytes()))
    }

    /// What a COPY takes, without times; owners only where they are kept. `None` while some of it is
    /// unread.
    pub(super) fn copied(
        &self,
        op: &graph::Copy,
        source: &Output,
    ) -> Result<Option<Digest>, Error> {
        let from = self.source(source)?;
        let sources: Vec<String> = op.taken_from(1).collect();
        let found = match source {
            Output::Files(selected) if selected.of.1.patterns == sources => selected.digest(),
            Output::Files(selected) => selection::digest(&from, &sources, selected.owners),
            Output::Root(_) => selection::digest(&from, &sources, op.owner.is_none()),
        };
        found.map_err(|e| self.explain_copy(e, op, source))
    }

    fn copy_request(
        &self,
        op: &graph::Copy,
        (from, owners): (&Root, bool),
        names: &Root,
    ) -> Result<copy::Request, Error> {
        let owner = op
            .owner
            .as_deref()
            .map(|text| owner::chown(text, names))
            .transpose()?;
        let mode = op.mode.as_deref().map(copy::Mode::parse).transpose()?;
        let mut sources = Vec::new();
        let patterns: Vec<String> = op.taken_from(1).collect();
        for pattern in &patterns {
            sources.extend(selection::expand(from.tree(), pattern)?);
        }
        Ok(copy::Request {
            sources,
            destination: op.destination.clone().into_bytes(),
            many: patterns.len() > 1 || patterns.iter().any(|s| is_pattern(s)),
            owner,
            keep_owner: op.owner.is_none() && owners,
            mode,
            made: Time::at(self.now),
        })
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
    fn explain_copy(&self, e: Error, op: &graph::Copy, from: &Output) -> Error {
        let sources: Vec<String> = op.taken_from(1).collect();
        let root = match from {
            Output::Files(selected) => return self.explain_missing(e, &selected.of.0, &sources),
            Output::Root(slots) => self.root(&slots.layers()),
        };
        let Some(source) = missing(&e, &sources) else {
            return e;
        };
        let what = format!("`/{source}` is not in the image or stage that `--from` names");
        let error = Error::new(ErrorKind::NotFound, what);
        match root.ok().and_then(|root| nearly(&root, source)) {
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
        .find(|path| path.to_lowercase() == wanted)
}

fn folder_changes(op: &graph::Folder, onto: &Root, now: i64) -> Result<Vec<Change>, Error> {
    let ids = owner::resolve(&op.user, onto)?;
    let owner = (ids.uid, ids.gid);
    Ok(copy::make_folder(
        op.path.as_bytes(),
        owner,
        0o755,
        Time::at(now),
        onto,
    )?)
}

/// ADD unpacks local archives; until that is done here, it must not copy them as they are.
fn refuse_archives(from: &Root, sources: &[LayerPath]) -> Result<(), Error> {
    for source in sources {
        let Some(path) = from.resolve(source).ok().map(|r| r.path) else {
            continue;
        };
        if !matches!(
            from.lookup(&path).as_deref().map(|e| &e.kind),
            Some(Kind::File(_))
        ) {
            continue;
        }
        let mut head = [0; 512];
        let mut file = from
            .open(&path)
            .map_err(|e| Error::io(format!("read `{path}`"), e))?;
        let got = read_up_to(&mut *file, &mut head)
            .map_err(|e| Error::io(format!("read `{path}`"), e))?;
        if looks_like_archive(&head[..got]) {
            let what = format!("`{path}` is an archive, and ADD does not unpack archives yet");
            return Err(Error::new(ErrorKind::Unsupported, what)
                .hint("COPY it and unpack it in a RUN, or unpack it before the build"));
        }
    }
    Ok(())
}

fn read_up_to(from: &mut dyn io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match from.read(&mut buffer[got..])? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

/// Recognised by content, as docker does: tar, gzip, bzip2, xz, zstd.
fn looks_like_archive(head: &[u8]) -> bool {
    let magics: [&[u8]; 4] = [
        &[0x1f, 0x8b],
        b"BZh",
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
        &[0x28, 0xb5, 0x2f, 0xfd],
    ];
    magics.iter().any(|magic| head.starts_with(magic)) || head.get(257..262) == Some(b"ustar")
}
