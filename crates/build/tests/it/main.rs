//! The tests of this crate as a stranger sees it: through its public face.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod harness;
mod memory;
#[cfg(target_os = "linux")]
mod running;
mod support;

fn main() -> std::process::ExitCode {
    kiln_build::sandbox::entry(kiln_build::DOORS);
    let mut tests = memory::tests();
    #[cfg(target_os = "linux")]
    tests.extend(running::tests());
    harness::run(tests)
}
