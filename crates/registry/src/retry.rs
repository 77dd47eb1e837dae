//! How often and how long to wait before trying again: exponential, with jitter, and never sooner
//! than the other side asks.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use crate::failure::{Failure, Retry};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is waited for.
const ASKED_AT_MOST: Duration = Duration::from_secs(120);

/// How much patience is left.
#[derive(Debug)]
pub(crate) struct Patience {
    tries: u32,
    failed: u32,
}

impl Patience {
    /// At most `tries` tries (at least one).
    pub(crate) fn new(tries: u32) -> Self {
        Self { tries, failed: 0 }
    }

    /// After a failure: how long to wait before the next try; `None` when it is not worth one.
    pub(crate) fn after(&mut self, failure: &Failure) -> Option<Duration> {
        self.failed += 1;
        let tries = match failure.retry {
            Retry::No => 1,
            Retry::Once => self.tries.min(2),
            Retry::Soon | Retry::After(_) => self.tries,
        };
        if self.failed >= tries {
            return None;
        }
        let mine = backoff(self.failed);
        match failure.retry {
            Retry::After(asked) if asked > ASKED_AT_MOST => None,
            Retry::After(asked) if asked.is_zero() => Some(asked),
            Retry::After(asked) => Some(asked.max(mine)),
            _ => Some(mine),
        }
    }

    /// Something moved: the count begins anew.
    pub(crate) fn refresh(&mut self) {
        self.failed = 0;
    }

    /// How many tries have failed.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }
}

/// 250 ms doubled each time, up to 10 s, of which a random half is taken off.
fn backoff(failed: u32) -> Duration {
    let full = FIRST
        .saturating_mul(1 << failed.saturating_sub(1).min(10))
        .min(LONGEST);
    // `RandomState` has fresh random keys each time: enough to spread clients out.
    let random = RandomState::new().hash_one(failed) % 512;
    full - full.mul_f64(random as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use kiln_image::ErrorKind;

    use super::*;

    fn failure(retry: Retry) -> Failure {
        Failure::new(ErrorKind::Unreachable, "x").retry(retry)
    }

    #[test]
    fn waits_longer_each_time_and_gives_up() {
        let mut patience = Patience::new(4);
        let mut before = Duration::ZERO;
        for _ in 0..3 {
            let wait = patience.after(&failure(Retry::Soon)).unwrap();
            assert!(wait >= before / 2 && wait > Duration::from_millis(100));
            before = wait;
        }
        assert_eq!(patience.after(&failure(Retry::Soon)), None);
    }

    #[test]
    fn asks_again_when_told_and_only_when_it_helps() {
        let ask = |retry| Patience::new(5).after(&failure(retry));
        assert_eq!(ask(Retry::No), None);
        assert!(ask(Retry::Once).is_some());
        assert_eq!(
            ask(Retry::After(Duration::ZERO)),
            Some(Duration::ZERO),
            "told to come at once"
        );
        assert_eq!(
            ask(Retry::After(Duration::from_secs(30))),
            Some(Duration::from_secs(30))
        );
        assert_eq!(ask(Retry::After(Duration::from_secs(86400))), None);
        let mut patience = Patience::new(5);
        patience.after(&failure(Retry::Once));
        assert_eq!(patience.after(&failure(Retry::Once)), None);
    }
}
