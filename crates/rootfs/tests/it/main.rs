//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod differ;
mod harness;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod roots;
#[cfg(target_os = "linux")]
mod shell;
#[cfg(target_os = "linux")]
mod users;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    kiln_sandbox::entry(kiln_rootfs::DOORS);
    if !rustix::process::geteuid().is_root() {
        return harness::run(KEEPER);
    }
    let listed = std::env::args().any(|arg| arg == "--list");
    let well = listed
        || !harness::wanted(KEEPER)
        || users::again(|folder, ids| keeper::prepare(folder, ids));
    let own = harness::run(&[
        ("differ::rows", || root(differ::rows)),
        ("differ::fractions_of_seconds", || {
            root(differ::fractions_of_seconds)
        }),
        ("differ::sockets_are_left_out", || {
            root(differ::sockets_are_left_out)
        }),
        ("differ::clamped_times", || root(differ::clamped_times)),
        ("differ::layer_upon_layer", || {
            root(differ::layer_upon_layer)
        }),
        ("differ::packed_again", || root(differ::packed_again)),
        ("roots::nothing_of_the_sandbox_is_in_a_layer", || {
            root(roots::nothing_of_the_sandbox_is_in_a_layer)
        }),
        ("roots::layer_upon_layer", || root(roots::layer_upon_layer)),
        ("roots::the_same_changes_twice", || {
            root(roots::the_same_changes_twice)
        }),
        ("roots::foreign_layers", || root(roots::foreign_layers)),
        ("roots::mount_points_that_were_removed", || {
            root(roots::mount_points_that_were_removed)
        }),
        ("roots::unpacked_once", || root(roots::unpacked_once)),
        ("roots::what_cannot_be_mounted", || {
            root(roots::what_cannot_be_mounted)
        }),
        ("roots::an_epoch", || root(roots::an_epoch)),
        ("roots::users_of_a_root", || root(roots::users_of_a_root)),
        ("roots::a_root_that_lives_on", || {
            root(roots::a_root_that_lives_on)
        }),
        ("roots::changes_while_they_are_read", || {
            root(roots::changes_while_they_are_read)
        }),
        ("roots::removal", || root(roots::removal)),
    ]);
    if well {
        own
    } else {
        std::process::ExitCode::FAILURE
    }
}

/// Those that are run as users who are not root, once with subordinate ids and once without.
#[cfg(target_os = "linux")]
const KEEPER: &[harness::Test] = &[
    (
        "keeper::layers_are_those_of_root",
        keeper::layers_are_those_of_root,
    ),
    ("keeper::a_keeper_that_dies", keeper::a_keeper_that_dies),
    ("keeper::errors_come_over", keeper::errors_come_over),
    ("keeper::ids_that_came_later", keeper::ids_that_came_later),
    ("keeper::many_at_once", keeper::many_at_once),
];

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
        let error = Direct
            .unpack(tar, None, std::path::Path::new("nowhere"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        Ok(())
    })])
}
