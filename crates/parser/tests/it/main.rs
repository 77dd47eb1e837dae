//! The tests of this crate as a stranger sees it: through its public face.

mod corpus;
mod format;
mod hostile;
mod places;
mod print;
mod properties;
mod rules;
mod tables;
