//! A shell in a directory that holds a system, with a terminal of its own: what `docker run -it` is made of.
//!
//! `cargo run --example shell -- ROOT [PROGRAM [ARG ..]]`

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::{Read, Write, copy, stdin, stdout};

    use kiln_sandbox::terminal::{Raw, Size, on_resize};
    use kiln_sandbox::{Io, Native, Process, RootSpec, Runner, Spec};

    kiln_sandbox::entry(&[]);
    let mut args = std::env::args_os().skip(1);
    let root = args.next().ok_or("which root?")?;
    let mut argv: Vec<_> = args.collect();
    if argv.is_empty() {
        argv.push("/bin/sh".into());
    }
    let mut process = Process::new(argv);
    process.env = vec![
        ("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()),
        ("TERM".into(), std::env::var_os("TERM").unwrap_or_default()),
    ];
    process.terminal = true;
    process.size = Size::of(&stdin());
    let mut spec = Spec::new(RootSpec::Directory(root.into()), process);
    spec.init = true;

    let raw = Raw::enter(&stdin())?;
    let mut running = Native::usual()?.start(&spec, Io::null())?;
    let terminal = || running.terminal().ok_or("it has no terminal");
    let (mut keys, mut screen, other) = (terminal()?, terminal()?, terminal()?);
    let _resizes = on_resize(&stdin(), move |size| {
        // A terminal that has gone needs no size.
        let _ = size.set(&other);
    })?;
    std::thread::spawn(move || copy(&mut stdin(), &mut keys));
    let mut shown = [0; 4096];
    // Reading fails when no process has the terminal open any more.
    while let Ok(got @ 1..) = screen.read(&mut shown) {
        stdout().write_all(&shown[..got])?;
        stdout().flush()?;
    }
    let code = running.wait()?.code();
    // `exit` drops nothing.
    drop((running, raw));
    std::process::exit(code)
}

#[cfg(not(target_os = "linux"))]
fn main() {}
