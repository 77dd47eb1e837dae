//! Volumes over a real store, with an image of a few files. Unpacking needs root on Linux.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_image::{Digest, Empty};
use kiln_layer::{InMemory, Kind, LayerPath, Meta, Packed, Packer, Times};
use kiln_rootfs::{Direct, Roots};
use kiln_store::{Facts, Store};

use super::settle::Asked;
use super::{Volume, Volumes};
use crate::mounts::{MountKind, Mounted, Wish};
use crate::{Error, ErrorKind};

struct World {
    folder: PathBuf,
    volumes: Volumes,
    layers: Vec<Digest>,
    /// The store has a temporary folder of its own as long as it is open.
    in_tmp: usize,
}

impl World {
    /// `None` where this user cannot unpack.
    fn new(name: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"not run: unpacking with owners needs root\n",
            );
            return None;
        }
        let id = crate::names::id();
        let folder = std::env::temp_dir().join(format!("volumes-{name}-{}", &id[..16]));
        let store = Store::open(&folder).unwrap();
        let layers = vec![image(&store)];
        let roots = Arc::new(Roots::new(store, Arc::new(Direct)));
        std::fs::create_dir_all(folder.join("containers/leases")).unwrap();
        let mut world = Self {
            volumes: Volumes::new(&roots),
            folder,
            layers,
            in_tmp: 0,
        };
        world.in_tmp = world.left_in_tmp();
        Some(world)
    }

    fn settle(&self, id: &str, wishes: &[&str], image: &[&str]) -> Result<Vec<Mounted>, Error> {
        let wishes: Vec<Wish> = wishes
            .iter()
            .map(|text| Wish::parse_volume(text).unwrap())
            .collect();
        let image: BTreeMap<String, Empty> =
            image.iter().map(|p| ((*p).to_owned(), Empty {})).collect();
        self.volumes.settle(&Asked {
            id,
            wishes: &wishes,
            image: &image,
            layers: &self.layers,
        })
    }

    fn container(&self, id: &str) -> PathBuf {
        let folder = self.folder.join("containers").join(id);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn left_in_tmp(&self) -> usize {
        let tmp = self.folder.join("tmp");
        std::fs::read_dir(tmp).map_or(0, Iterator::count) - self.in_tmp
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// `/srv/data` (5:6, 0750) with a file, a link to a file outside, a pipe; `/link` leads there.
fn image(store: &Store) -> Digest {
    let path = |text: &str| LayerPath::parse(text).unwrap();
    let of = |uid, gid, mode| Meta {
        uid,
        gid,
        ..Meta::with_mode(mode)
    };
    let mut files = InMemory::new();
    files.entry(kiln_layer::Entry::folder(path("srv"), of(0, 0, 0o755)));
    files.entry(kiln_layer::Entry::folder(path("srv/data"), of(5, 6, 0o750)));
    files.file(path("srv/data/a"), of(5, 6, 0o4711), b"content of a");
    files.file(path("outside"), of(0, 0, 0o644), b"outside");
    let entry = |at: &str, meta, kind| kiln_layer::Entry {
        path: path(at),
        meta,
        kind,
    };
    for at in ["srv/data/o1", "srv/data/o2"] {
        let target = path("outside");
        files.entry(entry(at, of(0, 0, 0o644), Kind::Hardlink { target }));
    }
    let target = path("srv/data/a");
    files.entry(entry(
        "srv/data/a2",
        of(5, 6, 0o4711),
        Kind::Hardlink { target },
    ));
    files.entry(entry("srv/data/pipe", of(7, 7, 0o600), Kind::Fifo));
    let target = b"srv/data".to_vec();
    files.entry(entry("link", of(0, 0, 0o777), Kind::Symlink { target }));
    let mut packer = Packer::new(Vec::new(), Times::Keep);
    use kiln_layer::Files as _;
    for entry in files.tree().iter() {
        match entry.file() {
            Some(_) => {
                let mut content = files.open(&entry.path).unwrap();
                packer.add(entry, Some(&mut *content)).unwrap();
            }
            None => packer.add(entry, None).unwrap(),
        }
    }
    let (
        bytes,
        Packed {
            diff_id,
            size,
            tree,
        },
    ) = packer.finish().unwrap();
    store.blobs().put(&bytes).unwrap();
    let facts = Facts {
        size,
        ..Facts::default()
    };
    store.layers().put(&diff_id, facts, Some(&tree)).unwrap();
    diff_id
}

fn looks(path: &Path) -> (u32, u32, u32) {
    let stat = path.symlink_metadata().unwrap();
    (stat.uid(), stat.gid(), stat.mode() & 0o7777)
}

fn is_as_in_the_image(volume: &Volume) {
    let at = &volume.mountpoint;
    assert_eq!(looks(at), (5, 6, 0o750));
    assert_eq!(looks(&at.join("a")), (5, 6, 0o4711));
    assert_eq!(looks(&at.join("pipe")), (7, 7, 0o600));
    assert_eq!(std::fs::read(at.join("a")).unwrap(), b"content of a");
    assert_eq!(std::fs::read(at.join("o2")).unwrap(), b"outside");
    let inode = |name: &str| at.join(name).metadata().unwrap().ino();
    assert_eq!(inode("a"), inode("a2"));
    assert_eq!(inode("o1"), inode("o2"));
    assert_eq!(std::fs::read_dir(at).unwrap().count(), 5);
}

const FIRST: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222222222222222222222222222";

#[test]
fn made_listed_and_removed() {
    let Some(world) = World::new("life") else {
        return;
    };
    let volumes = &world.volumes;
    assert!(volumes.list().unwrap().is_empty());
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let made = volumes.create(Some("data"), labels.clone()).unwrap();
    assert_eq!((made.name.as_str(), &made.labels), ("data", &labels));
    assert_eq!(looks(&made.mountpoint), (0, 0, 0o755));
    assert!(made.mountpoint.ends_with("volumes/data/_data"));
    let again = volumes.create(Some("data"), BTreeMap::new()).unwrap();
    assert_eq!(again, made, "it is there already");
    let drawn = volumes.create(None, BTreeMap::new()).unwrap();
    assert_eq!((drawn.name.len(), drawn.anonymous), (64, true));
    assert_eq!(volumes.list().unwrap().len(), 2);
    volumes.remove("data").unwrap();
    for gone in ["data", "no", "../x", ""] {
        let error = volumes.remove(gone).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), format!("get {gone}: no such volume"));
    }
    let error = volumes.create(Some("a/b"), BTreeMap::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(volumes.prune(false, &|_| true).unwrap().len(), 1);
    assert!(volumes.list().unwrap().is_empty());
    assert_eq!(world.left_in_tmp(), 0);
}

#[test]
fn filled_on_first_use() {
    let Some(world) = World::new("fill") else {
        return;
    };
    world.container(FIRST);
    let wishes = ["new:/link", "new2:/srv:nocopy", "new3:/nothing"];
    let mounted = world.settle(FIRST, &wishes, &["/srv/data/"]).unwrap();
    assert_eq!(mounted.len(), 4);
    let of = |at: usize| {
        let name = mounted[at].name.as_deref().unwrap();
        world.volumes.get(name).unwrap()
    };
    is_as_in_the_image(&of(0));
    for empty in [1, 2] {
        assert_eq!(looks(&of(empty).mountpoint), (0, 0, 0o755));
        assert_eq!(std::fs::read_dir(of(empty).mountpoint).unwrap().count(), 0);
    }
    is_as_in_the_image(&of(3));
    assert_eq!(mounted[3].kind, MountKind::Volume { anonymous: true });
    assert_eq!(mounted[3].destination, "/srv/data");
    assert_eq!(world.left_in_tmp(), 0);
}

#[test]
fn what_a_volume_has_is_kept() {
    let Some(world) = World::new("kept") else {
        return;
    };
    // Made by hand and empty: filled, with its labels.
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let made = world.volumes.create(Some("data"), labels).unwrap();
    world.container(FIRST);
    world.settle(FIRST, &["data:/srv/data"], &[]).unwrap();
    let filled = world.volumes.get("data").unwrap();
    assert_eq!(filled, made);
    is_as_in_the_image(&filled);
    assert_eq!(world.volumes.users(&filled).unwrap(), [FIRST]);
    // What was changed stays, for the next container too.
    std::fs::write(filled.mountpoint.join("a"), b"changed").unwrap();
    std::fs::remove_file(filled.mountpoint.join("o1")).unwrap();
    world.container(SECOND);
    world.settle(SECOND, &["data:/srv/data"], &[]).unwrap();
    assert_eq!(
        std::fs::read(filled.mountpoint.join("a")).unwrap(),
        b"changed"
    );
    assert!(!filled.mountpoint.join("o1").exists());
    // An empty one that another container may have open is left alone.
    world.settle(FIRST, &["empty:/nothing"], &[]).unwrap();
    let inode = |name: &str| {
        let volume = world.volumes.get(name).unwrap();
        volume.mountpoint.metadata().unwrap().ino()
    };
    let before = inode("empty");
    world.settle(SECOND, &["empty:/srv/data"], &[]).unwrap();
    assert_eq!(inode("empty"), before);
    assert_eq!(world.left_in_tmp(), 0);
}

#[test]
fn in_use_and_left() {
    let Some(world) = World::new("use") else {
        return;
    };
    let (first, second) = (world.container(FIRST), world.container(SECOND));
    let mounted = world
        .settle(FIRST, &["data:/a", "/b"], &["/c", "/a"])
        .unwrap();
    let targets: Vec<&str> = mounted.iter().map(|m| m.destination.as_str()).collect();
    assert_eq!(
        targets,
        ["/a", "/b", "/c"],
        "a wish comes before the image's"
    );
    world.settle(SECOND, &["data:/a"], &[]).unwrap();
    let error = world.volumes.remove("data").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let expected = format!("remove data: volume is in use - [{FIRST}, {SECOND}]");
    assert_eq!(error.to_string(), expected);
    assert!(world.volumes.prune(true, &|_| true).unwrap().is_empty());
    // A container that was removed, or killed while it was made, uses nothing.
    std::fs::remove_dir(second).unwrap();
    std::fs::remove_dir(first).unwrap();
    let lease = kiln_durable::Lease::take(&world.folder.join("containers/leases").join(FIRST));
    assert_eq!(world.volumes.list().unwrap().len(), 3);
    let data = world.volumes.get("data").unwrap();
    assert_eq!(
        world.volumes.users(&data).unwrap(),
        [FIRST],
        "it is being made"
    );
    drop(lease);
    world.volumes.leave(&mounted, FIRST, true).unwrap();
    let left = world.volumes.list().unwrap();
    assert_eq!(left, [data], "the anonymous ones went along");
    assert!(world.volumes.prune(false, &|_| true).unwrap().is_empty());
    let pruned = world.volumes.prune(true, &|v| v.name == "data").unwrap();
    assert_eq!(pruned.len(), 1);
}

#[test]
fn what_a_start_mounts() {
    let Some(world) = World::new("start") else {
        return;
    };
    let source = world.folder.join("made/source");
    let bind = format!("{}:/x/y/z:ro", source.display());
    let mut mounted = world.settle(FIRST, &[&bind, "data:/x"], &[]).unwrap();
    assert!(source.is_dir(), "docker's -v makes it");
    mounted.push(Mounted {
        kind: MountKind::Tmpfs {
            size: Some(5),
            mode: 0o700,
            exec: false,
        },
        name: None,
        source: "".into(),
        destination: "/x/y".into(),
        rw: true,
    });
    let mounts = world.volumes.mounts(&mounted).unwrap();
    let targets: Vec<_> = mounts.iter().map(|m| m.target().to_owned()).collect();
    let expected: Vec<PathBuf> = ["/x", "/x/y", "/x/y/z"].map(PathBuf::from).to_vec();
    assert_eq!(targets, expected);
    assert!(format!("{:?}", mounts[2]).contains("read_only: true"));
    std::fs::remove_dir(&source).unwrap();
    let error = world.volumes.mounts(&mounted).unwrap_err();
    let expected = format!("bind source path does not exist: {}", source.display());
    assert_eq!(error.to_string(), expected);
    let missing = Wish::parse_mount("type=bind,src=/not/there,dst=/x").unwrap();
    let anonymous = Wish::parse_volume("/anonymous").unwrap();
    let both = [anonymous.clone(), missing];
    let before = world.volumes.list().unwrap().len();
    let image = BTreeMap::new();
    let asked_both = Asked {
        id: FIRST,
        wishes: &both,
        image: &image,
        layers: &[],
    };
    let error = world.volumes.settle(&asked_both).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid mount config for type \"bind\": bind source path does not exist: /not/there"
    );
    assert_eq!(world.volumes.list().unwrap().len(), before);
    let twice = [anonymous.clone(), anonymous];
    let asked_twice = Asked {
        wishes: &twice,
        ..asked_both
    };
    let error = world.volumes.settle(&asked_twice).unwrap_err();
    assert_eq!(error.to_string(), "Duplicate mount point: /anonymous");
}

#[test]
fn many_make_one_at_once() {
    let Some(world) = World::new("race") else {
        return;
    };
    let ids: Vec<String> = (0..8).map(|n| format!("{n:064}")).collect();
    ids.iter().for_each(|id| drop(world.container(id)));
    std::thread::scope(|scope| {
        for id in &ids {
            let world = &world;
            scope.spawn(move || world.settle(id, &["data:/srv/data"], &[]).unwrap());
        }
    });
    let volume = world.volumes.get("data").unwrap();
    is_as_in_the_image(&volume);
    assert_eq!(world.volumes.users(&volume).unwrap(), ids);
    assert_eq!(world.left_in_tmp(), 0);
}
