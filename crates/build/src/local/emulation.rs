//! Whether this machine can run programs of other platforms: natively, or by an emulator that is
//! registered with its kernel. Asked once for each platform, and only where a step needs it.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use kiln_image::Platform;
use kiln_sandbox::host::runs;

use crate::{Error, ErrorKind};

/// What was found out.
pub(crate) struct Emulators {
    scratch: PathBuf,
    known: Mutex<HashMap<String, bool>>,
}

impl Emulators {
    /// Programs to try are put into the folder `scratch` for a moment.
    pub(crate) fn new(scratch: PathBuf) -> Self {
        Self {
            scratch,
            known: Mutex::default(),
        }
    }

    /// Refuses a platform whose programs do not run here.
    pub(crate) fn check(&self, platform: &Platform) -> Result<(), Error> {
        let host = Platform::host();
        if platform.os != host.os {
            let what = format!("a RUN for `{platform}` cannot be carried out on `{host}`");
            let hint = "steps for another operating system run on a machine that has it";
            return Err(Error::new(ErrorKind::Unsupported, what).hint(hint));
        }
        if platform.architecture == host.architecture || self.runs(&platform.architecture)? {
            return Ok(());
        }
        let what = format!("this machine cannot run programs for `{platform}`");
        Err(Error::new(ErrorKind::Unsupported, what).hint(
            "install an emulator: `apt-get install qemu-user-static` (or `qemu-user-binfmt`), which \
             registers it with the kernel; or do this in a stage `FROM --platform=$BUILDPLATFORM` that \
             builds for `$TARGETARCH`",
        ))
    }

    fn runs(&self, architecture: &str) -> Result<bool, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = known.get(architecture) {
            return Ok(*answer);
        }
        let found = runs(architecture, &self.scratch);
        let found =
            found.map_err(|e| Error::io(format!("try a program for `{architecture}`"), e))?;
        known.insert(architecture.to_owned(), found);
        Ok(found)
    }
}
