//! Finding and executing the program, with the words in which docker says what went wrong.
//!
//! All of it happens inside the root and as the user, so that what is found can be executed.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::sys;
use crate::error::plain;
use crate::foreign;
use crate::{Error, ErrorKind, Process};

/// Enters the working directory. Links of the kernel's own, which may lead anywhere, are refused.
pub(crate) fn change_directory(cwd: &Path) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, cwd, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
        .and_then(rustix::process::fchdir)
        .map_err(|error| no_directory(cwd, error))
}

/// In docker's words.
pub(crate) fn no_directory(cwd: &Path, error: rustix::io::Errno) -> Error {
    let what = format!("chdir to cwd ({cwd:?}) set in config.json failed");
    Error::new(ErrorKind::WorkingDirectory, what)
        .because(error)
        .at(cwd)
}

/// A program that was found, with all that it is given.
pub(crate) struct Program {
    path: PathBuf,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// Finds it.
    pub(crate) fn new(process: &Process) -> Result<Self, Error> {
        let name = process.argv.first().map_or(OsStr::new(""), |name| name);
        let argv = process.argv.iter().map(|arg| terminated(arg.clone()));
        let env = process.env.iter().map(|(name, value)| {
            let mut variable = name.clone();
            variable.push("=");
            variable.push(value);
            terminated(variable)
        });
        Ok(Self {
            path: find(name, &process.env)?,
            argv: argv.collect::<Result<_, _>>()?,
            env: env.collect::<Result<_, _>>()?,
        })
    }

    /// Executes it. Returns only with the reason why not.
    pub(crate) fn execute(self) -> Error {
        let Self { path, argv, env } = self;
        let error = match terminated(path.clone().into()) {
            Ok(terminated) => sys::execve(&terminated, &argv, &env),
            Err(error) => return error,
        };
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::ArgumentListTooLong => ErrorKind::Process,
            _ => ErrorKind::NotExecutable,
        };
        let mut message = format!("exec {}: {}", path.display(), plain(&error));
        if let Some(hint) = hint(&path, &error) {
            message = format!("{message}\n{hint}");
        }
        Error::new(kind, message).at(path)
    }
}

fn terminated(text: OsString) -> Result<CString, Error> {
    CString::new(text.into_vec()).map_err(|error| {
        let text = OsString::from_vec(error.into_vec());
        let what = format!("{text:?} has a NUL byte in it");
        Error::new(ErrorKind::Process, what)
    })
}

/// The file of a program: as it is with a slash, else the first in `PATH` that can be executed.
fn find(name: &OsStr, env: &[(OsString, OsString)]) -> Result<PathBuf, Error> {
    if name.as_bytes().contains(&b'/') {
        return executable(Path::new(name)).map(|()| name.into());
    }
    let path = env.iter().rev().find(|(variable, _)| variable == "PATH");
    let path = path.map_or(OsStr::new(""), |(_, value)| value);
    std::env::split_paths(path)
        // A relative entry would find what lies in the working directory by chance.
        .filter(|directory| directory.is_absolute() && !name.is_empty())
        .map(|directory| directory.join(name))
        .find(|candidate| executable(candidate).is_ok())
        .ok_or_else(|| {
            let what = format!("exec: {name:?}: executable file not found in $PATH");
            Error::new(ErrorKind::NotFound, what).at(name)
        })
}

fn executable(path: &Path) -> Result<(), Error> {
    let failed =
        |kind, text: &str| Err(Error::new(kind, format!("exec: {path:?}: {text}")).at(path));
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            failed(ErrorKind::NotExecutable, "permission denied")
        }
        Err(error) => {
            let text = format!("stat {}: {}", path.display(), plain(&error));
            failed(ErrorKind::NotFound, &text)
        }
        Ok(found) if found.is_dir() => failed(ErrorKind::NotExecutable, "is a directory"),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            failed(ErrorKind::NotExecutable, "permission denied")
        }
        Ok(_) => Ok(()),
    }
}

/// What the kernel's error means for a file that is there.
fn hint(path: &Path, error: &io::Error) -> Option<String> {
    let start = start(path)?;
    let Some(rest) = start.strip_prefix(b"#!") else {
        return hint_of_binary(&start, error.raw_os_error()?);
    };
    let line = rest.split(|byte| *byte == b'\n').next()?;
    if line.ends_with(b"\r") {
        return Some(
            "its first line ends with a carriage return: save the file with Unix line ends".into(),
        );
    }
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace);
    let interpreter = Path::new(OsStr::from_bytes(&line[..end.unwrap_or(line.len())]));
    match self::start(interpreter) {
        Some(start) => hint_of_binary(&start, error.raw_os_error()?),
        None if error.raw_os_error() == Some(libc::ENOENT) => {
            let interpreter = interpreter.display();
            Some(format!(
                "its interpreter `{interpreter}` is not in the image"
            ))
        }
        None => None,
    }
}

