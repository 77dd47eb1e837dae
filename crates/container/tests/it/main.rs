//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

use std::process::ExitCode;

use kiln_tests::harness;

#[cfg(target_os = "linux")]
mod as_users;
#[cfg(target_os = "linux")]
mod containers;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod life;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let own = &[containers::VICTIM];
    kiln_sandbox::entry(&[kiln_container::DOORS, kiln_rootfs::DOORS, own].concat());
    let all = kiln_tests::tests![root =>
        run::{
            as_the_image_says,
            as_the_caller_says,
            exit_codes,
            the_working_directory_is_made,
            published_ports_answer,
            a_taken_port_is_said_first,
            what_the_machine_gives,
            all_that_is_exposed,
            a_signal_ends_it,
        },
        life::{
            both_streams_in_order,
            bytes_come_as_they_are,
            input_ends_once,
            many_take_part,
            who_does_not_read,
            followed,
            stopped,
            started_again_with_what_it_changed,
            started_again_by_itself,
            on_a_terminal,
            one_more_process,
            all_at_once,
        },
        containers::{
            names,
            removal,
            told_truly_after_a_kill,
            leftovers_are_swept,
            it_outlives_who_started_it,
            it_goes_with_its_end,
            renamed,
        },
        files::{
            out_of_it,
            by_dockers_names,
            nothing_leads_out,
            through_mounts,
            volumes,
            changes,
            committed,
            while_it_writes,
        },
        as_users::{
            lives_with_ids,
            lives_without_ids,
            files_with_ids,
            files_without_ids,
        },
    ];
    ExitCode::from(u8::from(!harness::run(&all)))
}

/// Runs a test as root, or as a user who was made for it.
#[cfg(target_os = "linux")]
fn root(test: fn()) -> harness::Outcome {
    if !rustix::process::geteuid().is_root() && std::env::var_os(as_users::AS_USER).is_none() {
        return Err("running a container needs root".to_owned());
    }
    test();
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    let all = [harness::Test::new("a_port_is_read_anywhere", || {
        assert_eq!(kiln_container::Publish::parse("80:80").unwrap().len(), 1);
    })];
    ExitCode::from(u8::from(!harness::run(&all)))
}
