//! Values of flags that are a line of CSV, as buildx reads `--output` and `--secret`.

/// The fields of a line of CSV: a quoted one may have commas, and quotes doubled.
pub(super) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let field = fields.last_mut().expect("there is one from the beginning");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    match quoted {
        true => Err("a quote is not closed".to_owned()),
        false => Ok(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_csv() {
        let of = |text| fields(text).unwrap();
        assert_eq!(of("type=tar,dest=x"), ["type=tar", "dest=x"]);
        assert_eq!(
            of(r#"type=image,"name=a,b",push=true"#),
            ["type=image", "name=a,b", "push=true"]
        );
        assert_eq!(of(r#""a""b",c"#), ["a\"b", "c"]);
        assert!(fields("\"a").is_err());
    }
}
