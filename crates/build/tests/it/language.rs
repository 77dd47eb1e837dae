//! What a Dockerfile may say beyond plain COPY and RUN: carried out, or refused at its line.

use std::sync::Arc;

use kiln_build::{
    Built, How, Request,
    image::Digest,
    layer::{InMemory, Meta, Time, Times, pack},
};
use kiln_tests::harness::Outcome;

use crate::support::{Memory, Recorder, World, build};

fn context(files: &[(&'static str, &'static str)]) -> Arc<Memory> {
    Arc::new(Memory(files.to_vec()))
}

fn diff_ids(world: &World, built: &Built) -> Vec<Digest> {
    let builder = world.builder();
    let images = builder.store().images();
    let record = images.by_id(&built.id).unwrap().unwrap();
    images.config(&record).unwrap().into_value().rootfs.diff_ids
}

/// Paths, owners and sizes of all layers of an image, bottom first.
fn entries(world: &World, built: &Built) -> Vec<Vec<String>> {
    let builder = world.builder();
    let layers = builder.store().layers();
    let one = |diff_id| {
        let tree = layers.tree(diff_id).unwrap().unwrap();
        let shown = tree.iter().map(|e| {
            let size = e.file().map_or(0, |file| file.size);
            let (uid, gid, mode) = (e.meta.uid, e.meta.gid, e.meta.mode);
            format!("{} {uid}:{gid} {mode:o} {size}", e.path)
        });
        shown.collect()
    };
    diff_ids(world, built).iter().map(one).collect()
}

pub(crate) fn heredocs_are_files() -> Outcome {
    let (world, worker) = (World::new(), Arc::new(Recorder::default()));
    let builder = world.builder().with_worker(worker.clone());
    let text = |word: &str| {
        format!(
            "FROM scratch\nENV A={word}\nCOPY --chown=1:2 <<one <<'two' /t/\n$A\none\n$A\ntwo\n\
             COPY --chmod=700 <<EOF /s.sh\n#!/bin/sh\nEOF\nRUN <<EOF\n$A\nEOF\n"
        )
    };
    let (built, _) = build(&builder, &Request::new(text("word"), context(&[])));
    assert_eq!(
        entries(&world, &built.unwrap()),
        [
            vec!["t 1:2 755 0", "t/one 1:2 644 5", "t/two 1:2 644 3"],
            vec!["s.sh 0:0 700 10"],
        ]
    );
    let argv = worker.steps.lock().unwrap()[0].argv.clone();
    assert_eq!(argv, ["/bin/sh", "-c", "$A\n"]);
    let (same, how) = build(&builder, &Request::new(text("word"), context(&[])));
    same.unwrap();
    assert!(!how.contains(&How::Ran), "{how:?}");
    let (other, how) = build(&builder, &Request::new(text("other"), context(&[])));
    assert_eq!(entries(&world, &other.unwrap())[0][1], "t/one 1:2 644 6");
    assert!(how.contains(&How::Ran), "{how:?}");
    Ok(())
}

pub(crate) fn a_linked_layer_does_not_know_what_is_beneath() -> Outcome {
    let (world, worker) = (World::new(), Arc::new(Recorder::default()));
    let builder = world.builder().with_worker(worker);
    let text = "FROM scratch\nCOPY passwd /etc/\nCOPY --link b /d/\n\
                COPY --link --chown=me b /e/\nCOPY b /d/c\n";
    let passwd = "me:x:7:8::/:\n";
    let layers = |passwd| {
        let request = Request::new(text, context(&[("passwd", passwd), ("b", "2")]));
        let built = build(&builder, &request).0.unwrap();
        (diff_ids(&world, &built), entries(&world, &built))
    };
    let (first, shown) = layers(passwd);
    assert_eq!(shown[1], ["d 0:0 755 0", "d/b 0:0 644 1"]);
    assert_eq!(shown[2], ["e 7:8 755 0", "e/b 7:8 644 1"]);
    assert_eq!(shown[3], ["d 0:0 755 0", "d/c 0:0 644 1"]);
    let (second, _) = layers("me:x:7:8::/:\nyou:x:9:9::/:\n");
    assert_ne!(first[0], second[0]);
    assert_eq!(first[1..], second[1..]);
    let (_, shown) = layers("me:x:9:9::/:\n");
    assert_eq!(
        shown[2],
        ["e 9:9 755 0", "e/b 9:9 644 1"],
        "names are those of the image"
    );
    Ok(())
}

