//! A store with an image of busybox in it.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use kiln_container::{Attach, AttachEnd, AttachIo, Attached, Base, Containers, Create};
use kiln_image::{Digest, Runtime};
use kiln_rootfs::{Roots, bodies};
use kiln_sandbox::UserNamespace;
use kiln_store::{Facts, Store};
pub(crate) use kiln_tests::until::so as until;

pub(crate) struct World {
    pub(crate) folder: PathBuf,
    roots: Arc<Roots>,
    pub(crate) containers: Containers,
    pub(crate) image: Base,
}

const BASE: &str = r#"
mkdir base; cd base; mkdir -m 755 bin etc srv; mkdir -m 1777 tmp
cp $(command -v busybox) bin/busybox
for l in $(ldd bin/busybox 2>/dev/null | grep -o '/[^ ]*'); do mkdir -p .$(dirname $l); cp -L $l .$l; done
for a in sh cat echo ls rm mkdir touch stat ln true false id env hostname sleep nc httpd pwd stty tty printf; do ln -s busybox bin/$a; done
echo 'root:x:0:0::/root:/bin/sh' > etc/passwd; echo 'app:x:5:6::/home/app:/bin/sh' >> etc/passwd
echo 'video:x:44:app' > etc/group; echo 'hello from inside' > srv/index.html; echo data > srv/data; chmod 644 srv/*
tar -cf ../base.tar --owner=0 --group=0 --numeric-owner --sort=name .
"#;

impl World {
    pub(crate) fn new(name: &str) -> Self {
        use std::hash::{BuildHasher as _, Hasher as _};
        let number = std::hash::RandomState::new().build_hasher().finish();
        let folder = std::env::temp_dir().join(format!("container-{name}-{number:016x}"));
        std::fs::create_dir(&folder).unwrap();
        let mut bash = Command::new("bash");
        let made = bash
            .args(["-euc", BASE])
            .current_dir(&folder)
            .status()
            .unwrap();
        assert!(made.success());
        Self::at(folder)
    }

    /// The world in a folder where the image's tar lies.
    pub(crate) fn at(folder: PathBuf) -> Self {
        let bytes = std::fs::read(folder.join("base.tar")).unwrap();
        let store = Store::open(&folder.join("store")).unwrap();
        let diff_id = store.blobs().put(&bytes).unwrap();
        let facts = Facts {
            size: bytes.len() as u64,
            ..Facts::default()
        };
        store.layers().put(&diff_id, facts, None).unwrap();
        let config = Runtime {
            env: vec!["PATH=/bin".into(), "FROM=image".into()],
            cmd: Some(vec!["env".into()]),
            ..Runtime::default()
        };
        let namespace = UserNamespace::usual().unwrap();
        let bodies = bodies(namespace.as_ref(), &folder.join("store"));
        let roots = Arc::new(Roots::new(store, bodies));
        Self {
            containers: Containers::open(&roots).unwrap(),
            roots,
            folder,
            image: Base {
                id: Digest::sha256(b"the config of the image"),
                name: "busybox".into(),
                layers: vec![diff_id],
                config,
            },
        }
    }

    pub(crate) fn create(&self, script: &str) -> Create {
        let mut create = Create::new(self.image.clone());
        create.command = ["sh", "-c", script].map(str::to_owned).to_vec();
        create
    }

    /// Runs it to its end: its output, and how it ended.
    pub(crate) fn run(&self, create: &Create) -> (String, i32) {
        let container = self.containers.create(create).unwrap();
        let attached = container.start(Some(Attach::outputs())).unwrap().unwrap();
        let (out, _, end) = taken(attached, None);
        let AttachEnd::Exited(code) = end else {
            panic!("{end:?}");
        };
        self.containers.remove(&container, false, true).unwrap();
        (out, code)
    }
}

/// A place to write to that can be looked at.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Takes part until the end: both outputs (in one, as they came), the errors alone, and the end.
pub(crate) fn taken(
    attached: Attached,
    stdin: Option<Box<dyn Read + Send>>,
) -> (String, String, AttachEnd) {
    let (out, err) = (Shared::default(), Shared::default());
    let both = Tee(out.clone(), err.clone());
    let end = attached.run(AttachIo {
        stdin,
        stdout: Box::new(out.clone()),
        stderr: Box::new(both),
        detach: None,
    });
    (out.text(), err.text(), end.unwrap())
}

struct Tee(Shared, Shared);

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(bytes)?;
        self.1.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What is in the store may belong to others.
        let _ = self.roots.remove(&self.folder.join("store"));
        let _ = Command::new("rm").arg("-rf").arg(&self.folder).status();
    }
}
