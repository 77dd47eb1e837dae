//! One layer of all that a build put upon its base: what differs between the two roots, as the classic
//! builder's `--squash` made it. Refuses to touch the layers of the base.

use std::io;

use kiln_cache::{KeyBuilder, Record, Records};
use kiln_image::{Config, Digest, History, Raw};
use kiln_layer::{DIALECT, Error as LayerError, Files, Packing, diff, pack_entries};

use crate::{Error, ErrorKind, executor::output::Slots, job::Job};

/// What became of the layers upon the base.
pub(crate) struct Squashed {
    /// The one layer; `None` where nothing differs.
    layer: Option<Digest>,
    /// The image that the base is, where there is one.
    base: Option<Digest>,
}

impl Job<'_> {
    /// Makes one layer of those upon the base, or remembers that it did.
    pub(crate) fn squashed(&self, slots: &Slots) -> Result<Squashed, Error> {
        let all = slots.layers();
        let (base, own) = all.split_at(slots.base.len());
        Ok(Squashed {
            layer: match own {
                [] => None,
                [only] => Some(*only),
                _ => self.squash(base, &all)?,
            },
            base: self.bottom(),
        })
    }

    fn squash(&self, base: &[Digest], all: &[Digest]) -> Result<Option<Digest>, Error> {
        let key = KeyBuilder::new("kiln.build.squash/1")
            .part("dialect", DIALECT.to_string().as_bytes())
            .part("base", base.len().to_string().as_bytes());
        let parts = all.iter().map(ToString::to_string);
        let key = parts.fold(key, |key, id| key.part("layer", id.as_bytes()));
        let key = key.finish();
        let records = self.records();
        let failed = |e| Error::new(ErrorKind::Io, "remember the squashed layer").because(e);
        if let Some(known) = records.get(&key).map_err(failed)?
            && self.lease.keep(&known.refs)?.is_empty()
        {
            return Ok(known.refs.first().copied());
        }
        let roots = self.builder.roots();
        let (lower, upper) = (roots.root(base)?, roots.root(all)?);
        let changes = diff(lower.tree(), upper.tree());
        let open = |entry: &kiln_layer::Entry| {
            let opened: io::Result<_> = upper.open(&entry.path);
            opened.map_err(|e| LayerError::from(e).at(&entry.path))
        };
        let packed = roots.make_packed(|tar| -> Result<_, Error> {
            Ok(pack_entries(changes.iter(), &open, tar, &Packing::default())?.1)
        })?;
        let layer = (!packed.tree.is_empty()).then_some(packed.diff_id);
        self.lease.keep(layer.as_slice())?;
        let record = Record {
            refs: layer.into_iter().collect(),
            ..Record::default()
        };
        records.put(&key, &record).map_err(failed)?;
        Ok(layer)
    }
}

/// The config of the squashed image: its steps are told of as before, and made no layer; at the end
/// stands what did, in the words of the classic builder.
pub(crate) fn rewrite(config: &mut Config, base: usize, squashed: &Squashed) {
    let whole = Raw::new(config.clone()).digest();
    let mut kept = base;
    for entry in config.history.iter_mut().filter(|entry| !entry.empty_layer) {
        match kept.checked_sub(1) {
            Some(left) => kept = left,
            None => entry.empty_layer = true,
        }
    }
    let comment = match squashed.base {
        Some(base) => format!("merge {whole} to {base}"),
        None => format!("create new from {whole}"),
    };
    config.history.push(History {
        created: config.created.clone(),
        comment: Some(comment),
        empty_layer: squashed.layer.is_none(),
        ..History::default()
    });
    config.rootfs.diff_ids.truncate(base);
    config.rootfs.diff_ids.extend(squashed.layer);
}
