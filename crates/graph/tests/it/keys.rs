//! What counts in a key, and what does not; and that a record says so.

use kiln_cache::{Memory, Record, Records, explain};
use kiln_graph::{
    CacheMount, Compression, Context, Copy, Device, Folder, Graph, GraphBuilder, Inline,
    InlineFile, Mount, MountKind, Network, NodeId, Op, Origin, Pack, Run, SecretMount, Security,
    Settings, Taken, Upload, plan, solve,
};
use kiln_image::{Digest, Platform};

use crate::counters::{Bench, Counters, context, hold};

/// Keeps the order in which records are put.
#[derive(Default)]
struct Listed {
    memory: Memory,
    put: std::sync::Mutex<Vec<(kiln_cache::Key, Record)>>,
}

impl Records for Listed {
    fn get(&self, key: &kiln_cache::Key) -> Result<Option<Record>, kiln_cache::Error> {
        self.memory.get(key)
    }

    fn put(&self, key: &kiln_cache::Key, record: &Record) -> Result<(), kiln_cache::Error> {
        hold(&self.put).push((*key, record.clone()));
        self.memory.put(key, record)
    }
}

/// The records of `op` upon nothing: by definition, and by content.
fn records(op: Op, salt: &[(&'static str, &str)], file: &str) -> Vec<(kiln_cache::Key, Record)> {
    let mut g = GraphBuilder::new();
    let mut inputs = vec![g.add(Op::Scratch, &[], None)];
    if matches!(op, Op::Copy(_)) {
        inputs.push(context(&mut g, "f"));
    }
    let id = g.add(op, &inputs, Some(Origin::default()));
    let settings = Settings {
        salt: salt.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
        ..Settings::default()
    };
    let listed = Listed::default();
    solve_with(&listed, &settings, &g.finish(), id, file);
    listed.put.into_inner().unwrap()
}

fn solve_with(records: &Listed, settings: &Settings, graph: &Graph, id: NodeId, file: &str) {
    let x = Counters::default().file("f", file).file("g", file);
    let plan = plan(graph, &[id], &x, records, settings).unwrap();
    let context = Context {
        records,
        settings,
        cancel: &Default::default(),
        on: &|_| (),
    };
    solve(&context, plan, &x).unwrap();
}

fn some_run() -> Run {
    Run {
        argv: vec!["sh".into(), "-c".into(), "make".into()],
        env: vec![("PATH".into(), "/bin".into()), ("A".into(), "1".into())],
        cwd: "/".into(),
        ..Run::default()
    }
}

fn some_copy() -> Copy {
    Copy {
        sources: vec![Taken::first("a")],
        destination: "/x/".into(),
        ..Copy::default()
    }
}

/// Two sources, of which these are unpacked.
fn unpacked(copy: &mut Copy, which: [bool; 2]) {
    copy.sources = vec![Taken::first("a"), Taken::first("b")];
    copy.sources[0].unpack = which[0];
    copy.sources[1].unpack = which[1];
}

fn mounted(run: &mut Run, target: &str, kind: MountKind) {
    let target = target.to_owned();
    run.mounts.push(Mount { target, kind });
}

fn cache(run: &mut Run) {
    mounted(run, "/c", MountKind::Cache(CacheMount::default()));
}

fn other_cache(run: &mut Run) {
    let id = "other".to_owned();
    let cache = CacheMount {
        id,
        ..CacheMount::default()
    };
    mounted(run, "/c", MountKind::Cache(cache));
}

fn secret(run: &mut Run) {
    mounted(run, "/s", MountKind::Secret(SecretMount::default()));
}

#[test]
fn every_field_counts_and_is_named() {
    let run = |change: fn(&mut Run)| {
        let mut run = some_run();
        change(&mut run);
        Op::Run(run)
    };
    let copy = |change: fn(&mut Copy)| {
        let mut copy = some_copy();
        change(&mut copy);
        Op::Copy(copy)
    };
    let folder = |path: &str, user: &str| {
        let (path, user) = (path.to_owned(), user.to_owned());
        Op::Folder(Folder { path, user })
    };
    for (what, a, b) in [
        ("argv", run(|_| ()), run(|r| r.argv.truncate(2))),
        (
            "argv",
            run(|_| ()),
            run(|r| r.argv = vec!["sh\",\"-c".into(), "make".into()]),
        ),
        ("env A", run(|_| ()), run(|r| r.env[1].1 = "2".into())),
        ("env A", run(|_| ()), run(|r| r.env.truncate(1))),
        (
            "env B",
            run(|_| ()),
            run(|r| r.env.push(("B".into(), String::new()))),
        ),
        ("cwd", run(|_| ()), run(|r| r.cwd = "/x".into())),
        ("user", run(|_| ()), run(|r| r.user = "1".into())),
        ("network", run(|_| ()), run(|r| r.network = Network::None)),
        (
            "sources",
            copy(|_| ()),
            copy(|c| c.sources.push(Taken::first("b"))),
        ),
        (
            "destination",
            copy(|_| ()),
            copy(|c| c.destination = "/x".into()),
        ),
        ("owner", copy(|_| ()), copy(|c| c.owner = Some("1".into()))),
        ("mode", copy(|_| ()), copy(|c| c.mode = Some("1".into()))),
        (
            "operation",
            copy(|_| ()),
            copy(|c| c.sources[0].unpack = true),
        ),
        (
            "unpacked",
            copy(|c| unpacked(c, [true, false])),
            copy(|c| unpacked(c, [false, true])),
        ),
        ("parents", copy(|_| ()), copy(|c| c.parents = true)),
        (
            "excluded",
            copy(|_| ()),
            copy(|c| c.exclude.push("x".into())),
        ),
        (
            "sources",
            copy(|_| ()),
            copy(|c| c.sources[0].base = "b".into()),
        ),
        (
            "hostname",
            run(|_| ()),
            run(|r| r.hostname = Some("h".into())),
        ),
        (
            "security",
            run(|_| ()),
            run(|r| r.security = Security::Insecure),
        ),
        (
            "device",
            run(|_| ()),
            run(|r| r.devices.push(Device::default())),
        ),
        (
            "platform",
            run(|_| ()),
            run(|r| r.platform = Some(Platform::new("linux", "riscv64", None))),
        ),
        ("options of mount /c", run(cache), run(|_| ())),
        ("options of mount /c", run(cache), run(other_cache)),
        ("options of mount /s", run(secret), run(|_| ())),
        ("path", folder("/a", ""), folder("/b", "")),
        ("user", folder("/a", ""), folder("/a", "b")),
    ] {
        let (a, b) = (records(a, &[], "1"), records(b, &[], "1"));
        assert_eq!(
            (a.len(), b.len()),
            (2, 2),
            "one by definition, one by content"
        );
        for ((key_a, a), (key_b, b)) in a.iter().zip(&b) {
            assert_ne!(key_a, key_b, "{what}");
            assert_eq!(explain(a, b).unwrap().name(), what);
        }
    }
}

#[test]
fn the_salt_and_the_inputs_count() {
    let of = |salt: &[(&'static str, &str)], file| records(Op::Copy(some_copy()), salt, file);
    let plain = of(&[], "1");
    for (what, other) in [
        ("build epoch", of(&[("epoch", "0")], "1")),
        ("source", of(&[], "2")),
    ] {
        for ((key_a, a), (key_b, b)) in plain.iter().zip(&other) {
            assert_ne!(key_a, key_b);
            assert_eq!(explain(a, b).unwrap().name(), what);
        }
    }
    let tree = plain[0]
        .1
        .parts
        .iter()
        .find(|p| p.name == "source")
        .unwrap();
    assert_eq!(tree.tree, Some(Digest::sha256(b"1")));
    assert_eq!(plain, of(&[], "1"));
}

/// Which source is of which input counts, where all that is taken is called the same.
#[test]
fn the_input_of_each_source_counts() {
    let of = |first: usize| {
        let mut g = GraphBuilder::new();
        let scratch = g.add(Op::Scratch, &[], None);
        let inputs = [scratch, context(&mut g, "f"), context(&mut g, "g")];
        let mut copy = some_copy();
        copy.sources = vec![Taken::first("a"), Taken::first("a")];
        copy.sources[0].input = first;
        copy.sources[1].input = 3 - first;
        let id = g.add(Op::Copy(copy), &inputs, Some(Origin::default()));
        let listed = Listed::default();
        solve_with(&listed, &Settings::default(), &g.finish(), id, "1");
        listed.put.into_inner().unwrap()
    };
    for ((key_a, a), (key_b, b)) in of(1).iter().zip(&of(2)) {
        assert_ne!(key_a, key_b);
        assert_eq!(explain(a, b).unwrap().name(), "source of each");
    }
}

/// Where every record is damaged.
struct Damaged(Memory);

impl Records for Damaged {
    fn get(&self, key: &kiln_cache::Key) -> Result<Option<Record>, kiln_cache::Error> {
        match self.0.get(key)? {
            Some(_) => Err(kiln_cache::Error::new(
                kiln_cache::ErrorKind::Damaged,
                "a record",
            )),
            None => Ok(None),
        }
    }

    fn put(&self, key: &kiln_cache::Key, record: &Record) -> Result<(), kiln_cache::Error> {
        self.0.put(key, record)
    }
}

#[test]
fn a_damaged_record_is_as_good_as_none() {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let id = g.add(Op::Run(some_run()), &[scratch], Some(Origin::default()));
    let (graph, records) = (g.finish(), Damaged(Memory::default()));
    for _ in 0..2 {
        let x = Counters::default();
        let settings = Settings::default();
        let plan = plan(&graph, &[id], &x, &records, &settings).unwrap();
        assert!(!plan.is_full_hit(), "{plan}");
        let context = Context {
            records: &records,
            settings: &settings,
            cancel: &Default::default(),
            on: &|_| (),
        };
        solve(&context, plan, &x).unwrap();
        assert_eq!(
            hold(&x.executed).len(),
            2,
            "what it stands on, and the step"
        );
    }
}

#[test]
fn hidden_environment_and_the_name_of_a_base_do_not_count() {
    let hidden = Run {
        hidden_env: vec![("HTTP_PROXY".into(), "http://proxy".into())],
        ..some_run()
    };
    assert_eq!(
        records(Op::Run(some_run()), &[], ""),
        records(Op::Run(hidden), &[], "")
    );

    let bench = Bench::default();
    for (name, hit) in [("debian:13", false), ("debian:trixie", true)] {
        let mut g = GraphBuilder::new();
        let image = Op::Image {
            reference: name.parse().unwrap(),
            manifest: Digest::sha256(b"manifest"),
            platform: Platform::host(),
        };
        let base = g.add(image, &[], None);
        let run = g.add(Op::Run(some_run()), &[base], None);
        let x = Counters::default();
        let graph = g.finish();
        assert_eq!(bench.plan(&graph, run, &x).is_full_hit(), hit);
        bench.build(&graph, run, &x).unwrap();
    }
}

#[test]
fn files_written_out_are_known_by_what_they_hold() {
    let bench = Bench::default();
    let file = |name: &str, text: &str, mode| InlineFile {
        name: name.to_owned(),
        text: text.to_owned(),
        mode,
    };
    for (files, hit) in [
        (vec![file("a", "1", 0o644)], false),
        (vec![file("a", "1", 0o644)], true),
        (vec![file("a", "2", 0o644)], false),
        (vec![file("b", "1", 0o644)], false),
        (vec![file("a", "1", 0o755)], false),
        (vec![file("a", "1", 0o644), file("b", "", 0o644)], false),
    ] {
        let mut g = GraphBuilder::new();
        let scratch = g.add(Op::Scratch, &[], None);
        let inline = g.add(Op::Inline(Inline { files }), &[], None);
        let upper = g.add(Op::Copy(some_copy()), &[scratch, inline], None);
        let merged = g.add(Op::Merge, &[scratch, upper], None);
        let (graph, x) = (g.finish(), Counters::default());
        assert_eq!(bench.plan(&graph, merged, &x).is_full_hit(), hit);
        bench.build(&graph, merged, &x).unwrap();
    }
}

#[test]
fn packing_and_uploading_are_always_carried_out() {
    let mut g = GraphBuilder::new();
    let scratch = g.add(Op::Scratch, &[], None);
    let run = g.add(Op::Run(some_run()), &[scratch], None);
    let compression = Compression::Zstd;
    let pack = g.add(
        Op::Pack(Pack {
            compression,
            ..Pack::default()
        }),
        &[run],
        None,
    );
    let to = "localhost:5000/a".parse().unwrap();
    let upload = g.add(Op::Upload(Upload { to }), &[pack], None);
    let graph = g.finish();
    let bench = Bench::default();
    let all = ["pack Zstd", "run sh -c make", "upload localhost:5000/a"];
    for expected in [&all[..], &[all[0], all[2]]] {
        let x = Counters::default();
        bench.build(&graph, upload, &x).unwrap();
        assert_eq!(x.steps(), expected);
    }
    assert_eq!(bench.records.len(), 2, "both of the RUN");
}
