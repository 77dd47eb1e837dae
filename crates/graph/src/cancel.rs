//! Telling work to stop, at once: a flag for those who look, a call for those who wait. Refuses to
//! kill anything itself.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

type Hook = Box<dyn FnOnce() + Send>;
type Slot = Arc<Mutex<Option<Hook>>>;

/// A request to stop, shared by all clones.
#[derive(Clone, Default)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    canceled: AtomicBool,
    hooks: Mutex<Hooks>,
}

#[derive(Default)]
struct Hooks {
    next: u64,
    slots: BTreeMap<u64, Slot>,
}

impl Cancel {
    /// One that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop: sets the flag, then calls what was registered, here and now. Calling
    /// it again does nothing.
    pub fn cancel(&self) {
        self.inner.canceled.store(true, Ordering::SeqCst);
        let slots = std::mem::take(&mut lock(&self.inner.hooks).slots);
        for slot in slots.into_values() {
            run(&slot);
        }
    }

    /// Whether to stop.
    pub fn is_canceled(&self) -> bool {
        self.inner.canceled.load(Ordering::SeqCst)
    }

    /// Has `hook` called when the request comes, on the thread that makes it; at once if it came
    /// already. Dropping the guard takes it back: after that the hook neither runs nor is running,
    /// so what it would kill may be gone. A hook must not drop its own guard.
    #[must_use = "dropping the guard takes the hook back"]
    pub fn on_cancel(&self, hook: Box<dyn FnOnce() + Send>) -> Guard {
        let slot: Slot = Arc::new(Mutex::new(Some(hook)));
        let mut hooks = lock(&self.inner.hooks);
        let number = hooks.next;
        hooks.next += 1;
        hooks.slots.insert(number, Arc::clone(&slot));
        drop(hooks);
        // The flag is set before the hooks are taken: whoever was too late to be taken sees it here.
        if self.is_canceled() {
            run(&slot);
        }
        Guard {
            of: Arc::downgrade(&self.inner),
            number,
            slot,
        }
    }

    /// A request of its own that also comes when this one does, as long as the guard is kept.
    #[must_use = "without the guard, nothing connects the two"]
    pub fn child(&self) -> (Cancel, Guard) {
        let child = Cancel::new();
        let told = child.clone();
        let guard = self.on_cancel(Box::new(move || told.cancel()));
        (child, guard)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}

/// Keeps a hook registered with a [`Cancel`].
pub struct Guard {
    of: Weak<Inner>,
    number: u64,
    slot: Slot,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Waits for a hook that is being called.
        drop(lock(&self.slot).take());
        if let Some(of) = self.of.upgrade() {
            lock(&of.hooks).slots.remove(&self.number);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

fn run(slot: &Slot) {
    let mut held = lock(slot);
    if let Some(hook) = held.take() {
        hook();
    }
}

/// What is behind these locks is whole at every moment, even if a hook panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    fn counter() -> (Arc<AtomicU32>, impl Fn() -> Box<dyn FnOnce() + Send>) {
        let count = Arc::new(AtomicU32::new(0));
        let shared = Arc::clone(&count);
        let hook = move || -> Box<dyn FnOnce() + Send> {
            let count = Arc::clone(&shared);
            Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            })
        };
        (count, hook)
    }

    #[test]
    fn hooks_run_once_and_late_ones_at_once() {
        let (count, hook) = counter();
        let cancel = Cancel::new();
        let kept = cancel.on_cancel(hook());
        drop(cancel.on_cancel(hook()));
        cancel.cancel();
        cancel.cancel();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let late = cancel.on_cancel(hook());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        drop((kept, late));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_child_is_told_and_does_not_tell() {
        let parent = Cancel::new();
        let (one, guard) = parent.child();
        let (two, _kept) = parent.child();
        one.cancel();
        assert!(!parent.is_canceled());
        drop(guard);
        parent.cancel();
        assert!(two.is_canceled());
        assert!(parent.child().0.is_canceled());
    }
}
