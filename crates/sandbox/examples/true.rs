//! Times an empty process: how long a sandbox takes as a whole.
//!
//! `cargo run --release --example true -- 50 [/usr/sbin/runc]` needs a static busybox in
//! `/bin/busybox`, and root for a runtime. The first run of a user who is not root makes the user
//! namespace as well. The first line has all times, in microseconds.

#![allow(clippy::print_stdout)]

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::fs;
    use std::time::Instant;

    use kiln_sandbox::{Io, Native, Process, RootSpec, Runner, Runtime, Spec, mount_points};

    kiln_sandbox::entry(&[]);
    let mut args = std::env::args().skip(1);
    let times: usize = args.next().map_or(Ok(50), |text| text.parse())?;
    let runner: Box<dyn Runner> = match args.next() {
        Some(runtime) => Box::new(Runtime::new(runtime)),
        None => Box::new(Native::usual()?),
    };

    let directory = tempfile::tempdir()?;
    let part = |name: &str| directory.path().join(name);
    for name in ["image", "upper", "work"] {
        fs::create_dir(part(name))?;
    }
    for point in mount_points() {
        fs::create_dir(part("image").join(point.path.trim_start_matches('/')))?;
    }
    fs::copy("/bin/busybox", part("image/true"))?;
    let root = RootSpec::Overlay {
        lowers: vec![part("image")],
        upper: part("upper"),
        work: part("work"),
        volatile: true,
    };
    let spec = Spec::new(root, Process::new(["/true"]));

    let mut taken = Vec::new();
    for _ in 0..times.max(1) {
        let start = Instant::now();
        let exit = runner.run(&spec, Io::inherit())?;
        taken.push(start.elapsed());
        assert!(exit.success(), "`true` ended with {exit:?}");
    }
    let first = taken[0];
    let micros = taken.iter().map(|time| time.as_micros().to_string());
    println!("{}", micros.collect::<Vec<_>>().join(" "));
    taken.sort_unstable();
    let (least, median) = (taken[0], taken[taken.len() / 2]);
    println!("first {first:?}, least {least:?}, median {median:?}");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("running a process in a root needs Linux");
}
