//! Support for the end-to-end tests: registries and base images made on the spot.

pub mod registry;
