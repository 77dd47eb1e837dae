//! How much memory applying a layer takes, whatever its size: seen in a process of its own.
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    io::{self, Read},
    process::Command,
};

use kiln_layer::{Directory, Meta, Nothing, Packer, Times, Whiteouts, apply};

const ASKED: &str = "KILN_LAYER_TEST_MEMORY";

/// 30,000 small files, and one of 1 GiB.
fn layer() -> Vec<Box<dyn Read>> {
    let mut packer = Packer::new(Vec::new(), Times::Keep);
    for n in 0..30_000 {
        let path = format!("f{n:05}").parse().unwrap();
        let file = kiln_layer::File::unread(7);
        let entry = kiln_layer::Entry {
            path,
            meta: Meta::with_mode(0o644),
            kind: kiln_layer::Kind::File(file),
        };
        packer.add(&entry, Some(&mut &b"content"[..])).unwrap();
    }
    let (mut small, _) = packer.finish().unwrap();
    small.truncate(small.len() - 1024);
    let mut header = tar::Header::new_ustar();
    header.set_path("big").unwrap();
    header.set_size(1 << 30);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    // Compressed, as it comes: the small ones take up no memory of their own then.
    let mut blob = Vec::new();
    let zstd = kiln_image::media::Compression::Zstd;
    kiln_layer::compress(&mut &small[..], &mut blob, zstd, None).unwrap();
    drop(small);
    let (_, small) = kiln_layer::decompress(io::Cursor::new(blob)).unwrap();
    let big = io::repeat(0).take((1 << 30) + 1024);
    vec![
        small,
        Box::new(io::Cursor::new(*header.as_bytes())),
        Box::new(big),
    ]
}

fn chain(parts: Vec<Box<dyn Read>>) -> impl Read {
    let nothing: Box<dyn Read> = Box::new(io::empty());
    parts
        .into_iter()
        .fold(nothing, |all, part| Box::new(all.chain(part)))
}

/// What the system says of this process under `key`, in KiB.
fn status(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn of_a_big_layer() {
    let Ok(target) = env::var(ASKED) else {
        for target in ["nothing", "directory"] {
            let mut again = Command::new(env::current_exe().unwrap());
            again.args(["--exact", "memory::of_a_big_layer", "--nocapture"]);
            let done = again.env(ASKED, target).output().unwrap();
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(done.status.success(), "{said}");
            let peak = said.lines().find_map(|l| l.strip_prefix("peak "));
            let peak: u64 = peak.unwrap().parse().unwrap();
            assert!(peak < 64 << 10, "{target}: {peak} KiB");
        }
        return;
    };
    let layer = layer();
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let applied = match &target[..] {
        "nothing" => apply(chain(layer), &mut Nothing).unwrap(),
        _ => {
            let temp = tempfile::tempdir().unwrap();
            let mut target = Directory::new(temp.path(), Whiteouts::Overlay).unwrap();
            apply(chain(layer), &mut target).unwrap()
        }
    };
    assert_eq!(applied.tree.len(), 30_001);
    println!("\npeak {}", status("VmHWM"));
}
