//! A folder as the blob of a layer, in one pass, and how long each part took.
//!
//! ```text
//! pack [-o BLOB] [-c none|gzip|zstd] [-l LEVEL] [-j THREADS] [-p PREVIOUS.tar] FOLDER
//! ```
//!
//! `-p` is a plain tar that an earlier state of the folder was packed into.
#![allow(clippy::print_stdout)] // it is a program

use std::{error::Error, fs::File, path::Path, time::Instant};

use kiln_image::media::Compression;
use kiln_layer::{
    Compressed, Compressing, Compressor, Files, Folder, Keep, LayerPath, Nothing, Packed, Packing,
    Previous, Scan, apply,
    copy::{Change, Origin},
    pack_changes, read_ahead,
};

struct Asked {
    out: String,
    previous: Option<File>,
    folder: String,
    how: Compressing,
}

fn asked() -> Result<Asked, Box<dyn Error>> {
    let (mut out, mut previous, mut folder) = ("/dev/null".to_owned(), None, None);
    let mut how = Compressing::new(Compression::None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("`{arg}` needs a value"));
        match &*arg {
            "-o" => out = value()?,
            "-p" => previous = Some(File::open(value()?)?),
            "-j" => how.threads = value()?.parse()?,
            "-l" => how.level = Some(value()?.parse()?),
            "-c" => {
                how.with = match &*value()? {
                    "none" => Compression::None,
                    "gzip" => Compression::Gzip,
                    "zstd" => Compression::Zstd,
                    other => return Err(format!("`{other}` is no compression").into()),
                }
            }
            _ => folder = Some(arg),
        }
    }
    Ok(Asked {
        out,
        previous,
        folder: folder.ok_or("which folder?")?,
        how,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = asked()?;
    let start = Instant::now();
    let keep = |_: &LayerPath, _: bool| Keep::Yes;
    // Each content is read once, while it is packed; unless its digest says where it is already.
    let known = asked.previous.is_some();
    let scan = Scan {
        threads: asked.how.threads,
        read_up_to: if known { u64::MAX } else { 0 },
        ..Scan::default()
    };
    let (folder, _) = Folder::scan_with(Path::new(&asked.folder), &keep, &scan)?;
    let scanned = start.elapsed();
    let earlier = match &asked.previous {
        Some(tar) => Some((tar, apply(read_ahead(tar.try_clone()?), &mut Nothing)?.tree)),
        None => None,
    };
    let packing = Packing {
        threads: asked.how.threads,
        previous: earlier.as_ref().map(|(tar, tree)| Previous { tar, tree }),
        ..Packing::default()
    };
    let start = Instant::now();
    let (packed, blob) = pack(&asked, &folder, &packing)?;
    let took = start.elapsed();
    println!("tar   {} {} bytes", packed.diff_id, packed.size);
    if let Some(blob) = blob {
        let name = blob.compressor;
        println!("blob  {} {} bytes, {name}", blob.digest, blob.size);
    }
    let entries = packed.tree.len();
    println!("looked at {entries} entries in {scanned:.1?}, packed in {took:.1?}");
    Ok(())
}

/// The tar, and the blob where there is another one.
fn pack(
    asked: &Asked,
    folder: &Folder,
    packing: &Packing<'_>,
) -> Result<(Packed, Option<Compressed>), Box<dyn Error>> {
    let changes: Vec<_> = folder.tree().iter().map(change).collect();
    let out = File::create(&asked.out)?;
    if asked.how.with == Compression::None {
        let (_, packed) = pack_changes(&changes, &[folder], out, packing)?;
        return Ok((packed, None));
    }
    let blob = Compressor::new(out, &asked.how)?;
    let (blob, packed) = pack_changes(&changes, &[folder], blob, packing)?;
    Ok((packed, Some(blob.finish()?.1)))
}

fn change(entry: &kiln_layer::Entry) -> Change {
    Change {
        entry: entry.clone(),
        source: entry.file().map(|_| Origin {
            input: 0,
            path: entry.path.clone(),
        }),
    }
}
