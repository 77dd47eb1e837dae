//! Runs a command unless the same job is running already: `once JOB COMMAND [ARGUMENT]...`.
//! The job's lease dies with this process, so a kill never blocks the next run.

use std::{env, error::Error, process::Command};

use kiln_durable::Lease;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(job), Some(command)) = (args.next(), args.next()) else {
        return Err("usage: once JOB COMMAND [ARGUMENT]...".into());
    };
    let Some(lease) = Lease::try_take(&env::temp_dir().join(format!("once-{job}")))? else {
        return Err(format!("`{job}` is running").into());
    };
    lease.note(format!("{}\n", std::process::id()).as_bytes())?;
    let status = Command::new(command).args(args).status()?;
    drop(lease);
    std::process::exit(status.code().unwrap_or(1));
}
