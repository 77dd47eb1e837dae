//! The capabilities of Linux by name, and the set that a container has by default.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

macro_rules! capabilities {
    ($($variant:ident = $number:literal $name:literal,)*) => {
        /// One capability (capabilities(7)). Written and read as `CAP_CHOWN`; read also as `chown`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Capability {
            $(#[doc = $name] #[serde(rename = $name)] $variant = $number,)*
        }

        impl Capability {
            /// All that this version knows, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name with its prefix, as in `CAP_CHOWN`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

capabilities! {
    Chown = 0 "CAP_CHOWN",
    DacOverride = 1 "CAP_DAC_OVERRIDE",
    DacReadSearch = 2 "CAP_DAC_READ_SEARCH",
    Fowner = 3 "CAP_FOWNER",
    Fsetid = 4 "CAP_FSETID",
    Kill = 5 "CAP_KILL",
    Setgid = 6 "CAP_SETGID",
    Setuid = 7 "CAP_SETUID",
    Setpcap = 8 "CAP_SETPCAP",
    LinuxImmutable = 9 "CAP_LINUX_IMMUTABLE",
    NetBindService = 10 "CAP_NET_BIND_SERVICE",
    NetBroadcast = 11 "CAP_NET_BROADCAST",
    NetAdmin = 12 "CAP_NET_ADMIN",
    NetRaw = 13 "CAP_NET_RAW",
    IpcLock = 14 "CAP_IPC_LOCK",
    IpcOwner = 15 "CAP_IPC_OWNER",
    SysModule = 16 "CAP_SYS_MODULE",
    SysRawio = 17 "CAP_SYS_RAWIO",
    SysChroot = 18 "CAP_SYS_CHROOT",
    SysPtrace = 19 "CAP_SYS_PTRACE",
    SysPacct = 20 "CAP_SYS_PACCT",
    SysAdmin = 21 "CAP_SYS_ADMIN",
    SysBoot = 22 "CAP_SYS_BOOT",
    SysNice = 23 "CAP_SYS_NICE",
    SysResource = 24 "CAP_SYS_RESOURCE",
    SysTime = 25 "CAP_SYS_TIME",
    SysTtyConfig = 26 "CAP_SYS_TTY_CONFIG",
    Mknod = 27 "CAP_MKNOD",
    Lease = 28 "CAP_LEASE",
    AuditWrite = 29 "CAP_AUDIT_WRITE",
    AuditControl = 30 "CAP_AUDIT_CONTROL",
    Setfcap = 31 "CAP_SETFCAP",
    MacOverride = 32 "CAP_MAC_OVERRIDE",
    MacAdmin = 33 "CAP_MAC_ADMIN",
    Syslog = 34 "CAP_SYSLOG",
    WakeAlarm = 35 "CAP_WAKE_ALARM",
    BlockSuspend = 36 "CAP_BLOCK_SUSPEND",
    AuditRead = 37 "CAP_AUDIT_READ",
    Perfmon = 38 "CAP_PERFMON",
    Bpf = 39 "CAP_BPF",
    CheckpointRestore = 40 "CAP_CHECKPOINT_RESTORE",
}

impl Capability {
    /// The fourteen that docker gives a container unless it is told otherwise.
    pub const DEFAULT: [Self; 14] = [
        Self::Chown,
        Self::DacOverride,
        Self::Fsetid,
        Self::Fowner,
        Self::Mknod,
        Self::NetRaw,
        Self::Setgid,
        Self::Setuid,
        Self::Setfcap,
        Self::Setpcap,
        Self::NetBindService,
        Self::SysChroot,
        Self::Kill,
        Self::AuditWrite,
    ];

    /// The kernel's number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// A set as the kernel writes it in `/proc/self/status`.
    pub fn mask(set: &[Self]) -> u64 {
        set.iter().fold(0, |mask, one| mask | 1 << one.number())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Capability {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.to_ascii_uppercase();
        let bare = name.strip_prefix("CAP_").unwrap_or(&name);
        let found = Self::ALL.iter().find(|one| &one.name()[4..] == bare);
        found
            .copied()
            .ok_or_else(|| Error::new(ErrorKind::Process, format!("unknown capability `{text}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_set_is_dockers() {
        assert_eq!(Capability::mask(&Capability::DEFAULT), 0xa804_25fb);
    }

    #[test]
    fn names_are_read_with_and_without_prefix() {
        for text in ["CAP_NET_RAW", "net_raw", "Net_Raw", "cap_net_raw"] {
            assert_eq!(text.parse::<Capability>().unwrap(), Capability::NetRaw);
        }
        let error = "SYS_EVERYTHING".parse::<Capability>().unwrap_err();
        assert_eq!(error.to_string(), "unknown capability `SYS_EVERYTHING`");
    }

    #[test]
    fn numbers_are_in_order() {
        for (number, one) in Capability::ALL.iter().enumerate() {
            assert_eq!(usize::from(one.number()), number);
        }
    }
}
