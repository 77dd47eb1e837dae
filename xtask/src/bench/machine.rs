//! What the machine is, for those who read the numbers later.

use std::fs;
use std::process::Command;

use super::builder::Builder;
use crate::Result;
use crate::process;

/// The head of a report.
pub(super) fn report(builders: &[Builder], disk: &str) -> Result<String> {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = process::output(Command::new("uname").arg("-sr"))?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut text = format!(
        "# Layers, builds and starts, {}\n\n`cargo xtask bench`, all in turns, each after one run that is \
         not counted.\n\n- {cores} cores, {cpu}, {memory}\n- {}, load at the start: {}\n- {disk}\n",
        today()?,
        kernel.trim(),
        load.split_whitespace()
            .take(3)
            .collect::<Vec<_>>()
            .join(" "),
    );
    for builder in builders {
        text.push_str(&format!("- {}: {}\n", builder.name, builder.version));
    }
    for program in ["tar", "pigz", "zstd", "openssl", "umoci"] {
        let mut command = Command::new(program);
        let command = command.arg(if program == "openssl" {
            "version"
        } else {
            "--version"
        });
        if let Ok(said) = process::output(command) {
            text.push_str(&format!("- {}\n", said.lines().next().unwrap_or(program)));
        }
    }
    Ok(text)
}

pub(super) fn today() -> Result<String> {
    Ok(process::output(Command::new("date").arg("+%Y-%m-%d"))?
        .trim()
        .to_owned())
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
