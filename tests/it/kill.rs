//! SIGKILL at any moment of a build, a pull, a load: the same command goes on from there, and
//! nothing half-done is taken for done.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use kiln_tests::{
    base::{busybox_root, pack},
    kiln::{Kiln, Said, said, write},
    registry::Registry,
};

const MARK: &str = "KILN_KILL_TEST";

/// A store that is copied for each round, and a command that is killed in it.
struct Rounds {
    kiln: Kiln,
    template: PathBuf,
    mark: String,
    /// The command, and the name of the image that it gives.
    args: Vec<String>,
    image: String,
    done: u32,
}

impl Rounds {
    fn new(name: &str) -> Self {
        let kiln = Kiln::new();
        Self {
            template: kiln.scratch().join("template"),
            mark: format!("{name}-{}", std::process::id()),
            args: Vec::new(),
            image: "app".to_owned(),
            done: 0,
            kiln,
        }
    }

    fn command(&self, store: &Path, args: &[String]) -> Command {
        let mut command = self.kiln.command(args);
        command.env("KILN_ROOT", store).env(MARK, &self.mark);
        command.env("SOURCE_DATE_EPOCH", "1600000000");
        command
    }

    fn say(&self, store: &Path, args: &[&str]) -> Said {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        said(&mut self.command(store, &args))
    }

    /// A fresh copy of the store.
    fn store(&mut self) -> PathBuf {
        self.done += 1;
        let store = self.kiln.scratch().join(format!("store{}", self.done));
        if self.template.exists() {
            let copied = Command::new("cp")
                .arg("-a")
                .arg(&self.template)
                .arg(&store)
                .status();
            assert!(copied.unwrap().success());
        }
        store
    }

