//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

use std::process::ExitCode;

use kiln_tests::harness::{self, Test};

#[cfg(target_os = "linux")]
mod differ;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod made;
#[cfg(target_os = "linux")]
mod roots;
#[cfg(target_os = "linux")]
mod shell;
#[cfg(target_os = "linux")]
mod world;

fn main() -> ExitCode {
    kiln_sandbox::entry(kiln_rootfs::DOORS);
    ExitCode::from(u8::from(!run()))
}

#[cfg(target_os = "linux")]
fn run() -> bool {
    let of_users = of_users();
    if !rustix::process::geteuid().is_root() {
        return harness::run(&of_users);
    }
    let listed = std::env::args().any(|arg| arg == "--list");
    let well = listed || !harness::wanted(&of_users) || kiln_tests::users::again(keeper::prepare);
    well & harness::run(&of_root())
}

/// Those that are run as users who are not root, once with subordinate ids and once without.
#[cfg(target_os = "linux")]
fn of_users() -> Vec<Test> {
    kiln_tests::tests![
        keeper::{
            layers_are_those_of_root,
            a_keeper_that_dies,
            errors_come_over,
            ids_that_came_later,
            many_at_once,
        },
        made::{unpacked_at_once_without_root},
    ]
}

/// Those that mount.
#[cfg(target_os = "linux")]
fn of_root() -> Vec<Test> {
    kiln_tests::tests![
        differ::{
            rows,
            fractions_of_seconds,
            sockets_are_left_out,
            many_folders,
            holes_stay,
            files_over_8_gib,
            clamped_times,
            layer_upon_layer,
            packed_again,
        },
        made::{unpacked_at_once, what_is_repeated},
        roots::{
            nothing_of_the_sandbox_is_in_a_layer,
            layer_upon_layer,
            the_same_changes_twice,
            foreign_layers,
            mount_points_that_were_removed,
            several_at_once,
            unpacked_once,
            what_cannot_be_mounted,
            an_epoch,
            users_of_a_root,
            a_root_that_lives_on,
            changes_while_they_are_read,
            removal,
        },
    ]
}

#[cfg(not(target_os = "linux"))]
fn run() -> bool {
    use kiln_rootfs::{Bodies as _, Direct, ErrorKind};
    harness::run(&[Test::new("elsewhere_it_is_a_typed_error", || {
        let tar = &mut std::io::empty();
        let error = Direct
            .unpack(tar, None, std::path::Path::new("nowhere"))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        Ok(())
    })])
}
