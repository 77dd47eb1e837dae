//! Work on several things at the same time, bounded by the cores.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::Error;

/// The most threads for one piece of work, as for packing.
pub(crate) const MOST: usize = 8;

/// Does `work` for each of `items` on as many threads as there are cores; a single one stays on this
/// thread. What it gives is in the order of the items.
///
/// # Errors
///
/// Of several errors, that of the first item: all before one that fails are carried out.
pub(crate) fn each<'a, I: Sync, T: Send>(
    items: &'a [I],
    work: impl Fn(&'a I) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(MOST).min(items.len());
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let run = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return;
            };
            let result = work(item);
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            let helper = thread::Builder::new().name("rootfs".to_owned());
            // Fewer do as well.
            drop(helper.spawn_scoped(scope, run));
        }
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn all_in_order() {
        for count in [0_usize, 1, 2, 100] {
            let items: Vec<usize> = (0..count).collect();
            let doubled = each(&items, |n| Ok(n * 2)).unwrap();
            assert!(doubled.into_iter().eq((0..count).map(|n| n * 2)), "{count}");
        }
    }

    #[test]
    fn the_first_error_in_order() {
        let items: Vec<u64> = (0..100).collect();
        for _ in 0..20 {
            let result: Result<Vec<()>, Error> = each(&items, |n| {
                if *n >= 3 && n % 3 == 0 {
                    // The first takes longest.
                    thread::sleep(std::time::Duration::from_millis(12 / n));
                    return Err(Error::new(ErrorKind::Io, n.to_string()));
                }
                Ok(())
            });
            assert_eq!(result.unwrap_err().to_string(), "3");
        }
    }
}