    fn start(&self, store: &Path) -> Child {
        let mut command = self.command(store, &self.args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// The median length of a command that nobody disturbs, and the image id that it gives.
    fn undisturbed(&mut self) -> (Duration, String) {
        let mut lengths = Vec::new();
        let mut id = String::new();
        for _ in 0..3 {
            let store = self.store();
            let started = Instant::now();
            let done = said(&mut self.command(&store, &self.args));
            lengths.push(started.elapsed());
            assert_eq!(done.code, 0, "{}", done.err);
            let now = self.id(&store);
            assert!(id.is_empty() || id == now);
            id = now;
            fs::remove_dir_all(store).unwrap();
        }
        lengths.sort();
        (lengths[1], id)
    }

    fn id(&self, store: &Path) -> String {
        let told = self.say(store, &["inspect", "-f", "{{.Id}}", &self.image]);
        assert_eq!(told.code, 0, "{}", told.err);
        told.out.trim().to_owned()
    }

    /// After a kill: the store is whole, the command goes on, and nothing of the killed one is left.
    fn recovers(&self, store: &Path, id: &str, when: &str) {
        let check = self.say(store, &["system", "check"]);
        assert_eq!(check.code, 0, "killed {when}: {}{}", check.out, check.err);
        let again = said(&mut self.command(store, &self.args));
        assert_eq!(again.code, 0, "killed {when}: {}", again.err);
        assert_eq!(self.id(store), id, "killed {when}");
        self.nothing_left(store, when);
        let check = self.say(store, &["system", "check"]);
        assert_eq!(check.code, 0, "killed {when}: {}{}", check.out, check.err);
        fs::remove_dir_all(store).unwrap();
    }

    fn nothing_left(&self, store: &Path, when: &str) {
        for folder in ["tmp", "leases", "unsynced"] {
            let left = names(&store.join(folder));
            assert!(left.is_empty(), "killed {when}: {left:?} in `{folder}`");
        }
        let mut locks = names(&store.join("locks"));
        locks.retain(|n| n != "collect" && n != "boot");
        assert!(locks.is_empty(), "killed {when}: {locks:?} in `locks`");
        let processes = processes(&self.mark);
        assert!(processes.is_empty(), "killed {when}: {processes:?}");
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let store = store.to_str().unwrap();
        assert!(!mounts.contains(store), "killed {when}: {mounts}");
    }

    /// Kills at `count` moments spread over the length of an undisturbed command.
    fn kill_throughout(&mut self, count: u32) {
        // Lengths mean something only while the others here do not compete.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (length, id) = self.undisturbed();
        let mut in_time = 0;
        for n in 0..count {
            let store = self.store();
            let mut child = self.start(&store);
            thread::sleep(length * n / count);
            child.kill().unwrap();
            in_time += u32::from(child.wait().unwrap().code().is_none());
            self.recovers(&store, &id, &format!("at {n}/{count} of {length:?}"));
        }
        assert!(in_time * 4 > count, "only {in_time} of {count} were killed");
    }

    /// Kills as soon as `seen` says so of the store, until `proof` says of what the killed one left
    /// that it was the right moment.
    fn kill_when(
        &mut self,
        id: &str,
        when: &str,
        seen: &dyn Fn(&Path) -> bool,
        proof: &dyn Fn(&Path) -> bool,
    ) {
        for _ in 0..40 {
            let store = self.store();
            let mut child = self.start(&store);
            while child.try_wait().unwrap().is_none() && !seen(&store) {}
            child.kill().unwrap();
            let killed = child.wait().unwrap().code().is_none();
            let hit = killed && proof(&store);
            self.recovers(&store, id, when);
            if hit {
                return;
            }
        }
        panic!("never seen: {when}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .collect()
}

/// The processes that have the mark in their environment.
fn processes(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}");
    let has = |pid: &String| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|b| *b == 0).any(|v| v == wanted.as_bytes())
    };
    names(Path::new("/proc"))
        .into_iter()
        .filter(|n| n.parse::<u32>().is_ok())
        .filter(has)
        .map(|pid| {
            let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            format!("{pid}: {}", String::from_utf8_lossy(&cmdline))
        })
        .collect()
}

/// Below the temporary folders of all who work in the store: the folders of RUNs.
fn steps(store: &Path) -> Vec<PathBuf> {
    let tmp = store.join("tmp");
    let owners = names(&tmp).into_iter().map(|o| tmp.join(o));
    owners
        .flat_map(|o| names(&o).into_iter().map(move |n| o.join(n)))
        .filter(|p| p.join("layer").is_dir())
        .collect()
}

/// A base with some hundred files beside busybox, imported into the store that is copied.
fn import_base(rounds: &Rounds) {
    let root = rounds.kiln.scratch().join("base");
    busybox_root(&root);
    for n in 0..400 {
        write(
            &root.join(format!("usr/share/d{}/f{n}", n % 20)),
            &"base".repeat(n),
        );
    }
    let tar = rounds.kiln.scratch().join("base.tar");
    pack(&root, &tar).unwrap();
    let done = rounds.say(&rounds.template, &["import", tar.to_str().unwrap(), "base"]);
    assert_eq!(done.code, 0, "{}", done.err);
}

fn builds(name: &str) -> Rounds {
    let mut rounds = Rounds::new(name);
    import_base(&rounds);
    let text = format!(
        "FROM base AS one\nENV {MARK}={}\nRUN mkdir /made && head -c 1000000 /dev/zero > /made/zeros \
         && touch /made/last\nFROM base\nENV {MARK}={}\nWORKDIR /app\nCOPY . .\nRUN touch /running \
         && cp -r /app /copy && rm -r /usr/share/d1 && sleep 0.05\nCOPY --from=one /made /made\n\
         RUN rm /running && echo end > /end\n",
        rounds.mark, rounds.mark
    );
    let context = rounds.kiln.scratch().join("context");
    write(&context.join("Dockerfile"), &text);
    for n in 0..300 {
        write(
            &context.join(format!("d{}/f{n}", n % 10)),
            &"x".repeat(n * 7),
        );
    }
    rounds.args = ["build", "-q", "-t", "app", context.to_str().unwrap()]
        .map(str::to_owned)
        .to_vec();
    rounds
}

#[test]
fn a_build_that_is_killed_at_any_moment_goes_on() {
    builds("build").kill_throughout(20);
}

#[test]
fn a_build_that_is_killed_in_any_phase_goes_on() {
    let mut rounds = builds("phases");
    let (_, id) = rounds.undisturbed();
    let id = id.as_str();

    // The base: it alone has such a folder. Smaller layers may be in place already.
    let unpacking = |store: &Path| {
        let base = |folder: &Path| folder.join("root/usr/share").is_dir();
        let done = store.join("unpacked");
        !names(&done).iter().any(|n| base(&done.join(n))) && unpacked(store).iter().any(|l| base(l))
    };
    rounds.kill_when(id, "while unpacking", &unpacking, &unpacking);

    let running = |store: &Path| {
        let mut uppers = steps(store).into_iter().map(|s| s.join("layer/root"));
        uppers.any(|u| u.join("running").exists())
    };
    let mark = rounds.mark.clone();
    let in_run = |store: &Path| running(store) && !processes(&mark).is_empty();
    rounds.kill_when(id, "in a RUN", &in_run, &running);

    // What a RUN made is all there, its processes are gone, and the layer is not in place yet.
    let packing = |store: &Path| {
        let mut uppers = steps(store)
            .into_iter()
            .map(|s| s.join("layer/root/made/last"));
        uppers.any(|last| last.exists())
    };
    let packing_alone = |store: &Path| packing(store) && processes(&mark).len() <= 1;
    rounds.kill_when(id, "while packing", &packing_alone, &packing);

    // The image is recorded, and the name that stands for *done* is not set.
    let images = |store: &Path| names(&store.join("refs/image"));
    let before = images(&rounds.template).len();
    let hex = id.trim_start_matches("sha256:").to_owned();
    let sealing = |store: &Path| {
        let now = images(store);
        now.len() == before + 1 && now.iter().any(|n| n.contains(&hex))
    };
    rounds.kill_when(id, "while sealing", &sealing, &sealing);
}

/// The folders in which layers are unpacked: `layer`, directly in a temporary folder.
fn unpacked(store: &Path) -> Vec<PathBuf> {
    let tmp = store.join("tmp");
    let owners = names(&tmp).into_iter().map(|o| tmp.join(o).join("layer"));
    owners.filter(|l| l.is_dir()).collect()
}

/// An image of some layers, built in a store of its own.
fn image(rounds: &Rounds) {
    import_base(rounds);
    let context = rounds.kiln.scratch().join("context");
    let text = "FROM base\nCOPY d0 /d0\nCOPY d1 /d1\nRUN echo run > /run && rm -r /usr/share/d3\n";
    write(&context.join("Dockerfile"), text);
    for n in 0..200 {
        write(
            &context.join(format!("d{}/f{n}", n % 2)),
            &"x".repeat(n * 70),
        );
    }
    let path = context.to_str().unwrap();
    let done = rounds.say(&rounds.template, &["build", "-q", "-t", "app", path]);
    assert_eq!(done.code, 0, "{}", done.err);
}

#[test]
fn a_load_that_is_killed_at_any_moment_goes_on() {
    let mut rounds = Rounds::new("load");
    image(&rounds);
    let tar = rounds.kiln.scratch().join("app.tar");
    let done = rounds.say(
        &rounds.template,
        &["save", "-o", tar.to_str().unwrap(), "app"],
    );
    assert_eq!(done.code, 0, "{}", done.err);
    rounds.template = rounds.kiln.scratch().join("empty");
    rounds.args = ["load", "-q", "-i", tar.to_str().unwrap()]
        .map(str::to_owned)
        .to_vec();
    rounds.kill_throughout(8);
}

#[test]
fn a_pull_that_is_killed_at_any_moment_goes_on() {
    let registry = Registry::start();
    let mut rounds = Rounds::new("pull");
    image(&rounds);
    let name = format!("{}/app", registry.address());
    for args in [
        &["tag", "app", name.as_str()][..],
        &["push", name.as_str()][..],
    ] {
        let done = rounds.say(&rounds.template, args);
        assert_eq!(done.code, 0, "{}", done.err);
    }
    rounds.template = rounds.kiln.scratch().join("empty");
    rounds.args = ["pull", "-q", name.as_str()].map(str::to_owned).to_vec();
    rounds.image = name;
    rounds.kill_throughout(8);
}
