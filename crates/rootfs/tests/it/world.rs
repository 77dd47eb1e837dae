//! A store with an image of busybox in it, and a short way to run a script on layers.

use std::path::Path;
use std::sync::Arc;

use kiln_image::Digest;
use kiln_layer::Times;
use kiln_rootfs::{Committed, Direct, NetworkFiles, Prepared, Roots};
use kiln_sandbox::{Io, Native, Process, Runner as _, Spec, Stream};
use kiln_store::{Build, Facts, Store};

use crate::shell::{Scratch, bash};

pub(crate) struct World {
    pub(crate) scratch: Scratch,
    pub(crate) roots: Roots,
    pub(crate) build: Build,
    /// The layer with busybox.
    pub(crate) base: Digest,
}

/// A root with busybox, its libraries, and none of the folders that a sandbox mounts on.
const BASE: &str = r#"
mkdir base; cd base; mkdir -m 755 bin usr; mkdir -m 1777 tmp; chown 0:7 usr; chmod 750 usr
cp $(command -v busybox) bin/busybox
for l in $(ldd bin/busybox 2>/dev/null | grep -o '/[^ ]*'); do mkdir -p .$(dirname $l); cp -L $l .$l; done
for a in sh cat echo ls rm mkdir touch stat chmod mv ln true false id env hostname sleep kill nc head; do ln -s busybox bin/$a; done
touch -d @1600000000 usr tmp
tar -cf ../base.tar --numeric-owner --sort=name .
"#;

impl World {
    pub(crate) fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        bash(&scratch.0, BASE);
        let store = Store::open(&scratch.join("store")).unwrap();
        let roots = Roots::new(store.clone(), Arc::new(Direct));
        let build = store.begin().unwrap();
        let mut world = Self {
            scratch,
            roots,
            build,
            base: Digest::sha256(b""),
        };
        world.base = world.foreign("base.tar");
        world
    }

    /// Puts a tar that somebody else made; nobody has looked into it yet.
    pub(crate) fn foreign(&self, tar: &str) -> Digest {
        let bytes = std::fs::read(self.scratch.join(tar)).unwrap();
        let store = self.roots.store();
        let diff_id = store.blobs().put(&bytes).unwrap();
        let facts = Facts {
            size: bytes.len() as u64,
            ..Facts::default()
        };
        store.layers().put(&diff_id, facts, None).unwrap();
        diff_id
    }

    pub(crate) fn prepare(&self, layers: &[Digest], name: &str) -> Prepared {
        let at = self.build.tmp().unwrap().join(name);
        std::fs::create_dir(&at).unwrap();
        self.roots.prepare(layers, &at).unwrap()
    }

    /// What `script` prints on `layers`, and the layer that it makes.
    pub(crate) fn run(&self, layers: &[Digest], script: &str) -> (String, Option<Committed>) {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("run{number}");
        let prepared = self.prepare(layers, &name);
        let at = self.build.tmp().unwrap().join(name);
        let output = self.start(&prepared, &at, script);
        let made = self
            .roots
            .commit(prepared, layers, &Times::Keep.into())
            .unwrap();
        self.roots.remove(&at).unwrap();
        assert!(!at.exists());
        (output, made)
    }

    pub(crate) fn start(&self, prepared: &Prepared, at: &Path, script: &str) -> String {
        let mut process = Process::new(["/bin/sh", "-euc", script]);
        process.env = vec![("PATH".into(), "/bin".into())];
        let mut spec = Spec::new(prepared.root_spec(false), process);
        let files = NetworkFiles::of_machine("host", false).unwrap();
        spec.mounts = files.write(at).unwrap();
        let out = at.join("output");
        let file = std::fs::File::create(&out).unwrap();
        let io = Io {
            stdin: Stream::Null,
            stdout: Stream::from(file.try_clone().unwrap()),
            stderr: Stream::from(file),
        };
        let exit = Native::default().run(&spec, io).unwrap();
        let output = String::from_utf8_lossy(&std::fs::read(&out).unwrap()).into_owned();
        assert!(exit.success(), "{script}: {exit:?}\n{output}");
        output
    }

    pub(crate) fn tree_of(&self, diff_id: &Digest) -> Vec<String> {
        let tree = self.roots.store().layers().tree(diff_id).unwrap().unwrap();
        tree.iter().map(|entry| entry.path.to_string()).collect()
    }
}
