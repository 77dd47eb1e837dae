//! `kiln port`: where the ports of a container answer on this machine.

use std::process::ExitCode;

use clap::Args;

use super::{
    each::containers,
    ps::{ports, row::published},
};
use crate::{failure::Failure, host};

#[derive(Args)]
pub(crate) struct Port {
    /// The container: its name or id
    container: String,
    /// Only this port of it, `PORT[/PROTOCOL]`
    port: Option<String>,
}

impl Port {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let container = containers()?.get(&self.container)?;
        let mut all: Vec<_> = container.ports()?.iter().flat_map(published).collect();
        all.sort();
        let mut text = String::new();
        for port in &all {
            let Some((ip, public)) = port.public else {
                continue;
            };
            let private = format!("{}/{}", port.private, port.kind);
            let answers = format!("{}:{public}", ports::host(ip));
            match &self.port {
                None => text.push_str(&format!("{private} -> {answers}\n")),
                Some(wanted) if with_protocol(wanted)? == private => {
                    text.push_str(&format!("{answers}\n"));
                }
                Some(_) => {}
            }
        }
        if let (Some(wanted), true) = (&self.port, text.is_empty()) {
            let (wanted, name) = (with_protocol(wanted)?, &self.container);
            return Err(Failure::new(format!(
                "no public port '{wanted}' published for {name}"
            )));
        }
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `80` as `80/tcp`.
fn with_protocol(text: &str) -> Result<String, Failure> {
    let (number, kind) = text.split_once('/').unwrap_or((text, "tcp"));
    match number.parse::<u16>() {
        Ok(number) => Ok(format!("{number}/{}", kind.to_lowercase())),
        Err(_) => {
            Err(Failure::new(format!("`{text}` is no port")).hint("write it as 80 or 53/udp"))
        }
    }
}