/// The first bytes of a file.
fn start(path: &Path) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(256).read_to_end(&mut start).ok()?;
    Some(start)
}

/// The same for a file that begins like this and is no script.
fn hint_of_binary(start: &[u8], errno: i32) -> Option<String> {
    if !start.starts_with(b"\x7fELF") {
        return (errno == libc::ENOEXEC).then(|| "it has no `#!` line".into());
    }
    let foreign = foreign::architecture(start);
    match (errno, foreign) {
        (libc::ENOENT, None) => Some("its dynamic loader is not in the image".into()),
        // A program of this machine's would have been looked at by nobody else.
        (libc::ENOENT, Some(of)) => Some(format!(
            "it is a program for `linux/{of}`, and the emulator that is registered here for those is not \
             in the image, where the kernel looks for it: register it with the flag `F`, as \
             `apt-get install qemu-user-static` does"
        )),
        (libc::ENOEXEC, None) => Some("it was built for another architecture".into()),
        (libc::ENOEXEC, Some(of)) => Some(format!(
            "it is a program for `linux/{of}`, which this machine does not run; an emulator does: \
             `apt-get install qemu-user-static` (or `qemu-user-binfmt`)"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(value: &str) -> Vec<(OsString, OsString)> {
        vec![("PATH".into(), value.into())]
    }

    #[test]
    fn programs_are_found_in_the_given_path_alone() {
        let found = |name: &str, value: &str| find(name.as_ref(), &path(value));
        assert_eq!(found("sh", "/nowhere:/bin").unwrap(), Path::new("/bin/sh"));
        for (name, value) in [
            ("sh", "/nowhere"),
            ("sh", ""),
            ("", "/bin"),
            ("sh", "bin:."),
        ] {
            let error = found(name, value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{name} in {value}");
        }
        let error = find("foo".as_ref(), &[]).unwrap_err();
        let text = "exec: \"foo\": executable file not found in $PATH";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let error = |name: &str| find(name.as_ref(), &path("/bin")).unwrap_err();
        let text = "exec: \"/nope\": stat /nope: no such file or directory";
        assert_eq!(error("/nope").to_string(), text);
        assert_eq!(error("/etc").to_string(), "exec: \"/etc\": is a directory");
        assert_eq!(error("/etc/passwd").kind(), ErrorKind::NotExecutable);
    }

    #[test]
    fn what_is_wrong_with_a_file_that_is_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        let machine = |number: u16| {
            let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
            elf.resize(18, 0);
            elf.extend(number.to_le_bytes());
            elf
        };
        let (own, other) = match cfg!(target_arch = "aarch64") {
            true => ((183, "arm64"), (62, "amd64")),
            false => ((62, "amd64"), (183, "arm64")),
        };
        let (native, foreign) = (write("n", &machine(own.0)), write("f", &machine(other.0)));
        let script = |to: &Path| write("s", format!("#! {} -x\n", to.display()).as_bytes());
        let of_it = format!("a program for `linux/{}`", other.1);
        let rows = [
            (native.clone(), libc::ENOENT, "dynamic loader"),
            (foreign.clone(), libc::ENOENT, "with the flag `F`"),
            (foreign.clone(), libc::ENOENT, of_it.as_str()),
            (foreign.clone(), libc::ENOEXEC, of_it.as_str()),
            (write("x", b"true\n"), libc::ENOEXEC, "no `#!` line"),
            (
                write("r", b"#!/bin/sh\r\n"),
                libc::ENOENT,
                "carriage return",
            ),
        ];
        for (path, errno, words) in rows {
            let said = hint(&path, &io::Error::from_raw_os_error(errno)).unwrap();
            assert!(said.contains(words), "{path:?} {errno}: {said}");
        }
        for (to, words) in [
            (&native, "dynamic loader"),
            (&foreign, "with the flag `F`"),
            (&"/none".into(), "interpreter `/none` is not in"),
        ] {
            let said = hint(&script(to), &io::Error::from_raw_os_error(libc::ENOENT));
            assert!(said.as_ref().unwrap().contains(words), "{to:?}: {said:?}");
        }
    }
}
