//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    reason = "the cases are files; the crate itself reads none"
)]

mod checks;
mod epoch;
mod examples;
mod expansion;
mod given;
mod golden;
mod hostile;
mod rounds;
mod scopes;
mod steps;
