//! The nearest of some names to one that is not among them.

/// The name that a person most likely meant who wrote `word`, if any is near enough: a third of its
/// letters may be others, three at most; two neighbours that changed places are one.
pub fn nearest<'c>(word: &str, names: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    let near = |name: &str| distance(&word, &name.to_lowercase());
    names
        .into_iter()
        .map(|name| (near(name), name))
        .filter(|(far, name)| *far <= word.len().div_ceil(3).min(3) && *far < name.len())
        .min_by_key(|(far, _)| *far)
        .map(|(_, name)| name)
}

/// Edits from one to the other: insert, delete, replace; two neighbours that changed places are one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typing_errors_are_near() {
        let names = ["build", "test", "final"];
        for (word, want) in [
            ("biuld", Some("build")),
            ("Bulid", Some("build")),
            ("tests", Some("test")),
            ("nginx", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), want, "{word}");
        }
    }
}
