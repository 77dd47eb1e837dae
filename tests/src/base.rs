//! Base images, made on the spot: of busybox, or of the host's own shell, python and libraries.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::kiln::{Kiln, write};

/// The static busybox of Debian's package busybox-static.
pub const BUSYBOX: &str = "/bin/busybox";

/// Imports `busybox:latest`: a root of one static program and its names, some users, `/tmp`.
///
/// # Panics
/// When there is no static busybox: tests need it.
pub fn busybox(kiln: &Kiln) {
    let tar = kiln.scratch().join("busybox.tar");
    if !tar.exists() {
        let root = kiln.scratch().join("busybox-root");
        busybox_root(&root);
        pack(&root, &tar).expect("busybox can be packed");
    }
    kiln.ok(["import", tar.to_str().expect("made of letters"), "busybox"]);
}

/// A root of busybox.
///
/// # Panics
/// When there is no static busybox.
pub fn busybox_root(root: &Path) {
    for folder in ["bin", "etc", "root", "home/user", "var/log", "usr/bin"] {
        fs::create_dir_all(root.join(folder)).expect("a folder is made");
    }
    fs::create_dir_all(root.join("tmp")).expect("a folder is made");
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("chmod");
    fs::copy(BUSYBOX, root.join("bin/busybox")).expect("busybox-static is installed");
    let list = Command::new(BUSYBOX)
        .arg("--list")
        .output()
        .expect("busybox runs");
    for name in String::from_utf8_lossy(&list.stdout)
        .lines()
        .filter(|n| *n != "busybox")
    {
        symlink("busybox", root.join("bin").join(name)).expect("a link is made");
    }
    write(
        &root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
    );
    write(
        &root.join("etc/group"),
        "root:x:0:\nuser:x:1000:\nstaff:x:50:user\n",
    );
}

/// A root with the host's own programs, the libraries that they need, and python's own modules.
///
/// # Errors
/// When something of it cannot be copied.
pub fn host_root(root: &Path, programs: &[&str]) -> io::Result<()> {
    let mut files = BTreeSet::new();
    for program in programs {
        let path = find(program)?;
        files.extend(libraries(&path));
        files.insert(path);
    }
    for file in &files {
        copy_file(file, root)?;
    }
    for folder in ["tmp", "etc", "root", "var", "app"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (link, target) in [
        ("bin", "usr/bin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ] {
        merge_link(root, link, target)?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    let shell = root.join("usr/bin/sh");
    if !shell.exists() {
        symlink("dash", shell)?;
    }
    Ok(())
}

/// Copies the folder of python's own modules, without tests and caches.
///
/// # Errors
/// When it cannot be copied.
pub fn python_modules(root: &Path) -> io::Result<()> {
    let ask = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let said = Command::new("/usr/bin/python3")
        .args(["-c", ask])
        .output()?;
    let folder = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
    let inner = folder.strip_prefix("/").unwrap_or(&folder);
    let skip = [
        "test",
        "tests",
        "__pycache__",
        "idlelib",
        "lib2to3",
        "dist-packages",
    ];
    copy_tree(&folder, &root.join(inner), &skip)?;
    // Its extension modules have needs of their own.
    for extension in fs::read_dir(folder.join("lib-dynload"))? {
        for library in libraries(&extension?.path()) {
            copy_file(&library, root)?;
        }
    }
    Ok(())
}

/// Packs a root as a plain tar, owned by root.
///
/// # Errors
/// When tar fails.
pub fn pack(root: &Path, tar: &Path) -> io::Result<()> {
    let status = Command::new("tar")
        .args([
            "--numeric-owner",
            "--owner=0",
            "--group=0",
            "--sort=name",
            "-C",
        ])
        .arg(root)
        .arg("-cf")
        .arg(tar)
        .arg(".")
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other("tar failed")),
    }
}

fn find(program: &str) -> io::Result<PathBuf> {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let found = places
        .iter()
        .map(|p| Path::new(p).join(program))
        .find(|p| p.exists());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no `{program}` here")))
}

/// The shared libraries of a program, by the loader's own word.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let Ok(said) = Command::new("ldd").arg(program).output() else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let absolute = |word: &&str| word.starts_with('/');
    let words = text.split_whitespace().filter(absolute).map(PathBuf::from);
    words.filter(|path| path.exists()).collect()
}

/// Copies a file to its place below `root`, in the merged layout of today.
fn copy_file(file: &Path, root: &Path) -> io::Result<()> {
    let mut inner = file.strip_prefix("/").unwrap_or(file).to_owned();
    for top in ["bin", "sbin", "lib", "lib64"] {
        if inner.starts_with(top) {
            inner = Path::new("usr").join(inner);
        }
    }
    let to = root.join(inner);
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(file, to).map(|_| ())
}

fn merge_link(root: &Path, link: &str, target: &str) -> io::Result<()> {
    fs::create_dir_all(root.join(target))?;
    let link = root.join(link);
    match link.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(_) => symlink(target, link),
    }
}

fn copy_tree(from: &Path, to: &Path, skip: &[&str]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if skip.iter().any(|s| name == *s) {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        if from.is_dir() {
            copy_tree(&from, &to, skip)?;
        } else if from.is_file() {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
