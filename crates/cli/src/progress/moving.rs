//! Blobs on their way between here and registries, in words: each once it is there, and one that takes
//! long every few seconds.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use kiln_build::{
    Sent,
    image::{Descriptor, Digest, Reference, Taken},
};

use crate::units;

/// How long it is quiet about a blob.
const QUIET: Duration = Duration::from_secs(5);

/// When each blob that moves was told of last.
#[derive(Default)]
pub(super) struct Moving(HashMap<Digest, Instant>);

impl Moving {
    /// What to say of a blob now, where anything is to be said.
    pub(super) fn so_far(&mut self, blob: &Descriptor, bytes: u64) -> Option<String> {
        let now = Instant::now();
        let last = self.0.entry(blob.digest).or_insert(now);
        if now.duration_since(*last) < QUIET {
            return None;
        }
        *last = now;
        Some(format!("{} {}", blob.digest, part(blob, bytes)))
    }

    /// What to say of a layer on its way to a registry.
    pub(super) fn pushing(
        &mut self,
        to: &Reference,
        blob: &Descriptor,
        how: Sent,
    ) -> Option<String> {
        let what = match how {
            Sent::Bytes(bytes) => self.so_far(blob, bytes)?,
            Sent::Done(how) => {
                self.0.remove(&blob.digest);
                let size = units::size(blob.size, 3);
                format!("{} {size} {}", blob.digest, word(how))
            }
        };
        Some(format!("push to {}: {what}", to.familiar_repository()))
    }
}

/// How much of a blob is there.
pub(super) fn part(blob: &Descriptor, bytes: u64) -> String {
    let (done, all) = (units::size(bytes, 3), units::size(blob.size, 3));
    format!("{done} / {all}")
}

/// How a layer came to be in a registry.
pub(super) fn word(how: Taken) -> &'static str {
    match how {
        Taken::Copied => "pushed",
        Taken::Existed => "is there already",
        Taken::Mounted => "taken from another repository there",
    }
}
