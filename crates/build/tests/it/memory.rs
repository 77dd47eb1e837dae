//! Builds of which no process knows: contexts and workers in memory.

use std::sync::Arc;

use kiln_build::{
    Context, Error, ErrorKind, How, LocalContext, Look, Request,
    layer::{Content, Files, InMemory, LayerPath, Meta, Tree},
};
use kiln_tests::harness::Outcome;

use crate::support::{Memory, Recorder, World, build};

const TEXT: &str = "FROM scratch
ARG WHO=me
WORKDIR /app
COPY a b ./
USER 7:8
ENV GREETING=hello
RUN [\"/bin/greet\", \"you\"]
RUN echo $WHO
";

fn context() -> Arc<Memory> {
    Arc::new(Memory(vec![("a", "1"), ("b", "2"), ("c", "3")]))
}

pub(crate) fn a_worker_is_given_whole_steps() -> Outcome {
    let (world, worker) = (World::new(), Arc::new(Recorder::default()));
    let builder = world.builder().with_worker(worker.clone());
    let (built, _) = build(&builder, &Request::new(TEXT, context()));
    built.unwrap();
    let steps = worker.steps.lock().unwrap();
    let [exec, shell] = &steps[..] else {
        panic!("{steps:?}");
    };
    assert_eq!(exec.argv, ["/bin/greet", "you"]);
    assert_eq!((exec.cwd.as_str(), exec.user.as_str()), ("/app", "7:8"));
    assert_eq!(exec.layers.len(), 2, "WORKDIR and COPY each made a layer");
    assert_eq!(shell.argv, ["/bin/sh", "-c", "echo $WHO"]);
    assert_eq!(shell.layers, exec.layers, "nothing was changed in between");
    let has = |key: &str, value: &str| {
        let wanted = (key.to_owned(), value.to_owned());
        assert!(shell.env.contains(&wanted), "no {key} in {:?}", shell.env);
    };
    has("GREETING", "hello");
    has("WHO", "me");
    assert_ne!(exec.id, shell.id);
    assert_eq!(exec.id.len(), 64);
    Ok(())
}

pub(crate) fn a_full_hit_asks_nobody() -> Outcome {
    let (world, worker) = (World::new(), Arc::new(Recorder::default()));
    let builder = world.builder().with_worker(worker.clone());
    let request = Request::new(TEXT, context());
    let (first, _) = build(&builder, &request);
    worker.steps.lock().unwrap().clear();
    let (second, how) = build(&builder, &request);
    assert_eq!(first.unwrap().id, second.unwrap().id);
    assert!(worker.steps.lock().unwrap().is_empty());
    assert!(!how.contains(&How::Ran), "{how:?}");
    // Another process over the same store knows as much.
    let worker = Arc::new(Recorder::default());
    let (third, how) = build(&world.builder().with_worker(worker.clone()), &request);
    third.unwrap();
    assert!(worker.steps.lock().unwrap().is_empty(), "{how:?}");
    Ok(())
}

pub(crate) fn content_decides_not_the_context() -> Outcome {
    let (world, worker) = (World::new(), Arc::new(Recorder::default()));
    let builder = world.builder().with_worker(worker.clone());
    build(&builder, &Request::new(TEXT, context())).0.unwrap();
    let ran = |files: &[(&'static str, &'static str)]| {
        worker.steps.lock().unwrap().clear();
        let request = Request::new(TEXT, Arc::new(Memory(files.to_vec())));
        build(&builder, &request).0.unwrap();
        worker.steps.lock().unwrap().len()
    };
    // Nobody copies `c`.
    assert_eq!(ran(&[("a", "1"), ("b", "2"), ("c", "other")]), 0);
    assert_eq!(ran(&[("a", "1"), ("b", "other")]), 2);
    assert_eq!(ran(&[("b", "2"), ("a", "1")]), 0);
    Ok(())
}

pub(crate) fn what_is_missing_is_explained() -> Outcome {
    let world = World::new();
    let text = "FROM scratch\nCOPY a nothing /\n";
    let (built, _) = build(&world.builder(), &Request::new(text, context()));
    let e = built.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::NotFound);
    assert_eq!(e.hint_text(), Some("`nothing` was never written"));
    assert_eq!(e.place().map(|p| p.start), Some(13));
    Ok(())
}

pub(crate) fn an_epoch_makes_the_same_image_anywhere() -> Outcome {
    let image = |epoch| {
        let world = World::new();
        let builder = world.builder().with_worker(Arc::new(Recorder::default()));
        let mut request = Request::new(TEXT, context());
        request.settings.epoch = epoch;
        let built = build(&builder, &request).0.unwrap();
        let images = builder.store().images();
        let record = images.by_id(&built.id).unwrap().unwrap();
        (built.id, images.config(&record).unwrap().into_value())
    };
    let (one, config) = image(Some(1000));
    assert_eq!(one, image(Some(1000)).0);
    assert_ne!(one, image(Some(2000)).0);
    assert_eq!(config.created.as_deref(), Some("1970-01-01T00:16:40Z"));
    let times = config.history.iter().map(|h| h.created.as_deref());
    assert!(times.clone().all(|t| t == config.created.as_deref()));
    assert_eq!(times.count(), 7);
    Ok(())
}

