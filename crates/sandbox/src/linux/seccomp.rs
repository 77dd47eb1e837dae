//! The system call filter: refuses what docker's refuses to a process without the capability for it,
//! allows the rest.
//!
//! It is a list of what is denied, not of what is allowed, so that a program built for a newer kernel
//! finds the calls that it looks for. It is assembled here rather than by `seccompiler`, because that
//! crate kills every program of a second ABI: 32-bit x86 programs run in docker and have to run here,
//! under the same rules by their own numbers; and it lets the x32 ABI pass by all rules, which here
//! is refused as a whole, as on most kernels. Any other foreign ABI is killed. On aarch64 that is
//! 32-bit ARM, which docker allows.

mod described;
mod table;

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W,
    SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, sock_filter,
};

pub(crate) use self::described::described;
use self::table::{CALLS, Call, Rule};
use super::sys;
use crate::{Capability, Error, ErrorKind};

/// An ABI: the kernel's name for it, and the number of each call in it.
struct Abi {
    name: u32,
    number: fn(&Call) -> Option<u32>,
    /// Numbers from here on belong to a variant that is refused.
    limit: Option<u32>,
}

#[cfg(target_arch = "x86_64")]
const ABIS: &[Abi] = &[
    Abi {
        name: 0xc000_003e,
        number: |call| call.native,
        limit: Some(0x4000_0000),
    },
    Abi {
        name: 0x4000_0003,
        number: |call| call.x86,
        limit: None,
    },
];

#[cfg(target_arch = "aarch64")]
const ABIS: &[Abi] = &[Abi {
    name: 0xc000_00b7,
    number: |call| call.native,
    limit: None,
}];

#[cfg(target_arch = "riscv64")]
const ABIS: &[Abi] = &[Abi {
    name: 0xc000_00f3,
    number: |call| call.native,
    limit: None,
}];

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
)))]
compile_error!("the system call filter does not know this architecture");

/// Where the kernel puts what it asks about (`struct seccomp_data`).
const NUMBER: u32 = 0;
const ABI: u32 = 4;
/// The lower half of the first argument, on a little-endian machine.
const FIRST_ARGUMENT: u32 = 16;

/// The filter for a process with these capabilities.
pub(crate) fn filter(capabilities: &[Capability]) -> Vec<sock_filter> {
    let mut program = vec![load(ABI)];
    for abi in ABIS {
        let part = part(abi, capabilities);
        // A jump may be longer than the eight bits of a condition's.
        program.push(jump(BPF_JEQ, abi.name, 1, 0));
        program.push(always(part.len()));
        program.extend(part);
    }
    program.push(end(SECCOMP_RET_KILL_PROCESS));
    program
}

fn part(abi: &Abi, capabilities: &[Capability]) -> Vec<sock_filter> {
    let mut part = vec![load(NUMBER)];
    if let Some(limit) = abi.limit {
        part.extend([jump(BPF_JGE, limit, 0, 1), refuse(libc::ENOSYS)]);
    }
    for call in CALLS {
        let allowed = call.unless.is_some_and(|one| capabilities.contains(&one));
        let Some(number) = (abi.number)(call).filter(|_| !allowed) else {
            continue;
        };
        let body = body(call.rule);
        part.push(jump(BPF_JEQ, number, 0, body.len() as u8));
        part.extend(body);
    }
    part.push(end(SECCOMP_RET_ALLOW));
    part
}

/// What is done about a call; it always ends the program.
fn body(rule: Rule) -> Vec<sock_filter> {
    match rule {
        Rule::Refuse => vec![refuse(libc::EPERM)],
        Rule::Missing => vec![refuse(libc::ENOSYS)],
        Rule::AnyOf(bits) => vec![
            load(FIRST_ARGUMENT),
            statement(BPF_ALU | BPF_AND | BPF_K, bits),
            jump(BPF_JEQ, 0, 0, 1),
            end(SECCOMP_RET_ALLOW),
            refuse(libc::EPERM),
        ],
        Rule::Exactly(value) => vec![
            load(FIRST_ARGUMENT),
            jump(BPF_JEQ, value, 1, 0),
            end(SECCOMP_RET_ALLOW),
            refuse(libc::EPERM),
        ],
        Rule::NoneOf(values) => {
            let mut body = vec![load(FIRST_ARGUMENT)];
            for value in values {
                body.extend([jump(BPF_JEQ, *value, 0, 1), end(SECCOMP_RET_ALLOW)]);
            }
            body.push(refuse(libc::EPERM));
            body
        }
    }
}

