//! `cp` where there are no containers.

use std::io::{Read, Write};

use super::{CopyOptions, PathStat};
use crate::{Container, Error, ErrorKind};

fn elsewhere<T>() -> Result<T, Error> {
    let what = "the files of a container can be reached on Linux alone";
    Err(Error::new(ErrorKind::Unsupported, what))
}

#[allow(clippy::unused_self)]
impl Container {
    /// An error on this platform.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`].
    pub fn stat(&self, _: &str, _: bool) -> Result<PathStat, Error> {
        elsewhere()
    }

    /// An error on this platform.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`].
    pub fn copy_out(&self, _: &str, _: bool, _: &mut dyn Write) -> Result<u64, Error> {
        elsewhere()
    }

    /// An error on this platform.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`].
    pub fn copy_in(&self, _: &str, _: &mut (dyn Read + Send)) -> Result<u64, Error> {
        elsewhere()
    }

    /// An error on this platform.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`].
    pub fn copy_from(&self, _: &str, _: &str, _: CopyOptions) -> Result<u64, Error> {
        elsewhere()
    }

    /// An error on this platform.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`].
    pub fn copy_to(&self, _: &str, _: &str, _: CopyOptions) -> Result<u64, Error> {
        elsewhere()
    }
}