pub(crate) fn a_copy_is_found_again_where_it_meets_the_same() -> Outcome {
    let world = World::new();
    let builder = world.builder();
    let layers = |mode, first| {
        let text = format!("FROM scratch\nCOPY --chmod={mode} {first} /d/x\nCOPY b /d/y\n");
        let files = context(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let (built, how) = build(&builder, &Request::new(text, files));
        (entries(&world, &built.unwrap()), how.last().copied())
    };
    let (shown, _) = layers("700", "a");
    assert_eq!(shown[1], ["d 0:0 700 0", "d/y 0:0 644 1"]);
    let (shown, how) = layers("755", "a");
    assert_eq!(shown[1], ["d 0:0 755 0", "d/y 0:0 644 1"]);
    assert_eq!(how, Some(How::Ran));
    let (shown, how) = layers("700", "c");
    assert_eq!(shown[1], ["d 0:0 700 0", "d/y 0:0 644 1"]);
    assert_eq!(how, Some(How::Verified));

    // Of a stage, owners count where they are kept.
    let copied = |owner, flag| {
        let text = format!(
            "FROM scratch AS s\nCOPY --chown={owner} a /a\nFROM scratch\nCOPY --from=s {flag} a /x\n"
        );
        let (built, how) = build(&builder, &Request::new(text, context(&[("a", "1")])));
        let [shown] = &entries(&world, &built.unwrap())[0][..] else {
            panic!("more than one file");
        };
        (shown.clone(), how.last().copied())
    };
    assert_eq!(copied("1:2", "").0, "x 1:2 644 1");
    assert_eq!(
        copied("3:4", ""),
        ("x 3:4 644 1".to_owned(), Some(How::Ran))
    );
    assert_eq!(copied("1:2", "--chown=9").0, "x 9:9 644 1");
    let same = ("x 9:9 644 1".to_owned(), Some(How::Verified));
    assert_eq!(copied("5:6", "--chown=9"), same);
    Ok(())
}

/// With an epoch, what is of a context has exactly that time, and the same from elsewhere its own.
pub(crate) fn one_content_has_the_times_of_where_it_is_from() -> Outcome {
    let mut old = InMemory::new();
    let meta = Meta {
        mtime: Time::at(5),
        ..Meta::with_mode(0o644)
    };
    old.file("a".parse().unwrap(), meta, "1");
    let (tar, _) = pack(&old, Vec::new(), Times::Keep).unwrap();
    let tar = &*String::leak(String::from_utf8(tar).unwrap());
    let world = World::new();
    let builder = world.builder();
    let time = |from: &str| {
        let text = format!("FROM scratch AS old\nADD tar /\nFROM scratch\nCOPY {from} /x\n");
        let mut request = Request::new(text, context(&[("a", "1"), ("tar", tar)]));
        request.settings.epoch = Some(1000);
        let built = build(&builder, &request).0.unwrap();
        let tree = builder.store().layers().tree(&diff_ids(&world, &built)[0]);
        let tree = tree.unwrap().unwrap();
        tree.get(&"x".parse().unwrap())
            .map(|e| e.meta.mtime.seconds)
    };
    assert_eq!(time("--chown=0:0 a"), Some(1000));
    assert_eq!(time("--from=old --chown=0:0 a"), Some(5));
    assert_eq!(time("--chown=0:0 ./a"), Some(1000));
    Ok(())
}
