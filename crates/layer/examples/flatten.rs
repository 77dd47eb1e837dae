//! What a process sees of the layers of an image: listed, or written as one tar.
//!
//! ```text
//! flatten LAYER...              lists the merged tree of layer blobs, the bottom first
//! flatten -o OUT.tar LAYER...   writes it as one plain tar, and says its diff id
//! ```
//!
//! Layers are blobs as they lie in an OCI layout or come out of a registry: gzip, zstd or plain.
#![allow(clippy::print_stdout)] // it is a program

use std::{error::Error, fs, io::BufWriter, sync::Arc};

use kiln_layer::{Files, InMemory, Kind, Root, RootLayer, Times, apply, decompress, pack};

fn main() -> Result<(), Box<dyn Error>> {
    let mut layers: Vec<String> = std::env::args().skip(1).collect();
    let mut out = None;
    if layers.first().is_some_and(|a| a == "-o") && layers.len() > 1 {
        out = Some(layers.remove(1));
        layers.remove(0);
    }
    let layers: Result<Vec<_>, _> = layers.iter().map(|name| layer(name)).collect();
    let root = Root::new(layers?);
    if let Some(out) = out {
        let out = BufWriter::with_capacity(1 << 20, fs::File::create(out)?);
        let (_, packed) = pack(&root, out, Times::Keep)?;
        println!("{} {} bytes", packed.diff_id, packed.size);
        return Ok(());
    }
    for entry in root.tree().iter() {
        let m = &entry.meta;
        let detail = match &entry.kind {
            Kind::File(file) => format!("{}", file.size),
            Kind::Symlink { target } => format!("-> {}", String::from_utf8_lossy(target)),
            Kind::Hardlink { target } => format!("= {target}"),
            other => other.name().to_owned(),
        };
        println!("{:04o} {}:{} {} {detail}", m.mode, m.uid, m.gid, entry.path);
    }
    if let Some(chain) = root.chain_id() {
        println!("chain {chain}");
    }
    Ok(())
}

fn layer(name: &str) -> Result<RootLayer, Box<dyn Error>> {
    let (_, tar) = decompress(fs::File::open(name)?)?;
    let mut files = InMemory::new();
    let applied = apply(tar, &mut files)?;
    Ok(RootLayer {
        diff_id: applied.diff_id,
        files: Arc::new(files),
    })
}
