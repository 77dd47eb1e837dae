//! The ids of the user namespace that this process is in.

use std::sync::OnceLock;

use kiln_sandbox::{IdMap, IdRange};

/// The ids that are mapped in this process's user namespace; `None` in the first one of the machine,
/// and wherever else nothing is missing.
pub(crate) fn of_this_process() -> Option<&'static IdMap> {
    static IDS: OnceLock<Option<IdMap>> = OnceLock::new();
    IDS.get_or_init(|| {
        let ranges = |file: &str| -> Option<Vec<IdRange>> {
            let text = std::fs::read_to_string(file).ok()?;
            let line = |line: &str| {
                let mut numbers = line.split_ascii_whitespace().map(str::parse);
                let mut next = || numbers.next()?.ok();
                Some(IdRange {
                    inside: next()?,
                    outside: next()?,
                    count: next()?,
                })
            };
            text.lines().map(line).collect()
        };
        let map = IdMap {
            uids: ranges("/proc/self/uid_map")?,
            gids: ranges("/proc/self/gid_map")?,
        };
        let all = |ranges: &[IdRange]| matches!(ranges, [IdRange { inside: 0, count, .. }] if *count == u32::MAX);
        (!all(&map.uids) || !all(&map.gids)).then_some(map)
    })
    .as_ref()
}
