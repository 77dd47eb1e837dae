//! What is fetched before there are steps: since when, and how much of it is here.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use kiln_build::Fetching;

use crate::units;

/// How long nothing is said of a fetch that goes on, where each time is a line.
const QUIET: Duration = Duration::from_secs(2);

/// What is being fetched, by what it is called.
#[derive(Default)]
pub(super) struct Fetches(HashMap<String, Fetch>);

struct Fetch {
    since: Instant,
    told: Instant,
    done: u64,
}

impl Fetches {
    /// The line that a log has for it, if any.
    pub(super) fn line(&mut self, what: &str, state: Fetching) -> Option<String> {
        let now = Instant::now();
        let fetch = self.0.entry(what.to_owned()).or_insert(Fetch {
            since: now,
            told: now,
            done: 0,
        });
        let word = match state {
            Fetching::Started => return Some(what.to_owned()),
            Fetching::Bytes { done, total } => {
                fetch.done = done;
                if done == 0 || fetch.told.elapsed() < QUIET {
                    return None;
                }
                fetch.told = now;
                return Some(format!("{what} {}", amount(done, total)));
            }
            Fetching::Done => "DONE",
            Fetching::Failed => "ERROR",
            Fetching::Canceled => "CANCELED",
        };
        let took = fetch.since.elapsed().as_secs_f64();
        let size = match fetch.done {
            0 => String::new(),
            done => format!(", {}", units::size(done, 3)),
        };
        self.0.remove(what);
        Some(format!("{what} {word} {took:.1}s{size}"))
    }
}

/// `1.5MB / 3MB`
pub(super) fn amount(done: u64, total: Option<u64>) -> String {
    let done = units::size(done, 3);
    match total {
        Some(total) => format!("{done} / {}", units::size(total, 3)),
        None => done,
    }
}
