//! Who uses kiln: what is true for one of them has to be true for all.
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use crate::{base::busybox, kiln::Kiln, users::User};

/// Who uses kiln.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Root.
    Root,
    /// A user with subordinate ids.
    WithIds,
    /// A user without any.
    WithoutIds,
}

impl Who {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Root, Self::WithIds, Self::WithoutIds];
    /// Those who are not root.
    pub const USERS: [Self; 2] = [Self::WithIds, Self::WithoutIds];

    /// The binary in their hands, with an image `busybox` in the store.
    pub fn kiln(self) -> Kiln {
        let kiln = match self {
            Self::Root => Kiln::new(),
            Self::WithIds => Kiln::of(&Arc::new(User::with_ids())),
            Self::WithoutIds => Kiln::of(&Arc::new(User::without_ids())),
        };
        busybox(&kiln);
        kiln
    }
}

/// Tells a story of each of them. One that fails says whose it was.
pub fn everybody(story: impl Fn(Who, &Kiln)) {
    for who in Who::ALL {
        println!("{who:?}");
        let kiln = who.kiln();
        story(who, &kiln);
        kiln.run(["system", "prune", "-af", "--volumes"]);
    }
}
