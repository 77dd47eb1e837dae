//! What the mounts of a RUN show of a context: packed once, and found again by what it has.

use std::{collections::BTreeMap, sync::Arc};

use kiln_build::layer::{Files, InMemory, LayerPath, Meta, Time, Tree};
use kiln_build::{
    Builder, Context, Error, Look, Named, Request, RunSettings, Secret, Secrets, Select,
    store::CollectOptions,
};
use kiln_tests::harness::Outcome;

use crate::running::request;
use crate::support::{World, build};

/// Files that can be opened, or not any more.
struct Once {
    files: InMemory,
    shut: bool,
}

impl Files for Once {
    fn tree(&self) -> &Tree {
        self.files.tree()
    }

    fn open(&self, path: &LayerPath) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        match self.shut {
            true => Err(std::io::Error::other(format!("`{path}` is shut"))),
            false => self.files.open(path),
        }
    }
}

struct Folder(Arc<Once>);

impl Context for Folder {
    fn files(&self, _: &Select, _: &Look<'_>) -> Result<Arc<dyn Files>, Error> {
        Ok(Arc::clone(&self.0) as Arc<dyn Files>)
    }

    fn missing(&self, _: &str) -> Option<String> {
        None
    }
}

/// Two megabytes, and a file of that time.
fn tree(time: i64, text: &str, shut: bool) -> Named {
    let mut files = InMemory::new();
    let meta = Meta {
        mtime: Time::at(time),
        ..Meta::with_mode(0o644)
    };
    files.file("large".parse().unwrap(), meta.clone(), vec![7; 2 << 20]);
    files.file("text".parse().unwrap(), meta, text);
    Named::Files(Arc::new(Folder(Arc::new(Once { files, shut }))))
}

const RUN: &str =
    "FROM scratch\nCOPY . /\nRUN --mount=from=tree,target=/m busybox stat -c %Y /m/text > /time;";

fn asked(world: &World, rest: &str, tree: Named) -> Request {
    let mut request = request(world, &format!("{RUN} {rest}\n"));
    request.contexts = BTreeMap::from([("tree".to_owned(), tree)]);
    request
}

pub(crate) fn what_is_mounted_is_packed_once(world: &World) -> Outcome {
    let builder = world.builder();
    let done = |rest, tree| build(&builder, &asked(world, rest, tree)).0;
    done(": 1", tree(1000, "a", false)).unwrap();
    // Of what it opens now there is nothing.
    done(": 2", tree(1000, "a", true)).unwrap();
    // Also by who did not make it, and when nobody else needs it.
    builder.store().collect(&CollectOptions::default()).unwrap();
    let later = world.builder();
    let again = asked(world, ": 3", tree(1000, "a", true));
    build(&later, &again).0.unwrap();
    // Another content is another one, and so is another time: programs look at that.
    for other in [tree(1000, "b", true), tree(2000, "a", true)] {
        assert!(done(": 4", other).is_err());
    }
    done("test $(busybox cat /time) = 2000", tree(2000, "a", false)).unwrap();
    done("test $(busybox cat /time) = 1000", tree(1000, "a", true)).unwrap();
    Ok(())
}

pub(crate) fn what_is_mounted_and_gone_is_packed_again(world: &World) -> Outcome {
    let builder = world.builder();
    build(&builder, &asked(world, ": 1", tree(1000, "a", false)))
        .0
        .unwrap();
    let unpacked = world.folder.path().join("store/unpacked");
    for layer in std::fs::read_dir(unpacked).unwrap().flatten() {
        if layer.path().join("root/large").exists() {
            std::fs::remove_dir_all(layer.path()).unwrap();
        }
    }
    let shut = asked(world, ": 2", tree(1000, "a", true));
    assert!(build(&builder, &shut).0.is_err());
    let open = asked(world, ": 2", tree(1000, "a", false));
    build(&builder, &open).0.unwrap();
    build(&builder, &asked(world, ": 3", tree(1000, "a", true)))
        .0
        .unwrap();
    Ok(())
}

struct Given(&'static str);

impl Secrets for Given {
    fn get(&self, _: &str) -> Result<Option<Secret>, Error> {
        Ok(Some(Secret::new(self.0)))
    }

    fn ids(&self) -> Vec<String> {
        vec!["token".to_owned()]
    }
}

/// How many layers the store has that show what is mounted.
fn shown(builder: &Builder, world: &World) -> usize {
    builder.store().collect(&CollectOptions::default()).unwrap();
    let unpacked = std::fs::read_dir(world.folder.path().join("store/unpacked"));
    let layers = unpacked.unwrap().flatten();
    let is = |layer: &std::fs::DirEntry| layer.path().join("root/large").exists();
    layers.filter(is).count()
}

pub(crate) fn what_has_a_secret_is_not_kept(world: &World) -> Outcome {
    const SECRET: &str = "1b0e-in-a-mount-77c2";
    for (value, kept) in [("another-value", 1), (SECRET, 0)] {
        let world = &World {
            folder: tempfile::tempdir_in(world.folder.path()).unwrap(),
        };
        std::fs::create_dir(world.folder.path().join("context")).unwrap();
        let mut asked = Request {
            run: RunSettings {
                secrets: Arc::new(Given(value)),
                ..RunSettings::default()
            },
            ..asked(world, ":", tree(1000, SECRET, false))
        };
        asked.text = RUN.replace("COPY . /\n", "") + " :\n";
        let builder = world.builder();
        // Nothing runs: there is no shell.
        build(&builder, &asked).0.unwrap_err();
        drop(builder);
        assert_eq!(shown(&world.builder(), world), kept, "{value}");
    }
    Ok(())
}
