//! Where a file is: an HTTP address, and who one is there. Refuses other schemes, and to show passwords
//! and queries, which often are passwords.

use std::fmt;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::{Authorization, Error, ErrorKind};

/// An HTTP address without fragment, user and password.
pub(crate) struct Address {
    pub(crate) url: Url,
    pub(crate) authorization: Option<Authorization>,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut url = Url::parse(text).map_err(|e| {
            // The text may have a password in it, and what it is wrong in is not known.
            Error::new(ErrorKind::Invalid, "the address is not an HTTP address").because(e)
        })?;
        check(&url)?;
        let authorization = take_user(&mut url);
        url.set_fragment(None);
        Ok(Self { url, authorization })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.url))
    }
}

fn check(url: &Url) -> Result<(), Error> {
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(()),
        other => Err(
            Error::new(ErrorKind::Invalid, format!("`{other}://` is not fetched"))
                .hint("files are fetched by `http://` and `https://`"),
        ),
    }
}

/// Takes a user and password out of it.
fn take_user(url: &mut Url) -> Option<Authorization> {
    let user = decoded(url.username());
    let password = url.password().map(decoded);
    // Neither fails for a URL that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    match (user.as_str(), password) {
        ("", None) => None,
        (user, password) => Some(Authorization::basic(user, &password.unwrap_or_default())),
    }
}

/// `%xx` replaced by the bytes that they stand for.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// For messages.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    let has_query = url.query().is_some();
    url.set_query(None);
    format!("{url}{}", if has_query { "?…" } else { "" })
}

/// Where a redirect leads from `url`.
pub(super) fn redirected(url: &Url, location: &str) -> Result<Url, Error> {
    let refused = |why: &str| {
        let what = format!("`{}` redirects {why}", shown(url));
        Error::new(ErrorKind::Refused, what)
    };
    let mut next = url
        .join(location)
        .map_err(|e| refused("to what is no address").because(e))?;
    check(&next).map_err(|_| refused(&format!("to `{}://`", next.scheme())))?;
    if url.scheme() == "https" && next.scheme() == "http" {
        let to = format!("to `{}`, which is not encrypted", shown(&next));
        return Err(refused(&to).hint("name that address itself if it is to be trusted"));
    }
    // Who one is there is nothing that the other side could say.
    let _ = take_user(&mut next);
    next.set_fragment(None);
    Ok(next)
}

/// Whether both are of one server, which may see the same credentials.
pub(super) fn is_same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether it is this machine: never asked for through a proxy.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_queries_are_not_shown() {
        for (text, want) in [
            ("http://u:p%40ss@h/a?token=x#y", "http://h/a?…"),
            ("https://H:443/a b", "https://h/a%20b"),
            ("http://h", "http://h/"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), want, "{text}");
        }
        let address = Address::parse("http://u:p%40ss@h/").unwrap();
        let want = Authorization::basic("u", "p@ss");
        assert_eq!(address.authorization, Some(want));
        for wrong in ["ftp://u:pw@h/", "http://u:pw@", "u:pw@h", "file:///pw"] {
            let e = Address::parse(wrong).map(|_| ()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Invalid, "{wrong}");
            assert!(!format!("{e} {:?}", e.hint_text()).contains("pw"), "{e}");
        }
    }

    #[test]
    fn redirects_stay_encrypted_and_on_the_web() {
        let to = |from: &str, location: &str| {
            let found = redirected(&Url::parse(from).unwrap(), location);
            found.map_or_else(|e| format!("{e}"), |url| url.to_string())
        };
        assert_eq!(to("http://h/a/b", "../c?d=1#e"), "http://h/c?d=1");
        assert_eq!(to("http://h/", "https://u:p@i/"), "https://i/");
        assert!(to("https://h/", "http://h/").contains("is not encrypted"));
        assert!(to("http://h/", "file:///etc/passwd").contains("to `file://`"));
        assert!(to("http://h/", "http://").contains("no address"));
    }
}
