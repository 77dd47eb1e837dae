//! Says what is in an archive of images, whoever wrote it:
//! `cargo run --example contents -- saved.tar.gz`.
#![allow(clippy::print_stdout)] // A program, not a library.

use std::{env, error::Error, path::Path};

use kiln_archive::Reader;
use kiln_image::{Manifest, Raw, Reference, Source, media};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("which archive?")?;
    let reader = Reader::open(Path::new(&path), &env::temp_dir())?;
    for image in reader.images() {
        let names: Vec<String> = image.names.iter().map(Reference::familiar).collect();
        println!("{}\t{}", image.descriptor.digest, names.join(" "));
        if !media::is_manifest(&image.descriptor.media_type) {
            continue;
        }
        let manifest: Raw<Manifest> = Raw::parse(reader.document(&image.descriptor)?)?;
        for layer in &manifest.layers {
            println!("  {}\t{} bytes", layer.digest, layer.size);
        }
    }
    Ok(())
}
