//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod containers;
mod harness;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    kiln_sandbox::entry(&[containers::VICTIM]);
    harness::run(&[
        ("run::as_the_image_says", || root(run::as_the_image_says)),
        ("run::as_the_caller_says", || root(run::as_the_caller_says)),
        ("run::exit_codes", || root(run::exit_codes)),
        ("run::the_working_directory_is_made", || {
            root(run::the_working_directory_is_made)
        }),
        ("run::published_ports_answer", || {
            root(run::published_ports_answer)
        }),
        ("run::a_taken_port_is_said_first", || {
            root(run::a_taken_port_is_said_first)
        }),
        ("run::a_signal_ends_it", || root(run::a_signal_ends_it)),
        ("containers::names", || root(containers::names)),
        ("containers::removal", || root(containers::removal)),
        ("containers::told_truly_after_a_kill", || {
            root(containers::told_truly_after_a_kill)
        }),
        ("containers::leftovers_are_swept", || {
            root(containers::leftovers_are_swept)
        }),
        ("containers::removed_by_force", || {
            root(containers::removed_by_force)
        }),
    ])
}

/// Runs a test that mounts.
#[cfg(target_os = "linux")]
fn root(test: fn()) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("running a container needs root".to_owned());
    }
    test();
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    harness::run(&[("a_port_is_read_anywhere", || {
        assert_eq!(kiln_container::Publish::parse("80:80").unwrap().len(), 1);
        Ok(())
    })])
}
