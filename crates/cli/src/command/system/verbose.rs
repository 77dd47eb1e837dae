//! `kiln system df -v`: each image with what it shares and what is its own, each container, and how
//! many records of builds there are.

use std::collections::{HashMap, HashSet};

use kiln_build::{
    Builder,
    image::{Digest, Reference},
    store::Listed,
    time,
};
use kiln_container::Containers;
use serde_json::{Value, json};

use crate::{
    command::ps::row::{Look, Seen},
    failure::Failure,
    host,
    table::Table,
    units,
};

const IMAGES: Table = Table {
    columns: &[
        ("REPOSITORY", "{{.Repository}}"),
        ("TAG", "{{.Tag}}"),
        ("IMAGE ID", "{{.ID}}"),
        ("CREATED", "{{.CreatedSince}}"),
        ("SIZE", "{{.Size}}"),
        ("SHARED SIZE", "{{.SharedSize}}"),
        ("UNIQUE SIZE", "{{.UniqueSize}}"),
        ("CONTAINERS", "{{.Containers}}"),
    ],
};

const CONTAINERS: Table = Table {
    columns: &[
        ("CONTAINER ID", "{{.ID}}"),
        ("IMAGE", "{{.Image}}"),
        ("COMMAND", "{{.Command}}"),
        ("LOCAL VOLUMES", "{{.LocalVolumes}}"),
        ("SIZE", "{{.Size}}"),
        ("CREATED", "{{.RunningFor}}"),
        ("STATUS", "{{.Status}}"),
        ("NAMES", "{{.Names}}"),
    ],
};

const VOLUMES: Table = Table {
    columns: &[
        ("VOLUME NAME", "{{.Name}}"),
        ("LINKS", "{{.Links}}"),
        ("SIZE", "{{.Size}}"),
    ],
};

pub(super) fn report(builder: &Builder) -> Result<String, Failure> {
    let usage = builder.store().usage()?;
    let mut text = String::from("Images space usage:\n\n");
    text.push_str(&IMAGES.render(&images(builder)?, None)?);
    text.push_str("\nContainers space usage:\n\n");
    text.push_str(&CONTAINERS.render(&containers(builder)?, None)?);
    text.push_str("\nLocal Volumes space usage:\n\n");
    text.push_str(&VOLUMES.render(&volumes(builder)?, None)?);
    let cache = super::cache(builder, usage.cache)?;
    let (size, count) = (units::size(cache.size, 4), cache.total);
    text.push_str(&format!("\nBuild cache usage: {size} ({count} records)\n"));
    Ok(text)
}

fn images(builder: &Builder) -> Result<Vec<Value>, Failure> {
    let listed = builder.store().images().list()?;
    let used = builder.store().refs().list("container/")?;
    let mut owners: HashMap<Digest, HashSet<Digest>> = HashMap::new();
    for image in &listed {
        for layer in &image.image.layers {
            owners.entry(*layer).or_default().insert(image.image.id);
        }
    }
    let mut rows = Vec::new();
    for image in listed.iter().filter(|l| !l.intermediate) {
        let (mut shared, mut own) = (0, 0);
        for layer in image.image.layers.iter().collect::<HashSet<_>>() {
            let facts = builder.store().layers().get(layer)?;
            let size = facts.map_or(0, |l| l.facts.content);
            match owners.get(layer).map_or(0, HashSet::len) > 1 {
                true => shared += size,
                false => own += size,
            }
        }
        let keeps = |keeps: &[Digest]| keeps.contains(&image.image.id);
        let containers = used.iter().filter(|(_, r)| keeps(&r.keeps)).count();
        let names: Vec<Option<&Reference>> = match image.names.is_empty() {
            true => vec![None],
            false => image.names.iter().map(|n| Some(&n.name)).collect(),
        };
        for name in names {
            rows.push(row(image, name, (shared, own), containers));
        }
    }
    Ok(rows)
}

fn row(
    image: &Listed,
    name: Option<&Reference>,
    (shared, own): (u64, u64),
    containers: usize,
) -> Value {
    let none = || "<none>".to_owned();
    let created = image
        .image
        .created
        .as_deref()
        .and_then(time::parse)
        .unwrap_or(0);
    json!({
        "Repository": name.map_or_else(none, Reference::familiar_repository),
        "Tag": name.and_then(Reference::tag).map_or_else(none, str::to_owned),
        "ID": image.image.id.short(),
        "CreatedSince": format!("{} ago", units::duration(host::now() - created)),
        "Size": units::size(image.image.size, 3),
        "SharedSize": units::size(shared, 3),
        "UniqueSize": units::size(own, 3),
        "Containers": containers,
    })
}

fn containers(builder: &Builder) -> Result<Vec<Value>, Failure> {
    let images = builder.store().images();
    let look = Look {
        shorten: true,
        size: true,
    };
    let mut rows = Vec::new();
    for container in Containers::open(builder.roots())?.list()? {
        if let Some(seen) = Seen::new(container)? {
            let mut row = seen.row(&images, look)?;
            row["Size"] = units::size(seen.container.size()?, 3).into();
            rows.push(row);
        }
    }
    Ok(rows)
}

fn volumes(builder: &Builder) -> Result<Vec<Value>, Failure> {
    let volumes = Containers::open(builder.roots())?.volumes();
    let mut rows = Vec::new();
    for volume in volumes.list()? {
        rows.push(json!({
            "Name": volume.name,
            "Links": volumes.users(&volume)?.len(),
            "Size": units::size(volumes.size(&volume)?, 3),
        }));
    }
    Ok(rows)
}
