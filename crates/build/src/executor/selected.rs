//! The files of a context that a leaf selects: scanned once, digested once, and where most of them
//! are new, read once: by the COPY that packs them. Refuses to keep a digest of what nobody read.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex},
};

use kiln_graph::{Fresh, Graph, Op, Select};
use kiln_image::Digest;
use kiln_layer::{
    Entry, File, Files, Kind, LayerPath, Packed, Packing, Root, Tree, copy::Change, pack_entries,
};

use super::lock;
use crate::{
    Error,
    context::{as_root, retold::Retold, selection},
};

/// How much of new content is read before the plan is made, so that a record can be found first:
/// more takes longer than packing what is then thrown away. Each file counts 4 KiB more than it has.
const FIRST: u64 = 8 << 20;

/// Which contexts may be read by the COPY that packs them, and how much of them is read before.
/// Where a RUN stands on such a COPY, making a layer that a record then takes the place of costs
/// more than reading twice: such contexts are read first, unless nobody looks for records.
pub(crate) struct Late(HashSet<(String, Select)>);

impl Late {
    /// For a build of `graph`.
    pub(crate) fn of(graph: &Graph, fresh: &Fresh) -> Self {
        let mut below_run = vec![false; graph.len()];
        for (id, node) in graph.iter().rev() {
            let stood_on = matches!(node.op, Op::Run(_)) || below_run[id.index()];
            if let (true, Some(root)) = (stood_on, node.root()) {
                below_run[root.index()] = true;
            }
            // Of a merge, what stands on it stands on both.
            if let (true, Op::Merge, [_, upper]) = (stood_on, &node.op, &node.inputs[..]) {
                below_run[upper.index()] = true;
            }
        }
        let (mut late, mut first) = (HashSet::new(), HashSet::new());
        for (id, node) in graph.iter() {
            for input in &node.inputs {
                if let Op::Context { name, select } = &graph.node(*input).op {
                    // What a RUN mounts has to be known before it can be found.
                    let mounts = matches!(node.op, Op::Run(_));
                    let set = match mounts || (below_run[id.index()] && !fresh.has(id)) {
                        true => &mut first,
                        false => &mut late,
                    };
                    set.insert((name.clone(), select.clone()));
                }
            }
        }
        Self(&late - &first)
    }

    /// For who wants to know what is recorded, whatever it takes.
    pub(crate) fn none() -> Self {
        Self(HashSet::new())
    }

    pub(super) fn read_up_to(&self, selection: &(String, Select)) -> u64 {
        match self.0.contains(selection) {
            true => FIRST,
            false => u64::MAX,
        }
    }
}

/// The files that an instruction selects.
pub(crate) struct Selected {
    /// The name of the context, and what of it.
    pub(super) of: (String, Select),
    /// Whether owners are kept.
    pub(super) owners: bool,
    /// Whether times are kept where there is an epoch, if they are before it: what was fetched has them
    /// from elsewhere. What is of a context gets exactly the epoch.
    pub(super) own_times: bool,
    files: Arc<dyn Files>,
    state: Mutex<State>,
    /// The files as a layer to be mounted.
    layer: Mutex<Option<Digest>>,
}

struct State {
    root: Arc<Root>,
    digest: Option<Digest>,
}

impl Selected {
    pub(super) fn new(of: (String, Select), files: Arc<dyn Files>, owners: bool) -> Self {
        let state = State {
            root: Arc::new(as_root(Arc::clone(&files))),
            digest: None,
        };
        Self {
            of,
            owners,
            own_times: false,
            files,
            state: Mutex::new(state),
            layer: Mutex::new(None),
        }
    }

    /// What was fetched.
    pub(super) fn fetched(files: Arc<dyn Files>) -> Self {
        Self {
            own_times: true,
            ..Self::new(<_>::default(), files, false)
        }
    }

    /// The files as layers, made once by `make`; no files are no layer.
    pub(super) fn layer(
        &self,
        make: impl FnOnce(&Root) -> Result<Digest, Error>,
    ) -> Result<Vec<Digest>, Error> {
        let root = self.root();
        if Files::tree(&*root).is_empty() {
            return Ok(Vec::new());
        }
        let mut layer = lock(&self.layer);
        if let Some(made) = *layer {
            return Ok(vec![made]);
        }
        let made = make(&root)?;
        *layer = Some(made);
        Ok(vec![made])
    }

    /// The files as a root, so that links in them are followed inside.
    pub(super) fn root(&self) -> Arc<Root> {
        Arc::clone(&lock(&self.state).root)
    }

    /// What a COPY of what is selected sees of them; `None` before all of it was read.
    pub(super) fn digest(&self) -> Result<Option<Digest>, Error> {
        let root = {
            let state = lock(&self.state);
            if state.digest.is_some() {
                return Ok(state.digest);
            }
            Arc::clone(&state.root)
        };
        let digest = selection::digest(&root, &self.of.1, self.owners)?;
        let mut state = lock(&self.state);
        // Not if others have read more meanwhile: they will ask again.
        if Arc::ptr_eq(&state.root, &root) {
            state.digest = digest;
        }
        Ok(digest)
    }

    /// `changes`, which were made of these files as the input of that number, have been packed: what was
    /// unread is known now. `None` when nothing was. What no change needed is read here.
    pub(super) fn learn(
        &self,
        input: usize,
        changes: &[Change],
        packed: Option<&Packed>,
    ) -> Result<Option<HashMap<LayerPath, Digest>>, Error> {
        let root = self.root();
        let tree = Files::tree(&*root);
        if !tree
            .iter()
            .any(|entry| entry.file().is_some_and(File::is_unread))
        {
            return Ok(None);
        }
        let mut read = HashMap::new();
        for Change { entry, source } in changes {
            let file = packed
                .and_then(|p| p.tree.get(&entry.path))
                .and_then(Entry::file);
            if let (Some(file), Some(source)) = (file, source)
                && source.input == input
            {
                read.insert(source.path.clone(), file.digest);
            }
        }
        self.read_rest(tree, &mut read)?;
        let known = |entry: &Entry| {
            let mut entry = entry.clone();
            if let Kind::File(file) = &mut entry.kind
                && let Some(digest) = read.get(&entry.path)
            {
                file.digest = *digest;
            }
            entry
        };
        let known = Retold {
            files: Arc::clone(&self.files),
            tree: Tree::from_entries(tree.iter().map(known).collect()),
        };
        lock(&self.state).root = Arc::new(as_root(Arc::new(known)));
        Ok(Some(read))
    }

    /// What is selected and was not copied: another source took its place.
    fn read_rest(&self, tree: &Tree, read: &mut HashMap<LayerPath, Digest>) -> Result<(), Error> {
        let unread = |e: &&Entry| e.file().is_some_and(File::is_unread);
        let rest = tree.iter().filter(unread);
        let rest: Vec<&Entry> = rest.filter(|e| !read.contains_key(&e.path)).collect();
        if rest.is_empty() {
            return Ok(());
        }
        let open = |entry: &Entry| {
            let content = self.files.open(&entry.path);
            content.map_err(|e| kiln_layer::Error::from(e).at(&entry.path))
        };
        let (_, packed) = pack_entries(rest, &open, io::sink(), &Packing::default())?;
        let files = packed.tree.iter();
        let files = files.filter_map(|e| Some((e.path.clone(), e.file()?.digest)));
        read.extend(files);
        Ok(())
    }
}
