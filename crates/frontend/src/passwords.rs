//! Passwords in the addresses of a text: for what is shown, and for what an image tells of how it was made.
//! Refuses to look for any that are not between `://` and `@`.

/// The text with `x` for each byte of a password in an address (`scheme://user:password@host`), so that
/// what is said of places in it still holds. On the web a user without a password is one: a token.
///
/// ```
/// let shown = kiln_frontend::without_passwords("ADD https://me:key@host/file /");
/// assert_eq!(shown, "ADD https://me:xxx@host/file /");
/// ```
#[must_use]
pub fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'');
        let (authority, behind) = after.split_at(after.find(ends).unwrap_or(after.len()));
        match authority.rsplit_once('@') {
            Some((who, host)) => {
                let (user, password) = who.split_once(':').unwrap_or((who, ""));
                let is_web = before.ends_with("http://") || before.ends_with("https://");
                let token = is_web && matches!(password, "" | "x-oauth-basic");
                shown.push_str(&if token {
                    "x".repeat(user.len())
                } else {
                    user.into()
                });
                shown.push_str(if who.contains(':') { ":" } else { "" });
                shown.push_str(&"x".repeat(password.len()));
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passwords_are_hidden() {
        for (text, shown) in [
            ("", ""),
            ("http://host/a@b:c@d", "http://host/a@b:c@d"),
            ("http://user:a@host/", "http://user:x@host/"),
            ("https://token@host/", "https://xxxxx@host/"),
            ("http://token:@host/", "http://xxxxx:@host/"),
            ("http://t:x-oauth-basic@h", "http://x:xxxxxxxxxxxxx@h"),
            ("ssh://git@host/", "ssh://git@host/"),
            ("http://u:pä@h http://:p@h", "http://u:xxx@h http://:x@h"),
            ("git://a:b:c@d@h#x:y", "git://a:xxxxx@h#x:y"),
            ("x://", "x://"),
            ("u:p@h", "u:p@h"),
        ] {
            assert_eq!(without_passwords(text), shown);
            assert_eq!(without_passwords(text).len(), text.len());
        }
    }
}
