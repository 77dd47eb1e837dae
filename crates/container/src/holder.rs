//! Which process listens on a port, as far as `/proc` tells; for the monitor of a container, which
//! container.

/// Who listens on `port`: `` `name` (pid 1) ``, `` container `web` (pid 1) ``. `None` where the system
/// does not say.
#[cfg(target_os = "linux")]
pub(crate) fn holder(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name
            .to_str()
            .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
        else {
            continue;
        };
        let Ok(descriptors) = std::fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let Ok(link) = std::fs::read_link(descriptor.path()) else {
                continue;
            };
            if inodes
                .iter()
                .any(|inode| link.as_os_str() == format!("socket:[{inode}]").as_str())
            {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                // What another user's process calls itself leads to files that it may have chosen.
                let ours = std::os::unix::fs::MetadataExt::uid(&entry.metadata().ok()?)
                    == rustix::process::geteuid().as_raw();
                if let Some(name) = ours.then(|| container(&line)).flatten() {
                    return Some(format!("container `{name}` (pid {pid})"));
                }
                let program = std::fs::read_to_string(entry.path().join("comm"));
                let mut program = program.unwrap_or_default();
                program.retain(|c| !c.is_control());
                return Some(format!("`{}` (pid {pid})", program.trim()));
            }
        }
    }
    None
}

/// The name of the container whose monitor was started by this command line.
#[cfg(target_os = "linux")]
fn container(line: &[u8]) -> Option<String> {
    use std::os::unix::ffi::OsStrExt as _;

    let mut words = line.split(|b| *b == 0).skip(1);
    if words.next()? != crate::monitor::NAME.as_bytes() {
        return None;
    }
    let root = std::path::Path::new(std::ffi::OsStr::from_bytes(words.next()?));
    let id = std::str::from_utf8(words.next()?).ok()?;
    if !crate::containers::is_id(id) {
        return None;
    }
    let details = crate::state::read_details(&root.join("containers").join(id));
    Some(details.ok()??.name)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn holder(_: u16) -> Option<String> {
    None
}

/// The inodes of the sockets that listen on `port`, from a table like `/proc/net/tcp` (proc(5)).
#[cfg(target_os = "linux")]
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let wanted = format!(":{port:04X}");
    let lines = table.lines().skip(1);
    let sockets = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        (local.ends_with(&wanted) && *state == LISTEN).then(|| (*inode).to_owned())
    });
    sockets.collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn finds_this_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = holder(port).unwrap();
        assert!(
            found.ends_with(&format!("(pid {})", std::process::id())),
            "{found}"
        );
        drop(listener);
        assert_eq!(holder(port), None);
    }
}
