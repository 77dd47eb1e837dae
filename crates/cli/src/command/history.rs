//! `kiln history`: by which instructions an image came to be.

use std::process::ExitCode;

use clap::Args;
use kiln_build::{image::History as Entry, time};
use serde_json::{Value, json};

use crate::{failure::Failure, host, table::Table, units};

#[derive(Args)]
pub(crate) struct History {
    /// An image: its name or id
    image: String,
    /// `table`, `json`, `table TEMPLATE` or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Print sizes and dates for people
    #[arg(short = 'H', long, default_value_t = true, action = clap::ArgAction::Set,
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    human: bool,
    /// Do not shorten
    #[arg(long)]
    no_trunc: bool,
    /// Of the image for this platform, where the name stands for several
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Only ids
    #[arg(short, long)]
    quiet: bool,
}

const TABLE: Table = Table {
    columns: &[
        ("IMAGE", "{{.ID}}"),
        ("CREATED", "{{.CreatedSince}}"),
        ("CREATED BY", "{{.CreatedBy}}"),
        ("SIZE", "{{.Size}}"),
        ("COMMENT", "{{.Comment}}"),
    ],
};

/// For dates that are not for people, docker's heading is another.
const EXACT: Table = Table {
    columns: &[
        ("IMAGE", "{{.ID}}"),
        ("CREATED AT", "{{.CreatedAt}}"),
        ("CREATED BY", "{{.CreatedBy}}"),
        ("SIZE", "{{.Size}}"),
        ("COMMENT", "{{.Comment}}"),
    ],
};

impl History {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let builder = host::builder()?;
        let store = builder.store();
        let platform = self.platform.as_deref().map(str::parse).transpose()?;
        let images = store.images();
        let image = images.find_for(&self.image, platform.as_ref())?.image;
        let config = store.images().config(&image)?;
        let mut ids = parents(store, &image)?;
        let mut layers = image.layers.iter();
        let mut rows = Vec::new();
        for entry in &config.history {
            let layer = if entry.empty_layer {
                None
            } else {
                layers.next()
            };
            let size = match layer {
                Some(diff_id) => store.layers().get(diff_id)?.map_or(0, |l| l.facts.content),
                None => 0,
            };
            rows.push((entry, size));
        }
        let rows: Vec<Value> = rows
            .into_iter()
            .rev()
            .map(|(entry, size)| self.row(ids.next(), entry, size))
            .collect();
        let text = if self.quiet {
            rows.iter()
                .filter_map(|r| r["ID"].as_str())
                .map(|id| format!("{id}\n"))
                .collect()
        } else {
            let table = if self.human { TABLE } else { EXACT };
            table.render(&rows, self.format.as_deref())?
        };
        host::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    fn row(&self, id: Option<kiln_build::image::Digest>, entry: &Entry, size: u64) -> Value {
        let id = match id {
            None => "<missing>".to_owned(),
            Some(id) if self.no_trunc => id.to_string(),
            Some(id) => id.short(),
        };
        let created = entry.created.as_deref().and_then(time::parse).unwrap_or(0);
        let by = entry
            .created_by
            .as_deref()
            .unwrap_or_default()
            .replace('\t', " ");
        json!({
            "ID": id,
            "CreatedAt": entry.created.clone().unwrap_or_default(),
            "CreatedSince": match self.human {
                true => format!("{} ago", units::duration(host::now() - created)),
                false => time::rfc3339(created),
            },
            "CreatedBy": if self.no_trunc { by } else { shorten(&by, 45) },
            "Size": if self.human { units::size(size, 3) } else { size.to_string() },
            "Comment": entry.comment.clone().unwrap_or_default(),
        })
    }
}

/// The image, and those before it that were kept, one for each instruction.
fn parents(
    store: &kiln_build::store::Store,
    image: &kiln_build::store::ImageRecord,
) -> Result<impl Iterator<Item = kiln_build::image::Digest> + use<>, Failure> {
    let mut ids = vec![image.id];
    let mut parent = image.parent;
    while let Some(id) = parent {
        let Some(record) = store.images().by_id(&id)? else {
            break;
        };
        ids.push(id);
        parent = record.parent;
    }
    Ok(ids.into_iter())
}

/// At most `width` letters, the last of them an ellipsis where something was cut.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
