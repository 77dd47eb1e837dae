//! Bounds of the process itself (setrlimit(2)), which what it starts inherits.

use rustix::io::Errno;
use rustix::process::{Resource as Kernel, Rlimit, setrlimit};

use crate::{Error, ErrorKind, Resource, Ulimit};

/// Sets them for the calling process.
pub(super) fn set(limits: &[Ulimit]) -> Result<(), Error> {
    for limit in limits {
        let wanted = Rlimit {
            current: limit.soft,
            maximum: limit.hard,
        };
        setrlimit(kernel(limit.resource), wanted).map_err(|error| refused(limit, error))?;
    }
    Ok(())
}

fn refused(limit: &Ulimit, error: Errno) -> Error {
    let name = limit.resource.name();
    let hint = match error {
        Errno::PERM => "\nwithout root a hard limit can be lowered, and never raised",
        _ => "",
    };
    let what = format!(
        "set the ulimit `{name}`: {}{hint}",
        crate::error::plain(&error.into())
    );
    Error::new(ErrorKind::Process, what)
}

fn kernel(resource: Resource) -> Kernel {
    match resource {
        Resource::Core => Kernel::Core,
        Resource::Cpu => Kernel::Cpu,
        Resource::Data => Kernel::Data,
        Resource::Fsize => Kernel::Fsize,
        Resource::Locks => Kernel::Locks,
        Resource::Memlock => Kernel::Memlock,
        Resource::Msgqueue => Kernel::Msgqueue,
        Resource::Nice => Kernel::Nice,
        Resource::Nofile => Kernel::Nofile,
        Resource::Nproc => Kernel::Nproc,
        Resource::Rss => Kernel::Rss,
        Resource::Rtprio => Kernel::Rtprio,
        Resource::Rttime => Kernel::Rttime,
        Resource::Sigpending => Kernel::Sigpending,
        Resource::Stack => Kernel::Stack,
    }
}
