//! An image as docker's JSON.

use kiln_build::{
    Builder,
    image::{Config, Reference, Runtime},
    store::{ImageRecord, Listed, Named},
};
use serde_json::{Map, Value, json};

use crate::failure::Failure;

pub(super) fn value(
    builder: &Builder,
    image: &ImageRecord,
    listed: &[Listed],
) -> Result<Value, Failure> {
    let config = builder.store().images().config(image)?;
    // A name stands for all images of its index.
    let names: Vec<&Named> = listed
        .iter()
        .flat_map(|l| l.names.iter().map(move |n| (l, n)))
        .filter(|(l, n)| l.image.id == image.id || n.index.iter().any(|i| i.id == image.id))
        .map(|(_, n)| n)
        .collect();
    let tagged = |n: &&&Named| n.name.tag().is_some();
    let tags: Vec<String> = names
        .iter()
        .filter(tagged)
        .map(|n| n.name.familiar())
        .collect();
    let digests: Vec<String> = names
        .iter()
        .filter_map(|n| {
            let of_index = n.index.iter().find(|i| i.id == image.id);
            let manifest = of_index.map_or(&n.manifest, |i| &i.manifest).as_ref()?;
            Some(n.name.with_digest(manifest.digest))
        })
        .map(|name: Reference| name.familiar())
        .collect();
    let comment = config.history.last().and_then(|h| h.comment.clone());
    let mut out = json!({
        "Id": image.id.to_string(),
        "RepoTags": tags,
        "RepoDigests": digests,
        "Parent": image.parent.map(|p| p.to_string()).unwrap_or_default(),
        "Comment": comment.unwrap_or_default(),
        "Created": config.created.clone().unwrap_or_default(),
        "Author": config.author.clone().unwrap_or_default(),
        "Config": runtime(&config.config),
        "Architecture": config.architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.os,
        "OsVersion": config.other.get("os.version").cloned().unwrap_or_else(|| "".into()),
        "Size": image.size,
        "GraphDriver": {"Name": "kiln", "Data": null},
        "RootFS": rootfs(&config),
        "Metadata": json!({}),
    });
    if let Some(manifest) = &image.manifest {
        out["Descriptor"] = json!({
            "mediaType": manifest.media_type,
            "digest": manifest.digest.to_string(),
            "size": manifest.size,
        });
    }
    Ok(out)
}

fn rootfs(config: &Config) -> Value {
    let layers: Vec<String> = config
        .rootfs
        .diff_ids
        .iter()
        .map(ToString::to_string)
        .collect();
    json!({"Type": config.rootfs.kind, "Layers": layers})
}

/// The runtime config with every field that docker names, `null` where there is nothing, so that a
/// template can ask for each.
pub(super) fn runtime(config: &Runtime) -> Value {
    let mut out = Map::new();
    let Ok(Value::Object(have)) = serde_json::to_value(config) else {
        return Value::Null;
    };
    for name in [
        "User",
        "ExposedPorts",
        "Env",
        "Cmd",
        "Healthcheck",
        "Volumes",
        "WorkingDir",
        "Entrypoint",
        "OnBuild",
        "Labels",
        "StopSignal",
        "Shell",
    ] {
        let empty = match name {
            "User" | "WorkingDir" => Value::from(""),
            _ => Value::Null,
        };
        out.insert(name.to_owned(), have.get(name).cloned().unwrap_or(empty));
    }
    for (name, value) in have {
        out.entry(name).or_insert(value);
    }
    Value::Object(out)
}
