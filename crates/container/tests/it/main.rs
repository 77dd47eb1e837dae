//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod containers;
#[cfg(target_os = "linux")]
mod files;
mod harness;
#[cfg(target_os = "linux")]
mod life;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    kiln_sandbox::entry(
        &[
            kiln_container::DOORS,
            kiln_rootfs::DOORS,
            &[containers::VICTIM],
        ]
        .concat(),
    );
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
        ("run::what_the_machine_gives", || {
            root(run::what_the_machine_gives)
        }),
        ("run::all_that_is_exposed", || {
            root(run::all_that_is_exposed)
        }),
        ("run::a_signal_ends_it", || root(run::a_signal_ends_it)),
        ("life::both_streams_in_order", || {
            root(life::both_streams_in_order)
        }),
        ("life::bytes_come_as_they_are", || {
            root(life::bytes_come_as_they_are)
        }),
        ("life::input_ends_once", || root(life::input_ends_once)),
        ("life::many_take_part", || root(life::many_take_part)),
        ("life::who_does_not_read", || root(life::who_does_not_read)),
        ("life::followed", || root(life::followed)),
        ("life::stopped", || root(life::stopped)),
        ("life::started_again_with_what_it_changed", || {
            root(life::started_again_with_what_it_changed)
        }),
        ("life::started_again_by_itself", || {
            root(life::started_again_by_itself)
        }),
        ("life::on_a_terminal", || root(life::on_a_terminal)),
        ("life::one_more_process", || root(life::one_more_process)),
        ("life::all_at_once", || root(life::all_at_once)),
        ("containers::names", || root(containers::names)),
        ("containers::removal", || root(containers::removal)),
        ("containers::told_truly_after_a_kill", || {
            root(containers::told_truly_after_a_kill)
        }),
        ("containers::leftovers_are_swept", || {
            root(containers::leftovers_are_swept)
        }),
        ("containers::it_outlives_who_started_it", || {
            root(containers::it_outlives_who_started_it)
        }),
        ("containers::it_goes_with_its_end", || {
            root(containers::it_goes_with_its_end)
        }),
        ("containers::renamed", || root(containers::renamed)),
        ("files::out_of_it", || root(files::out_of_it)),
        ("files::by_dockers_names", || root(files::by_dockers_names)),
        ("files::nothing_leads_out", || {
            root(files::nothing_leads_out)
        }),
        ("files::through_mounts", || root(files::through_mounts)),
        ("files::volumes", || root(files::volumes)),
        ("as_users::lives_with_ids", || root(life::with_ids)),
        ("as_users::lives_without_ids", || root(life::without_ids)),
        ("as_users::with_ids", || root(files::with_ids)),
        ("as_users::without_ids", || root(files::without_ids)),
        ("files::changes", || root(files::changes)),
        ("files::committed", || root(files::committed)),
        ("files::while_it_writes", || root(files::while_it_writes)),
    ])
}

/// Runs a test as root, or as a user who was made for it.
#[cfg(target_os = "linux")]
fn root(test: fn()) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() && std::env::var_os(files::AS_USER).is_none() {
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
