//! Which of what nobody uses goes: `until=TIME`, `label=KEY[=VALUE]`, `label!=KEY[=VALUE]`.

use std::collections::BTreeMap;

use kiln_build::{image::Config, store::ImageRecord, time};

use crate::{failure::Failure, moment};

/// What `--filter` asks for.
#[derive(Default)]
pub(super) struct Filter {
    /// What was made before this time, in seconds since 1970.
    until: Option<i64>,
    /// What has these labels, or with `false` what has not.
    labels: Vec<(bool, String, Option<String>)>,
}

impl Filter {
    pub(super) fn parse(filters: &[String]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for text in filters {
            if let Some(value) = text.strip_prefix("until=") {
                filter.until = Some(moment::in_seconds(value)?);
            } else if let Some(label) = text.strip_prefix("label!=") {
                filter.labels.push(Self::label(false, label));
            } else if let Some(label) = text.strip_prefix("label=") {
                filter.labels.push(Self::label(true, label));
            } else {
                return Err(Failure::new(format!("invalid filter `{text}`"))
                    .hint("there are: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]"));
            }
        }
        Ok(filter)
    }

    fn label(wanted: bool, text: &str) -> (bool, String, Option<String>) {
        match text.split_once('=') {
            Some((key, value)) => (wanted, key.to_owned(), Some(value.to_owned())),
            None => (wanted, text.to_owned(), None),
        }
    }

    /// Whether it leaves an image among those that go.
    pub(super) fn image(&self, record: &ImageRecord, config: &Config) -> bool {
        let created = record.created.as_deref().and_then(time::parse).unwrap_or(0);
        self.leaves(created, &config.config.labels)
    }

    /// Whether it leaves what was made then and has these labels among what goes.
    pub(super) fn leaves(&self, created: i64, labels: &BTreeMap<String, String>) -> bool {
        let old = self.until.is_none_or(|until| created <= until);
        let has = |key: &String, value: &Option<String>| {
            let found = labels.get(key);
            found.is_some_and(|f| value.as_ref().is_none_or(|v| v == f))
        };
        old && self
            .labels
            .iter()
            .all(|(wanted, key, value)| has(key, value) == *wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_leaves() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        for (filters, created, leaves) in [
            (&[][..], 5, true),
            (&["label=a"], 5, true),
            (&["label=a=2"], 5, false),
            (&["label!=a=2"], 5, true),
            (&["label!=a"], 5, false),
            (&["until=10"], 5, true),
            (&["until=10"], 11, false),
            (&["until=10", "label=b"], 5, false),
        ] {
            let filters: Vec<String> = filters.iter().map(|f| (*f).to_owned()).collect();
            let filter = Filter::parse(&filters).unwrap();
            assert_eq!(filter.leaves(created, &labels), leaves, "{filters:?}");
        }
        assert!(Filter::parse(&["name=x".to_owned()]).is_err());
    }
}
