//! The calls that are refused, with their numbers. A call that a capability opens is refused to a
//! process without it.

use libc::c_long;

use crate::Capability::{
    self, DacReadSearch, SysAdmin, SysBoot, SysModule, SysNice, SysPacct, SysPtrace, SysTime,
    SysTtyConfig, Syslog,
};

#[cfg(target_arch = "x86_64")]
use crate::Capability::SysRawio;

/// What is refused of a call.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// All of it: not permitted.
    Refuse,
    /// All of it: as if the kernel did not have it, so that programs take the older way.
    Missing,
    /// A first argument with any of these bits.
    AnyOf(u32),
    /// This first argument.
    Exactly(u32),
    /// Any first argument but these.
    NoneOf(&'static [u32]),
}

/// A call, by its number in this machine's own ABI and in that of 32-bit x86.
pub(super) struct Call {
    pub(super) native: Option<u32>,
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(super) x86: Option<u32>,
    pub(super) unless: Option<Capability>,
    pub(super) rule: Rule,
    /// Its name, for OCI runtimes.
    pub(super) name: &'static str,
}

const fn call(
    name: &'static str,
    native: Option<c_long>,
    x86: Option<u32>,
    unless: Option<Capability>,
    rule: Rule,
) -> Call {
    let native = match native {
        Some(number) => Some(number as u32),
        None => None,
    };
    Call {
        native,
        x86,
        unless,
        rule,
        name,
    }
}

macro_rules! calls {
    (all: { $($name:ident $sys:ident $x86:literal $(unless $unless:ident)? => $rule:expr,)* }
     x86_64: { $($old:ident $oldsys:ident $old86:literal $(unless $oldunless:ident)? => $oldrule:expr,)* }
     without_x86: { $($new:ident $newsys:ident => $newrule:expr,)* }
     x86: { $($older:ident $older86:literal $(unless $olderunless:ident)? => $olderrule:expr,)* }) => {
        pub(super) const CALLS: &[Call] = &[
            $(call(stringify!($name), Some(libc::$sys), Some($x86), unless!($($unless)?), $rule),)*
            $(
                #[cfg(target_arch = "x86_64")]
                call(stringify!($old), Some(libc::$oldsys), Some($old86), unless!($($oldunless)?), $oldrule),
            )*
            $(call(stringify!($new), Some(libc::$newsys), None, None, $newrule),)*
            $(
                #[cfg(target_arch = "x86_64")]
                call(stringify!($older), None, Some($older86), unless!($($olderunless)?), $olderrule),
            )*
        ];
    };
}

macro_rules! unless {
    () => {
        None
    };
    ($capability:ident) => {
        Some($capability)
    };
}

/// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID`, `NEWNET`.
const NAMESPACES: u32 = 0x7e02_0000;
/// `AF_VSOCK`: the hypervisor's, which namespaces do not separate.
const VSOCK: u32 = 40;
/// `PER_LINUX`, `PER_LINUX32`, both with `UNAME26`, and the question for what is set.
const PERSONALITIES: &[u32] = &[0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

use Rule::{AnyOf, Exactly, Missing, NoneOf, Refuse};

calls! {
    all: {
        clone SYS_clone 120 unless SysAdmin => AnyOf(NAMESPACES),
        clone3 SYS_clone3 435 unless SysAdmin => Missing,
        socket SYS_socket 359 => Exactly(VSOCK),
        personality SYS_personality 136 => NoneOf(PERSONALITIES),

        add_key SYS_add_key 286 => Refuse,
        keyctl SYS_keyctl 288 => Refuse,
        request_key SYS_request_key 287 => Refuse,
        kexec_load SYS_kexec_load 283 => Refuse,
        migrate_pages SYS_migrate_pages 294 => Refuse,
        move_pages SYS_move_pages 317 => Refuse,
        nfsservctl SYS_nfsservctl 169 => Refuse,
        pivot_root SYS_pivot_root 217 => Refuse,
        swapon SYS_swapon 87 => Refuse,
        swapoff SYS_swapoff 115 => Refuse,
        userfaultfd SYS_userfaultfd 374 => Refuse,
        io_uring_setup SYS_io_uring_setup 425 => Refuse,
        io_uring_enter SYS_io_uring_enter 426 => Refuse,
        io_uring_register SYS_io_uring_register 427 => Refuse,

        open_by_handle_at SYS_open_by_handle_at 342 unless DacReadSearch => Refuse,

        bpf SYS_bpf 357 unless SysAdmin => Refuse,
        fanotify_init SYS_fanotify_init 338 unless SysAdmin => Refuse,
        fsconfig SYS_fsconfig 431 unless SysAdmin => Refuse,
        fsmount SYS_fsmount 432 unless SysAdmin => Refuse,
        fsopen SYS_fsopen 430 unless SysAdmin => Refuse,
        fspick SYS_fspick 433 unless SysAdmin => Refuse,
        mount SYS_mount 21 unless SysAdmin => Refuse,
        mount_setattr SYS_mount_setattr 442 unless SysAdmin => Refuse,
        move_mount SYS_move_mount 429 unless SysAdmin => Refuse,
        open_tree SYS_open_tree 428 unless SysAdmin => Refuse,
        perf_event_open SYS_perf_event_open 336 unless SysAdmin => Refuse,
        quotactl SYS_quotactl 131 unless SysAdmin => Refuse,
        quotactl_fd SYS_quotactl_fd 443 unless SysAdmin => Refuse,
        setdomainname SYS_setdomainname 121 unless SysAdmin => Refuse,
        sethostname SYS_sethostname 74 unless SysAdmin => Refuse,
        setns SYS_setns 346 unless SysAdmin => Refuse,
        umount2 SYS_umount2 52 unless SysAdmin => Refuse,
        unshare SYS_unshare 310 unless SysAdmin => Refuse,

        syslog SYS_syslog 103 unless Syslog => Refuse,
        reboot SYS_reboot 88 unless SysBoot => Refuse,
        delete_module SYS_delete_module 129 unless SysModule => Refuse,
        init_module SYS_init_module 128 unless SysModule => Refuse,
        finit_module SYS_finit_module 350 unless SysModule => Refuse,
        acct SYS_acct 51 unless SysPacct => Refuse,
        kcmp SYS_kcmp 349 unless SysPtrace => Refuse,
        pidfd_getfd SYS_pidfd_getfd 438 unless SysPtrace => Refuse,
        process_madvise SYS_process_madvise 440 unless SysPtrace => Refuse,
        process_vm_readv SYS_process_vm_readv 347 unless SysPtrace => Refuse,
        process_vm_writev SYS_process_vm_writev 348 unless SysPtrace => Refuse,
        settimeofday SYS_settimeofday 79 unless SysTime => Refuse,
        clock_settime SYS_clock_settime 264 unless SysTime => Refuse,
        vhangup SYS_vhangup 111 unless SysTtyConfig => Refuse,
        get_mempolicy SYS_get_mempolicy 275 unless SysNice => Refuse,
        mbind SYS_mbind 274 unless SysNice => Refuse,
        set_mempolicy SYS_set_mempolicy 276 unless SysNice => Refuse,
    }
    x86_64: {
        lookup_dcookie SYS_lookup_dcookie 253 unless SysAdmin => Refuse,
        uselib SYS_uselib 86 => Refuse,
        ustat SYS_ustat 62 => Refuse,
        sysfs SYS_sysfs 135 => Refuse,
        _sysctl SYS__sysctl 149 => Refuse,
        iopl SYS_iopl 110 unless SysRawio => Refuse,
        ioperm SYS_ioperm 101 unless SysRawio => Refuse,
    }
    without_x86: {
        kexec_file_load SYS_kexec_file_load => Refuse,
    }
    x86: {
        umount 22 unless SysAdmin => Refuse,
        vm86 166 => Refuse,
        vm86old 113 => Refuse,
        stime 25 unless SysTime => Refuse,
        clock_settime64 404 unless SysTime => Refuse,
    }
}
