//! A user namespace for this program's children: in it they are root, without the program being it.
//! A process with threads cannot enter one, so the program itself never does.

use std::sync::Arc;

use crate::{Error, IdMap};

/// A user namespace, made when the first child is to be in it ([`open_in`](crate::open_in),
/// [`Native`](crate::Native)). It ends with the last process in it and this value.
///
/// ```no_run
/// use kiln_sandbox::{Native, UserNamespace};
/// // Nothing is made yet, and nothing ever for root.
/// let namespace = UserNamespace::usual()?;
/// let runner = Native::new(namespace);
/// # Ok::<(), kiln_sandbox::Error>(())
/// ```
#[derive(Debug)]
pub struct UserNamespace {
    map: IdMap,
    #[cfg(target_os = "linux")]
    held: std::sync::Mutex<Option<crate::linux::MadeUserNamespace>>,
}

impl UserNamespace {
    /// A namespace with these users and groups.
    pub fn new(map: IdMap) -> Self {
        Self {
            map,
            #[cfg(target_os = "linux")]
            held: std::sync::Mutex::new(None),
        }
    }

    /// What this program needs: none for root that has `CAP_SYS_ADMIN` (nor where there are no user
    /// namespaces, outside of Linux), else one with [`IdMap::of_user`].
    ///
    /// # Errors
    ///
    /// Those of [`IdMap::of_user`]. What forbids namespaces is said when the first child needs it.
    pub fn usual() -> Result<Option<Arc<Self>>, Error> {
        #[cfg(target_os = "linux")]
        if !crate::linux::is_root() {
            return Ok(Some(Arc::new(Self::new(IdMap::of_user()?))));
        }
        Ok(None)
    }

    /// The users and groups.
    pub fn map(&self) -> &IdMap {
        &self.map
    }

    /// Does something with the namespace, which is made where it is not yet.
    #[cfg(target_os = "linux")]
    pub(crate) fn held<T>(
        &self,
        work: impl FnOnce(&crate::linux::MadeUserNamespace) -> T,
    ) -> Result<T, Error> {
        // A maker that panicked has made nothing.
        let mut held = self
            .held
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let made = match held.take() {
            Some(made) => made,
            None => crate::linux::make_user_namespace(&self.map)?,
        };
        Ok(work(held.insert(made)))
    }
}
