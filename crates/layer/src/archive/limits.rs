//! [`Limits`]: what a header can claim.

/// What an archive may claim: see [`crate::apply_within`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest uncompressed stream, in bytes.
    pub stream: u64,
    /// How many entries there may be.
    pub entries: u64,
    /// The sum of all names, link targets and attributes, in bytes: what is held in memory.
    pub metadata: u64,
    /// The longest extended header, in bytes.
    pub extended: u64,
    /// How many regions a sparse file may have.
    pub regions: u64,
    /// The sum of all holes in sparse files, in bytes: what is read and was not stored.
    pub holes: u64,
}

impl Default for Limits {
    /// 1 TiB, 2 million entries, 512 MiB of metadata, extended headers of 1 MiB (as Go's reader),
    /// 262,144 regions, holes of 64 GiB.
    ///
    /// There is no limit on the ratio between a compressed blob and its stream: zstd makes tens of
    /// gigabytes of zeros into a megabyte for anybody who writes a swap file. Long runs of zeros
    /// take no space on disk; what the rest takes is for the caller to bound, by `stream` or by
    /// the file system.
    fn default() -> Self {
        Self {
            stream: 1 << 40,
            entries: 2_000_000,
            metadata: 512 << 20,
            extended: 1 << 20,
            regions: 1 << 18,
            holes: 64 << 30,
        }
    }
}
