//! Debian's docker-registry (the reference implementation of the protocol) as a child process.

use std::{
    fs, io,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A docker-registry that ends when this is dropped.
#[derive(Debug)]
pub struct Debian {
    child: Child,
    address: String,
}

/// Starts docker-registry with its data in `folder`; `None` where it is not installed.
///
/// # Panics
/// When it is installed and does not start: a test cannot go on.
pub fn docker_registry(folder: &Path) -> Option<Debian> {
    docker_registry_with(folder, "", "")
}

/// The same, with more lines for its configuration: `http` goes below `http:`, indented by two
/// blanks, `rest` to the end.
///
/// # Panics
/// When it is installed and does not start: a test cannot go on.
pub fn docker_registry_with(folder: &Path, http: &str, rest: &str) -> Option<Debian> {
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = free.local_addr().expect("a bound socket has an address");
    drop(free);
    let config = folder.join("config.yml");
    let text = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  \
         delete:\n    enabled: true\nhttp:\n  addr: {address}\n{http}{rest}",
        folder.join("data").display()
    );
    fs::write(&config, text).expect("the folder can be written to");
    let log = fs::File::create(folder.join("log")).expect("the folder can be written to");
    let child = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        Err(e) => panic!("docker-registry does not start: {e}"),
    };
    let mut registry = Debian {
        child,
        address: address.to_string(),
    };
    let until = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        let ended = registry
            .child
            .try_wait()
            .expect("a child can be waited for");
        let said = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(ended.is_none(), "docker-registry ended: {}", said());
        assert!(
            Instant::now() < until,
            "docker-registry is silent: {}",
            said()
        );
        thread::sleep(Duration::from_millis(20));
    }
    Some(registry)
}

impl Debian {
    /// `127.0.0.1:PORT`: the name of the registry in references.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
