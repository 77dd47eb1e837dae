//! Writing a layer's tar.

use crate::LayerPath;

/// The largest file that is kept inline.
const INLINE: u64 = 1 << 20;

/// Whether planning needs the content of the file at `path` (names of users, of the system).
pub(crate) fn kept_inline(path: &LayerPath, size: u64) -> bool {
    size <= INLINE
        && matches!(
            path.as_bytes(),
            b"etc/passwd" | b"etc/group" | b"etc/os-release" | b"usr/lib/os-release"
        )
}
