//! The tests of this crate as a stranger sees it: through its public face.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[cfg(target_os = "linux")]
mod behaviour;
#[cfg(target_os = "linux")]
mod death;
#[cfg(target_os = "linux")]
mod errors;
mod harness;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod sight;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    kiln_sandbox::entry(&[death::DOOR]);
    let mut tests = Vec::new();
    for (name, world) in world::worlds() {
        for (group, cases) in [
            ("behaviour", behaviour::CASES),
            ("sight", sight::CASES),
            ("errors", errors::CASES),
            ("network", network::CASES),
            ("death", death::CASES),
        ] {
            for case in cases {
                let world = world.clone();
                let run = case.run;
                tests.push(harness::Test {
                    name: format!("{name}::{group}::{}", case.name),
                    run: Box::new(move || run(world.as_ref().as_ref().map_err(Clone::clone)?)),
                });
            }
        }
    }
    harness::run(tests)
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    use kiln_sandbox::{ErrorKind, Io, Native, Process, RootSpec, Runner, Spec};
    kiln_sandbox::entry(&[]);
    harness::run(vec![harness::Test {
        name: "elsewhere_it_is_a_typed_error".into(),
        run: Box::new(|| {
            let spec = Spec::new(RootSpec::Directory("/".into()), Process::new(["true"]));
            let error = Native::default().run(&spec, Io::null()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            Ok(())
        }),
    }])
}
