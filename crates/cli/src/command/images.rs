//! `kiln images`: what is in the store.

mod tree;

use std::process::ExitCode;

use clap::Args;
use kiln_build::{image::Reference, store::Listed, time};
use serde_json::{Value, json};

use crate::{config, failure::Failure, host, table::Table, units};

#[derive(Args)]
pub(crate) struct Images {
    /// Only this repository, or this repository and tag
    name: Option<String>,
    /// Show all images: intermediate ones too
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Only images that match: `dangling=true|false`, `label=KEY[=VALUE]`, `reference=PATTERN`,
    /// `before=IMAGE`, `since=IMAGE`
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `json`, `table TEMPLATE` or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
    /// Show each image with those for all its platforms, and what they take on disk
    #[arg(long, conflicts_with_all = ["digests", "format", "no_trunc", "quiet"])]
    tree: bool,
}

const PLAIN: Table = Table {
    columns: &[
        ("REPOSITORY", "{{.Repository}}"),
        ("TAG", "{{.Tag}}"),
        ("IMAGE ID", "{{.ID}}"),
        ("CREATED", "{{.CreatedSince}}"),
        ("SIZE", "{{.Size}}"),
    ],
};

const DIGESTS: Table = Table {
    columns: &[
        ("REPOSITORY", "{{.Repository}}"),
        ("TAG", "{{.Tag}}"),
        ("DIGEST", "{{.Digest}}"),
        ("IMAGE ID", "{{.ID}}"),
        ("CREATED", "{{.CreatedSince}}"),
        ("SIZE", "{{.Size}}"),
    ],
};

/// A row: one name of one image.
struct Row<'a> {
    listed: &'a Listed,
    name: Option<&'a Reference>,
    created: i64,
}

impl Images {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let images = builder.store().images();
        let filter = Filter::parse(&self.filter, self.name.as_deref(), &images)?;
        let mut listed = images.list()?;
        listed.retain(|l| self.all || !l.intermediate);
        let mut rows: Vec<Row<'_>> = listed.iter().flat_map(rows).collect();
        rows.sort_by(|a, b| {
            let name = |row: &Row<'_>| row.name.map(Reference::familiar);
            b.created
                .cmp(&a.created)
                .then_with(|| name(a).cmp(&name(b)))
        });
        let mut shown = Vec::new();
        for row in rows {
            if filter.keeps(&row, &images)? {
                shown.push(row);
            }
        }
        if self.tree {
            host::print(&tree::render(&builder, &shown)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let kept: Vec<Value> = shown.iter().map(|r| r.value(!self.no_trunc)).collect();
        let text = if self.quiet {
            ids(&kept)
        } else {
            let table = if self.digests { DIGESTS } else { PLAIN };
            let format = self.format.or_else(|| config::setting("imagesFormat"));
            table.render(&kept, format.as_deref())?
        };
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Each id once, in order.
fn ids(rows: &[Value]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for id in rows.iter().filter_map(|row| row["ID"].as_str()) {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen.iter().map(|id| format!("{id}\n")).collect()
}

fn rows(listed: &Listed) -> Vec<Row<'_>> {
    let created = listed
        .image
        .created
        .as_deref()
        .and_then(time::parse)
        .unwrap_or(0);
    let row = |name| Row {
        listed,
        name,
        created,
    };
    match listed.names.is_empty() {
        true => vec![row(None)],
        false => listed.names.iter().map(|n| row(Some(&n.name))).collect(),
    }
}

impl Row<'_> {
    fn value(&self, short: bool) -> Value {
        let none = || "<none>".to_owned();
        let image = &self.listed.image;
        let id = match short {
            true => image.id.short(),
            false => image.id.to_string(),
        };
        let tag = self.name.and_then(Reference::tag).map(str::to_owned);
        json!({
            "Containers": "N/A",
            "CreatedAt": time::shown(self.created),
            "CreatedSince": format!("{} ago", units::duration(host::now() - self.created)),
            "Digest": image.manifest.as_ref().map_or_else(none, |m| m.digest.to_string()),
            "ID": id,
            "Repository": self.name.map_or_else(none, Reference::familiar_repository),
            "SharedSize": "N/A",
            "Size": units::size(image.size, 3),
            "Tag": tag.unwrap_or_else(none),
            "UniqueSize": "N/A",
            "VirtualSize": units::size(image.size, 3),
        })
    }
}

/// What `--filter` and the name ask for.
#[derive(Default)]
struct Filter {
    dangling: Option<bool>,
    labels: Vec<(String, Option<String>)>,
    references: Vec<String>,
    before: Option<i64>,
    since: Option<i64>,
}

impl Filter {
    fn parse(
        filters: &[String],
        name: Option<&str>,
        images: &kiln_build::store::Images<'_>,
    ) -> Result<Self, Failure> {
        let mut filter = Self::default();
        let created = |text: &str| -> Result<Option<i64>, Failure> {
            let found = images.find(text)?;
            Ok(found.image.created.as_deref().and_then(time::parse))
        };
        for text in filters {
            let Some((key, value)) = text.split_once('=') else {
                return Err(Failure::new(format!("invalid filter `{text}`"))
                    .hint("write it as KEY=VALUE, for example dangling=true"));
            };
            match key {
                "dangling" => filter.dangling = Some(matches!(value, "true" | "1")),
                "label" => filter.labels.push(match value.split_once('=') {
                    Some((k, v)) => (k.to_owned(), Some(v.to_owned())),
                    None => (value.to_owned(), None),
                }),
                "reference" => filter.references.push(value.to_owned()),
                "before" => filter.before = created(value)?,
                "since" => filter.since = created(value)?,
                _ => {
                    let what = format!("invalid filter `{key}`");
                    return Err(Failure::new(what)
                        .hint("there are: before, dangling, label, reference, since"));
                }
            }
        }
        filter.references.extend(name.map(str::to_owned));
        Ok(filter)
    }

    fn keeps(
        &self,
        row: &Row<'_>,
        images: &kiln_build::store::Images<'_>,
    ) -> Result<bool, Failure> {
        let dangling = self.dangling.is_none_or(|want| want == row.name.is_none());
        let older = self.before.is_none_or(|before| row.created < before);
        let newer = self.since.is_none_or(|since| row.created > since);
        let named = self
            .references
            .iter()
            .all(|p| row.name.is_some_and(|n| matches(p, n)));
        if !(dangling && older && newer && named) {
            return Ok(false);
        }
        if self.labels.is_empty() {
            return Ok(true);
        }
        let config = images.config(&row.listed.image)?;
        let has = |(key, value): &(String, Option<String>)| {
            let found = config.config.labels.get(key);
            found.is_some_and(|f| value.as_ref().is_none_or(|v| v == f))
        };
        Ok(self.labels.iter().all(has))
    }
}

/// Whether a name is meant by `REPOSITORY`, `REPOSITORY:TAG` or a pattern of these.
fn matches(pattern: &str, name: &Reference) -> bool {
    let glob = kiln_build::parser::glob::Pattern::new(pattern);
    let names = [
        name.familiar(),
        name.familiar_repository(),
        name.to_string(),
    ];
    names.iter().any(|n| match &glob {
        Ok(glob) => glob.matches(n),
        Err(_) => n == pattern,
    })
}
