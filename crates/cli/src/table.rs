//! Rows in aligned columns, as docker prints them, or each through a template. The one place that
//! knows what `--format` means.

use serde_json::Value;

use crate::template::{Error, Template};

/// A listing: what the columns are called, and where they come from.
pub(crate) struct Table {
    /// Headings and the template of each column, in order.
    pub(crate) columns: &'static [(&'static str, &'static str)],
}

/// Three blanks between columns, and no column narrower than ten, as docker has it.
const GAP: usize = 3;
const NARROWEST: usize = 10;

impl Table {
    /// The whole text: the table, or what `--format` asks for (`json`, `table TEMPLATE`, a
    /// template that is applied to each row).
    pub(crate) fn render(&self, rows: &[Value], format: Option<&str>) -> Result<String, Error> {
        match format.map(unescape).as_deref() {
            None | Some("table" | "") => self.aligned(rows, &self.usual()),
            Some("json" | "{{json .}}") => Ok(rows.iter().map(json).collect()),
            Some(format) => match format.strip_prefix("table ") {
                Some(template) => self.aligned(rows, template),
                None => {
                    let template = Template::parse(format)?;
                    rows.iter()
                        .map(|row| Ok(template.apply(row)? + "\n"))
                        .collect()
                }
            },
        }
    }

    fn usual(&self) -> String {
        let templates: Vec<&str> = self.columns.iter().map(|(_, t)| *t).collect();
        templates.join("\t")
    }

    fn aligned(&self, rows: &[Value], template: &str) -> Result<String, Error> {
        let cells: Vec<&str> = template.split('\t').collect();
        let mut lines = vec![
            cells
                .iter()
                .map(|c| self.heading(c))
                .collect::<Result<Vec<_>, _>>()?,
        ];
        let template = Template::parse(template)?;
        for row in rows {
            let line = template.apply(row)?;
            lines.push(line.split('\t').map(str::to_owned).collect());
        }
        Ok(align(&lines, NARROWEST))
    }

    /// What a column is called: our own name for it, else that of its fields.
    fn heading(&self, cell: &str) -> Result<String, Error> {
        if let Some((name, _)) = self.columns.iter().find(|(_, t)| *t == cell) {
            return Ok((*name).to_owned());
        }
        let of_field = |field: &String| {
            let template = format!("{{{{.{field}}}}}");
            let known = self.columns.iter().find(|(_, t)| *t == template);
            known.map_or_else(|| words(field), |(name, _)| (*name).to_owned())
        };
        let fields = Template::parse(cell)?.fields();
        Ok(fields.iter().map(of_field).collect::<Vec<_>>().join(" "))
    }
}

/// A row as a line. `Label` is a method, and no field of it.
fn json(row: &Value) -> String {
    let mut row = row.clone();
    if let Value::Object(fields) = &mut row {
        fields.shift_remove("Label");
    }
    format!("{row}\n")
}

/// `CreatedSince` as `CREATED SINCE`.
fn words(field: &str) -> String {
    let mut out = String::new();
    let mut lower = false;
    for c in field.chars() {
        if c.is_uppercase() && lower {
            out.push(' ');
        }
        lower = c.is_lowercase();
        out.extend(c.to_uppercase());
    }
    out
}

/// `\t` and `\n` as people type them in a shell.
fn unescape(format: &str) -> String {
    format.replace("\\t", "\t").replace("\\n", "\n")
}

/// Cells in columns, none narrower than `narrowest`.
pub(crate) fn align(lines: &[Vec<String>], narrowest: usize) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        let widest = cells.map(|c| c.chars().count()).max().unwrap_or(0);
        (widest + GAP).max(narrowest)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            match column + 1 == line.len() {
                true => out.push_str(cell),
                false => out.push_str(&format!("{cell:<0$}", widths[column])),
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: Table = Table {
        columns: &[("IMAGE ID", "{{.ID}}"), ("SIZE", "{{.Size}}")],
    };

    fn render(format: Option<&str>) -> String {
        let rows = [
            json!({"ID": "0123", "Label": {"k": "v"}, "Size": "1kB"}),
            json!({"ID": "4567", "Size": "12MB"}),
        ];
        TABLE.render(&rows, format).unwrap()
    }

    #[test]
    fn renders() {
        assert_eq!(
            render(None),
            "IMAGE ID   SIZE\n0123       1kB\n4567       12MB\n"
        );
        assert_eq!(render(Some("{{.Size}}")), "1kB\n12MB\n");
        assert_eq!(
            render(Some(r"table {{.Size}}\t{{.ID}}")),
            "SIZE      IMAGE ID\n1kB       0123\n12MB      4567\n"
        );
        assert_eq!(
            render(Some("json")).lines().next(),
            Some(r#"{"ID":"0123","Size":"1kB"}"#)
        );
    }
}
