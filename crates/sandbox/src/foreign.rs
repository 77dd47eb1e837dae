//! Whether this machine runs programs of another architecture, found out by running the smallest one:
//! it ends at once with success. So it does not matter whether the processor can do it, or an emulator
//! that is registered with the kernel (binfmt_misc), nor whether that can be looked into from here.
//! Refuses to know which emulator it is.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// A program that ends with success.
struct Program {
    /// The name of the architecture in images.
    architecture: &'static str,
    wide: bool,
    big: bool,
    /// `e_machine` and `e_flags` (elf(5)).
    machine: u16,
    flags: u32,
    /// exit(0), in instructions of that machine.
    code: &'static [u8],
}

const fn little(
    architecture: &'static str,
    wide: bool,
    (machine, flags): (u16, u32),
    code: &'static [u8],
) -> Program {
    Program {
        architecture,
        wide,
        big: false,
        machine,
        flags,
        code,
    }
}

const PROGRAMS: &[Program] = &[
    little("386", false, (3, 0), b"\x31\xdb\x31\xc0\x40\xcd\x80"),
    little(
        "amd64",
        true,
        (62, 0),
        b"\x31\xff\xb8\x3c\x00\x00\x00\x0f\x05",
    ),
    little(
        "arm",
        false,
        (40, 0x0500_0000),
        b"\x00\x00\xa0\xe3\x01\x70\xa0\xe3\x00\x00\x00\xef",
    ),
    little(
        "arm64",
        true,
        (183, 0),
        b"\xa8\x0b\x80\xd2\x00\x00\x80\xd2\x01\x00\x00\xd4",
    ),
    little(
        "loong64",
        true,
        (258, 0x43),
        b"\x0b\x74\xc1\x02\x04\x00\xc0\x02\x00\x00\x2b\x00",
    ),
    little(
        "mips64le",
        true,
        (8, 0x8000_0007),
        b"\xc2\x13\x02\x24\x00\x00\x04\x24\x0c\x00\x00\x00",
    ),
    little(
        "ppc64le",
        true,
        (21, 2),
        b"\x01\x00\x00\x38\x00\x00\x60\x38\x02\x00\x00\x44",
    ),
    little(
        "riscv64",
        true,
        (243, 5),
        b"\x93\x08\xd0\x05\x13\x05\x00\x00\x73\x00\x00\x00",
    ),
    Program {
        architecture: "s390x",
        wide: true,
        big: true,
        machine: 22,
        flags: 0,
        code: b"\xa7\x29\x00\x00\x0a\x01",
    },
];

/// Whether programs of `architecture` (`arm64`, `riscv64`, … as images call it) run on this machine. A
/// program is put into the existing folder `scratch` for a moment, from where it must be possible to
/// execute it. Of an architecture that is not known here none runs.
///
/// # Errors
/// When the program cannot be written or started.
pub fn runs(architecture: &str, scratch: &Path) -> io::Result<bool> {
    let Some(program) = PROGRAMS.iter().find(|p| p.architecture == architecture) else {
        return Ok(false);
    };
    let path = scratch.join(format!("runs-{architecture}-{}", std::process::id()));
    let tried = write(&path, &program.elf()).and_then(|()| try_it(&path));
    // Whoever owns the folder removes what is left in it.
    let _ = std::fs::remove_file(&path);
    tried
}

