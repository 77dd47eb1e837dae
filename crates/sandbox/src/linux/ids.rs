//! Who the process is: user, groups, capabilities.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::userns;
use crate::{Capability, Error, ErrorKind, IdMap, User};

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

/// Changes user and groups for good. With a single group (`map`) none can be added or taken away.
pub(crate) fn become_user(user: &User, map: Option<&IdMap>) -> Result<(), Error> {
    if !map.is_some_and(IdMap::is_single) {
        let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        set_thread_groups(&groups).map_err(failed("set supplementary groups"))?;
    }
    let gid = Gid::from_raw(user.gid);
    set_thread_res_gid(gid, gid, gid).map_err(failed(format!("become group {}", user.gid)))?;
    let uid = Uid::from_raw(user.uid);
    set_thread_res_uid(uid, uid, uid).map_err(failed(format!("become user {}", user.uid)))
}

/// Refuses a user or group that stands for nobody on the host.
pub(crate) fn mapped(user: &User, map: &IdMap) -> Result<(), Error> {
    let refused = |kind: &str, id: u32, last: u32| {
        let why = if map.is_single() {
            "this user has no subordinate ids".to_owned()
        } else {
            format!("beyond the subordinate ids of this user, which end at {last}")
        };
        let what = format!("{kind} {id}: {why}\n{}", userns::DOCTOR);
        Err(Error::new(ErrorKind::Process, what))
    };
    if !map.has_uid(user.uid) {
        return refused("user", user.uid, map.last_uid());
    }
    // With one id there are no supplementary groups; user 0 has its rights without them.
    let groups = user.groups.iter().filter(|_| !map.is_single());
    for gid in groups.chain([&user.gid]) {
        if !map.has_gid(*gid) {
            return refused("group", *gid, map.last_gid());
        }
    }
    Ok(())
}
