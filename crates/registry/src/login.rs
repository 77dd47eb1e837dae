//! Whether a registry takes a credential. Refuses to keep it: that is `DockerConfig`'s.

use std::sync::Arc;

use kiln_image::{Error, ErrorKind};
use reqwest::Method;

use crate::{
    Client, Credential, Credentials, Options, Serves,
    auth::Scope,
    failure::Failure,
    host::shown,
    transport::{Ask, Shared},
};

/// One credential for whoever asks.
struct Fixed(Credential);

impl Credentials for Fixed {
    fn get(&self, _registry: &str, _repository: &str) -> Result<Option<Credential>, Error> {
        Ok(Some(self.0.clone()))
    }
}

impl Client {
    /// Asks `registry` (`docker.io`, `host:port`) whether it takes `credential`: itself, never its
    /// mirrors. One that asks nobody who they are takes everything.
    ///
    /// # Errors
    /// [`Denied`](ErrorKind::Denied) when it does not; [`Unreachable`](ErrorKind::Unreachable) and
    /// the like when it cannot be asked.
    pub fn login(&self, registry: &str, credential: &Credential) -> Result<(), Error> {
        let options = Options {
            credentials: Arc::new(Fixed(credential.clone())),
            ..self.shared().options.clone()
        };
        let host = self.shared().host(registry, "")?;
        let itself = |e: &crate::Endpoint| matches!(e.serves, Serves::All | Serves::Pushes);
        let Some(endpoint) = host.endpoints.into_iter().find(itself) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("registry `{registry}` has no endpoint of its own"),
            ));
        };
        let endpoint = self.settled(endpoint)?;
        // Nothing that another credential was given may help this one.
        let shared = Shared::new(options);
        self.worker()?.run(async move {
            let ask = Ask::new(Method::GET, endpoint.base());
            match shared.send(&endpoint, &Scope::none(), &ask).await {
                Ok(_) => Ok(()),
                Err(failure) => Err(refused(failure, &shown(&endpoint.base()))),
            }
        })?
    }
}

/// What a person is told, in words that are known from elsewhere.
fn refused(failure: Failure, url: &str) -> Error {
    let (ErrorKind::Denied, Some(status)) = (failure.kind(), failure.status) else {
        return failure.into_error();
    };
    let error = Error::new(
        ErrorKind::Denied,
        format!("login attempt to {url} failed with status: {status}"),
    );
    match status.as_u16() {
        403 => error.hint("the registry knows the name, and does not let it in"),
        _ => error.hint("the user name or the password is wrong"),
    }
}
