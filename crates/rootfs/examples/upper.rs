//! What an overlay changed, as a tar on standard output: `upper UPPER LOWER... > layer.tar`.
//!
//! The lower directories come bottom first, as plain folders. Needs root. Nothing is changed, so the
//! overlay may be mounted.
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;

use kiln_image::Digest;
use kiln_layer::{Root, RootLayer, Times, Tree, Unpacked};
use kiln_rootfs::{Bodies as _, Direct};

fn main() -> Result<(), Box<dyn Error>> {
    let mut folders = std::env::args_os().skip(1).map(PathBuf::from);
    let upper = folders.next().ok_or("usage: upper UPPER LOWER...")?;
    let mut layers = Vec::new();
    for lower in folders {
        layers.push(RootLayer {
            // Nobody asks for the digests of layers that are only compared with.
            diff_id: Digest::sha256(b""),
            files: Arc::new(Unpacked::scan(&lower, 0)?),
        });
    }
    let mut tar = BufWriter::new(std::io::stdout());
    let root = Root::new(layers);
    let packed = Direct.changes(&upper, &root, &Tree::new(), Times::Keep, Some(&mut tar))?;
    eprintln!("{} entries, {}", packed.tree.len(), packed.diff_id);
    Ok(())
}
