//! Containers as things with names, that come and go, and survive nobody's death unnoticed.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Command;

use kiln_container::{ErrorKind, State};
use kiln_sandbox::{Door, Incoming};

use crate::world::{World, taken, until};

/// A program that makes a container in the world at its first argument, starts it, tells its id,
/// and waits for ever.
pub(crate) const VICTIM: Door = Door {
    name: "victim",
    run: victim,
};

fn victim(incoming: Incoming) -> i32 {
    let Incoming { mut socket, args } = incoming;
    let world = World::at(args[0].clone().into());
    let mut create = world.create("sleep 1000 & sleep 1000");
    create.name = Some("victim".into());
    create.remove = args[1] == "rm";
    let container = world.containers.create(&create).unwrap();
    let attached = container.start(Some(kiln_container::Attach::outputs()));
    writeln!(socket, "{}", container.id()).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(600));
    drop(attached);
    0
}

struct Victim(kiln_sandbox::Outgoing, String);

impl Victim {
    fn new(world: &World, how: &str) -> Self {
        let args = [world.folder.as_os_str().to_owned(), OsString::from(how)];
        let victim = kiln_sandbox::open(VICTIM.name, args).unwrap();
        let mut id = String::new();
        BufReader::new(&victim.socket).read_line(&mut id).unwrap();
        Self(victim, id.trim().to_owned())
    }

    fn kill(&mut self) {
        self.0.child.kill().unwrap();
        self.0.child.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.child.kill();
        let _ = self.0.child.wait();
    }
}

fn again(world: &World) -> World {
    World::at(world.folder.clone())
}

pub(crate) fn names() {
    let world = World::new("names");
    let mut create = world.create("true");
    create.name = Some("web".into());
    let first = world.containers.create(&create).unwrap();
    let error = world.containers.create(&create).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let expected = format!(
        "Conflict. The container name \"/web\" is already in use by container \"{}\".",
        first.id()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    create.name = None;
    let second = world.containers.create(&create).unwrap();
    assert!(second.name().contains('_'));
    let found = |text: &str| world.containers.get(text).map(|c| c.id().to_owned());
    for text in ["web", "/web", first.id(), &first.id()[..10]] {
        assert_eq!(found(text).unwrap(), first.id(), "{text}");
    }
    assert_eq!(found("").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        found("nothing").unwrap_err().to_string(),
        "No such container: nothing"
    );
    assert_eq!(world.containers.list().unwrap().len(), 2);
    world.containers.remove(&first, false, true).unwrap();
    create.name = Some("web".into());
    world.containers.create(&create).unwrap();
    for bad in ["a b", "", "-x", "a/b"] {
        create.name = Some(bad.into());
        assert!(world.containers.create(&create).is_err(), "{bad}");
    }
    // Of many who want a name at once one gets it.
    create.name = Some("wanted".into());
    let got = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| world.containers.create(&create).is_ok()))
            .collect();
        threads
            .into_iter()
            .filter_map(|t| t.join().ok())
            .filter(|got| *got)
            .count()
    });
    assert_eq!(got, 1);
}

pub(crate) fn removal() {
    let world = World::new("removal");
    let create = world.create("mkdir -p /a/b; echo x > /a/b/c");
    let container = world.containers.create(&create).unwrap();
    container.start(None).unwrap();
    container.wait().unwrap();
    let store = world.folder.join("store/containers");
    let upper = store.join(container.id()).join("root/layer/root/a/b/c");
    assert!(upper.exists(), "kept until it is removed");
    let refs = || {
        let store = kiln_store::Store::open(&world.folder.join("store")).unwrap();
        store.refs().list("container/").unwrap()
    };
    let keeps = &refs()[0].1.keeps;
    assert!(keeps.contains(&world.image.id) && keeps.contains(&world.image.layers[0]));
    let other = world.containers.create(&world.create("true")).unwrap();
    assert_eq!(
        world.containers.prune(&|_| true).unwrap(),
        [container.id()],
        "`other` is in use"
    );
    assert!(container.state().is_err(), "it is gone");
    drop(other);
    assert_eq!(world.containers.prune(&|_| true).unwrap().len(), 1);
    assert!(refs().is_empty());
    let left: Vec<_> = std::fs::read_dir(&store)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "the leases and the lock: {left:?}");
    assert_eq!(std::fs::read_dir(store.join("leases")).unwrap().count(), 0);
}

