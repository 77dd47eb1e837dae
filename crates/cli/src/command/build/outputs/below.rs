//! Which folders an output may empty without being allowed to.

use std::{env, path::Path};

/// Whether emptying a folder is harmless enough to be done without being allowed: it lies below the
/// folder that the command runs in.
pub(super) fn is_below(path: &Path) -> bool {
    let Ok(here) = env::current_dir().and_then(|here| here.canonicalize()) else {
        return false;
    };
    let mut whole = here.join(path);
    // Of what is not there yet, the part that is counts; and no `..` behind that.
    let mut missing = false;
    loop {
        match whole.canonicalize() {
            Ok(found) => return found.starts_with(&here) && (missing || found != here),
            Err(_) if whole.file_name().is_some() => {
                missing = true;
                whole.pop();
            }
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_below_are_emptied_without_being_asked() {
        for (path, below) in [
            ("out", true),
            ("not/there/yet", true),
            (".", false),
            ("..", false),
            ("/", false),
            ("/tmp", false),
            ("src/..", false),
        ] {
            assert_eq!(is_below(Path::new(path)), below, "{path}");
        }
    }
}
