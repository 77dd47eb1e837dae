//! Builds whose RUNs are carried out: on this machine, and by whoever is sent the step.

use std::{
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use kiln_build::image::Digest;
use kiln_build::sandbox::{self, Io, Runner, Running, Spec};
use kiln_build::{
    Builder, Error, ErrorKind, Layer, Local, LocalContext, Options, Request, Step, StepIo, Worker,
};
use kiln_tests::harness::Outcome;

use crate::support::{World, build};

/// Runs a test in a world of its own.
pub(crate) fn alone(test: fn(&World) -> Outcome) -> Outcome {
    test(&world()?)
}

/// A world with a context in it: a static shell, and a Dockerfile that copies it.
fn world() -> Result<World, String> {
    let is_root =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    let shell = Path::new("/bin/busybox");
    if !is_root {
        return Err("root is needed to mount the root of a RUN".into());
    }
    let fixed = Command::new("ldd").arg(shell).output();
    if !shell.exists() || fixed.is_ok_and(|said| said.status.success()) {
        return Err("no static /bin/busybox on this machine".into());
    }
    let world = World::new();
    let bin = world.folder.path().join("context/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy(shell, bin.join("busybox")).unwrap();
    symlink("busybox", bin.join("sh")).unwrap();
    Ok(world)
}

pub(crate) fn request(world: &World, text: &str) -> Request {
    let context = LocalContext::open(&world.folder.path().join("context"), None).unwrap();
    let mut request = Request::new(text, Arc::new(context));
    request.settings.epoch = Some(1_700_000_000);
    request
}

const TEXT: &str = "FROM scratch
COPY . /
ENV WHO=you
WORKDIR /work
RUN echo hello $WHO > greeting && busybox chmod 600 greeting
RUN busybox rm greeting && busybox mkdir -p a/b && echo x > a/b/c
";

/// Another machine, as far as anybody can tell: all it has is the text of the step and the store.
struct Elsewhere {
    here: Local,
    seen: Mutex<Vec<String>>,
}

impl Worker for Elsewhere {
    fn run(&self, step: &Step, io: &StepIo<'_>) -> Result<Layer, Error> {
        let sent = serde_json::to_string(step).unwrap();
        let received: Step = serde_json::from_str(&sent).unwrap();
        assert_eq!(&received, step);
        self.seen.lock().unwrap().push(sent);
        let layer = self.here.run(&received, io)?;
        let answer = serde_json::to_string(&layer).unwrap();
        Ok(serde_json::from_str(&answer).unwrap())
    }
}

pub(crate) fn a_step_can_be_sent_as_json(world: &World) -> Outcome {
    let (here, _) = build(&world.builder(), &request(world, TEXT));
    // The same context, another store.
    let options = Options::usual(world.folder.path().join("elsewhere")).unwrap();
    let builder = Builder::open(options).unwrap();
    let scratch = world.folder.path().join("elsewhere/scratch");
    let elsewhere = Arc::new(Elsewhere {
        here: Local::new(builder.roots().clone(), builder.runner().clone(), scratch),
        seen: Mutex::default(),
    });
    let builder = builder.with_worker(elsewhere.clone());
    let (there, _) = build(&builder, &request(world, TEXT));
    assert_eq!(here.unwrap().id, there.unwrap().id);
    assert_eq!(elsewhere.seen.lock().unwrap().len(), 2);
    Ok(())
}

/// Starts nothing, and counts how often it was asked to.
#[derive(Default)]
struct Refuses(AtomicUsize);

impl Runner for Refuses {
    fn start(&self, _: &Spec, _: Io) -> Result<Box<dyn Running>, sandbox::Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(sandbox::Error::new(
            sandbox::ErrorKind::Unsupported,
            "not today",
        ))
    }
}

pub(crate) fn a_full_hit_starts_no_process(world: &World) -> Outcome {
    let first = build(&world.builder(), &request(world, TEXT)).0.unwrap();
    let runner = Arc::new(Refuses::default());
    let mut options = Options::usual(world.folder.path().join("store")).unwrap();
    options.runner = runner.clone();
    let builder = Builder::open(options).unwrap();
    let (again, _) = build(&builder, &request(world, TEXT));
    assert_eq!(again.unwrap().id, first.id);
    assert_eq!(runner.0.load(Ordering::SeqCst), 0);
    // It would have been asked.
    let changed = TEXT.replace("echo hello", "echo other");
    let e = build(&builder, &request(world, &changed)).0.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Io);
    assert_eq!(runner.0.load(Ordering::SeqCst), 1);
    Ok(())
}

