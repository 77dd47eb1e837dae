//! A process that another program started, known in such a way that no other is taken for it.

use serde::{Deserialize, Serialize};

/// A process that runs: its id, and when it was born, because ids are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its id as this program sees it.
    pub pid: u32,
    /// The tick of its birth, counted from the machine's start (`starttime` of proc(5)). `None`
    /// where it is not known: then whatever has the id is taken for it.
    pub born: Option<u64>,
}

impl Peer {
    /// The process that has this id now.
    pub fn new(pid: u32) -> Self {
        let born = stat(pid).map(|stat| stat.born);
        Self { pid, born }
    }

    /// Whether it still runs. A process that has ended and was not yet waited for does not.
    pub fn is_running(&self) -> bool {
        stat(self.pid).is_some_and(|stat| {
            let same = self.born.is_none_or(|born| born == stat.born);
            same && !matches!(stat.state, 'Z' | 'X')
        })
    }

    /// Kills it and waits until it has ended, a few seconds at most. Nothing happens when it has ended
    /// already, or when nobody knows its birth: then another may have the id.
    #[cfg(target_os = "linux")]
    pub fn kill(&self) {
        crate::linux::kill_peer(self);
    }

    /// Nothing on this platform.
    #[cfg(not(target_os = "linux"))]
    pub fn kill(&self) {}
}

/// What is asked of `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) born: u64,
}

/// `None` where there is no such process, or no `/proc`.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    // Its name may be any bytes.
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    read(&String::from_utf8_lossy(&bytes))
}

fn read(text: &str) -> Option<Stat> {
    // The name stands in brackets and may hold some itself.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        // The 22nd of all fields, the third of which is the state.
        born: fields.nth(17)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = "7 (a) S (b) S 5 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 1234 99 100";
        let read = read(text).unwrap();
        assert_eq!((read.state, read.parent, read.born), ('S', 5, 1234));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_that_was_born_at_another_time_is_another() {
        let own = Peer::new(std::process::id());
        assert!(own.is_running());
        let born = own.born.map(|born| born + 1);
        assert!(!Peer { born, ..own }.is_running());
    }
}
