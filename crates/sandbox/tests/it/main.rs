//! The tests of this crate as a stranger sees it: through its public face.
#![allow(clippy::unwrap_used)]

use std::process::ExitCode;

use kiln_tests::harness::{self, Test};

#[cfg(target_os = "linux")]
mod behaviour;
#[cfg(target_os = "linux")]
mod death;
#[cfg(target_os = "linux")]
mod enter;
#[cfg(target_os = "linux")]
mod errors;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod mounted;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
mod rootless;
#[cfg(target_os = "linux")]
mod sight;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    kiln_sandbox::entry(&[
        death::DOOR,
        enter::DOOR,
        place::DOOR,
        rootless::DOOR,
        terminal::RAW,
    ]);
    if std::env::args().nth(1).as_deref() == Some(root::AGAIN) {
        root::again();
        return ExitCode::SUCCESS;
    }
    let is_root = rustix::process::geteuid().is_root();
    let mut tests = Vec::new();
    for (name, world) in world::worlds() {
        for (group, cases) in [
            ("behaviour", behaviour::CASES),
            ("sight", sight::CASES),
            ("errors", errors::CASES),
            ("mounted", mounted::CASES),
            ("network", network::CASES),
            ("death", death::CASES),
            ("rootless", rootless::CASES),
            ("host", host::CASES),
            ("limits", limits::CASES),
            ("terminal", terminal::CASES),
            ("enter", enter::CASES),
            ("place", place::CASES),
            ("root", root::CASES),
        ] {
            if group == "rootless" && is_root {
                continue;
            }
            for case in cases {
                let whole = format!("{group}::{}", case.name);
                if name == "runc" && NOT_OF_RUNTIMES.iter().any(|begin| whole.starts_with(begin)) {
                    continue;
                }
                let (world, run) = (world.clone(), case.run);
                tests.push(Test::new(format!("{name}::{whole}"), move || {
                    run(world.as_ref().as_ref().map_err(Clone::clone)?)
                }));
            }
        }
    }
    let mut well = harness::run(&tests);
    if is_root && users_are_meant() {
        well &= kiln_tests::users::again(|_| {});
    }
    ExitCode::from(u8::from(!well))
}

/// What has nothing to do with who runs the process is not tried again with an installed runtime.
#[cfg(target_os = "linux")]
const NOT_OF_RUNTIMES: &[&str] = &[
    "host::",
    "enter::",
    "limits::",
    "mounted::",
    "place::",
    "terminal::raw_mode",
    "terminal::a_line_is_typed_unseen",
    "terminal::news_of_the_size",
];

/// Whether tests may be asked for that are not those of root's worlds.
#[cfg(target_os = "linux")]
fn users_are_meant() -> bool {
    let filters = harness::filters();
    let of_root = |filter: &String| filter.starts_with("native") || filter.starts_with("runc");
    filters.is_empty() || !filters.iter().all(of_root)
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use kiln_sandbox::{ErrorKind, Io, Native, Process, RootSpec, Runner, Spec};
    kiln_sandbox::entry(&[]);
    let well = harness::run(&[Test::new("elsewhere_it_is_a_typed_error", || {
        let spec = Spec::new(RootSpec::Directory("/".into()), Process::new(["true"]));
        let error = Native::default().run(&spec, Io::null()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    })]);
    ExitCode::from(u8::from(!well))
}
