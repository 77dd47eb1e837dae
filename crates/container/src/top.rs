//! The processes of a container, as the machine sees them: what `top` shows.

use crate::Error;
use crate::containers::Container;

/// One process, with the columns of `ps -ef` and `ps aux`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Whose it is, on the machine.
    pub uid: u32,
    /// Its id on the machine.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// How much of one processor it took since it started, in percent.
    pub cpu: u64,
    /// When it started, in seconds since 1970.
    pub start: u64,
    /// Its terminal; `?` where it has none.
    pub tty: String,
    /// How long processors worked for it, in seconds.
    pub time: u64,
    /// What it does, in the letters of `ps`: `Ss+`.
    pub state: String,
    /// Its memory as it sees it, in KiB.
    pub virtual_memory: u64,
    /// Its memory that is there, in KiB.
    pub resident: u64,
    /// How much of the machine's memory that is, in tenths of a percent.
    pub share: u64,
    /// Program and arguments; the program's name in brackets where those are not known.
    pub cmd: String,
}

impl Container {
    /// What runs in it, in the order of the ids.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when it does not run.
    pub fn top(&self) -> Result<Vec<Process>, Error> {
        let peer = self.running_peer()?;
        Ok(inside(peer.pid))
    }
}

#[cfg(target_os = "linux")]
use linux::inside;