fn statement(code: u32, k: u32) -> sock_filter {
    jump_with(code, k, 0, 0)
}

fn jump_with(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

fn load(offset: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, offset)
}

/// Skips `jt` statements where the condition holds, else `jf`.
fn jump(condition: u32, value: u32, jt: u8, jf: u8) -> sock_filter {
    jump_with(BPF_JMP | condition | BPF_K, value, jt, jf)
}

fn always(statements: usize) -> sock_filter {
    statement(BPF_JMP | BPF_JA, statements as u32)
}

fn end(action: u32) -> sock_filter {
    statement(BPF_RET | BPF_K, action)
}

fn refuse(errno: i32) -> sock_filter {
    end(SECCOMP_RET_ERRNO | errno.unsigned_abs())
}

/// Puts the filter on this process and all that it starts.
pub(crate) fn install(filter: &[sock_filter]) -> Result<(), Error> {
    sys::set_filter(filter).map_err(|error| {
        Error::new(ErrorKind::Process, "install the system call filter").because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do: carries out the program for one call.
    fn verdict(program: &[sock_filter], abi: u32, number: u32, first: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let one = program[at];
            at += 1;
            match u32::from(one.code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => {
                    value = match one.k {
                        NUMBER => number,
                        ABI => abi,
                        FIRST_ARGUMENT => first,
                        other => panic!("reads at {other}"),
                    }
                }
                code if code == BPF_ALU | BPF_AND | BPF_K => value &= one.k,
                code if code == BPF_JMP | BPF_JA => at += one.k as usize,
                code if code == BPF_RET | BPF_K => return one.k,
                code => {
                    let holds = if code == BPF_JMP | BPF_JEQ | BPF_K {
                        value == one.k
                    } else {
                        assert_eq!(code, BPF_JMP | BPF_JGE | BPF_K);
                        value >= one.k
                    };
                    at += usize::from(if holds { one.jt } else { one.jf });
                }
            }
        }
    }

    const DENIED: u32 = SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const MISSING: u32 = SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    #[test]
    fn native_calls_are_judged() {
        let filter = filter(&Capability::DEFAULT);
        let say =
            |number: libc::c_long, first| verdict(&filter, ABIS[0].name, number as u32, first);
        for number in [
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_unshare,
        ] {
            assert_eq!(say(number, 0), DENIED, "{number}");
        }
        for number in [
            libc::SYS_read,
            libc::SYS_execve,
            libc::SYS_chroot,
            libc::SYS_ptrace,
        ] {
            assert_eq!(say(number, 0), SECCOMP_RET_ALLOW, "{number}");
        }
        assert_eq!(say(libc::SYS_clone3, 0), MISSING);
        assert_eq!(
            say(libc::SYS_clone, libc::SIGCHLD as u32),
            SECCOMP_RET_ALLOW
        );
        assert_eq!(say(libc::SYS_clone, libc::CLONE_NEWUSER as u32), DENIED);
        assert_eq!(
            say(libc::SYS_socket, libc::AF_INET as u32),
            SECCOMP_RET_ALLOW
        );
        assert_eq!(say(libc::SYS_socket, libc::AF_VSOCK as u32), DENIED);
        assert_eq!(say(libc::SYS_personality, 0), SECCOMP_RET_ALLOW);
        assert_eq!(say(libc::SYS_personality, 0x004_0000), DENIED);
    }

    #[test]
    fn a_capability_opens_its_calls() {
        let filter = filter(&[Capability::SysAdmin]);
        let say = |number: libc::c_long| verdict(&filter, ABIS[0].name, number as u32, 0);
        assert_eq!(say(libc::SYS_mount), SECCOMP_RET_ALLOW);
        assert_eq!(say(libc::SYS_finit_module), DENIED);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn other_abis_are_judged_by_their_own_numbers() {
        let filter = filter(&Capability::DEFAULT);
        let x86 = |number| verdict(&filter, 0x4000_0003, number, 0);
        assert_eq!(x86(21), DENIED, "mount");
        assert_eq!(x86(165), SECCOMP_RET_ALLOW, "getresuid, mount on x86_64");
        let x32 = verdict(&filter, ABIS[0].name, 0x4000_0000 + 165, 0);
        assert_eq!(x32, MISSING);
        assert_eq!(
            verdict(&filter, 0xc000_00b7, 0, 0),
            SECCOMP_RET_KILL_PROCESS
        );
    }

    #[test]
    fn the_kernel_takes_it() {
        assert!(filter(&[]).len() < 4096, "the kernel's limit");
    }
}
