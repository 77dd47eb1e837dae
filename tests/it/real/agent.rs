//! An SSH agent that has one key to show, and signs nothing.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::{Path, PathBuf},
    thread,
};

/// What it answers to whoever asks for its keys: one, of 4 bytes, with a comment.
const KEYS: &[u8] = b"\x0c\0\0\0\x01\0\0\0\x04\0\0\0\0\0\0\0\x09deploykey";

/// Starts one at a socket, until the test ends.
pub(super) fn start(socket: &Path) -> PathBuf {
    let listener = UnixListener::bind(socket).unwrap();
    fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            let mut asked = [0; 5];
            if stream.read_exact(&mut asked).is_ok() && asked == *b"\0\0\0\x01\x0b" {
                let length = u32::try_from(KEYS.len()).unwrap_or_default();
                stream.write_all(&length.to_be_bytes())?;
                stream.write_all(KEYS)?;
            }
        }
        Ok::<_, std::io::Error>(())
    });
    socket.to_owned()
}
