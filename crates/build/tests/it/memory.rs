//! Builds of which no process knows: contexts and workers in memory.

use std::sync::Arc;

use kiln_build::{ErrorKind, How, Request};
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
