//! How often and how long to wait before trying again: exponential, with jitter, never sooner than the
//! other side asks. Refuses to go on for ever with one who sends a little each time.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    No,
    /// It will most likely fail again: a refused connection, an unknown name.
    Once,
    Soon,
    After(Duration),
}

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is waited for.
const ASKED_AT_MOST: Duration = Duration::from_secs(120);
/// How much has to come for the count to begin anew, in bytes.
const WORTH: u64 = 1 << 20;
/// How often anything is tried, however much came.
const AT_ALL: u32 = 100;

/// How much patience is left.
#[derive(Debug)]
pub(super) struct Patience {
    tries: u32,
    failed: u32,
    all: u32,
}

impl Patience {
    pub(super) fn new(tries: u32) -> Self {
        Self {
            tries: tries.max(1),
            failed: 0,
            all: 0,
        }
    }

    /// After a failure before which `came` bytes came: how long to wait, or `None` to give up.
    pub(super) fn after(&mut self, retry: Retry, came: u64) -> Option<Duration> {
        if came >= WORTH {
            self.failed = 0;
        }
        self.failed += 1;
        self.all += 1;
        let tries = match retry {
            Retry::No => 1,
            Retry::Once => self.tries.min(2),
            Retry::Soon | Retry::After(_) => self.tries,
        };
        if self.failed >= tries || self.all >= AT_ALL {
            return None;
        }
        let mine = backoff(self.failed);
        match retry {
            Retry::After(asked) if asked > ASKED_AT_MOST => None,
            Retry::After(asked) => Some(asked.max(mine)),
            _ => Some(mine),
        }
    }
}

/// 250 ms doubled each time, up to 10 s, of which a random half is taken off.
fn backoff(failed: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failed.saturating_sub(1).min(10));
    let full = doubled.min(LONGEST);
    let random = RandomState::new().hash_one(failed) % 512;
    full - full.mul_f64(random as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends() {
        let mut patience = Patience::new(3);
        assert!(patience.after(Retry::Soon, 0).is_some());
        assert!(patience.after(Retry::Soon, WORTH).is_some(), "much came");
        assert!(patience.after(Retry::Soon, 10).is_some());
        assert_eq!(patience.after(Retry::Soon, 10), None);
        assert_eq!(Patience::new(5).after(Retry::No, 0), None);
        let long = Retry::After(Duration::from_secs(86400));
        assert_eq!(Patience::new(5).after(long, 0), None);
        let mut patience = Patience::new(3);
        let many = (0..1000).take_while(|_| patience.after(Retry::Soon, WORTH).is_some());
        assert_eq!(many.count(), 99, "a little more each time");
    }
}
