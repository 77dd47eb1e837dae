//! `--filter` of `kiln volume ls` and `prune`. Labels must all be there; names and drivers are
//! alternatives, as docker has it.

use kiln_container::Volume;

use crate::failure::Failure;

/// Which volumes are meant.
#[derive(Default)]
pub(super) struct Filter {
    dangling: Option<bool>,
    drivers: Vec<String>,
    names: Vec<String>,
    /// With `false`, those that do not have the label.
    labels: Vec<(bool, String, Option<String>)>,
}

impl Filter {
    /// Filters of a list.
    pub(super) fn list(filters: &[String]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for text in filters {
            let (key, value) = split(text)?;
            match key {
                "dangling" => filter.dangling = Some(truth(text, value)?),
                "driver" => filter.drivers.push(value.to_owned()),
                "label" => filter.label(true, value),
                "name" => filter.names.push(value.to_owned()),
                _ => {
                    return Err(Failure::new(format!("invalid filter '{key}'"))
                        .hint("there are: dangling, driver, label, name"));
                }
            }
        }
        Ok(filter)
    }

    /// Filters of what is to go.
    pub(super) fn prune(filters: &[String]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for text in filters {
            let (key, value) = split(text)?;
            match key {
                "label" => filter.label(true, value),
                "label!" => filter.label(false, value),
                _ => {
                    return Err(Failure::new(format!("invalid filter '{key}'"))
                        .hint("there are: label=KEY[=VALUE], label!=KEY[=VALUE]"));
                }
            }
        }
        Ok(filter)
    }

    fn label(&mut self, wanted: bool, text: &str) {
        self.labels.push(match text.split_once('=') {
            Some((key, value)) => (wanted, key.to_owned(), Some(value.to_owned())),
            None => (wanted, text.to_owned(), None),
        });
    }

    /// Whether a volume is meant, but for who uses it.
    pub(super) fn keeps(&self, volume: &Volume) -> bool {
        let label = |(wanted, key, value): &(bool, String, Option<String>)| {
            let found = volume.labels.get(key);
            let has = found.is_some_and(|f| value.as_ref().is_none_or(|v| v == f));
            has == *wanted
        };
        let name = |part: &String| volume.name.contains(part.as_str());
        self.labels.iter().all(label)
            && (self.names.is_empty() || self.names.iter().any(name))
            && (self.drivers.is_empty() || self.drivers.iter().any(|d| d == "local"))
    }

    /// Whether a volume with these users is meant; they are only asked for where that counts.
    pub(super) fn dangles(
        &self,
        users: impl FnOnce() -> Result<Vec<String>, Failure>,
    ) -> Result<bool, Failure> {
        match self.dangling {
            None => Ok(true),
            Some(wanted) => Ok(users()?.is_empty() == wanted),
        }
    }
}

fn split(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=').ok_or_else(|| {
        Failure::new("invalid argument: bad format of filter (expected name=value)")
            .hint("for example label=KEY")
    })
}

fn truth(text: &str, value: &str) -> Result<bool, Failure> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Failure::new(format!("invalid filter '{text}'")).hint("it is true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str) -> Volume {
        Volume {
            name: name.to_owned(),
            labels: [("a".to_owned(), "1".to_owned())].into(),
            created: 0,
            anonymous: false,
            mountpoint: Default::default(),
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn what_is_listed() {
        for (filters, want) in [
            (&[][..], true),
            (&["name=at"], true),
            (&["name=x", "name=data"], true),
            (&["name=x"], false),
            (&["label=a"], true),
            (&["label=a=1"], true),
            (&["label=a", "label=b"], false),
            (&["label=a=2"], false),
            (&["driver=local"], true),
            (&["driver=nfs"], false),
        ] {
            let filter = Filter::list(&words(filters)).unwrap();
            assert_eq!(filter.keeps(&volume("data")), want, "{filters:?}");
        }
        for wrong in ["name", "dangling=perhaps", "size=1"] {
            assert!(Filter::list(&words(&[wrong])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_goes() {
        let keeps = |filter: &str| {
            let filter = Filter::prune(&words(&[filter])).unwrap();
            filter.keeps(&volume("data"))
        };
        assert!(keeps("label=a") && keeps("label!=b") && keeps("label!=a=2"));
        assert!(!keeps("label=b") && !keeps("label!=a"));
        assert!(Filter::prune(&words(&["name=data"])).is_err());
    }

    #[test]
    fn who_dangles() {
        let users = |n: usize| move || Ok(vec![String::new(); n]);
        let filter = Filter::list(&words(&["dangling=true"])).unwrap();
        assert!(filter.dangles(users(0)).unwrap() && !filter.dangles(users(1)).unwrap());
        let filter = Filter::list(&words(&["dangling=0"])).unwrap();
        assert!(!filter.dangles(users(0)).unwrap() && filter.dangles(users(1)).unwrap());
        assert!(Filter::default().dangles(users(1)).unwrap());
    }
}
