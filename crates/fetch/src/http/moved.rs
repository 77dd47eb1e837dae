//! Where an address leads, for a program that is to be shown who one is and must not follow by itself.
//! Refuses to lead it to another server: that would see the same.

use reqwest::{
    Url,
    header::{AUTHORIZATION, LOCATION},
};

use super::{
    address,
    ask::{REDIRECTS, waited},
    client::client,
    failure::Failure,
    headers, run,
};
use crate::{Authorization, Error, ErrorKind, Options, Watch};

/// The address at the end of all redirects.
pub(crate) fn moved(
    options: &Options,
    from: &str,
    authorization: &Authorization,
    watch: &Watch<'_>,
) -> Result<String, Error> {
    let first = Url::parse(from)
        .map_err(|e| Error::new(ErrorKind::Invalid, "the address is none").because(e))?;
    let follow = async {
        let mut url = first.clone();
        for _ in 0..=REDIRECTS {
            let request = client(options, &url)?.get(url.clone());
            let request = request.header(AUTHORIZATION, authorization.reveal());
            let sent = waited(watch, request.send(), &url).await?;
            let response = sent.map_err(|e| Failure::connection(e, &url))?;
            let to = headers::text(response.headers(), &LOCATION);
            let Some(to) = to.filter(|_| response.status().is_redirection()) else {
                return Ok(url);
            };
            let next = address::redirected(&url, &to)?;
            if !address::is_same_origin(&first, &next) {
                let why = format!(
                    "it redirects to `{}`, another server",
                    address::shown(&next)
                );
                let refused = Failure::new(ErrorKind::Refused, &first, why).error;
                return Err(refused
                    .hint("name that address itself, if it is to see the token")
                    .into());
            }
            url = next;
        }
        let why = format!("more than {REDIRECTS} redirects");
        Err(Failure::new(ErrorKind::Refused, &first, why))
    };
    let found = run::block_on(follow)?;
    found.map(String::from).map_err(|failure| failure.error)
}
