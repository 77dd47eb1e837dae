//! The blob of a layer, compressed or not, put into a folder on top of what is there.
//!
//! ```text
//! apply BLOB FOLDER
//! ```
#![allow(clippy::print_stdout)] // it is a program

use std::{error::Error, fs::File, path::Path};

use kiln_layer::{Directory, Whiteouts, apply, decompress, read_ahead};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(blob), Some(folder)) = (args.next(), args.next()) else {
        return Err("which blob, and into which folder?".into());
    };
    let (_, tar) = decompress(File::open(blob)?)?;
    let mut target = Directory::new(Path::new(&folder), Whiteouts::Apply)?;
    let applied = apply(read_ahead(tar), &mut target)?;
    for refusal in target.refused() {
        println!("{refusal:?}");
    }
    println!("{}: {} entries", applied.diff_id, applied.tree.len());
    Ok(())
}
