//! Pull, push, save and load are one function: [`copy()`].

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    Descriptor, Error, ErrorKind, Index, Manifest, Platform, Raw, Reference, Sink, Source, Taken,
    media,
};

/// How many blobs of an image travel at once, as docker does.
const AT_ONCE: usize = 3;

/// How deep indexes may lie in indexes. One level is usual, two are known.
const NESTED: u32 = 4;

/// Which images of an index to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// The image for one platform; an index is replaced by that image's manifest.
    Platform(Platform),
    /// The index with all its images.
    All,
}

/// What [`copy()`] tells on the way.
#[derive(Clone, Debug)]
pub enum Progress<'a> {
    /// What the name stands for at the source.
    Resolved(&'a Descriptor),
    /// The layers that will be looked at, bottom first.
    Layers(&'a [Descriptor]),
    /// Bytes of a blob so far.
    Bytes(&'a Descriptor, u64),
    /// A blob is at the sink.
    Taken(&'a Descriptor, Taken),
}

/// Copies the image `what` from a source to a sink and gives it there the names `names`.
/// Answers with the descriptor of the manifest or index at the sink.
///
/// # Errors
/// What source and sink give; [`Unsupported`](ErrorKind::Unsupported) for documents that are not
/// images.
pub fn copy(
    from: &dyn Source,
    to: &dyn Sink,
    what: &Reference,
    names: &[Reference],
    select: &Select,
    on: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Descriptor, Error> {
    let found = from.resolve(what)?;
    on(Progress::Resolved(&found));
    let copied = document(from, to, found, select, on, NESTED)?;
    for name in names {
        to.name(&copied, name)?;
    }
    Ok(copied)
}

fn document(
    from: &dyn Source,
    to: &dyn Sink,
    found: Descriptor,
    select: &Select,
    on: &(dyn Fn(Progress<'_>) + Sync),
    nested: u32,
) -> Result<Descriptor, Error> {
    let bytes = from.document(&found)?;
    if media::is_manifest(&found.media_type) {
        image(from, to, &Raw::parse(bytes.clone())?, on)?;
        to.put_document(&found, &bytes)?;
        return Ok(found);
    }
    if !media::is_index(&found.media_type) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "`{}` is not an image: its media type is `{}`",
                found.digest, found.media_type
            ),
        ));
    }
    let Some(nested) = nested.checked_sub(1) else {
        return Err(Error::invalid(format!(
            "index `{}`: nested too deeply",
            found.digest
        )));
    };
    let index: Raw<Index> = Raw::parse(bytes)?;
    match select {
        Select::Platform(platform) => {
            let chosen = index.for_platform(platform)?.clone();
            document(from, to, chosen, select, on, nested)
        }
        Select::All => {
            for child in &index.manifests {
                document(from, to, child.clone(), select, on, nested)?;
            }
            to.put_document(&found, index.bytes())?;
            Ok(found)
        }
    }
}

/// Copies the config and the layers of one image.
fn image(
    from: &dyn Source,
    to: &dyn Sink,
    manifest: &Raw<Manifest>,
    on: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<(), Error> {
    let config = from.document(&manifest.config)?;
    let mut layers: Vec<Descriptor> = Vec::new();
    for layer in &manifest.layers {
        if !layers.iter().any(|seen| seen.digest == layer.digest) {
            layers.push(layer.clone());
        }
    }
    on(Progress::Layers(&layers));
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(layers.len()) {
            scope.spawn(|| {
                while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(e) = blob(from, to, layer, on) {
                        next.store(layers.len(), Ordering::Relaxed);
                        keep_first(&failed, e);
                    }
                }
            });
        }
    });
    if let Some(e) = failed
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
    {
        return Err(e);
    }
    to.put_document(&manifest.config, &config)
}

fn keep_first(failed: &Mutex<Option<Error>>, e: Error) {
    let mut slot = failed
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    slot.get_or_insert(e);
}

fn blob(
    from: &dyn Source,
    to: &dyn Sink,
    layer: &Descriptor,
    on: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<(), Error> {
    let taken = to.put_blob(
        layer,
        &|offset| from.blob(layer, offset),
        &from.locations(layer),
        &mut |bytes| on(Progress::Bytes(layer, bytes)),
    )?;
    on(Progress::Taken(layer, taken));
    Ok(())
}
