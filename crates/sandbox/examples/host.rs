//! Says what this host offers for running processes in roots: `cargo run --example host`.

#![allow(clippy::print_stdout)]

use kiln_sandbox::{UserNamespace, entry, host};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    entry(&[]);
    let namespace = UserNamespace::usual()?;
    let findings = host::probe(&std::env::temp_dir(), namespace.as_deref());
    for one in &findings {
        println!(
            "{:16} {:8} {}",
            one.name,
            format!("{:?}", one.state),
            one.found
        );
        if let Some(remedy) = &one.remedy {
            println!("{:26}{remedy}", "");
        }
    }
    println!("can run: {}", host::can_run(&findings));
    Ok(())
}
