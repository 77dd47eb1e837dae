//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod differ;
mod harness;
#[cfg(target_os = "linux")]
mod shell;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    kiln_sandbox::entry(&[]);
    harness::run(&[
        ("differ::rows", || root(differ::rows)),
        ("differ::fractions_of_seconds", || root(differ::fractions_of_seconds)),
        ("differ::sockets_are_left_out", || root(differ::sockets_are_left_out)),
        ("differ::clamped_times", || root(differ::clamped_times)),
        ("differ::layer_upon_layer", || root(differ::layer_upon_layer)),
        ("differ::packed_again", || root(differ::packed_again)),
    ])
}

/// Runs a test that mounts.
#[cfg(target_os = "linux")]
fn root(test: fn()) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("mounting an overlay needs root".to_owned());
    }
    test();
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    use kiln_rootfs::{Bodies as _, Direct, ErrorKind};
    harness::run(&[("elsewhere_it_is_a_typed_error", || {
        let tar = &mut std::io::empty();
        let error = Direct.unpack(tar, std::path::Path::new("nowhere")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        Ok(())
    })])
}
