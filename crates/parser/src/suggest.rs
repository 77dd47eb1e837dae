//! The nearest known name to one that is not known.

/// The candidate that a person most likely meant, if any is near enough.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let word: Vec<char> = word
        .chars()
        .take(64)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let near = word.len().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| {
            let other: Vec<char> = candidate.chars().map(|c| c.to_ascii_lowercase()).collect();
            (distance(&word, &other), candidate)
        })
        .filter(|(distance, candidate)| {
            *distance <= near.min(3) && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits from one to the other: insert, delete, replace, swap neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_near() {
        let known = ["FROM", "RUN", "COPY", "EXPOSE", "ENTRYPOINT", "ENV"];
        let rows = [
            ("FORM", Some("FROM")),
            ("rum", Some("RUN")),
            ("COPPY", Some("COPY")),
            ("EXPORT", Some("EXPOSE")),
            ("ENTRYPONIT", Some("ENTRYPOINT")),
            ("apt-get", None),
            ("&&", None),
        ];
        for (word, want) in rows {
            assert_eq!(nearest(word, known), want, "{word}");
        }
    }
}
