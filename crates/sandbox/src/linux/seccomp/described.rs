//! The same filter for an OCI runtime, which compiles it by names.
//!
//! One rule is not expressible there: `personality` is left open.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};

use super::table::{CALLS, Call, Rule};
use crate::Capability;

/// The filter for a process with these capabilities.
pub(crate) fn described(capabilities: &[Capability]) -> Result<LinuxSeccomp, OciSpecError> {
    let denied = CALLS
        .iter()
        .filter(|call| call.unless.is_none_or(|one| !capabilities.contains(&one)));
    let mut calls = Vec::new();
    for call in denied {
        calls.extend(described_call(call)?);
    }
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActAllow)
        .architectures(ARCHITECTURES)
        .syscalls(calls)
        .build()
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: [Arch; 3] = [Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32];
#[cfg(not(target_arch = "x86_64"))]
const ARCHITECTURES: [Arch; 1] = [Arch::ScmpArchNative];

fn described_call(call: &Call) -> Result<Vec<LinuxSyscall>, OciSpecError> {
    let refuse = |errno: i32, args: Vec<LinuxSeccompArg>| {
        LinuxSyscallBuilder::default()
            .names([call.name.to_owned()])
            .action(LinuxSeccompAction::ScmpActErrno)
            .errno_ret(errno.unsigned_abs())
            .args(args)
            .build()
    };
    let first = |value: u32, operator, second: Option<u32>| {
        let arg = LinuxSeccompArgBuilder::default()
            .index(0usize)
            .value(u64::from(value))
            .op(operator);
        match second {
            Some(second) => arg.value_two(u64::from(second)).build(),
            None => arg.build(),
        }
    };
    match call.rule {
        Rule::Refuse => Ok(vec![refuse(libc::EPERM, Vec::new())?]),
        Rule::Missing => Ok(vec![refuse(libc::ENOSYS, Vec::new())?]),
        Rule::Exactly(value) => {
            let equal = first(value, LinuxSeccompOperator::ScmpCmpEq, None)?;
            Ok(vec![refuse(libc::EPERM, vec![equal])?])
        }
        Rule::AnyOf(bits) => (0..32)
            .map(|bit| 1 << bit)
            .filter(|bit| bits & bit != 0)
            .map(|bit| {
                let set = first(bit, LinuxSeccompOperator::ScmpCmpMaskedEq, Some(bit))?;
                refuse(libc::EPERM, vec![set])
            })
            .collect(),
        Rule::NoneOf(_) => Ok(Vec::new()),
    }
}
