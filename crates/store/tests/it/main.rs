//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

mod collecting;
mod content;
mod crowd;
mod images;
mod indexes;
mod kills;
mod layers;
mod moving;
mod opening;
mod roots;
mod sealing;
mod support;
mod wholeness;
