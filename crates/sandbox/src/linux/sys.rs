//! System calls that have no safe wrapper in rustix: the narrow place where most of the crate's
//! unsafe code lies. It refuses to know what the calls are for.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

fn check(result: i64) -> io::Result<i64> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Splits this process in two; `None` in the new one. Only for processes with a single thread, in
/// which everything may be done after it.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the doors are single-threaded, so no lock can be held by a thread that is lost.
    let pid = check(unsafe { libc::fork() }.into())?;
    Ok(Pid::from_raw(pid as i32))
}

/// Ends this process at once, without running what the parent registered.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: always allowed; nothing of this process is used afterwards.
    unsafe { libc::_exit(code) }
}

/// Leaves namespaces for new ones.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: it is unsafe only for the table of descriptors, which is excluded above.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(Into::into)
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Default)]
pub(crate) struct MountAttr {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) userns: u64,
}

pub(crate) const MOUNT_READ_ONLY: u64 = 1;
pub(crate) const MOUNT_NO_SUID: u64 = 2;
pub(crate) const MOUNT_NO_DEV: u64 = 4;
pub(crate) const MOUNT_NO_EXEC: u64 = 8;

/// Changes the mount at `mount`, and with `recursive` those below it.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    attr: &MountAttr,
) -> io::Result<()> {
    const AT_RECURSIVE: i32 = 0x8000;
    let flags = libc::AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a terminated string, `attr` is of the size that is given and outlives the
    // call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    })?;
    Ok(())
}

/// Marks all descriptors from `first` on to be closed when a program is executed.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    close_range(first, CLOSE_RANGE_CLOEXEC)
}

/// Closes all descriptors from `first` on, whoever owns them: for a process that ends without
/// looking at them again.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

/// A second descriptor for the same file at the number `to`, whatever was open there: for a process
/// that keeps nothing else.
pub(crate) fn move_to(file: &OwnedFd, to: RawFd) -> io::Result<OwnedFd> {
    // A copy above, because a descriptor cannot be copied to itself.
    let above = rustix::io::fcntl_dupfd_cloexec(file, to + 1)?;
    // SAFETY: the number becomes this function's; its former owner does not use it again.
    unsafe {
        check(libc::dup3(above.as_raw_fd(), to, libc::O_CLOEXEC).into())?;
        Ok(OwnedFd::from_raw_fd(to))
    }
}

fn close_range(first: u32, flags: u32) -> io::Result<()> {
    // SAFETY: no memory is involved; the callers own no descriptor in the range that they still use.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) })?;
    Ok(())
}

/// Executes a program; returns only when that failed.
pub(crate) fn execve(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let list = |strings: &[CString]| -> Vec<*const libc::c_char> {
        let pointers = strings.iter().map(|string| string.as_ptr());
        pointers.chain([ptr::null()]).collect()
    };
    let (argv, env) = (list(argv), list(env));
    // SAFETY: both lists end with a null pointer and their strings outlive the call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

fn all_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Keeps all signals waiting until [`next_signal`] takes them.
pub(crate) fn block_signals() {
    let all = all_signals();
    // SAFETY: the set is initialised; nobody asks for the old one.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &all, ptr::null_mut()) };
}

/// Waits for the next blocked signal.
pub(crate) fn next_signal() -> io::Result<i32> {
    let all = all_signals();
    // SAFETY: the set is initialised; nobody asks for the details.
    Ok(check(unsafe { libc::sigwaitinfo(&all, ptr::null_mut()) }.into())? as i32)
}

/// All signals as a new process of a user has them: none ignored, none blocked. Rust's start-up
/// ignores `SIGPIPE`, and a caller may ignore others; a program would inherit that.
pub(crate) fn reset_signals() {
    // All zeroes is the default action without flags, of `struct sigaction` as the kernel has it on
    // every architecture; the C library's would hide the two signals that it keeps for itself.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // SAFETY: `default` is at least as long as what the kernel reads, and the size given is that
        // of its signal set; numbers that may not be set are refused without harm.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    let mut none = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

/// Sends a signal by its number.
pub(crate) fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) }.into())?;
    Ok(())
}

/// Sets the host name of this namespace.
pub(crate) fn set_host_name(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length are those of `name`.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }.into())?;
    Ok(())
}

/// Brings the interface `lo` of the namespace of `socket` up.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: `request` is what this request reads, and outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) }.into())?;
    Ok(())
}

/// Puts a system call filter on this process.
pub(crate) fn set_filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, whose length and address are those of the slice, and
    // does not write to it.
    check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            ptr::from_ref(&program),
        )
    })?;
    Ok(())
}

/// The name of a user, by the host's own ways of looking it up.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let mut found = MaybeUninit::<libc::passwd>::uninit();
    let mut strings = vec![0; 16 << 10];
    let mut end = ptr::null_mut();
    // SAFETY: the pointers are to places of the sizes that are given, and outlive the call.
    let failed = unsafe {
        libc::getpwuid_r(
            uid,
            found.as_mut_ptr(),
            strings.as_mut_ptr(),
            strings.len(),
            &mut end,
        )
    };
    if failed != 0 || end.is_null() {
        return None;
    }
    // SAFETY: it was found, so the entry is filled, and its strings lie in `strings`.
    let name = unsafe { CStr::from_ptr(found.assume_init().pw_name) };
    name.to_str().ok().map(str::to_owned)
}

/// Where the handler of [`on_window_change`] writes.
static WINDOW: AtomicI32 = AtomicI32::new(-1);

extern "C" fn window_changed(_: libc::c_int) {
    // SAFETY: write is async-signal-safe, and the errno of whatever was interrupted is put back; the
    // descriptor is never closed.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::write(WINDOW.load(Ordering::Relaxed), [0u8].as_ptr().cast(), 1);
        *errno = before;
    }
}

/// Writes a byte into `pipe`, for good, whenever the size of this program's terminal changes.
pub(crate) fn on_window_change(pipe: RawFd) -> io::Result<()> {
    WINDOW.store(pipe, Ordering::Relaxed);
    let handler: extern "C" fn(libc::c_int) = window_changed;
    // SAFETY: all zeroes is a valid `sigaction`; the handler does only what a handler may.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&mut action.sa_mask);
        check(libc::sigaction(libc::SIGWINCH, &action, ptr::null_mut()).into())?;
    }
    Ok(())
}
