//! Waiting for what another process does.

use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine.
const TOO_LONG: Duration = Duration::from_secs(60);

/// What `done` gives, as soon as it gives something.
///
/// # Panics
/// When nothing comes.
pub fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(start.elapsed() < TOO_LONG, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until something is so.
///
/// # Panics
/// When it never becomes so.
pub fn so(what: &str, mut is: impl FnMut() -> bool) {
    until(what, || is().then_some(()));
}