pub(crate) fn a_failure_has_its_code_and_its_command(world: &World) -> Outcome {
    let text = "FROM scratch\nCOPY . /\nRUN exit 41\n";
    let (built, _) = build(&world.builder(), &request(world, text));
    let e = built.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Run(41));
    assert_eq!(e.command(), Some("/bin/sh -c exit 41"));
    assert_eq!(e.place().map(|p| p.start), Some(22));
    let text = "FROM scratch\nCOPY . /\nRUN [\"/none\"]\n";
    let (built, _) = build(&world.builder(), &request(world, text));
    assert_eq!(built.unwrap_err().kind(), ErrorKind::Run(127));
    Ok(())
}

/// The diff ids of an image.
fn layers(builder: &Builder, id: &Digest) -> Vec<Digest> {
    let images = builder.store().images();
    let record = images.by_id(id).unwrap().unwrap();
    images.config(&record).unwrap().into_value().rootfs.diff_ids
}

/// Which bodies the store has of each layer of an image: packed, unpacked.
fn bodies(builder: &Builder, id: &Digest) -> Vec<(bool, bool)> {
    let store = builder.store();
    let of = |diff_id: &Digest| {
        let unpacked = store.layers().unpacked(diff_id).unwrap().is_some();
        (store.blobs().has(diff_id), unpacked)
    };
    layers(builder, id).iter().map(of).collect()
}

pub(crate) fn a_layer_is_made_in_the_form_that_is_needed(world: &World) -> Outcome {
    let (packed, unpacked) = ((true, false), (false, true));
    let text = format!("{TEXT}COPY bin/busybox /last\n");
    let builder = world.builder();
    let built = build(&builder, &request(world, &text)).0.unwrap();
    // COPY and WORKDIR lie under a RUN, and nothing stands on the last one.
    let expected = [unpacked, unpacked, unpacked, unpacked, packed];
    assert_eq!(bodies(&builder, &built.id), expected);
    // Whatever the form, the bytes are the same.
    for diff_id in layers(&builder, &built.id) {
        let mut tar = builder.roots().packed(&diff_id).unwrap();
        std::io::copy(&mut tar, &mut std::io::sink()).unwrap();
    }
    // Without a RUN the same lines make packed layers, which a RUN can stand on later.
    let options = Options::usual(world.folder.path().join("another")).unwrap();
    let builder = Builder::open(options).unwrap();
    let short = "FROM scratch\nCOPY . /\nENV WHO=you\nWORKDIR /work\n";
    let base = build(&builder, &request(world, short)).0.unwrap();
    assert_eq!(bodies(&builder, &base.id), [packed, packed]);
    let again = build(&builder, &request(world, &text)).0.unwrap();
    assert_eq!(again.id, built.id);
    Ok(())
}

pub(crate) fn what_lies_below_and_is_written_again_is_told(world: &World) -> Outcome {
    let context = world.folder.path().join("context");
    std::fs::write(context.join("big"), vec![7; 11 << 20]).unwrap();
    std::fs::write(context.join("small"), "7").unwrap();
    let text = "FROM scratch\nCOPY . /\nRUN busybox chmod 600 /big /small\n";
    let told = Mutex::new(Vec::new());
    let builder = world.builder();
    let on = |event: kiln_build::Event<'_>| {
        if let kiln_build::Event::Repeated { step, place, what } = event {
            told.lock()
                .unwrap()
                .push((step, place.map(|p| p.start), *what));
        }
    };
    builder
        .build(&request(world, text), &kiln_build::Cancel::new(), &on)
        .unwrap();
    let told = told.into_inner().unwrap();
    let [(2, Some(22), what)] = told[..] else {
        panic!("{told:?}");
    };
    assert!(what.mode && !what.owner && what.bytes == (11 << 20) + 1);
    Ok(())
}
