//! A C compiler for other systems, for the dependencies that bring C code.
//!
//! What `CC_<target>` names is taken as it is, and for Windows an installed mingw. Otherwise `zig cc`,
//! which carries headers for all systems, comes as a Python package into a folder under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package and its version, fixed so that every machine compiles with the same one.
const PACKAGE: &str = "ziglang==0.17.0";

/// How often the package is asked for before the answer is no.
const TRIES: u32 = 3;

/// The environment in which `cargo check` finds a C compiler for `target`, or why there is none.
pub(super) fn compiler(
    target: &str,
    target_directory: &Path,
) -> Result<Vec<(String, String)>, String> {
    let suffix = target.replace('-', "_");
    if std::env::var_os(format!("CC_{suffix}")).is_some() {
        return Ok(Vec::new());
    }
    // The compiler's library finds this one by itself.
    if target == "x86_64-pc-windows-gnu"
        && runs(Command::new("x86_64-w64-mingw32-gcc").arg("--version"))
    {
        return Ok(Vec::new());
    }
    let Some(zig_target) = zig_target(target) else {
        return Err(format!("set CC_{suffix}"));
    };
    let folder = target_directory.join("portability");
    let python = python(&folder)?;
    let wrap = |tool: &str, arguments: &str| -> Result<String, String> {
        let path = folder.join(format!("{tool}-{target}"));
        write_script(&path, &wrapper(&python, tool, arguments))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path.display().to_string())
    };
    Ok(vec![
        (
            format!("CC_{suffix}"),
            wrap("cc", &format!("-target {zig_target}"))?,
        ),
        (format!("AR_{suffix}"), wrap("ar", "")?),
        (
            "ZIG_GLOBAL_CACHE_DIR".into(),
            folder.join("cache").display().to_string(),
        ),
        // Asked for on the way to Apple's compiler; zig has headers of its own and needs none there.
        ("SDKROOT".into(), folder.display().to_string()),
    ])
}

/// What zig calls a target of rustc.
fn zig_target(target: &str) -> Option<&'static str> {
    match target {
        "x86_64-pc-windows-gnu" => Some("x86_64-windows-gnu"),
        "aarch64-apple-darwin" => Some("aarch64-macos"),
        _ => None,
    }
}

/// A script that hands its arguments on, less those in which the target is said in another dialect.
fn wrapper(python: &Path, tool: &str, arguments: &str) -> String {
    format!(
        "#!/bin/sh\n\
        set -eu\n\
        for argument do\n\
        \x20 shift\n\
        \x20 case \"$argument\" in\n\
        \x20   --target=* | -mmacosx-version-min=* | -mmacos-version-min=*) ;;\n\
        \x20   *) set -- \"$@\" \"$argument\" ;;\n\
        \x20 esac\n\
        done\n\
        exec '{}' -m ziglang {tool} {arguments} \"$@\"\n",
        python.display()
    )
}

/// Writes the script only where it differs: a compiler with a new time looks like a new compiler.
fn write_script(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// The Python that has the package, made where there is none yet.
fn python(folder: &Path) -> Result<PathBuf, String> {
    if !cfg!(unix) {
        return Err("the scripts that call zig are for unix".into());
    }
    let python = folder.join("venv/bin/python");
    let has_zig = || runs(Command::new(&python).args(["-m", "ziglang", "version"]));
    if has_zig() {
        return Ok(python);
    }
    eprintln!("fetching {PACKAGE} into {}", folder.display());
    if !runs(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(folder.join("venv")),
    ) {
        return Err("python3 with its module venv is not installed".into());
    }
    for _ in 0..TRIES {
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            PACKAGE,
        ];
        if runs(Command::new(&python).args(pip)) && has_zig() {
            return Ok(python);
        }
    }
    Err(format!("pip could not install {PACKAGE}"))
}

fn runs(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_of_the_house_has_a_compiler() {
        for target in crate::house::TARGETS {
            assert!(zig_target(target).is_some(), "{target}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn the_wrapper_drops_what_zig_does_not_read() {
        let script = wrapper(Path::new("/bin/echo"), "cc", "-target x");
        let output = Command::new("sh")
            .args([
                "-c",
                &script,
                "sh",
                "--target=arm64-apple-macosx",
                "-O2",
                "a b.c",
            ])
            .output()
            .expect("there is a shell");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "-m ziglang cc -target x -O2 a b.c\n"
        );
    }
}
