//! What a maintainer of kiln does more than once.
fn main() {}
