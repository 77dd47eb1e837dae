//! A large layer goes up and comes down in little memory. Measured in a process of its own, for the
//! other tests of this one have layers in memory.

use std::{
    env, fs,
    io::{self, Read, Write},
    process::Command,
};

use kiln_image::{Descriptor, HashingWriter, Sink, Source, Verifier, media};
use kiln_tests::registry::Registry;

use crate::support::{bytes, client, name};

const MARK: &str = "KILN_TEST_MEMORY";
const SIZE: u64 = 400 << 20;
/// What may be added to the memory of the idle process, in KiB.
const MOST: u64 = 64 << 10;

/// A megabyte, again and again.
struct Layer {
    block: Vec<u8>,
    at: u64,
}

impl Layer {
    fn at(at: u64) -> Self {
        let block = bytes(1 << 20, 5);
        Self { block, at }
    }
}

impl Read for Layer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(self.at % (1 << 20)).unwrap();
        let left = usize::try_from(SIZE - self.at).unwrap();
        let n = buf.len().min(left).min(self.block.len() - from);
        buf[..n].copy_from_slice(&self.block[from..from + n]);
        self.at += n as u64;
        Ok(n)
    }
}

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_large_layer_needs_little_memory() {
    if env::var_os(MARK).is_none() {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "memory::a_large_layer_needs_little_memory"])
            .env(MARK, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let mut hash = HashingWriter::new(io::sink());
    io::copy(&mut Layer::at(0), &mut hash).unwrap();
    let (_, digest, size) = hash.finish();
    let blob = Descriptor::new(media::LAYER, digest, size);
    let registry = Registry::start();
    let what = name(&registry.address(), "a/b:1");
    let remote = client().repository(&what);
    assert!(
        remote.resolve(&what).is_err(),
        "the thread and the connection are there"
    );
    let idle = peak();
    let open = |from: u64| -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Layer::at(from))) };
    remote.put_blob(&blob, &open, &[], &mut |_| {}).unwrap();
    let pushed = peak();
    let mut down = Verifier::new(remote.blob(&blob, 0).unwrap(), blob.digest, blob.size);
    let (mut buf, mut sink) = (vec![0; 1 << 20], io::sink());
    loop {
        match down.read(&mut buf).unwrap() {
            0 => break,
            n => sink.write_all(&buf[..n]).unwrap(),
        }
    }
    let pulled = peak();
    assert!(pushed - idle < MOST, "push: {} KiB more", pushed - idle);
    assert!(pulled - idle < MOST, "pull: {} KiB more", pulled - idle);
}
