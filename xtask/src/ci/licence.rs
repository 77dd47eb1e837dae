//! Licence expressions (SPDX 2.3, annex D, and the older `A/B`), against a list of those allowed.

/// Whether somebody who accepts only `allowed` may use what is licensed as `expression`.
///
/// # Errors
/// Says what is wrong with an expression that cannot be read.
pub(super) fn allows(allowed: &[String], expression: &str) -> Result<bool, String> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        words: &words,
        allowed,
    };
    let answer = reader.either()?;
    match reader.words {
        [] => Ok(answer),
        [word, ..] => Err(format!("`{word}` is one too many in `{expression}`")),
    }
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [String],
}

impl<'a> Reader<'a> {
    /// `a OR b`, which binds less than `AND`.
    fn either(&mut self) -> Result<bool, String> {
        let mut answer = self.both()?;
        while self.take("OR") {
            answer |= self.both()?;
        }
        Ok(answer)
    }

    fn both(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.take("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let answer = self.either()?;
            return if self.take(")") {
                Ok(answer)
            } else {
                Err("a `)` is missing".into())
            };
        }
        let mut name = self.word()?.to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.word()?);
        }
        Ok(self.allowed.contains(&name))
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let (first, rest) = self.words.split_first().ok_or("it ends too early")?;
        self.words = rest;
        Ok(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let is = self.words.first() == Some(&word);
        if is {
            self.words = &self.words[1..];
        }
        is
    }
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn expressions() {
        let allowed: Vec<String> = [
            "MIT",
            "Apache-2.0",
            "Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
        ]
        .map(String::from)
        .into();
        let table = [
            ("MIT", Ok(true)),
            ("GPL-3.0-only", Ok(false)),
            ("MIT OR GPL-3.0-only", Ok(true)),
            ("MIT AND GPL-3.0-only", Ok(false)),
            ("MIT/GPL-2.0", Ok(true)),
            ("(MIT OR GPL-2.0) AND Unicode-3.0", Ok(true)),
            ("GPL-2.0 OR MIT AND GPL-2.0", Ok(false)),
            ("Apache-2.0 WITH LLVM-exception", Ok(true)),
            ("MIT WITH LLVM-exception", Ok(false)),
            ("(MIT", Err(())),
            ("MIT Apache-2.0", Err(())),
            ("MIT OR", Err(())),
            ("", Err(())),
        ];
        for (expression, expected) in table {
            assert_eq!(
                allows(&allowed, expression).map_err(|_| ()),
                expected,
                "{expression}"
            );
        }
    }
}
