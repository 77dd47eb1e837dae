//! `--chmod`: octal modes. Symbolic ones are known, and not done yet.

use crate::{Error, ErrorKind};

/// The mode that what is copied gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// This mode, for files and folders alike.
    Octal(u32),
}

impl Mode {
    /// Reads the text of `--chmod`.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) for a symbolic mode (`u=rwX,go=rX`),
    /// [`Invalid`](ErrorKind::Invalid) for what is no mode.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let is_octal = (1..=5).contains(&text.len());
        let is_octal = is_octal && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if is_octal {
            if let Ok(mode @ 0..=0o7777) = u32::from_str_radix(text, 8) {
                return Ok(Mode::Octal(mode));
            }
        } else if text.contains(['=', '+', '-']) {
            let what = format!("mode `{text}`: symbolic modes are not supported");
            return Err(
                Error::new(ErrorKind::Unsupported, what).hint("write it in octal, like `0755`")
            );
        }
        Err(Error::invalid(format!("mode `{text}` is not octal"))
            .hint("write it in octal, like `0755`"))
    }

    /// What becomes of the mode of an entry.
    pub fn of(self, _before: u32, _is_folder: bool) -> u32 {
        match self {
            Mode::Octal(mode) => mode,
        }
    }
}
