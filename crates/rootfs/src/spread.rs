//! Work that finds more work on the way, done by all cores: a directory, for one.

use std::num::NonZero;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use crate::Error;
use crate::cores::MOST;

/// How much of a [`spread`] is done by one thread before others are worth their start.
const ALONE: usize = 64;

/// Does `work` for each of `first`, and for each more that it finds on the way, on as many threads as
/// there are cores where there is much. What it gives is in no order.
///
/// # Errors
///
/// One of those that `work` gave.
pub(crate) fn spread<T: Send, R: Send>(
    first: Vec<T>,
    work: impl Fn(T, &mut Vec<T>) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let mut todo = first;
    todo.reverse();
    let mut done = Vec::new();
    let mut more = Vec::new();
    while done.len() < ALONE
        && let Some(next) = todo.pop()
    {
        done.push(work(next, &mut more)?);
        todo.extend(more.drain(..).rev());
    }
    if todo.is_empty() {
        return Ok(done);
    }
    let shared = Shared {
        state: Mutex::new(State {
            todo,
            at_work: 0,
            end: None,
        }),
        changed: Condvar::new(),
    };
    let run = || {
        let mut own = Vec::new();
        let mut more = Vec::new();
        while let Some((next, at_work)) = shared.next() {
            let result = work(next, &mut more);
            at_work.finish(result.map(|result| own.push(result)), &mut more);
        }
        own
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let start = |_| {
            let helper = thread::Builder::new().name("rootfs".to_owned());
            helper.spawn_scoped(scope, run).ok()
        };
        let helpers: Vec<_> = (1..cores.min(MOST)).filter_map(start).collect();
        done.extend(run());
        for helper in helpers {
            match helper.join() {
                Ok(own) => done.extend(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let state = shared.state.into_inner();
    match state.unwrap_or_else(PoisonError::into_inner).end {
        Some(Err(e)) => Err(e),
        _ => Ok(done),
    }
}

/// What the threads of a [`spread`] have in common.
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    todo: Vec<T>,
    at_work: usize,
    /// Set when nobody is to begin anything more.
    end: Option<Result<(), Error>>,
}

impl<T> Shared<T> {
    /// What to do next, once there is something; `None` at the end.
    fn next(&self) -> Option<(T, AtWork<'_, T>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.end.is_some() {
                return None;
            }
            if let Some(next) = state.todo.pop() {
                state.at_work += 1;
                return Some((next, AtWork(self)));
            }
            if state.at_work == 0 {
                return None;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// One thread's share of the work; others learn of its end, be it by a panic.
struct AtWork<'a, T>(&'a Shared<T>);

impl<T> AtWork<'_, T> {
    fn finish(self, result: Result<(), Error>, more: &mut Vec<T>) {
        let state = self.0.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.todo.extend(more.drain(..).rev());
        if result.is_err() {
            state.end = Some(result);
        }
    }
}

impl<T> Drop for AtWork<'_, T> {
    fn drop(&mut self) {
        let state = self.0.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.at_work -= 1;
        if thread::panicking() {
            state.end.get_or_insert(Ok(()));
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// A tree of numbers: each finds those that are it and one digit more.
    fn numbers(n: u32, most: u32, more: &mut Vec<u32>) {
        more.extend((0..10).map(|d| n * 10 + d).filter(|n| *n < most));
    }

    #[test]
    fn all_that_is_found_on_the_way() {
        for most in [1, 5, 50, 5000] {
            let work = |n: u32, more: &mut Vec<u32>| {
                numbers(n, most, more);
                Ok(n)
            };
            let mut all = spread((1..10).filter(|n| *n < most).collect(), work).unwrap();
            all.sort_unstable();
            assert!(all.into_iter().eq(1..most), "{most}");
        }
    }

    #[test]
    fn an_error_or_a_panic_ends_it() {
        for bad in [1, 4321, 9999] {
            let work = |n: u32, more: &mut Vec<u32>| {
                numbers(n, 10_000, more);
                match n == bad {
                    true => Err(Error::new(ErrorKind::Io, n.to_string())),
                    false => Ok(()),
                }
            };
            let error = spread((1..10).collect(), work).unwrap_err();
            assert_eq!(error.to_string(), bad.to_string());
            let panics = std::panic::catch_unwind(|| {
                spread((1..10).collect(), |n: u32, more: &mut Vec<u32>| {
                    numbers(n, 10_000, more);
                    assert!(n != bad, "a panic that is expected");
                    Ok(())
                })
            });
            assert!(panics.is_err());
        }
    }
}
