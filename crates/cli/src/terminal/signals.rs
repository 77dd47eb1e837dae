//! Signals that this program gets and passes on.

use std::{
    thread,
    time::{Duration, Instant},
};

use signal_hook::{consts, iterator::Signals};

use crate::{failure::Failure, host};

/// Requests that come this soon after another belong together: a terminal and a supervisor often
/// both send one, and then it is one.
const SAME: Duration = Duration::from_millis(400);
/// Requests that are further apart have nothing to do with each other.
const APART: Duration = Duration::from_secs(4);
/// So many requests to end in a row mean it.
const ENOUGH: u32 = 3;

const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Counts requests to end that follow each other.
#[derive(Default)]
struct Requests(Option<(u32, Instant)>);

impl Requests {
    /// Whether this is one too many.
    fn enough(&mut self, now: Instant) -> bool {
        let (count, at) = match self.0 {
            Some((count, at)) if now - at < SAME => (count, at),
            Some((count, at)) if now - at < APART => (count + 1, now),
            _ => (1, now),
        };
        self.0 = Some((count, at));
        count >= ENOUGH
    }
}

/// Calls `signal` with the number of each signal that this program gets, instead of ending by it. A
/// process that is the first of its namespace ignores what it has no handler for: whoever asks it to
/// end three times in a row gets it killed.
pub(crate) fn pass_signals(signal: impl Fn(i32) + Send + 'static) -> Result<(), Failure> {
    let all = [
        consts::SIGHUP,
        consts::SIGINT,
        consts::SIGQUIT,
        consts::SIGTERM,
        consts::SIGUSR1,
        consts::SIGUSR2,
        consts::SIGALRM,
        consts::SIGCONT,
    ];
    let mut signals = Signals::new(all).map_err(|e| Failure::new("handle signals").because(&e))?;
    let mut requests = Requests::default();
    let pass = move || {
        for number in signals.forever() {
            let ends = matches!(number, SIGINT | SIGTERM);
            if ends && requests.enough(Instant::now()) {
                host::say("asked three times to end: killed");
                signal(SIGKILL);
            } else {
                signal(number);
            }
        }
    };
    let thread = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(pass);
    thread
        .map(drop)
        .map_err(|e| Failure::new("handle signals").because(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_are_enough() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        for (times, enough) in [
            (&[0, 500, 1000][..], true),
            // One request, sent by two.
            (&[0, 10, 20, 30], false),
            (&[0, 10, 500, 510, 1000], true),
            // An hour of Ctrl-C in an interpreter.
            (&[0, 500, 60_000, 60_500, 120_000], false),
        ] {
            let mut requests = Requests::default();
            let last = times.iter().fold(false, |_, t| requests.enough(at(*t)));
            assert_eq!(last, enough, "{times:?}");
        }
    }
}
