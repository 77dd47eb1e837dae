//! Images to put into archives.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output},
};

use kiln_image::{
    Descriptor, Digest, History, Image, Memory, Platform, Reference, Select, Sink, Source, copy,
    media,
};

/// A tar with one file, of so many bytes.
pub(crate) fn layer(name: &str, len: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..len).map(|i| (i * 7 % 251) as u8).collect();
    tar(&[(name, &content)])
}

/// A tar of regular files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// An image of two layers, the upper compressed by gzip, called `names`.
pub(crate) fn image(names: &[&str]) -> (Memory, Descriptor) {
    let memory = Memory::new();
    let mut image = Image::scratch(&Platform::host());
    let (lower, upper) = (layer("a", 10), layer("b", 300_000));
    let plain = memory.put(media::LAYER, lower.clone());
    let packed = memory.put(media::LAYER_GZIP, gzip(&upper));
    image = image.with_layer(plain, Digest::sha256(&lower), History::default());
    image = image.with_layer(packed, Digest::sha256(&upper), History::default());
    memory.put(media::CONFIG, image.config_document().bytes().to_vec());
    let manifest = memory.put(media::MANIFEST, image.manifest().bytes().to_vec());
    for name in names {
        memory.name(&manifest, &name.parse().unwrap()).unwrap();
    }
    (memory, manifest)
}

/// Copies everything out; every digest is verified on the way.
pub(crate) fn take(from: &dyn Source, what: &Reference) -> Descriptor {
    let memory = Memory::new();
    copy(from, &memory, what, &[], &Select::All, &|_| {}).unwrap()
}

/// Runs a tool; `None`, and a line that says so, where it is not installed.
pub(crate) fn run(tool: &str, args: &[&str]) -> Option<Output> {
    run_in(Path::new("/"), tool, args)
}

pub(crate) fn run_in(folder: &Path, tool: &str, args: &[&str]) -> Option<Output> {
    match Command::new(tool).args(args).current_dir(folder).output() {
        Ok(output) => Some(output),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            #[allow(clippy::print_stdout)] // Nothing is skipped in silence.
            {
                println!("not run: {tool} is not installed");
            }
            None
        }
        Err(e) => panic!("{tool}: {e}"),
    }
}

/// The same, and it must succeed.
pub(crate) fn must(tool: &str, args: &[&str]) -> Option<()> {
    let output = run(tool, args)?;
    assert!(
        output.status.success(),
        "{tool} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(())
}