/// What an ELF file that begins like this is for, where this machine's processor would not run it by
/// itself. `None` also for what is not known here.
#[cfg(target_os = "linux")]
pub(crate) fn architecture(elf: &[u8]) -> Option<&'static str> {
    let big = *elf.get(5)? == 2;
    let number = [*elf.get(18)?, *elf.get(19)?];
    let machine = match big {
        true => u16::from_be_bytes(number),
        false => u16::from_le_bytes(number),
    };
    let program = PROGRAMS
        .iter()
        .find(|program| program.machine == machine && program.big == big)?;
    let own: &[&str] = match std::env::consts::ARCH {
        "x86_64" => &["amd64", "386"],
        "aarch64" => &["arm64", "arm"],
        "x86" => &["386"],
        "powerpc64" => &["ppc64le"],
        "loongarch64" => &["loong64"],
        other => &[other],
    };
    (!own.contains(&program.architecture)).then_some(program.architecture)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::write(path, bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn try_it(path: &Path) -> io::Result<bool> {
    let mut command = Command::new(path);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    loop {
        match command.status() {
            Ok(status) => return Ok(status.success()),
            // Another thread has started a child meanwhile, which holds the file for an instant.
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy => {
                sleep(Duration::from_millis(5));
            }
            // ENOEXEC: the kernel knows nobody for it.
            Err(e) if e.raw_os_error() == Some(8) => return Ok(false),
            // An emulator that is registered and was removed since.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}

impl Program {
    /// As a file (elf(5)): the header, one segment that is all of it, and the instructions.
    fn elf(&self) -> Vec<u8> {
        const START: u64 = 0x40_0000;
        let (header, segment) = if self.wide { (64, 56) } else { (52, 32) };
        let begin = header + segment;
        let size = begin + self.code.len() as u64;
        let mut file = Fields {
            bytes: b"\x7fELF".to_vec(),
            big: self.big,
            wide: self.wide,
        };
        let class = if self.wide { 2 } else { 1 };
        let order = if self.big { 2 } else { 1 };
        file.bytes.extend([class, order, 1]);
        file.bytes.resize(16, 0);
        file.half(2).half(self.machine).word(1);
        file.long(START + begin).long(header).long(0);
        file.word(self.flags);
        for half in [header, segment, 1, 0, 0, 0] {
            file.half(u16::try_from(half).unwrap_or(0));
        }
        file.word(1);
        if self.wide {
            file.word(5).long(0).long(START).long(START);
            file.long(size).long(size).long(0x1000);
        } else {
            file.long(0).long(START).long(START);
            file.long(size).long(size).word(5).long(0x1000);
        }
        file.bytes.extend(self.code);
        file.bytes
    }
}

/// Numbers of a file, in its order and width.
struct Fields {
    bytes: Vec<u8>,
    big: bool,
    wide: bool,
}

impl Fields {
    fn put<const N: usize>(&mut self, little: [u8; N]) -> &mut Self {
        let mut bytes = little;
        if self.big {
            bytes.reverse();
        }
        self.bytes.extend(bytes);
        self
    }

    fn half(&mut self, number: u16) -> &mut Self {
        self.put(number.to_le_bytes())
    }

    fn word(&mut self, number: u32) -> &mut Self {
        self.put(number.to_le_bytes())
    }

    /// Of the width of an address.
    fn long(&mut self, number: u64) -> &mut Self {
        if self.wide {
            self.put(number.to_le_bytes())
        } else {
            self.word(u32::try_from(number).unwrap_or(u32::MAX))
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn programs_of_this_machine_run() {
        let own = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let folder = tempfile::tempdir().unwrap();
        assert!(runs(own, folder.path()).unwrap());
        assert!(!runs("pdp11", folder.path()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_program_is_for_stands_in_its_header() {
        for program in PROGRAMS {
            let elf = program.elf();
            let number = [elf[18], elf[19]];
            let machine = match program.big {
                true => u16::from_be_bytes(number),
                false => u16::from_le_bytes(number),
            };
            assert_eq!(machine, program.machine);
            assert!(elf.ends_with(program.code));
            let foreign = architecture(&elf);
            assert!(foreign.is_none_or(|name| name == program.architecture));
            let runs_here = ["amd64", "386"].contains(&program.architecture);
            if cfg!(target_arch = "x86_64") {
                assert_eq!(foreign.is_none(), runs_here, "{}", program.architecture);
            }
        }
    }
}