/// The process that looks after a container.
fn monitor_of(id: &str) -> Option<i32> {
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let entry = entry.unwrap();
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        (line.contains("monitor") && line.contains(id)).then_some(pid)
    })
}

fn kill_9(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn is_there(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

fn runs_as(container: &kiln_container::Container) -> u32 {
    match container.state().unwrap() {
        State::Running { pid, .. } => pid,
        state => panic!("it runs: {state:?}"),
    }
}

pub(crate) fn it_outlives_who_started_it() {
    let world = World::new("outlives");
    let mut victim = Victim::new(&world, "keep");
    let second = again(&world);
    let container = second.containers.get("victim").unwrap();
    let pid = runs_as(&container);
    victim.kill();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(runs_as(&container), pid);
    let error = second.containers.remove(&container, false, true);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("container is running"));
    let none = second.containers.prune(&|_| true).unwrap();
    assert!(none.is_empty(), "it runs");
    assert!(
        container.start(None).unwrap().is_none(),
        "as it does already"
    );
    assert_eq!(runs_as(&container), pid);
    second.containers.remove(&container, true, true).unwrap();
    assert!(!is_there(pid));
    assert!(second.containers.list().unwrap().is_empty());
    std::mem::forget(second);
}

pub(crate) fn told_truly_after_a_kill() {
    let world = World::new("killed");
    let _victim = Victim::new(&world, "keep");
    let second = again(&world);
    let container = second.containers.get("victim").unwrap();
    let pid = runs_as(&container);
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| container.wait().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(100));
        kill_9(monitor_of(container.id()).unwrap());
        waiting.join().unwrap()
    });
    assert_eq!(waiting, 137);
    assert!(matches!(
        container.state().unwrap(),
        State::Exited { code: 137, .. }
    ));
    until("its processes are gone", || !is_there(pid));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(container.id()), "{mounts}");
    assert_eq!(
        container.kill(None).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    container.start(None).unwrap();
    assert_ne!(runs_as(&container), pid, "started again");
    second.containers.remove(&container, true, true).unwrap();
    assert!(second.containers.list().unwrap().is_empty());
    std::mem::forget(second);
}

pub(crate) fn leftovers_are_swept() {
    let world = World::new("leftovers");
    let victim = Victim::new(&world, "rm");
    let folder = world.folder.join("store/containers");
    let id = victim.1.clone();
    let open = || {
        let second = again(&world);
        let listed = second.containers.list().unwrap().len();
        std::mem::forget(second);
        listed
    };
    assert_eq!(open(), 1, "a container that runs is left alone");
    kill_9(monitor_of(&id).unwrap());
    until("one that was to go by itself goes", || open() == 0);
    assert!(!folder.join(&id).exists());
    for half in ["new", "gone"] {
        let left = folder.join(format!("{half}-{id}"));
        std::fs::create_dir_all(left.join("root/work")).unwrap();
        assert_eq!(open(), 0);
        assert!(!left.exists(), "{half}");
    }
    let made = Command::new("ls")
        .arg(folder.join("leases"))
        .output()
        .unwrap();
    assert!(made.stdout.is_empty());
}

pub(crate) fn it_goes_with_its_end() {
    let world = World::new("goes");
    let mut create = world.create("exit 4");
    create.remove = true;
    let container = world.containers.create(&create).unwrap();
    let attached = container.start(Some(kiln_container::Attach::outputs()));
    let (_, _, end) = taken(attached.unwrap().unwrap(), None);
    assert_eq!(end, kiln_container::AttachEnd::Exited(4));
    let gone = container.state().unwrap_err();
    assert_eq!(
        gone.kind(),
        ErrorKind::NotFound,
        "before the caller hears of its end"
    );
}

pub(crate) fn renamed() {
    let world = World::new("renamed");
    let mut create = world.create("true");
    create.name = Some("one".into());
    let one = world.containers.create(&create).unwrap();
    create.name = Some("two".into());
    let two = world.containers.create(&create).unwrap();
    let taken = world.containers.rename(&one, "two").unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict, "{taken}");
    assert!(world.containers.rename(&one, "a b").is_err());
    assert!(world.containers.rename(&one, "one").is_err());
    world.containers.rename(&two, "three").unwrap();
    world.containers.rename(&one, "two").unwrap();
    assert_eq!(world.containers.get("two").unwrap().id(), one.id());
    assert_eq!(world.containers.get("three").unwrap().id(), two.id());
    assert!(world.containers.get("one").is_err());
}
