//! Which extended attributes belong to an image. Refuses those that mean something to overlayfs,
//! to this program or to the security module of the machine at hand.

/// The longest name and value (Linux `XATTR_NAME_MAX`, `XATTR_SIZE_MAX`), and how many there may be.
pub(crate) const MAX_NAME: usize = 255;
pub(crate) const MAX_VALUE: usize = 64 << 10;
pub(crate) const MAX_COUNT: usize = 1024;

/// Whether an attribute of this name is part of a layer. All others are never read from a disk into
/// a tree, nor taken from an archive: `trusted.*`, labels, and `user.overlay.*` and `user.kiln.*`,
/// by which a layer could change what its neighbours show.
pub fn keeps_attribute(name: &[u8]) -> bool {
    match name {
        b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default" => true,
        _ => {
            name.starts_with(b"user.")
                && !name.starts_with(b"user.overlay.")
                && !name.starts_with(b"user.kiln.")
        }
    }
}
