//! What `--format json` gives: everything, sizes in bytes, layers counted from 1, paths from the
//! root on. The fields are described in the crate's README.

use kiln_build::layer::{
    LayerPath,
    usage::{Content, Gone, How, Place, Sum, Usage},
};
use serde_json::{Map, Value, json};

use super::{Image, big};

/// `kiln image tree`: `layer` only, where one is asked for, and folders down to `depth`.
pub(super) fn tree(
    image: &Image,
    usage: &Usage<'_>,
    layer: Option<usize>,
    depth: Option<usize>,
) -> Value {
    let places = usage.layers().enumerate();
    let wanted = places.filter(|(i, _)| layer.is_none_or(|only| only == i + 1));
    let layers = wanted.map(|(index, place)| {
        let mut value = about(image, index, place);
        let mut entries = Vec::new();
        put(&mut entries, place, depth.unwrap_or(usize::MAX));
        value.insert("Entries".to_owned(), entries.into());
        Value::from(value)
    });
    let layers: Vec<Value> = layers.collect();
    let mut value = whole(image, usage);
    value.insert("Layers".to_owned(), layers.into());
    value.into()
}

/// `kiln image big`: `number` of each at most, where that is asked for.
pub(super) fn big(image: &Image, usage: &Usage<'_>, number: Option<usize>) -> Value {
    let number = number.unwrap_or(usize::MAX);
    let layers = usage.layers().enumerate();
    let layers: Vec<Value> = layers
        .map(|(i, place)| about(image, i, place).into())
        .collect();
    let files = big::largest(usage).into_iter().take(number);
    let files: Vec<Value> = files.map(|c| content(c).into()).collect();
    let wastes = usage.wastes().into_iter().take(number).map(|waste| {
        let paths: Vec<Value> = waste.contents.iter().map(|c| path(&c.entry.path)).collect();
        let mut value = Map::new();
        value.insert("Size".to_owned(), waste.bytes.into());
        value.insert("Layer".to_owned(), (waste.layer + 1).into());
        value.insert("By".to_owned(), (waste.by + 1).into());
        how(&mut value, waste.how);
        value.insert("Files".to_owned(), waste.contents.len().into());
        value.insert("Paths".to_owned(), paths.into());
        Value::from(value)
    });
    let duplicates = usage
        .duplicates()
        .into_iter()
        .take(number)
        .map(|duplicate| {
            let copies = duplicate.contents.iter();
            let copies = copies.map(|c| json!({"Layer": c.layer + 1, "Path": path(&c.entry.path)}));
            let file = duplicate.contents.first().map(|c| c.file);
            json!({
                "Size": duplicate.bytes,
                "FileSize": file.map_or(0, |f| f.size),
                "Digest": file.map(|f| f.digest.to_string()),
                "Copies": copies.collect::<Vec<_>>(),
            })
        });
    let (wastes, duplicates): (Vec<_>, Vec<_>) = (wastes.collect(), duplicates.collect());
    let mut value = whole(image, usage);
    value.insert("CouldBeSaved".to_owned(), big::could_be_saved(usage).into());
    value.insert("Layers".to_owned(), layers.into());
    value.insert("LargestFiles".to_owned(), files.into());
    value.insert("Wastes".to_owned(), wastes.into());
    value.insert("Duplicates".to_owned(), duplicates.into());
    value.into()
}

fn whole(image: &Image, usage: &Usage<'_>) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("Name".to_owned(), image.name.clone().into());
    value.insert("ID".to_owned(), image.id.clone().into());
    sums(&mut value, usage.sum());
    value
}

fn about(image: &Image, index: usize, place: Place<'_, '_>) -> Map<String, Value> {
    let layer = &image.layers[index];
    let mut value = Map::new();
    value.insert("Layer".to_owned(), (index + 1).into());
    value.insert("DiffID".to_owned(), layer.diff_id.clone().into());
    value.insert("Created".to_owned(), layer.created.clone().into());
    value.insert("CreatedBy".to_owned(), layer.by.clone().into());
    value.insert("Comment".to_owned(), layer.comment.clone().into());
    sums(&mut value, place.sum());
    value
}

fn sums(value: &mut Map<String, Value>, sum: Sum) {
    value.insert("Size".to_owned(), sum.bytes.into());
    value.insert("Seen".to_owned(), sum.seen.into());
    value.insert("Deleted".to_owned(), sum.deleted.into());
    value.insert("Replaced".to_owned(), sum.replaced.into());
    value.insert("Files".to_owned(), sum.files.into());
}

/// A folder and what is in it, in the order of paths.
fn put(entries: &mut Vec<Value>, place: Place<'_, '_>, depth: usize) {
    for inside in place.inside() {
        entries.push(match inside.file() {
            Some(file) => content(file).into(),
            None => {
                let mut value = Map::new();
                value.insert("Path".to_owned(), path(&inside.path()));
                value.insert("Kind".to_owned(), "folder".into());
                sums(&mut value, inside.sum());
                value.into()
            }
        });
        if depth > 1 {
            put(entries, inside, depth - 1);
        }
    }
}

fn content(content: &Content<'_>) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("Path".to_owned(), path(&content.entry.path));
    value.insert("Kind".to_owned(), "file".into());
    value.insert("Layer".to_owned(), (content.layer + 1).into());
    value.insert("Size".to_owned(), content.file.size.into());
    value.insert("Digest".to_owned(), content.file.digest.to_string().into());
    value.insert(
        "Gone".to_owned(),
        content.gone.as_ref().map_or(Value::Null, gone),
    );
    value
}

fn gone(gone: &Gone<'_>) -> Value {
    let mut value = Map::new();
    value.insert("By".to_owned(), (gone.by + 1).into());
    how(&mut value, gone.how);
    value.insert("At".to_owned(), path(gone.at));
    value.into()
}

fn how(value: &mut Map<String, Value>, how: How) {
    let (name, differs) = match how {
        How::Deleted => ("deleted", None),
        How::Moved => ("moved", None),
        How::Changed => ("replaced", None),
        How::Repeated(differs) => ("repeated", Some(differs)),
    };
    value.insert("How".to_owned(), name.into());
    if let Some(d) = differs {
        let all = [
            (d.mode, "mode"),
            (d.owner, "owner"),
            (d.time, "time"),
            (d.attributes, "attributes"),
        ];
        let names: Vec<&str> = all
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, n)| n)
            .collect();
        value.insert("Differs".to_owned(), names.into());
    }
}

/// A path from the root on; bytes that are no text as `\xNN`.
fn path(path: &LayerPath) -> Value {
    let mut text = String::from("/");
    for chunk in path.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text.into()
}
