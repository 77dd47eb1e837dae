//! The tests of this program again, as users who are not root.

use kiln_tests::users::User;

/// Set for a user who was made for a test.
pub(crate) const AS_USER: &str = "CONTAINER_TEST_AS_USER";

pub(crate) fn lives_with_ids() {
    again(&User::with_ids(), &["run::", "containers::", "life::"]);
}

/// All but those that need a second id.
pub(crate) fn lives_without_ids() {
    let tests = [
        "containers::",
        "run::exit_codes",
        "run::published_ports_answer",
        "run::what_the_machine_gives",
        "life::both_streams_in_order",
        "life::many_take_part",
        "life::stopped",
        "life::started_again",
        "life::on_a_terminal",
        "life::all_at_once",
    ];
    again(&User::without_ids(), &tests);
}

pub(crate) fn files_with_ids() {
    again(&User::with_ids(), &["files::"]);
}

/// All but those of other owners.
pub(crate) fn files_without_ids() {
    let tests = [
        "files::nothing_leads_out",
        "files::through_mounts",
        "files::volumes",
        "files::changes",
        "files::committed",
        "files::while_it_writes",
    ];
    again(&User::without_ids(), &tests);
}

fn again(user: &User, tests: &[&str]) {
    let out = user.again().args(tests).env(AS_USER, "1").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{text}\n{said}");
    assert!(text.contains(" 0 ignored"), "{text}");
}
