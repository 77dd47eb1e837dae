//! A volume as docker's JSON.

use kiln_build::time;
use kiln_container::Volume;
use serde_json::{Value, json};

/// What docker says of it.
pub(crate) fn value(volume: &Volume) -> Value {
    let created = i64::try_from(volume.created / 1_000_000_000).unwrap_or(i64::MAX);
    json!({
        "CreatedAt": time::rfc3339(created),
        "Driver": "local",
        "Labels": volume.labels,
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": null,
        "Scope": "local",
    })
}
