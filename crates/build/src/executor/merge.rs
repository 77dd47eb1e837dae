//! `COPY --link`: the layer of a root put on top of another. Refuses to look into either: what is
//! beneath may not even be here.

use std::sync::Arc;

use crate::executor::output::{Output, Slots};

/// The root beneath with what the last instruction of `upper` gave.
pub(super) fn merged(beneath: &Slots, upper: &Slots) -> Output {
    match upper.made.last() {
        Some(slot) => Output::Root(Arc::new(beneath.with(*slot))),
        None => Output::Root(Arc::new(beneath.clone())),
    }
}
