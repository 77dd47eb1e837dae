//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

use std::process::ExitCode;

use kiln_tests::{harness, tests};

mod language;
mod memory;
#[cfg(target_os = "linux")]
mod mounting;
#[cfg(target_os = "linux")]
mod running;
mod support;

fn main() -> ExitCode {
    kiln_build::sandbox::entry(kiln_build::DOORS);
    #[allow(unused_mut, reason = "other systems run nothing")]
    let mut all = tests![
        memory::{
            a_worker_is_given_whole_steps,
            a_full_hit_asks_nobody,
            content_decides_not_the_context,
            what_is_missing_is_explained,
            an_epoch_makes_the_same_image_anywhere,
            steps_are_kept_only_on_request,
            what_did_not_change_is_not_opened_again,
        },
        language::{
            heredocs_are_files,
            a_linked_layer_does_not_know_what_is_beneath,
            a_copy_is_found_again_where_it_meets_the_same,
            one_content_has_the_times_of_where_it_is_from,
        },
    ];
    #[cfg(unix)]
    all.extend(tests![memory::{what_is_new_is_read_once_and_then_known}]);
    #[cfg(target_os = "linux")]
    all.extend(tests![running::alone => running::{
        a_full_hit_starts_no_process,
        a_step_can_be_sent_as_json,
        a_failure_has_its_code_and_its_command,
        a_layer_is_made_in_the_form_that_is_needed,
        what_lies_below_and_is_written_again_is_told,
    }, mounting::{
        what_is_mounted_is_packed_once,
        what_is_mounted_and_gone_is_packed_again,
        what_has_a_secret_is_not_kept,
    }]);
    ExitCode::from(u8::from(!harness::run(&all)))
}
