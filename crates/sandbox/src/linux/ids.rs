//! Who the process is: user, groups, capabilities.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::{Capability, Error, ErrorKind, User};

fn failed(what: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Error {
    move |error| Error::new(ErrorKind::Process, what).because(io::Error::from(error))
}

/// No program that is executed from here on can have more than `set`.
pub(crate) fn bound(set: &[Capability]) -> Result<(), Error> {
    let mask = Capability::mask(set);
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(one) {
            // The kernel's last one has been passed.
            Err(_) => break,
            Ok(true) if mask & one.bits() == 0 => {
                remove_capability_from_bounding_set(one)
                    .map_err(failed("drop a capability from the bounding set"))?;
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Of what this process may do only `set` is left; nothing of it is inherited.
pub(crate) fn only(set: &[Capability]) -> Result<(), Error> {
    let wanted = CapabilitySet::from_bits_retain(Capability::mask(set));
    let own = capabilities(None).map_err(failed("read capabilities"))?;
    let left = own.permitted & wanted;
    let sets = CapabilitySets {
        effective: left,
        permitted: left,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(failed("set capabilities"))?;
    clear_ambient_capability_set().map_err(failed("clear ambient capabilities"))
}

/// Changes user and groups for good.
pub(crate) fn become_user(user: &User) -> Result<(), Error> {
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    set_thread_groups(&groups).map_err(failed("set supplementary groups"))?;
    let gid = Gid::from_raw(user.gid);
    set_thread_res_gid(gid, gid, gid).map_err(failed(format!("become group {}", user.gid)))?;
    let uid = Uid::from_raw(user.uid);
    set_thread_res_uid(uid, uid, uid).map_err(failed(format!("become user {}", user.uid)))
}