pub(crate) fn steps_are_kept_only_on_request() -> Outcome {
    let count = |keep| {
        let world = World::new();
        let builder = world.builder().with_worker(Arc::new(Recorder::default()));
        let mut request = Request::new(TEXT, context());
        request.settings.keep_steps = keep;
        build(&builder, &request).0.unwrap();
        builder.store().images().list().unwrap().len()
    };
    assert_eq!((count(false), count(true)), (1, 7));
    Ok(())
}

/// A folder with a file that is too large to be read before it is packed.
fn large() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("sub/large"), vec![b'x'; 9 << 20]).unwrap();
    std::fs::write(folder.path().join("small"), "small").unwrap();
    // What was written just now is not believed to be still the same.
    std::thread::sleep(std::time::Duration::from_millis(150));
    folder
}

#[cfg(unix)]
pub(crate) fn what_is_new_is_read_once_and_then_known() -> Outcome {
    let world = World::new();
    let builder = world.builder();
    let folder = large();
    let of = |folder: &std::path::Path, text: &str| {
        let context = LocalContext::open(folder, None).unwrap();
        let (built, how) = build(&builder, &Request::new(text, Arc::new(context)));
        (built.unwrap().id, how)
    };
    // A file of which nothing gets into the layer counts as well: another took its place.
    let text = "FROM scratch\nCOPY . sub/large /app/\nCOPY sub/large small /other/\n";
    let (first, how) = of(folder.path(), text);
    assert_eq!(how[1..], [How::Ran, How::Ran]);
    assert_eq!(of(folder.path(), text), (first, vec![How::Cached; 3]));
    // The same files elsewhere, of which nobody knows anything: what was recorded wins.
    let other = large();
    let (again, how) = of(other.path(), text);
    assert_eq!(again, first);
    assert_eq!(how[1..], [How::Verified, How::Verified]);
    assert_eq!(of(other.path(), text), (first, vec![How::Cached; 3]));
    // Another content is another image.
    std::fs::write(other.path().join("small"), "SMALL").unwrap();
    assert_ne!(of(other.path(), text).0, first);
    Ok(())
}

/// Files of which some must not be opened.
struct Closed {
    files: InMemory,
    shut: &'static [&'static str],
}

impl Files for Closed {
    fn tree(&self) -> &Tree {
        self.files.tree()
    }

    fn open(&self, path: &LayerPath) -> std::io::Result<Content> {
        match self.shut.contains(&path.to_string().as_str()) {
            true => Err(std::io::Error::other(format!("`{path}` is shut"))),
            false => self.files.open(path),
        }
    }
}

struct Folder(Arc<dyn Files>, &'static str);

impl Context for Folder {
    fn files(&self, _: &kiln_build::Select, _: &Look<'_>) -> Result<Arc<dyn Files>, Error> {
        Ok(Arc::clone(&self.0))
    }

    fn identity(&self) -> Option<String> {
        Some(self.1.to_owned())
    }

    fn missing(&self, _: &str) -> Option<String> {
        None
    }
}

pub(crate) fn what_did_not_change_is_not_opened_again() -> Outcome {
    let world = World::new();
    let builder = world.builder();
    let request = |changed: &str, shut, name| {
        let mut files = InMemory::new();
        let meta = || Meta::with_mode(0o644);
        for n in 10..50_u8 {
            let path = format!("same{n}").parse().unwrap();
            files.file(path, meta(), vec![n; 50 << 10]);
        }
        files.file("other".parse().unwrap(), meta(), changed);
        let files = Arc::new(Closed { files, shut });
        let text = "FROM scratch\nCOPY . /app/\n";
        let mut request = Request::new(text, Arc::new(Folder(files, name)));
        request.settings.epoch = Some(1000);
        request
    };
    build(&builder, &request("1", &[], "here")).0.unwrap();
    let changed = build(&builder, &request("22", &["same10", "same49"], "here"))
        .0
        .unwrap();
    // The same bytes as without anything to take them from.
    let fresh = World::new();
    let plain = build(&fresh.builder(), &request("22", &[], "here"))
        .0
        .unwrap();
    assert_eq!(changed.id, plain.id);
    // Another context has its own lines, and a build without records looks at none.
    let elsewhere = build(
        &builder,
        &request("333", &["same10", "same49"], "elsewhere"),
    );
    assert!(elsewhere.0.is_err());
    let mut afresh = request("333", &["same10", "same49"], "here");
    afresh.settings.no_cache = true;
    assert!(build(&builder, &afresh).0.is_err());
    // A layer that is damaged, or gone, is as good as none.
    let store = world.folder.path().join("store");
    let record = builder
        .store()
        .images()
        .by_id(&changed.id)
        .unwrap()
        .unwrap();
    let config = builder.store().images().config(&record).unwrap();
    let layer = config.value().rootfs.diff_ids[0];
    let blob = store.join("blobs/sha256").join(layer.hex());
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[1 << 20] ^= 1;
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, bytes).unwrap();
    let healed = build(&builder, &request("4444", &[], "here")).0.unwrap();
    let plain = build(&fresh.builder(), &request("4444", &[], "here"))
        .0
        .unwrap();
    assert_eq!(healed.id, plain.id);
    Ok(())
}
