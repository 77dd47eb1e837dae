//! `kiln images --tree`: each image once, under all its names, with those for its platforms beneath, and
//! what they take on disk. In docker's columns.

use std::collections::HashSet;

use kiln_build::{
    Builder,
    image::{Digest, Reference},
    store::ImageRecord,
};

use super::Row;
use crate::{failure::Failure, units};

const HEADINGS: [&str; 5] = ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"];
const LEGEND: &str = "Info ->  U In Use";
/// Blanks between columns.
const GAP: usize = 3;

/// A line: its cells, or a name alone, which others follow.
enum Line {
    Cells([String; 5]),
    Name(String),
    Blank,
}

/// `rows` are the names that are shown, those of one image near each other or not.
pub(super) fn render(builder: &Builder, rows: &[Row<'_>]) -> Result<String, Failure> {
    let used: HashSet<Digest> = builder
        .store()
        .refs()
        .list("container/")?
        .into_iter()
        .flat_map(|(_, root)| root.keeps)
        .collect();
    let spaced = rows.iter().any(|row| index(row).len() > 1);
    let mut seen = HashSet::new();
    let mut lines = Vec::new();
    for row in rows {
        let shows: Vec<Digest> = index(row).iter().map(|image| image.id).collect();
        if !seen.insert((row.listed.image.id, shows.clone())) {
            continue;
        }
        if spaced {
            lines.push(Line::Blank);
        }
        let same = |other: &&Row<'_>| {
            let ids = index(other).iter().map(|image| image.id);
            other.listed.image.id == row.listed.image.id && ids.eq(shows.iter().copied())
        };
        let names = rows.iter().filter(same).filter_map(|other| other.name);
        lines.extend(image(builder, row, names, &used)?);
    }
    Ok(laid_out(&lines))
}

/// The images for all platforms that a name stands for.
fn index<'a>(row: &Row<'a>) -> &'a [ImageRecord] {
    let named = row.listed.names.iter().find(|n| Some(&n.name) == row.name);
    named.map_or(&[], |named| &named.index)
}

fn image<'a>(
    builder: &Builder,
    row: &Row<'_>,
    names: impl Iterator<Item = &'a Reference>,
    used: &HashSet<Digest>,
) -> Result<Vec<Line>, Failure> {
    let mut names: Vec<String> = names.map(Reference::familiar).collect();
    let last = names.pop().unwrap_or_else(|| "<untagged>".to_owned());
    let mut lines: Vec<Line> = names.into_iter().map(Line::Name).collect();
    let children = index(row);
    let whole = match children {
        [] => row.listed.image.clone(),
        several => row.listed.image.clone().of_index(several),
    };
    lines.push(Line::Cells(cells(builder, last, &whole, used)?));
    for (place, child) in (1..).zip(children) {
        let branch = if place == children.len() {
            "└─"
        } else {
            "├─"
        };
        let name = format!("{branch} {}", child.platform);
        lines.push(Line::Cells(cells(builder, name, child, used)?));
    }
    Ok(lines)
}

fn cells(
    builder: &Builder,
    name: String,
    image: &ImageRecord,
    used: &HashSet<Digest>,
) -> Result<[String; 5], Failure> {
    let takes = builder.store().footprint(image)?;
    let ids = image.index.iter().map(|one| one.id).chain([image.id]);
    let in_use = ids.into_iter().any(|id| used.contains(&id));
    Ok([
        name,
        image.id.short(),
        units::size(takes.disk, 3),
        units::size(takes.content, 3),
        if in_use { "U" } else { "" }.to_owned(),
    ])
}

/// Names and ids to the left, sizes to the right.
fn laid_out(lines: &[Line]) -> String {
    let headings = Line::Cells(HEADINGS.map(str::to_owned));
    let all = || [&headings].into_iter().chain(lines);
    let width = |column: usize| {
        let cells = all().filter_map(|line| match line {
            Line::Cells(cells) => Some(cells[column].chars().count()),
            Line::Name(_) | Line::Blank => None,
        });
        cells.max().unwrap_or(0)
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    let total = widths.iter().sum::<usize>() + 4 * GAP;
    let mut text = format!("{LEGEND:>total$}\n\n");
    for line in all() {
        let line = match line {
            Line::Blank => String::new(),
            Line::Name(name) => name.clone(),
            Line::Cells([name, id, disk, content, extra]) => format!(
                "{name:<0$}   {id:<1$}   {disk:>2$}   {content:>3$}   {extra}",
                widths[0], widths[1], widths[2], widths[3]
            ),
        };
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