/// Nothing runs on this platform.
#[cfg(not(target_os = "linux"))]
fn inside(_: u32) -> Vec<Process> {
    Vec::new()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::Process;

    /// The kernel's ticks in a second, as it counts towards programs on all its architectures but
    /// two forgotten ones (`USER_HZ`).
    const TICKS: u64 = 100;

    /// All processes in the pid namespace of `pid`, which is its first.
    ///
    /// An init does not show its namespace to everybody, but what it and its children started does;
    /// what was started beside them shows it by itself.
    pub(super) fn inside(pid: u32) -> Vec<Process> {
        let clock = Clock::now();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        // One that ended meanwhile is left out.
        let all: BTreeMap<u32, Process> = pids
            .filter_map(|pid| Some((pid, process(pid, &clock)?)))
            .collect();
        // Read one after another, so what they say of each other may be of different moments: no
        // line of parents is longer than all of them.
        let family = |of: u32| {
            let parent = |of: &u32| all.get(of).map(|process| process.ppid);
            let line = std::iter::successors(Some(of), parent);
            line.take(all.len()).any(|one| one == pid)
        };
        let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let born_inside: BTreeSet<u32> = all.keys().copied().filter(|pid| family(*pid)).collect();
        let theirs = born_inside.iter().find_map(|pid| namespace(*pid));
        let entered = |pid: u32| theirs.is_some() && namespace(pid) == theirs;
        all.into_iter()
            .filter(|(pid, _)| born_inside.contains(pid) || entered(*pid))
            .map(|(_, process)| process)
            .collect()
    }

    struct Clock {
        /// When the machine started, in seconds since 1970.
        boot: u64,
        now: u64,
        /// The machine's memory in KiB.
        memory: u64,
    }

    impl Clock {
        fn now() -> Self {
            let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
            let boot = stat.lines().find_map(|line| line.strip_prefix("btime "));
            Self {
                boot: boot.and_then(|text| text.trim().parse().ok()).unwrap_or(0),
                now: crate::time::now() / 1_000_000_000,
                memory: kib("/proc/meminfo", "MemTotal:"),
            }
        }
    }

    /// A number of KiB in a file of lines such as `VmRSS: 5 kB`; 0 where there is none.
    fn kib(file: &str, name: &str) -> u64 {
        let text = fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_ascii_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// The letters of `ps` (its page's "process state codes") for the fields behind the name.
    fn state(pid: u32, fields: &[&str]) -> Option<String> {
        let field = |number: usize| fields.get(number - 3).copied();
        let number = |at: usize| field(at)?.parse::<i64>().ok();
        let mut letters = field(3)?.to_owned();
        match number(19)? {
            nice if nice < 0 => letters.push('<'),
            0 => {}
            _ => letters.push('N'),
        }
        if number(6)? == i64::from(pid) {
            letters.push('s');
        }
        if number(20)? > 1 {
            letters.push('l');
        }
        if number(8)? == number(5)? {
            letters.push('+');
        }
        Some(letters)
    }

    fn process(pid: u32, clock: &Clock) -> Option<Process> {
        let folder = format!("/proc/{pid}");
        let stat = String::from_utf8_lossy(&fs::read(format!("{folder}/stat")).ok()?).into_owned();
        let line = fs::read(format!("{folder}/cmdline")).unwrap_or_default();
        let uid = fs::metadata(&folder).ok()?.uid();
        let resident = kib(&format!("{folder}/status"), "VmRSS:");
        let process = read(pid, uid, &stat, &line, clock)?;
        Some(Process {
            resident,
            share: resident * 1000 / clock.memory.max(1),
            ..process
        })
    }

    /// From `/proc/PID/stat` and `/proc/PID/cmdline` (proc(5)); they do not tell what memory is
    /// there.
    fn read(pid: u32, uid: u32, stat: &str, line: &[u8], clock: &Clock) -> Option<Process> {
        // The name stands in brackets and may hold some itself.
        let (head, rest) = stat.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The first of these is the third of all, the state.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let time = (field(14)? + field(15)?) / TICKS;
        let start = clock.boot + field(22)? / TICKS;
        let age = clock.now.saturating_sub(start).max(1);
        let words: Vec<_> = line
            .split(|b| *b == 0)
            .filter(|word| !word.is_empty())
            .collect();
        let cmd = match words.is_empty() {
            true => format!("[{name}]"),
            false => String::from_utf8_lossy(&words.join(&b' ')).into_owned(),
        };
        Some(Process {
            uid,
            pid,
            ppid: u32::try_from(field(4)?).ok()?,
            cpu: (time * 100 / age).min(99),
            start,
            tty: terminal(fields.get(4)?.parse().ok()?),
            time,
            state: state(pid, &fields)?,
            virtual_memory: field(23)? / 1024,
            resident: 0,
            share: 0,
            cmd,
        })
    }

    /// The name of a terminal by its device number, which the kernel packs in its own way.
    fn terminal(device: i64) -> String {
        let (major, minor) = (
            (device >> 8) & 0xfff,
            (device & 0xff) | ((device >> 12) & 0xfff00),
        );
        match major {
            136..=143 => format!("pts/{}", minor + (major - 136) * 256),
            4 => format!("tty{minor}"),
            _ => "?".to_owned(),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_line_of_proc() {
            let stat = "7 (a) b) S 1 7 7 34817 7 4194304 1 0 0 0 150 50 0 0 20 0 1 0 1000 2048 0";
            let clock = Clock {
                boot: 100,
                now: 120,
                memory: 1000,
            };
            let got = read(7, 5, stat, b"sleep\x0010\0", &clock).unwrap();
            let expected = Process {
                uid: 5,
                pid: 7,
                ppid: 1,
                cpu: 20,
                start: 110,
                tty: "pts/1".to_owned(),
                time: 2,
                state: "Ss+".to_owned(),
                virtual_memory: 2,
                resident: 0,
                share: 0,
                cmd: "sleep 10".to_owned(),
            };
            assert_eq!(got, expected);
            assert_eq!(read(7, 5, stat, b"", &clock).unwrap().cmd, "[a) b]");
            assert_eq!(read(7, 5, "nonsense", b"", &clock), None);
            assert_eq!(terminal(0), "?");
            let several = "R 1 9 9 0 -1 0 0 0 0 0 0 0 0 0 20 5 3 0 0 0";
            let several: Vec<&str> = several.split(' ').collect();
            assert_eq!(state(7, &several).as_deref(), Some("RNl"));
        }

        #[test]
        fn this_process_is_found() {
            let own = std::process::id();
            let all = inside(own);
            let found = all.iter().find(|process| process.pid == own).unwrap();
            assert!(found.resident > 0 && found.virtual_memory >= found.resident);
        }
    }
}
